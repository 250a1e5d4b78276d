"""Bulk reads over several connections: the same light curves, of one state of the database."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from pandas.testing import assert_frame_equal

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import ArgumentError, LCDBError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read import concurrent, task_thread
from lcdb_notebook.search import by_observation, streaming

from .interrupt_at import interrupt_at

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

STARS = 6


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a few light curves with each statement, so that all connections have work."""
    monkeypatch.setattr(concurrent, "CHUNK_BYTES", 2**14)


@pytest.fixture(scope="module")
def filled(new_tables: Callable[[], str]) -> str:
    """URL of a database of six stars, which tests may write to if they undo it."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, STARS)
        db.session.commit()
    return url


@pytest.fixture
def watcher(filled: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(filled, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def db(filled: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(filled) as db:
        yield db


def number_of_connections(watcher: sa.Connection) -> int:
    """Count the connections to the database, except that of the watcher."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return watcher.exec_driver_sql(query).scalar_one()  # type: ignore[no-any-return]


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def contents(data: LightCurveData) -> tuple[Any, ...]:
    arrays = (data.cadence, data.time, data.flux, data.flux_err, *data.quality.values())
    return (data.dataset, data.observation.id, *(np.asarray(one).tobytes() for one in arrays))


def test_read_over_several_connections_returns_the_same_in_the_same_order(layout_dsn: str) -> None:
    with lcdb.connect(layout_dsn) as db:
        expected = [contents(data) for data in db.search(sector=[1, 2]).read()]
        for connections in (2, 4):
            found = db.search(sector=[1, 2]).read(connections=connections)
            assert [contents(data) for data in found] == expected


def test_pages_are_found_in_the_snapshot(layout_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_COLLECTED", 5)
    monkeypatch.setattr(by_observation, "FIRST_PAGE", 3)
    with lcdb.connect(layout_dsn) as db:
        expected = [contents(data) for data in db.search(sector=1).read()]
        found = [contents(data) for data in db.search(sector=1).read(connections=3)]
    assert len(expected) > 20
    assert found == expected


WAYS: dict[str, Callable[..., Any]] = {
    "to_pandas": lambda found, **given: found.to_pandas(**given),
    "wide": lambda found, **given: found.to_pandas(wide=True, **given),
    "to_arrow": lambda found, **given: found.to_arrow(**given).to_pandas(),
    "to_nested": lambda found, **given: found.to_nested(**given)["lightcurve"].explode(),
    "to_table": lambda found, **given: found.to_table(**given)["flux", "dataset"].to_pandas(),
    "lightcurves": lambda found, **given: found.lightcurves(**given).stitch().to_pandas(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_bulk_reads_return_the_same(db: lcdb.Database, way: str) -> None:
    def found() -> Any:
        return db.search(sector=1, processing="raw")

    expected = WAYS[way](found())
    assert_frame_equal(WAYS[way](found(), connections=3), expected)


def test_read_over_several_connections_sees_one_state_of_the_database(
    db: lcdb.Database, watcher: sa.Connection
) -> None:
    expected = [contents(data) for data in db.search(sector=1).read()]
    stream = db.search(sector=1).read(connections=3)
    stored = "SELECT id, values FROM dataset"
    before = watcher.execute(sa.text(stored)).all()
    watcher.exec_driver_sql("UPDATE dataset SET values[1] = 17")
    try:
        found = [contents(data) for data in stream]
        changed = [contents(data) for data in db.search(sector=1).read(connections=3)]
    finally:
        watcher.execute(
            sa.text("UPDATE dataset SET values = :values WHERE id = :id"),
            [{"id": id_, "values": values} for id_, values in before],
        )
    assert found == expected
    assert len(changed) == len(expected)
    assert all(one != other for one, other in zip(changed, expected, strict=True))


def exhausted(stream: Iterator[LightCurveData]) -> None:
    assert list(stream)


def closed_early(stream: Iterator[LightCurveData]) -> None:
    next(stream)
    stream.close()  # type: ignore[attr-defined]


def dropped_early(stream: Iterator[LightCurveData]) -> None:
    next(stream)


def never_begun(stream: Iterator[LightCurveData]) -> None:
    del stream


def interrupted_by_the_caller(stream: Iterator[LightCurveData]) -> None:
    def loop() -> None:
        for _ in stream:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()


@pytest.mark.parametrize(
    "use", [exhausted, closed_early, dropped_early, never_begun, interrupted_by_the_caller]
)
def test_connections_are_closed_at_the_end(
    db: lcdb.Database, watcher: sa.Connection, use: Callable[[Iterator[LightCurveData]], None]
) -> None:
    until(lambda: number_of_connections(watcher) == 1)
    stream = db.search(sector=1).read(connections=3)
    assert number_of_connections(watcher) == 4
    use(stream)
    del stream
    until(lambda: number_of_connections(watcher) == 1)
    assert not [one.name for one in threading.enumerate() if "lcdb-connection" in one.name]


def test_connections_are_closed_after_an_error(db: lcdb.Database, watcher: sa.Connection) -> None:
    dataset = db.search(sector=1).datasets[-1]
    watcher.exec_driver_sql(f"UPDATE dataset SET values = values || 1.0 WHERE id = {dataset}")
    try:
        with pytest.raises(lcdb.errors.DataError, match=str(dataset)):
            list(db.search(sector=1).read(connections=3))
        with pytest.warns(UserWarning, match=f"1 of .* were skipped.*{dataset}"):
            found = list(db.search(sector=1).read(connections=3, on_error="skip"))
    finally:
        watcher.exec_driver_sql(
            f"UPDATE dataset SET values = trim_array(values, 1) WHERE id = {dataset}"
        )
    assert len(found) == len(db.search(sector=1)) - 1
    until(lambda: number_of_connections(watcher) == 1)


def test_an_interrupt_ends_the_statements_of_all_connections(
    db: lcdb.Database, watcher: sa.Connection
) -> None:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE 'COPY%'"
    )
    stream = db.search(sector=1).read(connections=3)
    # Finding light curves does not need this table, and reading them does.
    watcher.exec_driver_sql("BEGIN")
    watcher.exec_driver_sql("LOCK TABLE target_specific_time IN ACCESS EXCLUSIVE MODE")
    all_wait, ended = threading.Event(), threading.Event()

    def press() -> None:
        try:
            with watcher.engine.connect() as other:
                until(lambda: ended.is_set() or other.scalar(waiting) == 3)
            all_wait.set()
        finally:
            # Without it, the read would wait for the table forever.
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    finally:
        ended.set()
        thread.join()
    assert all_wait.is_set()
    watcher.exec_driver_sql("ROLLBACK")
    until(lambda: number_of_connections(watcher) == 1)
    assert list(db.search(sector=1, processing="raw").read(connections=2))


@pytest.mark.slow
def test_an_interrupt_at_any_line_ends_a_read(db: lcdb.Database, watcher: sa.Connection) -> None:
    modules = [concurrent.__file__, task_thread.__file__, threading.__file__]
    modules.append(str(Path(futures.__file__).parent))
    for place in count(1, 3):
        stream = db.search(sector=1).read(connections=3)
        with interrupt_at(place, *modules) as interrupted:
            for _ in range(10):
                next(stream)
        del stream
        until(lambda: number_of_connections(watcher) == 1)
        until(lambda: not [one for one in threading.enumerate() if one.name.startswith("lcdb-c")])
        if not interrupted:
            break
    assert place > 100


def test_a_connection_that_is_cut_is_one_error(db: lcdb.Database, watcher: sa.Connection) -> None:
    stream = db.search(sector=1).read(connections=3)
    next(stream)
    watcher.exec_driver_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
        "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    with pytest.raises(lcdb.errors.ConnectionFailedError, match="no connection to"):
        list(stream)
    until(lambda: number_of_connections(watcher) <= 1)
    assert list(db.search(sector=1).read(connections=3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Unix")
def test_a_forked_process_cannot_go_on_with_a_read(
    db: lcdb.Database, watcher: sa.Connection
) -> None:
    expected = [contents(data) for data in db.search(sector=1).read()]
    stream = db.search(sector=1).read(connections=3)
    found = [contents(next(stream))]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            try:
                next(stream)
            except LCDBError as error:
                again = [contents(data) for data in db.search(sector=1).read(connections=2)]
                os.write(writing, f"{again == expected} {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        assert answer.read().startswith("True this read began in the process from which this one")
    found += [contents(data) for data in stream]
    assert found == expected
    until(lambda: number_of_connections(watcher) == 1)


def test_a_server_without_room_lends_fewer_connections(filled: str, watcher: sa.Connection) -> None:
    role = f"lcdb_test_{uuid.uuid4().hex[:12]}"
    # One for the session, and two others.
    watcher.exec_driver_sql(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 3 PASSWORD 'x'")
    watcher.exec_driver_sql(f"GRANT pg_read_all_data TO {role}")
    url = sa.make_url(filled)
    url = url.set(username=role, password=None if url.password is None else "x")
    try:
        with lcdb.connect(url) as db:
            expected = [contents(data) for data in db.search(sector=1).read()]
            with pytest.warns(UserWarning, match="no room for 4 more connections, so 2 are used"):
                stream = db.search(sector=1).read(connections=4)
            assert [contents(data) for data in stream] == expected
    finally:
        until(lambda: number_of_connections(watcher) == 0)
        watcher.exec_driver_sql(f"DROP OWNED BY {role}")
        watcher.exec_driver_sql(f"DROP ROLE {role}")


def test_uncommitted_changes_are_refused(filled: str) -> None:
    with lcdb.connect(filled, write=True) as db:
        db.session.execute(sa.text("UPDATE mission SET description = 'other'"))
        with pytest.raises(LCDBError, match="uncommitted changes, which further connections"):
            db.search(sector=1).read(connections=2)
        db.session.rollback()
        assert list(db.search(sector=1).read(connections=2))


def test_connections_must_be_a_positive_number(db: lcdb.Database) -> None:
    for wrong in (0, -1, 2.5, "4", True):
        with pytest.raises(ArgumentError, match="connections must be a positive integer"):
            db.search(sector=1).read(connections=wrong)  # type: ignore[arg-type]
