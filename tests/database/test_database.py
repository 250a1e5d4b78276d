"""The one object a notebook holds: how it connects, what it refuses, and what it leaves behind."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import (
    ConfigurationError,
    ConnectionFailedError,
    LCDBError,
    NameNotFoundError,
    ReadOnlyError,
    SchemaError,
    StatementTimeoutError,
)
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, Mission, Target
from lcdb_notebook.server.embedded.pidfile import PidFile

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightkurve")


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str]) -> str:
    """Three synthetic stars in two sectors."""
    url = new_database()
    fill(url)
    return url


@pytest.fixture
def own_url(blank_dsn: str) -> str:
    """The same stars where a test may change them."""
    fill(blank_dsn)
    return blank_dsn


def fill(url: str) -> None:
    with lcdb.connect(url, write=True, create=True) as db:
        store(db.session.connection(), list(demo.products(3, cadences=100)))
        db.session.commit()


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


@pytest.fixture
def writable(own_url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(own_url, write=True) as db:
        yield db


def backends(url: str) -> list[Any]:
    """Return what the server reports of our connections to a database, on another connection."""
    outside = sa.create_engine(sa.make_url(url).set(database="postgres"), poolclass=sa.NullPool)
    with outside.connect() as connection:
        return list(
            connection.execute(
                sa.text(
                    "SELECT pid, state, xact_start, application_name FROM pg_stat_activity "
                    "WHERE datname = :name AND backend_type = 'client backend'"
                ),
                {"name": sa.make_url(url).database},
            )
        )


def cut_connections(url: str) -> None:
    """Do to clients what a server does that restarts."""
    outside = sa.create_engine(sa.make_url(url).set(database="postgres"), poolclass=sa.NullPool)
    with outside.connect() as connection:
        name = {"name": sa.make_url(url).database}
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            name,
        )
    wait_until(lambda: not backends(url))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def only_backend(url: str) -> Any:
    """Return the only connection to a database; that of the test before may still be ending."""
    wait_until(lambda: len(backends(url)) == 1)
    (backend,) = backends(url)
    return backend


def new_mission(name: str = "CHEOPS") -> Mission:
    return Mission(name=name, time_epoch=2450000, time_format_name=f"{name.lower()}jd")


# Connecting


def test_connect_to_a_database_without_tables_names_the_argument_that_creates_them(
    blank_dsn: str,
) -> None:
    with pytest.raises(SchemaError, match=r"none of the tables exist.*write=True, create=True"):
        lcdb.connect(blank_dsn)
    wait_until(lambda: not backends(blank_dsn))


def test_create_makes_the_tables_and_once_is_enough(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        assert len(db.search()) == 0
    with lcdb.connect(blank_dsn, write=True, create=True), lcdb.connect(blank_dsn) as db:
        assert db.targets().empty
    with lcdb.connect(blank_dsn, write=True) as db:
        assert db.create() == []


def test_an_empty_database_is_reported_with_the_ways_to_fill_it(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        for read in (db.lightcurve, db.lightcurves):
            with pytest.raises(lcdb.errors.LightCurveNotFoundError, match=r"db.ingest\(paths\)"):
                read(261136679, processing="PDCSAP")
        assert "lcdb-notebook demo" in repr(db.search())


def test_a_table_that_is_missing_is_named(own_url: str) -> None:
    with lcdb.connect(own_url, write=True) as db:
        db.session.execute(sa.text("DROP TABLE target_specific_time"))
        db.session.commit()
    with pytest.raises(SchemaError, match=r"missing .*target_specific_time"):
        lcdb.connect(own_url)


@pytest.mark.parametrize("password", ["p@ss/w%rd and spaces", "se:cret", "pa?ss#word&x=1", "ünï"])
def test_a_password_of_any_letters_gets_through_and_is_never_shown(url: str, password: str) -> None:
    role = f"lcdb_{abs(hash(password))}"
    given = sa.make_url(url)
    admin = sa.create_engine(given, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        quoted = connection.connection.driver_connection
        assert quoted is not None
        with quoted.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD %s", [password])
        try:
            address = given.set(username=role, password=password)
            assert address.render_as_string(hide_password=False) != str(address)
            shown = ""
            try:
                with lcdb.connect(address.render_as_string(hide_password=False)) as db:
                    shown = repr(db)
                    assert db.session.scalar(sa.text("SELECT current_user")) == role
                    db.session.rollback()
            except ConnectionFailedError as error:
                # A server without passwords accepts only the name of the process on its socket.
                shown = f"{error!r} {error.__cause__!r}"
                assert role in shown
            assert shown
            assert password not in shown
        finally:
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_repr_names_the_database_and_whether_it_is_read_only(
    url: str, writable: lcdb.Database
) -> None:
    with lcdb.connect(url) as db:
        assert repr(db).startswith("<Database ")
        assert str(sa.make_url(url).database) in repr(db)
        assert "read-only" in repr(db)
    assert "closed" in repr(db)
    assert "read and write" in repr(writable)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, 1e9])
def test_an_invalid_timeout_is_refused(url: str, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="statement_timeout"):
        lcdb.connect(url, statement_timeout=timeout)


def test_a_server_that_does_not_answer_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailedError, match="no connection to"):
        lcdb.connect(f"postgresql:///nothing?host={tmp_path}")


def test_a_missing_database_is_named(url: str) -> None:
    missing = sa.make_url(url).set(database="no_such_database")
    with pytest.raises(ConnectionFailedError, match="no_such_database"):
        lcdb.connect(missing)


def test_a_statement_that_exceeds_the_timeout_is_cancelled(url: str) -> None:
    with lcdb.connect(url, statement_timeout=1) as db:
        with (
            pytest.raises(StatementTimeoutError, match="statement_timeout"),
            db.session_scope() as session,
        ):
            session.execute(sa.text("SELECT pg_sleep(30)"))
        assert len(db.search()) > 0


@pytest.mark.usefixtures("db")
def test_connect_sets_the_application_name(url: str) -> None:
    assert only_backend(url).application_name == "lcdb_notebook"


def test_an_application_name_in_the_url_is_used_instead(url: str) -> None:
    named = sa.make_url(url).update_query_dict({"application_name": "my pipeline"})
    with lcdb.connect(named):
        assert only_backend(url).application_name == "my pipeline"


def test_options_of_the_url_are_kept(url: str) -> None:
    given = sa.make_url(url).update_query_dict({"options": "-c work_mem=7MB"})
    with lcdb.connect(given, statement_timeout=9) as db:
        for setting, value in (
            ("work_mem", "7MB"),
            ("statement_timeout", "9s"),
            ("default_transaction_read_only", "on"),
        ):
            assert db.session.scalar(sa.text(f"SHOW {setting}")) == value


# Read-only


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO processing_method (name, description) VALUES ('x', '')",
        "UPDATE dataset SET values = '{}'",
        "DELETE FROM target",
        "CREATE TABLE mine (x int)",
        "DROP TABLE dataset",
        "TRUNCATE dataset",
    ],
)
def test_the_server_refuses_changes_without_write(db: lcdb.Database, statement: str) -> None:
    with pytest.raises(ReadOnlyError, match="write=True"):
        db.session.execute(sa.text(statement))
    db.session.rollback()
    assert len(db.search()) == 36


def test_objects_are_not_stored_without_write(db: lcdb.Database) -> None:
    db.session.add(new_mission())
    with pytest.raises(ReadOnlyError, match=r"opened for reading.*write=True"):
        db.session.commit()
    db.session.rollback()
    assert len(db.missions()) == 1


def test_a_change_in_hand_makes_one_call_fail_and_not_all(db: lcdb.Database) -> None:
    db.session.add(new_mission())
    with pytest.raises(ReadOnlyError):
        db.missions()
    assert len(db.missions()) == 1


def test_the_raw_connection_is_read_only_too(db: lcdb.Database) -> None:
    driver: Any = db.session.connection().connection.driver_connection
    with driver.cursor() as cursor, pytest.raises(Exception, match="read-only transaction"):
        cursor.execute("DELETE FROM target")


@pytest.mark.parametrize("method", ["create", "ingest", "add"])
def test_methods_that_write_name_the_argument_they_require(db: lcdb.Database, method: str) -> None:
    arguments: dict[str, list[Any]] = {"create": [], "ingest": ["*.fits"], "add": [None]}
    with pytest.raises(ReadOnlyError, match=rf"{method}\(\) changes the database.*write=True"):
        getattr(db, method)(*arguments[method])


def test_committed_rows_are_kept(own_url: str, writable: lcdb.Database) -> None:
    writable.session.add(new_mission())
    writable.session.commit()
    with lcdb.connect(own_url) as other:
        assert other.missions()["name"].tolist() == ["CHEOPS", "TESS"]


# What a call leaves behind

CALLS: dict[str, Callable[[lcdb.Database], Any]] = {
    "targets": lambda db: db.targets(),
    "observations": lambda db: db.observations(),
    "instruments": lambda db: db.instruments(),
    "missions": lambda db: db.missions(),
    "photometric_sources": lambda db: db.photometric_sources(),
    "processing_methods": lambda db: db.processing_methods(),
    "frames": lambda db: db.frames(),
    "quality_flags": lambda db: db.quality_flags(),
    "search": lambda db: db.search().table,
    "len": lambda db: len(db.search()),
    "repr": lambda db: repr(db.search()),
    "read": lambda db: list(db.search()),
    "one record": lambda db: next(iter(db.search())),
    "lightcurve": lambda db: db.search(1)[0].lightcurve(),
    "lightcurves": lambda db: db.lightcurves(1),
    "dataframe": lambda db: db.dataframe(1),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@every_call
@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
def test_no_call_leaves_a_transaction_open(
    url: str, call: Callable[[lcdb.Database], Any], write: bool
) -> None:
    with lcdb.connect(url, write=write) as db:
        kept = call(db)
        assert not db.session.in_transaction()
        backend = only_backend(url)
        assert (backend.state, backend.xact_start) == ("idle", None)
        del kept


@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
def test_no_call_that_fails_leaves_a_transaction_open(url: str, write: bool) -> None:
    with lcdb.connect(url, write=write) as db:
        with pytest.raises(NameNotFoundError):
            db.lightcurve(1, processing="no such")
        with pytest.raises(LCDBError), db.session_scope() as session:
            session.execute(sa.text("SELECT 1/0"))
        backend = only_backend(url)
        assert (backend.state, backend.xact_start) == ("idle", None)


def test_reading_only_leaves_no_transaction_open_at_the_server_even_in_the_session(
    db: lcdb.Database, url: str
) -> None:
    assert db.session.scalars(sa.select(Target)).all()
    backend = only_backend(url)
    assert (backend.state, backend.xact_start) == ("idle", None)


def test_a_transaction_under_way_is_left_alone(own_url: str, writable: lcdb.Database) -> None:
    writable.session.add(new_mission())
    for call in CALLS.values():
        call(writable)
    assert len(writable.missions()) == 2
    assert writable.session.in_transaction()
    with pytest.raises(NameNotFoundError):
        writable.lightcurve(1, processing="no such")
    assert len(writable.missions()) == 2
    with lcdb.connect(own_url) as other:
        assert len(other.missions()) == 1
    writable.session.rollback()
    assert len(writable.missions()) == 1


def test_a_transaction_that_failed_on_the_server_is_rolled_back_and_reported(
    writable: lcdb.Database,
) -> None:
    writable.session.add(new_mission())
    with pytest.raises(LCDBError) as raised, writable.session_scope() as session:
        session.execute(sa.text("SELECT 1/0"))
    assert any("were rolled back" in note for note in raised.value.__notes__)
    assert len(writable.missions()) == 1


def test_a_change_that_fails_as_the_call_ends_leaves_the_next_alone(
    writable: lcdb.Database,
) -> None:
    with pytest.raises(LCDBError, match="null value"), writable.session_scope() as session:
        session.add(Target())
    assert len(writable.missions()) == 1


def test_a_change_that_failed_in_the_session_is_one_error_more(writable: lcdb.Database) -> None:
    writable.session.add(Target())
    with pytest.raises(sa.exc.IntegrityError, match="null value"):
        writable.session.flush()
    with pytest.raises(LCDBError, match=r"an earlier change .* failed.*db.session.rollback\(\)"):
        writable.missions()
    assert len(writable.missions()) == 1


def test_objects_of_one_cell_are_usable_in_the_next(db: lcdb.Database) -> None:
    target = db.session.scalars(sa.select(Target)).first()
    assert target is not None
    db.targets()
    assert len(db.search(target)) == 12
    assert target.datasets[0].values.size == 100
    assert isinstance(target.observations[0], lcdb.models.TESSObservation)


def test_objects_are_not_read_again_after_a_commit(
    writable: lcdb.Database, statements: list[str]
) -> None:
    mission = new_mission()
    writable.session.add(mission)
    writable.session.commit()
    statements.clear()
    assert mission.time_format_name == "cheopsjd"
    assert statements == []


def test_uncommitted_rows_are_read_and_calls_between_records_are_allowed(
    own_url: str, writable: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcdb_notebook.read.selection.tables.CHUNK_BYTES", 1)
    store(writable.session.connection(), list(demo.products(5, sectors=[1], cadences=100)))
    seen = []
    for data in writable.search(sector=1).read():
        seen.append(data.target)
        assert len(writable.targets()) == 5
        assert len(writable.search(data.target, sector=1)) == 6
    assert sorted(set(seen)) == [1, 2, 3, 4, 5]
    assert len(seen) == 30
    with lcdb.connect(own_url) as other:
        assert {data.target for data in other.search()} == {1, 2, 3}


def test_one_connection_is_used_for_any_number_of_reads(db: lcdb.Database, url: str) -> None:
    for call in CALLS.values():
        call(db)
    assert only_backend(url)


# The end


def test_a_block_closes_the_connection(url: str) -> None:
    with lcdb.connect(url) as db:
        assert only_backend(url)
    wait_until(lambda: not backends(url))
    db.close()  # again


@pytest.mark.parametrize("call", ["targets", "search"])
def test_a_closed_database_is_reported_as_closed(url: str, call: str) -> None:
    db = lcdb.connect(url)
    db.close()
    with pytest.raises(ConnectionFailedError, match="was closed; open it again"):
        len(getattr(db, call)())
    wait_until(lambda: not backends(url))


def test_a_database_without_references_leaves_no_connection(url: str) -> None:
    db = lcdb.connect(url)
    assert not db.targets().empty
    alive = weakref.ref(db)
    del db
    gc.collect()
    assert alive() is None
    wait_until(lambda: not backends(url))


def test_a_selection_keeps_its_database(url: str) -> None:
    found = lcdb.connect(url).search(1)
    gc.collect()
    assert len(found.table) == 12


# Accidents


@every_call
@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
def test_the_next_call_works_after_the_server_was_away(
    url: str, call: Callable[[lcdb.Database], Any], write: bool
) -> None:
    with lcdb.connect(url, write=write) as db:
        call(db)
        cut_connections(url)
        call(db)


@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
def test_a_session_in_use_recovers_after_the_server_was_away(url: str, write: bool) -> None:
    with lcdb.connect(url, write=write) as db:
        assert db.session.scalars(sa.select(Target)).all()
        cut_connections(url)
        with pytest.raises(ConnectionFailedError) as raised:
            db.targets()
        assert raised.value.__notes__[-1] == "the next call reconnects automatically"
        assert len(db.targets()) == 3


@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
def test_a_stream_that_is_cut_raises_and_the_next_works(url: str, write: bool) -> None:
    with lcdb.connect(url, write=write) as db:
        assert db.session.scalars(sa.select(Target)).all()
        found = db.search()
        found.table  # noqa: B018
        records = found.read()
        cut_connections(url)
        with pytest.raises(ConnectionFailedError):
            next(records)
        assert len(list(found.read())) == 36


def test_an_embedded_server_that_died_is_started_again() -> None:
    folder = Path(tempfile.mkdtemp(prefix="lcdb-test-"))
    try:
        with lcdb.connect(embedded=folder, write=True) as db:
            assert db.targets().empty
            found = PidFile.read(folder / "data")
            assert found is not None
            os.kill(found.pid, signal.SIGQUIT)
            wait_until(lambda: not found.is_alive())
            assert db.targets().empty
            assert "embedded" in repr(db)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_thread_may_read(db: lcdb.Database) -> None:
    results: list[Any] = []

    def work() -> None:
        results.extend((len(db.targets()), len(db.lightcurves(1)), len(list(db.search(2)))))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=60)
    assert results == [3, 12, 12]


# ORM objects


def test_arrays_of_many_objects_are_loaded_at_once(
    db: lcdb.Database, statements: list[str]
) -> None:
    datasets = db.session.scalars(sa.select(DataSet)).all()
    statements.clear()
    db.load(datasets)
    assert all(dataset.values.size == 100 for dataset in datasets)
    assert statements == []
    assert not db.session.dirty


def test_a_light_curve_by_the_arguments_of_search_and_of_the_conversion(db: lcdb.Database) -> None:
    lc = db.lightcurve(
        1,
        sector=2,
        photometry="DEMO aperture 2px",
        processing="raw",
        quality_bitmask="none",
        flagged="keep",
        time_format="jd",
        as_flux=False,
    )
    assert lc.time.format == "jd"
    assert lc.meta["QUALITY_BITMASK"] == "none"
    with pytest.raises(TypeError, match="unknown argument 'sektor'"):
        db.lightcurve(1, sektor=2)


CLASS_OF_ONES_OWN = """
import sys
import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm
import lcdb_notebook as lcdb
from lcdb_notebook.models import DataSet, Observation, Target, TargetSpecificTime

url = sys.argv[1]
connected_before = lcdb.connect(url)

class VisitObservation(Observation):
    __mapper_args__ = {"polymorphic_identity": "visit_observation"}
    visit_name: orm.Mapped[str]

try:
    lcdb.connect(url).search(visit_name="first light")
except lcdb.errors.SchemaError as error:
    assert "visit_name" in str(error), error
else:
    raise AssertionError("the missing column went unnoticed")
try:
    connected_before.search(visit_name="first light").table
except lcdb.errors.SchemaError as error:
    assert "visit_name" in str(error), error
else:
    raise AssertionError("the missing column went unnoticed")

with lcdb.connect(url, write=True, create=True) as db:
    session = db.session
    old = session.scalars(sa.select(Observation)).first()
    target = session.scalars(sa.select(Target)).first()
    visit = VisitObservation(
        visit_name="first light", cadence_reference=np.arange(3), instrument=old.instrument
    )
    times = TargetSpecificTime(
        target=target, observation=visit, barycentric_julian_dates=np.arange(3.0)
    )
    session.add_all([visit, times, DataSet(target=target, observation=visit, values=np.ones(3))])
    lc = db.lightcurve(target, visit_name="first light")
    assert lc.meta["VISIT_NAME"] == "first light"
    assert len(db.search(observation=VisitObservation)) == 1
    listed = db.observations(visit_name="first light")
    assert listed["visit_name"].tolist() == ["first light"], listed
    session.commit()
assert connected_before.search(visit_name="first light").table["visit_name"][0] == "first light"
"""


@pytest.mark.slow
def test_a_custom_class_is_searched_by_its_fields(own_url: str) -> None:
    # In a separate process, since a class that is mapped stays mapped.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLASS_OF_ONES_OWN, own_url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
