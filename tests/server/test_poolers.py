"""Behind a real PgBouncer: the same answers, and nothing of ours reaches its other clients."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import numpy as np
import psycopg2
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import (
    ConfigurationError,
    ConnectionFailedError,
    LCDBError,
    ReadOnlyError,
    StatementTimeoutError,
)
from lcdb_notebook.models import ProcessingMethod
from lcdb_notebook.read.parallel.address import reading, source
from lcdb_notebook.search import layout
from lcdb_notebook.server.session_settings import SessionSettings

from .pgbouncer import PGBOUNCER, pgbouncer
from .test_read_only import CHANGES, LET_THROUGH, UNDOINGS, WAYS, WRITE, run

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")

SETTINGS = (
    "default_transaction_read_only",
    "default_transaction_isolation",
    "statement_timeout",
    "client_connection_check_interval",
    "work_mem",
    "search_path",
)
SIZE = 3
"""The number of the pooler's connections to the server."""


@pytest.fixture(scope="module")
def direct(new_tables: Callable[[], str], pytestconfig: pytest.Config) -> sa.URL:
    """URL of a database with the demonstration data, without a pooler."""
    if pytestconfig.getoption("--lcdb-dsn"):
        pytest.skip("PgBouncer is tried with the embedded server")
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, 4)
        db.session.execute(sa.text("CREATE TABLE spare (x int)"))
        db.session.execute(sa.text("CREATE TABLE of_strangers (x int)"))
        db.session.execute(sa.text("CREATE MATERIALIZED VIEW seen AS SELECT 1 AS x"))
        db.session.execute(sa.text("CREATE SEQUENCE numbers"))
        db.session.execute(sa.text("SELECT lo_from_bytea(4242, 'x')"))
        db.session.execute(
            sa.text(
                "CREATE FUNCTION write() RETURNS void LANGUAGE sql AS "
                "'INSERT INTO spare VALUES (1)'"
            )
        )
        db.session.execute(
            sa.text(
                "CREATE PROCEDURE commit_and_write() LANGUAGE plpgsql AS $$ BEGIN "
                "PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; "
                "INSERT INTO spare VALUES (1); END $$"
            )
        )
        db.session.commit()
    return sa.make_url(url)


POOLERS = {
    f"{mode}-{'lenient' if lenient else 'strict'}": (mode, lenient)
    for mode in ("session", "transaction", "statement")
    for lenient in (True, False)
}
# The pooler that most people have, and the one that allows least; the others are between them.
MOST_UNLIKE = ("transaction-lenient", "statement-strict")


def started(direct: sa.URL, name: str) -> Iterator[sa.URL]:
    mode, lenient = POOLERS[name]
    # In session mode each client keeps its connection.
    with pgbouncer(direct, mode, lenient=lenient, size=40 if mode == "session" else SIZE) as url:
        yield url


@pytest.fixture(scope="module", params=[name for name in POOLERS if "statement" not in name])
def pooled(direct: sa.URL, request: pytest.FixtureRequest) -> Iterator[sa.URL]:
    """URL of the same database through each kind of pooler that holds transactions."""
    yield from started(direct, request.param)


@pytest.fixture(scope="module")
def shared(direct: sa.URL) -> Iterator[sa.URL]:
    """URL of the same database through PgBouncer in transaction mode, which ignores options."""
    yield from started(direct, "transaction-lenient")


def stranger(url: sa.URL) -> Any:
    """Connect as another program, independent of this package."""
    connection = psycopg2.connect(
        host=url.host, port=url.port, user=url.username, dbname=url.database
    )
    connection.autocommit = True
    return connection


def settings(connection: Any) -> dict[str, str]:
    with connection.cursor() as cursor:
        shown = {}
        for name in SETTINGS:
            cursor.execute(f"SHOW {name}")
            shown[name] = cursor.fetchone()[0]
        return shown


@pytest.fixture(scope="module")
def untouched(direct: sa.URL) -> dict[str, str]:
    """The settings of a session in which nothing was set."""
    connection: Any = sa.create_engine(direct, poolclass=sa.NullPool).raw_connection()
    with closing(connection):
        return settings(connection)


def assert_untouched(url: sa.URL, untouched: dict[str, str], size: int = SIZE) -> None:
    """Look at every connection of the pooler, each held by a transaction meanwhile."""
    with ExitStack() as stack:
        pids = set()
        for _ in range(size):
            connection = stranger(url)
            stack.callback(connection.close)
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("INSERT INTO of_strangers VALUES (0)")
                cursor.execute("SELECT pg_backend_pid()")
                pids.add(cursor.fetchone())
            assert settings(connection) == untouched
        assert len(pids) == size


# --- six clients and two strangers ------------------------------------------------------------


def read_curves(url: sa.URL) -> None:
    with lcdb.connect(url) as db:
        for data in db.search(1, sector=1).read():
            assert len(data.flux) == len(data.time) > 0
        assert len(db.targets()) == 4


def read_frames(url: sa.URL) -> None:
    with lcdb.connect(url, statement_timeout=300) as db:
        assert len(db.dataframe(2, sector=1, processing="raw")) > 0
        assert len(db.search(2).table) > 0


def use_session(url: sa.URL) -> None:
    with lcdb.connect(url) as db:
        for _ in range(5):
            assert len(db.session.scalars(sa.select(ProcessingMethod)).all()) >= 2
            assert db.session.scalar(sa.text("SHOW transaction_read_only")) == "on"
            with pytest.raises((ReadOnlyError, sa.exc.DBAPIError)):
                db.session.execute(sa.text(WRITE))
            db.session.rollback()


def explore(url: sa.URL) -> None:
    with lcdb.connect(url) as db:
        explorer = db.explore(3, sector=1)
        assert len(explorer.lightcurve().flux) > 0
        explorer.close()


def map_curves(url: sa.URL) -> None:
    with lcdb.connect(url) as db:
        found = db.search(1, sector=1, processing="raw")
        table = found.map(lambda lc: {"n": len(lc)}, workers=1)
        assert table["n"].gt(0).all()


def write_methods(url: sa.URL) -> None:
    name = f"of thread {threading.get_ident()}"
    with lcdb.connect(url, write=True) as db:
        for number in range(5):
            db.session.add(ProcessingMethod(name=f"{name}, {number}", description=""))
            db.session.commit()
        assert db.session.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
        db.session.rollback()
        db.session.execute(sa.delete(ProcessingMethod).where(ProcessingMethod.name.like("of thr%")))
        db.session.commit()


CLIENTS = (read_curves, read_frames, use_session, explore, map_curves, write_methods)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in MOST_UNLIKE else pytest.mark.slow) for name in POOLERS],
)
def test_clients_and_strangers_share_a_pooler(
    direct: sa.URL, untouched: dict[str, str], name: str
) -> None:
    with ExitStack() as stack:
        mode, lenient = POOLERS[name]
        size = 40 if mode == "session" else SIZE
        url = stack.enter_context(pgbouncer(direct, mode, lenient=lenient, size=size))
        failures: list[BaseException] = []
        inserted = [0, 0]
        running = threading.Event()
        running.set()

        def keep_inserting(which: int) -> None:
            try:
                connection = stranger(url)
                while running.is_set():
                    with connection.cursor() as cursor:
                        cursor.execute("INSERT INTO of_strangers VALUES (%s)", (which,))
                    assert settings(connection) == untouched
                    inserted[which] += 1
                connection.close()
            except BaseException as error:
                failures.append(error)

        def keep_reading(client: Callable[[sa.URL], None]) -> None:
            try:
                for _ in range(2):
                    if mode == "statement":
                        with pytest.raises(ConfigurationError, match="statement mode"):
                            client(url)
                    else:
                        client(url)
            except BaseException as error:
                failures.append(error)

        strangers = [threading.Thread(target=keep_inserting, args=(n,)) for n in (0, 1)]
        clients = [threading.Thread(target=keep_reading, args=(client,)) for client in CLIENTS]
        for thread in strangers + clients:
            thread.start()
        for thread in clients:
            thread.join()
        # Clients that are refused may be faster than a stranger's first INSERT.
        deadline = time.monotonic() + 60
        while not min(inserted) and not failures and time.monotonic() < deadline:
            time.sleep(0.01)
        running.clear()
        for thread in strangers:
            thread.join()
        assert not failures, failures
        assert min(inserted) > 0
        if mode != "statement":
            assert_untouched(url, untouched, SIZE)


def test_connections_that_the_server_ends_are_not_taken_for_statement_mode(
    direct: sa.URL, shared: sa.URL
) -> None:
    over = threading.Event()

    def keep_ending() -> None:
        engine = sa.create_engine(direct, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            while not over.is_set():
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                        "datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

    thread = threading.Thread(target=keep_ending)
    thread.start()
    try:
        for _ in range(40):
            with suppress(ConnectionFailedError):
                lcdb.connect(shared).close()
    finally:
        over.set()
        thread.join()


# --- reading ----------------------------------------------------------------------------------


def test_light_curves_are_the_same_behind_a_pooler(direct: sa.URL, pooled: sa.URL) -> None:
    with lcdb.connect(direct) as near, lcdb.connect(pooled) as far:
        expected = list(near.search(1).read())
        found = list(far.search(1).read())
        assert [one.dataset for one in found] == [one.dataset for one in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.flux, other.flux)
            np.testing.assert_array_equal(one.time, other.time)


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
def test_a_shown_search_of_a_large_database_is_counted_behind_a_pooler(
    direct: sa.URL, pooled: sa.URL, write: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = layout.of
    monkeypatch.setattr(
        layout, "of", lambda bind: dataclasses.replace(learnt(bind), is_small=False)
    )
    with lcdb.connect(direct) as near, lcdb.connect(pooled, write=write) as far:
        assert layout.of(far.session).has_plpgsql
        number = len(near.search())
        for db in (near, far):
            assert repr(db.search()).startswith(f"<Selection of {number} light curves")
            left = db.session.scalar(sa.text("SELECT current_setting('lcdb_notebook.size', true)"))
            db.session.rollback()
            assert not left
        if write:
            far.session.execute(sa.text("UPDATE dataset SET processing_method_id = NULL"))
            raw = repr(far.search(processing="raw"))
            far.session.rollback()
            assert raw.startswith(f"<Selection of {number} light curves")


def test_no_transaction_stays_open(direct: sa.URL, pooled: sa.URL) -> None:
    with lcdb.connect(pooled) as db:
        db.targets()
        db.session.scalars(sa.select(ProcessingMethod)).all()
        db.session.scalar(sa.text("SELECT 1"))
        with sa.create_engine(direct, poolclass=sa.NullPool).connect() as outside:
            states = outside.scalars(
                sa.text(
                    "SELECT state FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                    # Without a state, a connection is being opened.
                    "AND state IS NOT NULL"
                )
            ).all()
        assert set(states) <= {"idle"}


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
def test_statement_timeout_is_enforced_for_this_client_only(
    shared: sa.URL, untouched: dict[str, str], write: bool
) -> None:
    with lcdb.connect(shared, statement_timeout=0.2, write=write) as db:
        for _ in range(2):
            with pytest.raises(StatementTimeoutError), db.session_scope() as session:
                session.execute(sa.text("SELECT pg_sleep(10)"))
        with db.session_scope() as session:
            assert session.scalar(sa.text("SHOW statement_timeout")) == "200ms"
            assert session.scalar(sa.text("SHOW client_connection_check_interval")) == "1s"
    assert_untouched(shared, untouched)


@pytest.mark.parametrize("which", ["direct", "shared"])
def test_workers_and_explorers_have_the_settings(
    which: str, request: pytest.FixtureRequest
) -> None:
    url: sa.URL = request.getfixturevalue(which)
    url = url.update_query_dict({"options": "-c work_mem=7MB"})
    with lcdb.connect(url, statement_timeout=77) as db:
        bind = db.session.get_bind()
        assert isinstance(bind, sa.Engine)
        sources = [source(db.session, None), pickle.loads(pickle.dumps(source(db.session, None)))]
        with ExitStack() as stack:
            connections = [stack.enter_context(engine.connect()) for engine in (bind, db._engine)]
            connections += [stack.enter_context(reading(one)).connection() for one in sources]
            for connection in connections:
                assert connection.scalar(sa.text("SHOW statement_timeout")) == "77s"
                assert connection.scalar(sa.text("SHOW work_mem")) == "7MB"
                connection.rollback()
                with pytest.raises((ReadOnlyError, sa.exc.DBAPIError)):
                    connection.execute(sa.text(WRITE))
                connection.rollback()


def test_options_of_the_url_are_kept(shared: sa.URL, untouched: dict[str, str]) -> None:
    options = r"-c work_mem=7MB --search_path=public,\ pg_catalog"
    with lcdb.connect(shared.update_query_dict({"options": options})) as db:
        assert db.session.scalar(sa.text("SHOW work_mem")) == "7MB"
        assert db.session.scalar(sa.text("SHOW search_path")) == "public, pg_catalog"
    assert_untouched(shared, untouched)


def test_options_of_the_environment_are_kept(
    pooled: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=7MB")
    with lcdb.connect(pooled) as db:
        assert db.session.scalar(sa.text("SHOW work_mem")) == "7MB"


@pytest.mark.parametrize("option", ["log_connections=on", "no_such=1", "a;b=1"])
def test_an_option_that_cannot_be_kept_is_an_error(pooled: sa.URL, option: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        lcdb.connect(pooled.update_query_dict({"options": f"-c {option}"}))


def test_a_transaction_begun_by_hand_is_kept_and_only_reads(shared: sa.URL) -> None:
    with lcdb.connect(shared, statement_timeout=77) as db:
        for begin in ("BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT AND CHAIN"):
            db.session.connection().exec_driver_sql(begin)
            first = db.session.scalar(sa.text("SELECT txid_current_snapshot()::text || now()"))
            assert first == db.session.scalar(
                sa.text("SELECT txid_current_snapshot()::text || now()")
            )
            for name, value in {
                "transaction_isolation": "repeatable read",
                "transaction_read_only": "on",
                "statement_timeout": "77s",
            }.items():
                assert db.session.scalar(sa.text(f"SHOW {name}")) == value
        db.session.connection().exec_driver_sql("COMMIT")
        assert db.session.scalar(sa.text("SHOW transaction_isolation")) == "read committed"


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
@pytest.mark.parametrize(
    "statement",
    [
        "SET work_mem = '5MB'",
        "set session characteristics as transaction read only",
        "RESET ALL",
        "LISTEN news",
        "PREPARE plan AS SELECT 1",
    ],
)
def test_settings_that_would_reach_other_clients_are_refused(
    shared: sa.URL, untouched: dict[str, str], write: bool, statement: str
) -> None:
    with lcdb.connect(shared, write=write) as db:
        with pytest.raises(ConfigurationError, match="behind a connection pooler"):
            db.session.connection().exec_driver_sql(statement)
        db.session.rollback()
        db.session.connection().exec_driver_sql("BEGIN")
        db.session.connection().exec_driver_sql("SET LOCAL work_mem = '5MB'")
        assert db.session.scalar(sa.text("SHOW work_mem")) == "5MB"
    assert_untouched(shared, untouched)


def test_a_setting_inside_a_query_reaches_no_other_client(
    shared: sa.URL, untouched: dict[str, str]
) -> None:
    with lcdb.connect(shared) as db:
        for statements in (
            ["SELECT set_config('work_mem', '5MB', false)"],
            ["BEGIN", "SELECT set_config('work_mem', '5MB', false)", "COMMIT"],
            ["BEGIN", "SELECT set_config('work_mem', '5MB', false)", "END AND CHAIN"],
        ):
            for statement in statements:
                db.session.connection().exec_driver_sql(statement)
            db.session.rollback()
    assert_untouched(shared, untouched)


def test_several_connections_of_a_snapshot_are_refused(
    pooled: sa.URL, untouched: dict[str, str]
) -> None:
    with lcdb.connect(pooled) as db:
        found = db.search(1, sector=1)
        with pytest.raises(LCDBError, match=r"behind a connection pooler.*leave out connections="):
            found.read(connections=2)
        assert len(list(found.read())) == len(found)
    assert_untouched(pooled, untouched)


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
def test_an_interrupt_ends_the_transaction(
    shared: sa.URL, untouched: dict[str, str], write: bool
) -> None:
    with lcdb.connect(shared, write=write, statement_timeout=77) as db:
        interrupt = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        started_at = time.monotonic()
        with pytest.raises(KeyboardInterrupt), db.session_scope() as session:
            session.execute(sa.text("SELECT pg_sleep(60)"))
        assert time.monotonic() - started_at < 30
        assert len(db.targets()) == 4
    assert_untouched(shared, untouched)


def test_a_row_that_cannot_be_read_ends_the_transaction(
    direct: sa.URL, shared: sa.URL, untouched: dict[str, str]
) -> None:
    copy = (
        "INSERT INTO {table} SELECT (r).* FROM "
        "(SELECT jsonb_populate_record(t, '{changes}') AS r FROM {table} t LIMIT 1) copied"
    )
    with sa.create_engine(direct, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(
            copy.format(table="observation", changes='{"id": 9999, "cadence_reference": [1, null]}')
        )
        connection.exec_driver_sql(
            copy.format(table="dataset", changes='{"id": 9999, "observation_id": 9999}')
        )
    try:
        with lcdb.connect(shared) as db:
            with pytest.raises(LCDBError, match="9999"):
                list(db.search(observation=9999).read())
            assert len(db.targets()) == 4
            assert len(list(db.search(2, sector=1).read())) > 0
    finally:
        with sa.create_engine(direct, poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql("DELETE FROM dataset WHERE id = 9999")
            connection.exec_driver_sql("DELETE FROM observation WHERE id = 9999")
    assert_untouched(shared, untouched)


def test_rows_are_streamed_in_a_transaction_that_ends(
    shared: sa.URL, untouched: dict[str, str]
) -> None:
    with lcdb.connect(shared, statement_timeout=77) as db:
        rows = db.session.execute(
            sa.text("SELECT current_setting('statement_timeout') FROM generate_series(1, 500)"),
            execution_options={"yield_per": 100},
        )
        assert set(rows.scalars()) == {"77s"}
        assert len(db.targets()) == 4
        db.session.rollback()
    assert_untouched(shared, untouched)


# --- read-only --------------------------------------------------------------------------------


ATTEMPTS = {
    **{name: (statement,) for name, statement in {**CHANGES, **LET_THROUGH}.items()},
    **UNDOINGS,
}


@pytest.fixture
def unchanged(direct: sa.URL) -> Iterator[None]:
    def state() -> Any:
        with sa.create_engine(direct, poolclass=sa.NullPool).connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            rows = [
                connection.scalar(sa.text(f"SELECT md5(string_agg(t::text, '')) FROM {table} t"))
                for table in sorted({*tables} - {"of_strangers"})
            ]
            return sorted(tables), rows

    before = state()
    yield
    assert state() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_changes_the_database(
    shared: sa.URL, untouched: dict[str, str], way: Callable[[lcdb.Database, str], None]
) -> None:
    with lcdb.connect(shared) as db:
        for name, attempt in ATTEMPTS.items():
            refused: list[str] = []
            for statement in attempt:
                try:
                    way(db, statement)
                except (LCDBError, sa.exc.SQLAlchemyError, psycopg2.Error) as error:
                    refused.append(str(error))
                    if isinstance(error, sa.exc.PendingRollbackError):
                        db.session.rollback()
            assert any(
                any(word in text for word in ("write=True", "read-only", "read-write", "pooler"))
                for text in refused
            ), (name, refused)
            db.session.rollback()
            with pytest.raises(ReadOnlyError):
                run(db, WRITE)
    assert_untouched(shared, untouched)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": "SERIALIZABLE", "postgresql_readonly": False},
        {"isolation_level": "READ COMMITTED"},
    ],
    ids=str,
)
def test_options_of_sqlalchemy_do_not_undo_it(
    shared: sa.URL, untouched: dict[str, str], options: dict[str, Any]
) -> None:
    with lcdb.connect(shared) as db:
        connection = db.session.connection(execution_options=options)
        for statement in ("SET TRANSACTION READ WRITE", WRITE):
            with suppress(sa.exc.SQLAlchemyError, LCDBError):
                connection.exec_driver_sql(statement)
        with suppress(sa.exc.SQLAlchemyError, LCDBError):
            db.session.commit()
        db.session.rollback()
    assert_untouched(shared, untouched)


# --- settings as options and as SQL -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sql"),
    [
        ("-c work_mem=7MB", "SET LOCAL work_mem = '7MB'"),
        ("-cwork_mem=7MB", "SET LOCAL work_mem = '7MB'"),
        ("--work-mem=7MB", "SET LOCAL work_mem = '7MB'"),
        (r"-c a.b=it\'s\ a\\b", r"SET LOCAL a.b = E'it''s a\\b'"),
        ("-c search_path=a,b", "SELECT set_config('search_path', 'a,b', true)"),
        ("-c default_transaction_read_only=off", ""),
        ("endpoint=calm-sun-1", ""),
    ],
)
def test_options_become_local_settings(options: str, sql: str) -> None:
    url = sa.make_url("postgresql://pdo/lcdb").update_query_dict({"options": options})
    local = SessionSettings.read(url, write=False).without_client_check().local()
    assert local == sql
    others = SessionSettings.read(url, write=False).other_options()
    assert others == ("endpoint=calm-sun-1" if "endpoint" in options else "")
