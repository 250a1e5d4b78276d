"""Forked processes: the right star, on a separate connection, without harm to the parent."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import ConnectionFailedError, LCDBError, ReadOnlyError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet
from lcdb_notebook.read.fetch import raw_connection
from lcdb_notebook.server import embedded
from lcdb_notebook.server.fork import is_own

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

STARS = 20
READS = 500
"""Reads in each of the four ways to fork: 2,000 in all."""

CONTEXT = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(STARS, sectors=[1], cadences=200)))
        db.session.commit()
    return url


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


# What children use: forked from the parent, they find it here.
_shared: list[lcdb.Database] = []


@pytest.fixture
def shared(db: lcdb.Database) -> Iterator[lcdb.Database]:
    _shared.append(db)
    yield db
    _shared.clear()


def find(db: lcdb.Database, target: int) -> lcdb.Selection:
    return db.search(target, sector=1, processing="raw")[:1]


def read(target: int) -> tuple[int, int, bytes]:
    """Read a star in whatever process this is; return its number, the process and the flux."""
    (data,) = find(_shared[0], target)
    return data.target, os.getpid(), data.flux.tobytes()


def truth(db: lcdb.Database) -> dict[int, bytes]:
    return {target: next(iter(find(db, target))).flux.tobytes() for target in range(1, STARS + 1)}


def questions() -> list[int]:
    chance = np.random.default_rng(1)
    return [int(target) for target in chance.integers(1, STARS + 1, READS)]


def in_a_pool(targets: list[int]) -> list[tuple[int, int, bytes]]:
    assert CONTEXT is not None
    with CONTEXT.Pool(4) as pool:
        return pool.map(read, targets, chunksize=5)


def with_joblib(targets: list[int]) -> list[tuple[int, int, bytes]]:
    found: list[tuple[int, int, bytes]] = joblib.Parallel(n_jobs=4, backend="multiprocessing")(
        joblib.delayed(read)(target) for target in targets
    )
    return found


def in_an_executor(targets: list[int]) -> list[tuple[int, int, bytes]]:
    with ProcessPoolExecutor(4, mp_context=CONTEXT) as executor:
        return [*executor.map(read, targets, chunksize=5)]


def with_os_fork(targets: list[int]) -> list[tuple[int, int, bytes]]:
    """Fork by hand, ten reads in a child, of which some end normally and some at once."""
    found: list[tuple[int, int, bytes]] = []
    for start in range(0, len(targets), 25):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(reading)
                done = [read(target) for target in targets[start : start + 25]]
                with os.fdopen(writing, "wb") as file:
                    pickle.dump(done, file)
                if start % 50:
                    _shared[0].close()
                # It copies all that the parent has in memory, so that two children do it.
                if start in (25, 50):
                    gc.collect()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            found += pickle.load(file)
        os.waitpid(child, 0)
        # The parent reads between its children's lives, on the connection that it had.
        assert find(_shared[0], targets[start])[0].table["target"][0] == targets[start]
    return found


WAYS = [
    with_os_fork,
    # Each of them forks.
    *(
        pytest.param(way, marks=pytest.mark.slow)
        for way in (in_a_pool, with_joblib, in_an_executor)
    ),
]


@pytest.mark.parametrize("way", WAYS)
def test_read_in_forked_processes_finds_the_star_that_was_searched_for(
    shared: lcdb.Database, way: Callable[[list[int]], list[tuple[int, int, bytes]]]
) -> None:
    expected = truth(shared)
    before = backend(shared)
    targets = questions()
    found = way(targets)
    assert [target for target, _, _ in found] == targets
    assert all(flux == expected[target] for target, _, flux in found)
    assert os.getpid() not in {pid for _, pid, _ in found}
    # The parent has the connection that it had, and reads the same.
    assert backend(shared) == before
    assert truth(shared) == expected


def backend(db: lcdb.Database) -> int:
    with db.session_scope() as session:
        pid: int = session.scalar(sa.text("SELECT pg_backend_pid()")) or 0
    return pid


def in_child(work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, or the error that it raises, in a forked process."""
    reading, writing = CONTEXT.Pipe(duplex=False)  # type: ignore[union-attr]
    child = os.fork()
    if not child:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            try:
                result = work()
            except BaseException as error:
                result = error
            try:
                writing.send(result)
            except BaseException as error:
                writing.send(RuntimeError(repr(error)))
        finally:
            os._exit(0)
    writing.close()
    try:
        assert reading.poll(60), "the child does not end"
        result = reading.recv()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return result


def test_a_fork_while_the_parent_reads_disturbs_neither(shared: lcdb.Database) -> None:
    expected = truth(shared)
    with shared.session_scope() as session:
        # In the middle of a statement of the parent's connection, in another thread.
        driver = raw_connection(session)
        began = threading.Event()

        def slow() -> list[Any]:
            with driver.cursor() as cursor:
                began.set()
                cursor.execute("SELECT pg_sleep(1), 42")
                return list(cursor.fetchall())

        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.extend(slow()))
        thread.start()
        assert began.wait(60)
        time.sleep(0.1)
        found = in_child(lambda: read(7))
        assert found[0] == 7
        assert found[2] == expected[7]
        thread.join()
        assert done[0][1] == 42


def test_a_database_lost_in_a_child_leaves_that_of_the_parent_alone(shared: lcdb.Database) -> None:
    before = backend(shared)

    def lose() -> str:
        _shared[0].close()
        _shared.clear()
        gc.collect()
        return "lost"

    assert in_child(lose) == "lost"
    assert backend(shared) == before


def test_a_child_that_ends_normally_leaves_the_parent_alone(shared: lcdb.Database) -> None:
    before = backend(shared)
    program = multiprocessing.get_context("fork").Process(target=read, args=(3,))
    program.start()
    program.join(60)
    assert program.exitcode == 0
    assert backend(shared) == before


def test_objects_of_the_session_are_read_in_a_child(shared: lcdb.Database) -> None:
    first = shared.session.scalars(sa.select(DataSet).order_by(DataSet.id).limit(1)).one()
    expected = np.array(first.values)
    other = shared.session.scalars(sa.select(DataSet).order_by(DataSet.id).offset(1).limit(1)).one()
    found = in_child(lambda: np.array(other.values))
    assert isinstance(found, np.ndarray), found
    assert len(found) == len(expected)
    assert np.array_equal(found, other.values, equal_nan=True)


def test_a_raw_connection_of_the_parent_is_refused_in_a_child(shared: lcdb.Database) -> None:
    with shared.session_scope() as session:
        driver = raw_connection(session)

    def use() -> None:
        with driver.cursor() as cursor:
            cursor.execute("SELECT 1")

    error = in_child(use)
    assert "closed in this forked process" in str(error)
    with driver.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_a_cursor_of_the_parent_sends_nothing_in_a_child(shared: lcdb.Database) -> None:
    with shared.session_scope() as session, raw_connection(session).cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()

        def use() -> Any:
            cursor.execute("SELECT 2")
            return cursor.fetchall()

        assert isinstance(in_child(use), Exception)
        cursor.execute("SELECT 3")
        assert cursor.fetchall() == [(3,)]


def test_a_child_of_a_database_for_writing_only_reads(url: str) -> None:
    with lcdb.connect(url, write=True) as db:
        assert db.targets()["target"].size == STARS
        assert in_child(lambda: db.targets()["target"].size) == STARS
        error = in_child(lambda: db.create())
        assert isinstance(error, ReadOnlyError)
        assert "selection.map" in str(error)
        error = in_child(lambda: db.session.execute(sa.text("DELETE FROM dataset")))
        assert isinstance(error, ReadOnlyError)
        assert db.targets()["target"].size == STARS


def test_uncommitted_changes_of_the_parent_are_an_error_in_a_child(url: str) -> None:
    with lcdb.connect(url, write=True) as db:
        db.session.execute(sa.text("CREATE TEMPORARY TABLE here (i int)"))
        error = in_child(lambda: db.targets())
        assert isinstance(error, LCDBError)
        assert "selection.map" in str(error)
        db.session.execute(sa.text("SELECT * FROM here"))
        db.session.rollback()


def test_a_child_that_cannot_connect_names_the_alternative(
    new_tables: Callable[[], str],
) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True):
        pass
    with lcdb.connect(url) as db:
        assert db.targets().empty
        with db.session_scope() as session:
            name = sa.make_url(url).database
            session.execute(sa.text("SELECT 1"))
        other = sa.create_engine(
            sa.make_url(url).set(database="postgres"),
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )
        with other.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            try:
                error = in_child(lambda: db.targets())
            finally:
                connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        assert isinstance(error, ConnectionFailedError)
        assert "selection.map" in "".join(error.__notes__)
        assert db.targets().empty


def test_a_child_leaves_the_embedded_server_to_its_parent() -> None:
    folder = tempfile.mkdtemp(prefix="lcdb-fork-")
    try:
        with lcdb.connect(embedded=folder, write=True) as db:
            store(db.session.connection(), list(demo.products(1, sectors=[1], cadences=20)))
            db.session.commit()
            before = backend(db)

            def use_and_close() -> int:
                size = len(db.targets())
                db.close()
                embedded.server._leave_all()
                return size

            assert in_child(use_and_close) == 1
            assert backend(db) == before
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_locks_that_a_thread_of_the_parent_holds_do_not_stop_a_child(shared: lcdb.Database) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with shared.session_scope():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert inside.wait(60)
        assert in_child(lambda: read(5))[0] == 5
    finally:
        leave.set()
        thread.join()


def test_is_own_costs_as_little_as_a_few_system_calls() -> None:
    pid, number = os.getpid(), 100_000

    def seconds(function: Callable[..., object], *arguments: object) -> float:
        began = time.thread_time()
        for _ in range(number):
            function(*arguments)
        return time.thread_time() - began

    best, bare = (
        min(times)
        for times in zip(
            *((seconds(is_own, pid), seconds(os.getpid)) for _ in range(5)), strict=True
        )
    )
    assert best < 8 * bare
