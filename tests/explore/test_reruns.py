"""A cell with an explorer that is run again all day long, in a kernel as notebooks have it.

``LCDB_RERUNS=500`` runs it so many times: nearly 400 widgets and three figures are made and closed
each time, which takes a core about half a second.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

RUNS = int(os.environ.get("LCDB_RERUNS", "60"))
WARM = 20

# Bytes a run. A picture has 1.2 million, the arrays of the light curve 0.7 million; what is left
# of a closed explorer that Out keeps has 0.03 million.
MOST = 100_000

# Bytes in all: what is in use on a page of memory keeps the rest of that page. After malloc_trim,
# 40 runs add 7 to 9 million bytes in all; without it they added 17 to 29 million, by the load.
KEPT = 14_000_000

CADENCES = 18_000
SECONDS = 120

CELL = "db.explore(1)"

PREPARED = """
import ctypes, gc, threading, time
import ipywidgets, matplotlib.figure, traitlets
import lcdb_notebook as lcdb
from lcdb_notebook.explore.widget.background import Work
from lcdb_notebook.lightcurve.record import LightCurveData

# Work that lasts shows a bar: three widgets that would be counted in one run and not in another.
Work._appear = lambda self, task: None

db = lcdb.connect({url!r})
last = lambda: Out[max(Out)]

def found():
    # IPython itself keeps what each cell has put on the page, of whatever kind, as text.
    getattr(get_ipython().history_manager, "outputs", {{}}).clear()
    # Axes that share an axis are let go of one step after the other.
    for _ in range(3):
        gc.collect()
    things = gc.get_objects()
    # Not isinstance(): of a weak proxy it asks what may be gone.
    count = lambda kind: sum(issubclass(type(thing), kind) for thing in things)
    return {{
        "widgets": len(ipywidgets.widgets.widget._instances),
        "comms": len(get_ipython().kernel.comm_manager.comms),
        "figures": count(matplotlib.figure.Figure),
        "light curves": count(LightCurveData),
        "observers": sum(
            len(calls)
            for thing in things
            if issubclass(type(thing), ipywidgets.Widget)
            for kinds in thing._trait_notifiers.values()
            for calls in kinds.values()
        ),
        "threads": threading.active_count(),
    }}

def give_free_memory_to_the_system():
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
"""

SETTLED = """last().light_curve.pictures > 0 and last().lineage.lineage is not None \
and last().targets.counted > 0 and not last().light_curve.work.busy"""


class Kernel:
    """A kernel, and a front end that shows nothing and sends the id of the cell that it runs."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, code: str, *, cell: str | None = None) -> None:
        """Run code: with its output kept, and counted, if it is a cell's."""
        self._execute(code, "None", cell)

    def ask(self, expression: str) -> Any:
        """Evaluate an expression."""
        return ast.literal_eval(self._execute("", expression, None))

    def _execute(self, code: str, expression: str, cell: str | None) -> str:
        message = self._client.session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": cell is not None,
                "user_expressions": {"answer": expression},
                "allow_stdin": False,
                "stop_on_error": True,
            },
        )
        message["metadata"] |= {} if cell is None else {"cellId": cell}
        self._client.shell_channel.send(message)
        while True:
            reply = self._client.get_shell_msg(timeout=SECONDS)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                break
        content = reply["content"]
        assert content["status"] == "ok", "\n".join(content.get("traceback", []))
        answer = content["user_expressions"]["answer"]
        assert answer["status"] == "ok", "\n".join(answer.get("traceback", []))
        text: str = answer["data"]["text/plain"]
        return text


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        # There is no page, so nothing has to be sent.
        client.iopub_channel.stop()
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def one_star(new_tables: Callable[[], str]) -> str:
    """URL of a database of one star and its one light curve."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        products = demo.products(1, sectors=[1], cadences=CADENCES, apertures=1, steps=0)
        store(db.session.connection(), list(products))
        db.session.commit()
    return url


@pytest.mark.slow
def test_a_cell_that_is_run_repeatedly_leaves_nothing_in_the_kernel(
    kernel: Kernel, one_star: str
) -> None:
    kernel.run(PREPARED.format(url=one_star))
    process = psutil.Process(kernel.ask("__import__('os').getpid()"))
    states = []
    for number in range(1, RUNS + 1):
        kernel.run(CELL, cell="the cell")
        if number in (WARM, RUNS):
            while not kernel.ask(SETTLED):
                pass
            counted = kernel.ask("found()")
            # What is left is in use, and does not depend on the load.
            kernel.ask("give_free_memory_to_the_system()")
            states.append((process.memory_info().rss, {**counted, **connections(one_star)}))
    (memory, before), (memory_after, after) = states
    # One explorer is open. The light curve is kept unchanged, and in order of time for the page.
    assert (before["light curves"], before["server connections"]) == (2, 1)
    assert after == before
    grown = memory_after - memory
    assert grown < MOST * (RUNS - WARM) + KEPT, f"{grown / 1e6:.0f} MB more of {memory / 1e6:.0f}"


def connections(url: str) -> dict[str, int]:
    """Count the connections to a database but this one."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        number = connection.scalar(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    return {"server connections": int(number or 0)}
