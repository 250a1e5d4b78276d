"""What a notebook shows of our errors: few lines, and all of them with %xmode Verbose."""

from __future__ import annotations

import builtins
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import astropy  # noqa: F401 - not for the first time within IPython, of which it keeps hold
import pytest
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.read import fetch
from lcdb_notebook.server.cancel import abandon
from lcdb_notebook.server.interrupt import interruptible


class Shell(InteractiveShell):
    """IPython without a terminal, which keeps what it would show."""

    shown: list[str]

    def _showtraceback(self, _kind: type, _error: BaseException, lines: list[str]) -> None:
        self.shown = "\n".join(lines).splitlines()


@pytest.fixture
def shell() -> Iterator[Any]:
    Shell.clear_instance()
    shell: Any = Shell.instance()
    shell.run_cell("import lcdb_notebook as lcdb")
    yield shell
    Shell.clear_instance()
    # Others take it for a sign of IPython.
    vars(builtins).pop("get_ipython", None)


NOWHERE = "lcdb.connect('postgresql://ada@127.0.0.1:1/nothing')"


def test_traceback_of_a_server_that_does_not_answer_is_short(shell: Any) -> None:
    shell.run_cell(f"def mine():\n    return {NOWHERE}\nmine()")
    assert len(shell.shown) < 15
    text = "\n".join(shell.shown)
    assert "Cell In[" in text
    assert f"return {NOWHERE}" in text
    assert "ConnectionFailedError" in text
    assert "Connection refused" in text
    assert "%xmode Verbose" in text


def test_traceback_of_a_wrong_argument_is_short(shell: Any, dsn: str) -> None:
    shell.user_ns["db"] = lcdb.connect(dsn)
    shell.run_cell("db.search(1).map('x')")
    assert len(shell.shown) < 15
    shell.user_ns.pop("db").close()


MISTAKES = (
    "db.search(1).map('x')",
    "db.targets(limit=-1)",
    "db.targets(limit='x')",
    "db.targets(limt=3)",
    "db.lightcurve(1, time_format='bjdd')",
    "db.search(procesing='raw')",
    "db.search('Vega')",
    "db.search()[5]",
    "db.load([1])",
    "db.add(5)",
    "lcdb.from_pandas([1])",
    "lcdb.connect(5)",
    f"{NOWHERE}.search(1)",
    "db.session.execute(sa.text('SELECT 1/0'))",
    "pickle.dumps(db)",
)


def test_tracebacks_of_mistakes_in_a_kernel_are_short(dsn: str) -> None:
    manager, kernel = start_new_kernel(kernel_name="python3")
    tracebacks: dict[str, list[str]] = {}
    try:

        def run(code: str) -> None:
            def keep(message: dict[str, Any]) -> None:
                if message["msg_type"] == "error":
                    tracebacks[code] = "\n".join(message["content"]["traceback"]).splitlines()

            kernel.execute_interactive(code, output_hook=keep, timeout=120)

        run(f"import pickle, sqlalchemy as sa, lcdb_notebook as lcdb; db = lcdb.connect({dsn!r})")
        for mistake in MISTAKES:
            run(mistake)
        run("db.close()")
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    assert set(tracebacks) == set(MISTAKES)
    assert {code: len(lines) for code, lines in tracebacks.items() if len(lines) >= 15} == {}


def test_verbose_traceback_shows_everything(shell: Any) -> None:
    shell.run_line_magic("xmode", "Verbose")
    shell.run_cell(NOWHERE)
    text = "\n".join(shell.shown)
    assert len(shell.shown) > 15
    assert "psycopg2" in text
    assert "OperationalError" in text


def test_errors_of_others_are_shown_as_ever(shell: Any) -> None:
    shell.run_cell("lcdb.errors.LCDBError\n1 / 0")
    assert "ZeroDivisionError" in "\n".join(shell.shown)
    assert "%xmode" not in "\n".join(shell.shown)


def test_a_long_message_is_cut(shell: Any) -> None:
    shell.run_cell("raise lcdb.errors.DataError('\\n'.join('a line' for _ in range(100)))")
    assert len(shell.shown) < 15


def test_notes_are_shown(shell: Any) -> None:
    shell.run_cell("e = lcdb.errors.DataError('x')\ne.add_note('what to do')\nraise e")
    assert "what to do" in shell.shown


def test_a_connection_lost_in_to_pandas_does_not_print_all_ids(
    shell: Any, new_tables: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(100, sectors=[1], cadences=20)))
        db.session.commit()
    with lcdb.connect(url) as db:
        found = db.search()
        assert len(found.table) == 600
        shell.user_ns["found"] = found
        # The test of the connection succeeds, and the network goes away when the COPY begins.
        with monkeypatch.context() as patched:
            patched.setattr(fetch, "interruptible", lost)
            shell.run_cell("found.to_pandas()")
        assert len(shell.shown) < 15
        assert "ConnectionFailedError" in "\n".join(shell.shown)
        text = "".join(traceback.format_exception(sys.last_value))
        assert "COPY (SELECT" in text
        assert "598,599" not in text


def lost(driver: Any, work: Callable[[], Any], **options: Any) -> Any:
    abandon(driver)
    return interruptible(driver, work, **options)
