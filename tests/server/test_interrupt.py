"""Interrupting for real: a signal comes while the server works, and the server stops."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import psycopg2
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, Mission
from lcdb_notebook.read.fetch import raw_connection
from lcdb_notebook.server import interrupt
from lcdb_notebook.server.interrupt import interruptible

from .stopwatch import Stopwatch

SOON = 1.0
"""Seconds within which a statement is to be gone from the server."""


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=100)))
        db.session.commit()
    return url


@pytest.fixture(params=[False, True], ids=["read-only", "writable"])
def db(url: str, request: pytest.FixtureRequest) -> Iterator[lcdb.Database]:
    with lcdb.connect(url, write=request.param) as db:
        yield db


@pytest.fixture
def watcher(url: str) -> Iterator[sa.Connection]:
    """A connection of somebody who looks on from another database."""
    engine = sa.create_engine(
        sa.make_url(url).set(database="postgres"),
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        yield connection


def busy(watcher: sa.Connection, url: str, like: str = "%") -> int:
    """Count the statements that run in a database."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = :name AND state = 'active' AND query LIKE :statement "
        # A process that vacuums is listed too.
        "AND backend_type = 'client backend'"
    )
    name = sa.make_url(url).database
    found: int = watcher.scalar(query, {"name": name, "statement": like}) or 0
    return found


@contextmanager
def interrupted(watcher: sa.Connection, url: str, like: str = "%pg_sleep%") -> Iterator[None]:
    """Send Ctrl-C once the server works on a certain statement, and see the work stop soon."""
    sent: list[Stopwatch] = []

    def press() -> None:
        deadline = time.monotonic() + 60
        while not busy(watcher, url, like):
            if time.monotonic() > deadline:
                return
        sent.append(Stopwatch())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    assert sent
    assert sent[0].seconds() < SOON
    thread.join()
    while busy(watcher, url):
        assert sent[0].seconds() < SOON, "the server still works on it"


SLOW = sa.text("SELECT pg_sleep(30)")


def test_a_signal_that_another_thread_gets_is_noticed_too(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        driver = raw_connection(session)

    def work() -> None:
        # The thread that works; the main one waits for it, and nothing wakes it.
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        with driver.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(10)")

    began = Stopwatch()
    with pytest.raises(KeyboardInterrupt):
        interruptible(driver, work)
    assert began.seconds() < SOON


def slow_using(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        session.execute(SLOW)


def slow_session(db: lcdb.Database) -> None:
    db.session.execute(SLOW)


def slow_raw(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        driver = raw_connection(session)
        with driver.cursor() as cursor:
            interruptible(driver, lambda: cursor.execute("SELECT pg_sleep(30)"))


def slow_parts(db: lcdb.Database) -> None:
    """Many short statements, so that a cancel may come between two of them."""
    with db.session_scope() as session:
        driver = raw_connection(session)

        def work() -> None:
            with driver.cursor() as cursor:
                for _ in range(30_000):
                    cursor.execute("SELECT pg_sleep(0.001)")

        interruptible(driver, work)


def slow_progress(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        driver = raw_connection(session)
        with driver.cursor() as cursor:
            interruptible(
                driver, lambda: cursor.execute("SELECT pg_sleep(30)"), meanwhile=lambda: None
            )


SLOW_CALLS = {
    "a statement of a call": slow_using,
    "a query of the session's own": slow_session,
    "psycopg2 itself": slow_raw,
    "many short statements": slow_parts,
    "with a progress bar": slow_progress,
}


@pytest.mark.parametrize("slow", SLOW_CALLS.values(), ids=SLOW_CALLS)
def test_an_interrupt_stops_the_server_and_the_next_call_works(
    db: lcdb.Database, url: str, watcher: sa.Connection, slow: Callable[[lcdb.Database], None]
) -> None:
    db.targets()
    with interrupted(watcher, url):
        slow(db)
    if slow is slow_session:
        db.session.rollback()
    assert len(db.targets()) == 2
    assert len(list(db.search())) == 12


def test_the_connection_survives_an_interrupt(
    db: lcdb.Database, url: str, watcher: sa.Connection
) -> None:
    pid = sa.text("SELECT pg_backend_pid()")
    before = db.session.scalar(pid)
    db.session.rollback()
    with interrupted(watcher, url):
        slow_using(db)
    assert db.session.scalar(pid) == before


READS: dict[str, Callable[[lcdb.Database, lcdb.Selection, list[DataSet]], Any]] = {
    "read": lambda _db, found, _objects: list(found),
    "to_pandas": lambda _db, found, _objects: found.to_pandas(),
    "lightcurve": lambda _db, found, _objects: found[0].lightcurve(),
    "load": lambda db, _found, objects: db.load(objects),
}
SLOW_ROWS = """
ALTER TABLE dataset RENAME TO dataset_rows;
CREATE FUNCTION slowly(a float8[]) RETURNS float8[] LANGUAGE sql VOLATILE
AS 'SELECT a FROM pg_sleep(5)';
CREATE VIEW dataset AS SELECT id, target_id, observation_id, photometric_method_id,
processing_method_id, slowly(values) AS values, errors FROM dataset_rows
"""
"""A view in the table's place that sleeps before each of its rows."""


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_bulk_read_is_interrupted_inside_its_copy(
    new_tables: Callable[[], str],
    watcher: sa.Connection,
    caplog: pytest.LogCaptureFixture,
    read: Callable[[lcdb.Database, lcdb.Selection, list[DataSet]], Any],
) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=100)))
        db.session.commit()
        with lcdb.connect(url) as reader:
            found = reader.search()
            assert len(found.table) == 12
            objects = list(reader.session.scalars(sa.select(DataSet)))
            reader.session.rollback()
            db.session.execute(sa.text(SLOW_ROWS))
            db.session.commit()
            with (
                caplog.at_level("DEBUG", logger="lcdb_notebook.read.fetch"),
                interrupted(watcher, url, "COPY%"),
            ):
                read(reader, found, objects)
            assert caplog.messages[-1].startswith("COPY")
            assert len(reader.targets()) == 2


def test_uncommitted_changes_are_reported_as_lost(url: str, watcher: sa.Connection) -> None:
    with lcdb.connect(url, write=True) as db:
        db.session.add(Mission(name="CHEOPS", time_epoch=0, time_format_name="cheopsjd"))
        with pytest.raises(KeyboardInterrupt) as raised, interrupted_by(watcher, url):
            slow_using(db)
        assert any("were rolled back" in note for note in raised.value.__notes__)
        assert db.missions()["name"].tolist() == ["TESS"]


@contextmanager
def interrupted_by(watcher: sa.Connection, url: str) -> Iterator[None]:
    """Send Ctrl-C, and let it through."""
    raised: list[KeyboardInterrupt] = []
    with interrupted(watcher, url):
        try:
            yield
        except KeyboardInterrupt as error:
            raised.append(error)
            raise
    raise raised[0]


# What it passes on


@pytest.fixture
def driver(dsn: str) -> Iterator[Any]:
    engine = sa.create_engine(dsn, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection.connection.driver_connection


def test_the_result_of_the_work_is_returned(driver: Any) -> None:
    def work() -> int:
        with driver.cursor() as cursor:
            cursor.execute("SELECT 42")
            return int(cursor.fetchone()[0])

    assert interruptible(driver, work) == 42


def test_the_error_of_the_work_is_raised(driver: Any) -> None:
    def work() -> None:
        with driver.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    with pytest.raises(psycopg2.errors.DivisionByZero) as raised:
        interruptible(driver, work)
    assert any(entry.name == "work" for entry in raised.traceback)


def test_what_is_to_be_done_meanwhile_is_done(driver: Any) -> None:
    enough = threading.Event()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            enough.set()

    assert interruptible(driver, lambda: enough.wait(60), meanwhile=tick) is True
    assert len(ticks) >= 3


def test_an_error_meanwhile_cancels_the_work(driver: Any, watcher: sa.Connection, dsn: str) -> None:
    def work() -> None:
        with driver.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")

    def fail() -> None:
        if busy(watcher, dsn):
            raise ZeroDivisionError

    began = Stopwatch()
    with pytest.raises(ZeroDivisionError):
        interruptible(driver, work, meanwhile=fail)
    assert not busy(watcher, dsn)
    assert began.seconds() < 20


def test_work_in_another_thread_is_done_there(driver: Any) -> None:
    where: list[threading.Thread] = []

    def run() -> None:
        interruptible(driver, lambda: where.append(threading.current_thread()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert where == [thread]


def test_nothing_of_the_caller_is_kept_alive_by_an_error(driver: Any) -> None:
    class Held:
        pass

    def call() -> weakref.ref[Held]:
        held = Held()

        def work() -> None:
            assert isinstance(held, Held)
            raise ZeroDivisionError

        with suppress(ZeroDivisionError):
            interruptible(driver, work)
        return weakref.ref(held)

    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()


def test_arrays_are_right_after_an_interrupt(url: str, watcher: sa.Connection) -> None:
    with lcdb.connect(url) as db:
        expected = [data.flux for data in db.search()]
        for _ in range(3):
            with interrupted(watcher, url):
                slow_using(db)
            found = [data.flux for data in db.search()]
            assert all(
                np.array_equal(one, other, equal_nan=True)
                for one, other in zip(expected, found, strict=True)
            )


# The threads it works in


def worked_in() -> list[int]:
    """Return the threads that wait for work."""
    return [thread.ident or 0 for thread in threading.enumerate() if thread.name == "lcdb-query"]


@pytest.fixture
def new_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the threads that earlier tests left."""
    monkeypatch.setattr(interrupt, "_workers", interrupt._Workers())


@pytest.mark.usefixtures("new_workers")
def test_a_thread_is_kept_and_used_again() -> None:
    used = {interruptible(None, threading.get_ident) for _ in range(200)}
    assert len(used) == 1
    assert used <= set(worked_in())
    assert threading.get_ident() not in used


@pytest.mark.usefixtures("new_workers")
def test_calls_under_way_have_a_thread_each_and_more_are_never_made() -> None:
    inner: list[int] = []
    before = {*worked_in()}

    def tick() -> None:
        if not inner:
            inner.append(interruptible(None, threading.get_ident))
            enough.set()

    for _ in range(20):
        inner.clear()
        enough = threading.Event()

        def wait(until: threading.Event = enough) -> int:
            assert until.wait(60)
            return threading.get_ident()

        outer = interruptible(None, wait, meanwhile=tick)
        assert outer != inner[0]
    assert len({*worked_in()} - before) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_separate_threads() -> None:
    interruptible(None, threading.get_ident)
    child = os.fork()
    if not child:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            done = interruptible(None, lambda: 42) == 42 and len(worked_in()) == 1
            os._exit(0 if done else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 60
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended, "it waits for a thread that only its parent has"
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_thread_that_waits_does_not_keep_the_interpreter() -> None:
    code = (
        "from lcdb_notebook.server.interrupt import interruptible\n"
        "print(interruptible(None, lambda: 42))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_a_thread_that_waits_keeps_nothing_of_its_last_work_alive() -> None:
    class Held:
        pass

    def call() -> weakref.ref[Held]:
        held = Held()
        assert interruptible(None, lambda: held) is held
        return weakref.ref(held)

    gc.disable()
    try:
        kept = call()
        # The thread lets go of it after the caller went on.
        deadline = time.monotonic() + 60
        while kept() is not None and time.monotonic() < deadline:
            pass
        assert kept() is None
    finally:
        gc.enable()
