"""A server or a network without an answer: the stop button works, and so does the next call."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.read.fetch import raw_connection
from lcdb_notebook.search import layout
from lcdb_notebook.server import embedded

from .frozen_proxy import FrozenProxy
from .stopwatch import Stopwatch

PROMPT = 2.0
"""Seconds within which an interrupt has to return the prompt."""

LIGHT_CURVES = 12


@pytest.fixture(scope="module")
def folder() -> Iterator[embedded.Server]:
    """An embedded server of these tests only, because it is stopped with SIGSTOP."""
    name = tempfile.mkdtemp(prefix="lcdb-silence-")
    with embedded.start(name) as server:
        with lcdb.connect(embedded=name, write=True) as db:
            store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=100)))
            db.session.commit()
        yield server
    shutil.rmtree(name, ignore_errors=True)


def processes(server: embedded.Server) -> list[int]:
    """Return the ids of all processes of a server, the postmaster's first."""
    first = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    return [first, *(child.pid for child in psutil.Process(first).children(recursive=True))]


def send(ids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may be ending."""
    for pid in ids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def stopped(server: embedded.Server) -> Iterator[None]:
    """Stop all processes of a server, as SIGSTOP does."""
    ids = processes(server)
    send(ids, signal.SIGSTOP)
    try:
        yield
    finally:
        send(ids, signal.SIGCONT)


@contextmanager
def interrupted_after(seconds: float, *, times: int = 1) -> Iterator[None]:
    """Press the stop button after a while, and see the prompt return within two seconds.

    If it does not, the button is pressed again, so that the test fails instead of waiting forever.
    """
    pressed: list[Stopwatch] = []
    enough = threading.Event()

    def press() -> None:
        if not enough.wait(seconds):
            pressed.append(Stopwatch())
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
                if enough.wait(0.2):
                    return
            while not enough.wait(2 * PROMPT):
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - a press may come late
            try:
                yield
            finally:
                # Before the end of this block, so that another press still ends in it.
                enough.set()
                took = pressed[0].seconds() if pressed else 0.0
    finally:
        thread.join()
    assert took < PROMPT


def backend(db: lcdb.Database) -> int:
    """Return the process of the server that a database uses; import what calls need meanwhile."""
    assert len(db.targets()) == 2
    with db.session_scope() as session:
        pid: int = session.scalar(sa.text("SELECT pg_backend_pid()")) or 0
    return pid


def sleep_in(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        session.execute(sa.text("SELECT pg_sleep(60)"))


def a_query_of_the_session(db: lcdb.Database) -> None:
    db.session.execute(sa.text("SELECT count(*) FROM target"))


SILENT_CALLS: dict[str, Callable[[lcdb.Database], Any]] = {
    "search": lambda db: db.targets(),
    "read": lambda db: list(db.search()),
    "a query of the session": a_query_of_the_session,
    "a statement that runs": sleep_in,
}


@pytest.mark.parametrize("call", SILENT_CALLS.values(), ids=SILENT_CALLS)
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(False, id="read-only"),
        pytest.param(True, id="writable", marks=pytest.mark.slow),
    ],
)
def test_interrupt_returns_the_prompt_while_the_server_is_stopped(
    folder: embedded.Server, call: Callable[[lcdb.Database], Any], write: bool
) -> None:
    with lcdb.connect(embedded=folder.folder, write=write) as db:
        before = backend(db)
        with stopped(folder), interrupted_after(0.3):
            call(db)
        if call is a_query_of_the_session:
            db.session.rollback()
        assert backend(db) != before
        assert len(list(db.search())) == LIGHT_CURVES


def test_interrupt_of_a_commit_returns_the_prompt_while_the_server_is_stopped(
    folder: embedded.Server,
) -> None:
    with lcdb.connect(embedded=folder.folder, write=True) as db:
        backend(db)
        db.session.execute(sa.text("CREATE TEMPORARY TABLE x (i int)"))
        with stopped(folder), interrupted_after(0.3):
            db.session.commit()
        db.session.rollback()
        assert len(list(db.search())) == LIGHT_CURVES


def test_interrupt_of_connecting_returns_the_prompt_while_the_server_is_stopped(
    folder: embedded.Server,
) -> None:
    url = folder.url().render_as_string(hide_password=False)
    with stopped(folder), interrupted_after(0.3):
        lcdb.connect(url)
    with lcdb.connect(url) as db:
        assert len(list(db.search())) == LIGHT_CURVES


def test_interrupts_in_quick_succession_return_the_prompt(folder: embedded.Server) -> None:
    with lcdb.connect(embedded=folder.folder) as db:
        backend(db)
        with stopped(folder), interrupted_after(0.3, times=6):
            sleep_in(db)
        assert len(list(db.search())) == LIGHT_CURVES


def test_interrupt_with_a_progress_bar_returns_the_prompt(folder: embedded.Server) -> None:
    with lcdb.connect(embedded=folder.folder) as db:
        found = db.search()
        assert len(list(found)) == LIGHT_CURVES
        with stopped(folder), interrupted_after(0.3):
            list(found.read(progress=True))
        assert len(list(db.search())) == LIGHT_CURVES


@pytest.fixture
def through(new_database: Callable[[], str]) -> Iterator[FrozenProxy]:
    with FrozenProxy(new_database()) as proxy:
        yield proxy


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call, id=name, marks=[] if name == "read" else pytest.mark.slow)
        for name, call in SILENT_CALLS.items()
    ],
)
def test_interrupt_returns_the_prompt_while_the_network_is_frozen(
    through: FrozenProxy, call: Callable[[lcdb.Database], Any]
) -> None:
    with lcdb.connect(through.url, write=True, create=True) as db:
        store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=100)))
        db.session.commit()
    with lcdb.connect(through.url) as db:
        before = backend(db)
        through.freeze()
        with interrupted_after(0.3):
            call(db)
        if call is a_query_of_the_session:
            db.session.rollback()
        # The network is still frozen: the next call connects again, which can be interrupted too.
        with interrupted_after(0.3):
            db.targets()
        through.thaw()
        assert backend(db) != before
        assert len(list(db.search())) == LIGHT_CURVES


def test_statement_timeout_does_not_keep_a_frozen_call_from_being_interrupted(
    through: FrozenProxy,
) -> None:
    with lcdb.connect(through.url, write=True, create=True):
        pass
    with lcdb.connect(through.url, statement_timeout=30) as db:
        assert db.targets().empty
        through.freeze()
        with interrupted_after(0.3):
            db.targets()
        through.thaw()
        assert db.targets().empty


# Dead peers


def options_of(db: lcdb.Database) -> dict[str, int]:
    with db.session_scope() as session:
        copy = socket.socket(fileno=os.dup(raw_connection(session).fileno()))
    with copy:
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found = {name: copy.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
        found["SO_KEEPALIVE"] = copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return found


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_connect_notices_a_dead_peer_within_30_seconds(through: FrozenProxy) -> None:
    with lcdb.connect(through.url, write=True, create=True) as db:
        found = options_of(db)
    assert found["SO_KEEPALIVE"]
    waiting = found["TCP_KEEPIDLE"] + found["TCP_KEEPINTVL"] * found["TCP_KEEPCNT"]
    assert waiting <= 30
    assert 0 < found["TCP_USER_TIMEOUT"] <= 30_000


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_connect_takes_other_keepalives_from_the_url(through: FrozenProxy) -> None:
    url = sa.make_url(through.url).update_query_dict(
        {"keepalives_idle": "77", "tcp_user_timeout": "123000"}
    )
    with lcdb.connect(url, write=True, create=True) as db:
        found = options_of(db)
    assert found["TCP_KEEPIDLE"] == 77
    assert found["TCP_USER_TIMEOUT"] == 123_000


# Round trips: over a slow network, each costs its delay twice.


def test_calls_wait_for_the_server_a_known_number_of_times(
    new_tables: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(8, sectors=[1], cadences=20)))
        db.session.commit()
    waits: dict[str, int] = {}
    one: dict[str, Any] = {"sector": 1, "photometry": "DEMO aperture 2px", "processing": "raw"}
    with FrozenProxy(url) as proxy:

        def count(name: str, call: Callable[[], Any]) -> Any:
            before = proxy.round_trips
            result = call()
            waits[name] = proxy.round_trips - before
            return result

        db = count("connect", lambda: lcdb.connect(proxy.url))
        try:
            count("lightcurve", lambda: db.lightcurve(1, **one))
            count("a target shown", lambda: repr(db.search(1)))
            count("targets shown", lambda: repr(db.search([1, 2, 77])))
            shown = count("a sector shown", lambda: repr(db.search(sector=1)))
            large = dataclasses.replace(layout.of(db.session), is_small=False)
            assert large.has_plpgsql
            monkeypatch.setattr(layout, "of", lambda _: large)
            again = count("a sector of a large table", lambda: repr(db.search(sector=1)))
            some = count("a part of it", lambda: repr(db.search(sector=1)[1:40]))
        finally:
            db.close()
    assert again == shown
    assert shown.startswith("<Selection of 48 light curves, the first 20 shown>")
    assert some.startswith("<Selection of 39 light curves, the first 20 shown>")
    most = {"connect": 4, "lightcurve": 3, "a target shown": 2, "a sector shown": 2}
    most["targets shown"] = 2
    most |= {"a sector of a large table": 2, "a part of it": 2}
    assert all(waits[name] <= most[name] for name in most), waits
