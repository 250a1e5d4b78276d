"""Opened for reading: the database stays unchanged, and the error has the reason."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import ConfigurationError, LCDBError, ReadOnlyError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import Mission

OFF = "SET default_transaction_read_only = off"
WRITE = "INSERT INTO processing_method (name, description) VALUES ('x', '')"

Attempt = tuple[str, ...]


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(2, sectors=[1], cadences=20)))
        db.session.execute(sa.text("CREATE TABLE spare (x int)"))
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
        db.session.execute(
            sa.text(
                "CREATE PROCEDURE harmless(INOUT x int) LANGUAGE plpgsql AS "
                "$$ BEGIN x := x + 1; END $$"
            )
        )
        db.session.commit()
    return url


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


@pytest.fixture
def unchanged(url: str) -> Iterator[None]:
    """See that the database is after the test what it was before."""
    before = state(url)
    yield
    assert state(url) == before


def state(url: str) -> Any:
    """Everything that a statement of these tests could have changed."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        return (
            sorted(names),
            {
                name: connection.scalar(
                    sa.text(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} t")
                )
                for name in names
            },
            connection.execute(sa.text("SELECT * FROM numbers")).all(),
            connection.execute(sa.text("SELECT loid, data FROM pg_largeobject")).all(),
            connection.execute(
                sa.text(
                    "SELECT oid, relfilenode, reltuples, relacl::text FROM pg_class WHERE "
                    "relnamespace = 'public'::regnamespace ORDER BY oid"
                )
            ).all(),
            connection.scalar(sa.text("SELECT count(*) FROM pg_proc")),
            connection.scalar(
                sa.text("SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'")
            ),
        )


def run(db: lcdb.Database, statement: str) -> None:
    with db.session_scope() as session:
        session.connection().exec_driver_sql(statement)


def run_in_session(db: lcdb.Database, statement: str) -> None:
    db.session.connection().exec_driver_sql(statement)


def run_in_driver(db: lcdb.Database, statement: str) -> None:
    driver: Any = db.session.connection().connection.driver_connection
    with driver.cursor() as cursor:
        cursor.execute(statement)


WAYS = {"a call": run, "the session": run_in_session, "psycopg2": run_in_driver}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

# Statements that change something; PostgreSQL itself refuses each of them.
CHANGES = {
    "insert": WRITE,
    "update": "UPDATE dataset SET values = '{}'",
    "delete": "DELETE FROM target",
    "merge": "MERGE INTO spare USING target ON false WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "truncate": "TRUNCATE dataset",
    "create": "CREATE TABLE mine (x int)",
    "create as": "CREATE TABLE mine AS SELECT 1",
    "select into": "SELECT 1 AS x INTO mine",
    "temporary table": "CREATE TEMPORARY TABLE mine (x int)",
    "drop": "DROP TABLE spare",
    "alter": "ALTER TABLE spare ADD y int",
    "index": "CREATE INDEX ON spare (x)",
    "comment": "COMMENT ON TABLE spare IS 'mine'",
    "grant": "GRANT SELECT ON spare TO PUBLIC",
    "copy in": "COPY spare FROM STDIN",
    "a changing WITH": "WITH gone AS (DELETE FROM target RETURNING id) SELECT * FROM gone",
    "select for update": "SELECT id FROM target FOR UPDATE",
    "nextval": "SELECT nextval('numbers')",
    "setval": "SELECT setval('numbers', 7)",
    "a function that writes": "SELECT write()",
    "explain analyze": f"EXPLAIN ANALYZE {WRITE}",
    "a block": "DO $$ BEGIN DELETE FROM target; END $$",
    "a block in a block": "DO $$ BEGIN EXECUTE 'DO ''BEGIN PERFORM write(); END'''; END $$",
    "a view refreshed": "REFRESH MATERIALIZED VIEW seen",
    "a role": "CREATE ROLE lcdb_nobody",
    "a database": "CREATE DATABASE lcdb_nothing",
    "a large object made": "SELECT lo_create(4343)",
    "a large object written": "SELECT lo_put(4242, 0, 'y')",
    "a large object gone": "SELECT lo_unlink(4242)",
}

# What a read-only transaction of PostgreSQL lets through.
LET_THROUGH = {
    "vacuum": "VACUUM spare",
    "analyze": "ANALYZE spare",
    "in capitals or not": "analyze spare",
    "behind a comment": "/* a /* nested */ comment */ -- and another\n ANALYZE spare",
    "reindex": "REINDEX TABLE spare",
    "cluster": "CLUSTER",
    "checkpoint": "CHECKPOINT",
    "settings of the server": "ALTER/**/SYSTEM SET work_mem = '5MB'",
    "a lock": "LOCK TABLE spare IN ACCESS EXCLUSIVE MODE",
    "a library": "LOAD 'plpgsql'",
    "explain, which makes": "EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1",
    "explain, which makes a view": "EXPLAIN (ANALYZE) CREATE MATERIALIZED VIEW mine AS SELECT 1",
    "a transaction for later": "PREPARE TRANSACTION 'mine'",
}


SERVER_VERSION = "SELECT current_setting('server_version_num')::int"


@pytest.mark.usefixtures("unchanged")
@every_way
@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_the_server_refuses_every_change(
    db: lcdb.Database, way: Callable[[lcdb.Database, str], None], statement: str
) -> None:
    if statement.startswith("MERGE") and db.session.scalar(sa.text(SERVER_VERSION)) < 150_000:
        pytest.skip("PostgreSQL has MERGE from version 15 on")
    with pytest.raises((ReadOnlyError, psycopg2.Error)) as raised:
        way(db, statement)
    if way is run_in_driver and isinstance(raised.value, psycopg2.Error):
        assert "read-only transaction" in str(raised.value)
    else:
        assert "lcdb.connect(..., write=True)" in str(raised.value)
    db.session.rollback()
    assert len(db.targets()) == 2


@pytest.mark.usefixtures("unchanged")
@every_way
@pytest.mark.parametrize("statement", LET_THROUGH.values(), ids=LET_THROUGH)
def test_writing_commands_that_read_only_mode_allows_are_refused(
    db: lcdb.Database, way: Callable[[lcdb.Database, str], None], statement: str
) -> None:
    with pytest.raises(ReadOnlyError, match=r"lcdb.connect\(..., write=True\)"):
        way(db, statement)
    db.session.rollback()
    assert len(db.targets()) == 2


# Ways to undo it. Each is run to its end, whatever becomes of its parts.
UNDOINGS: dict[str, Attempt] = {
    "set": (OFF, WRITE),
    "set session": ("SET SESSION default_transaction_read_only TO false", WRITE),
    "set_config": ("SELECT set_config('default_transaction_read_only', 'off', false)", WRITE),
    "update pg_settings": (
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'",
        WRITE,
    ),
    "characteristics": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", WRITE),
    "in a block": (
        "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); END $$",
        WRITE,
    ),
    "a transaction for writing": ("BEGIN READ WRITE", WRITE, "COMMIT"),
    "start transaction": ("START TRANSACTION READ WRITE", WRITE, "COMMIT"),
    "a transaction turned": ("BEGIN", "SET TRANSACTION READ WRITE", WRITE, "COMMIT"),
    "a transaction's setting": ("BEGIN", "SET transaction_read_only = off", WRITE, "COMMIT"),
    "in a transaction": ("BEGIN", OFF, "COMMIT", WRITE),
    "in a savepoint": ("BEGIN", "SAVEPOINT a", OFF, "ROLLBACK TO a", "COMMIT", WRITE),
    "released": ("BEGIN", "SAVEPOINT a", OFF, "RELEASE a", "COMMIT", WRITE),
    "and chain": ("BEGIN", "COMMIT AND CHAIN", "SET TRANSACTION READ WRITE", WRITE, "COMMIT"),
    "in one string": (f"{OFF}; {WRITE}",),
    "in one string with COMMIT": (f"{OFF}; COMMIT; {WRITE}",),
    "set transaction in one string": (f"SET TRANSACTION READ WRITE; {WRITE}",),
    "begin in one string": (f"BEGIN READ WRITE; {WRITE}; COMMIT",),
    "behind a SELECT": (f"SELECT 1; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT",),
    "behind an empty statement": (f";; SET TRANSACTION READ WRITE ; ; {WRITE};",),
    "behind a comment": (f"SELECT /* ' */ 1; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT -- '",),
    "behind a nested comment": (
        f"SELECT 1 /* /* */ ' */; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT -- '",
    ),
    "behind an escaped quote": (f"SELECT E'\\''; SET TRANSACTION READ WRITE; {WRITE} -- '",),
    "behind a continued string": (
        f"SELECT E'a'\n'\\' '; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT --'",
    ),
    "behind other strings": (
        "SET standard_conforming_strings = off",
        f"SELECT '\\'; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT --'",
        f"SELECT '\\\\'; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT --'",
    ),
    "behind a dollar": (
        f"SELECT 1 AS a$b$ ; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT; SELECT 1 AS $b$",
        f"SELECT 1 AS ×$b$ ; COMMIT; BEGIN READ WRITE; {WRITE}; COMMIT; SELECT 1 AS ×$b$",
    ),
    "a block that commits": (
        "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; "
        "INSERT INTO spare VALUES (1); END $$",
        WRITE,
    ),
    "a block that begins again": (
        "DO $$ BEGIN COMMIT; SET TRANSACTION READ WRITE; INSERT INTO spare VALUES (1); END $$",
    ),
    "a procedure that commits": ("CALL commit_and_write()",),
    "behind brackets and comments": ("/* */ -- \n CALL commit_and_write()",),
    "a role": ("SET SESSION AUTHORIZATION DEFAULT", "RESET ALL", "DISCARD ALL", OFF, WRITE),
}


@pytest.mark.usefixtures("unchanged")
@every_way
@pytest.mark.parametrize("attempt", UNDOINGS.values(), ids=UNDOINGS)
def test_no_way_of_disabling_read_only_mode_leads_to_a_change(
    db: lcdb.Database, way: Callable[[lcdb.Database, str], None], attempt: Attempt
) -> None:
    refused: list[BaseException] = []
    for statement in attempt:
        try:
            way(db, statement)
        except (LCDBError, sa.exc.SQLAlchemyError, psycopg2.Error) as error:
            refused.append(error)
            if isinstance(error, sa.exc.PendingRollbackError):
                db.session.rollback()
    assert any("write=True" in str(e) or "read-only" in str(e) for e in refused), refused
    db.session.rollback()
    with pytest.raises(ReadOnlyError):
        run(db, WRITE)
    assert len(db.targets()) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "options",
    [
        {"postgresql_readonly": False},
        {"isolation_level": "SERIALIZABLE", "postgresql_readonly": False},
        {"isolation_level": "READ COMMITTED"},
    ],
    ids=str,
)
def test_options_of_sqlalchemy_do_not_undo_it(db: lcdb.Database, options: dict[str, Any]) -> None:
    connection = db.session.connection(execution_options=options)
    for statement in ("SET TRANSACTION READ WRITE", WRITE):
        with suppress(sa.exc.SQLAlchemyError, LCDBError):
            connection.exec_driver_sql(statement)
    with suppress(sa.exc.SQLAlchemyError, LCDBError):
        db.session.commit()
    db.session.rollback()
    with pytest.raises(ReadOnlyError):
        run(db, WRITE)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("autocommit", [True, False])
def test_settings_of_psycopg2_do_not_undo_it(db: lcdb.Database, autocommit: bool) -> None:
    driver: Any = db.session.connection().connection.driver_connection
    driver.set_session(readonly=False, autocommit=autocommit)
    with pytest.raises(ReadOnlyError, match="undone"), driver.cursor() as cursor:
        cursor.execute(WRITE)
    driver.rollback()
    driver.set_session(autocommit=True)
    with pytest.raises(psycopg2.Error, match="read-only"), driver.cursor() as cursor:
        cursor.execute(WRITE)


@pytest.mark.usefixtures("unchanged")
def test_other_calls_of_a_cursor_are_looked_at_too(db: lcdb.Database) -> None:
    driver: Any = db.session.connection().connection.driver_connection
    with driver.cursor() as cursor:
        with pytest.raises(psycopg2.Error, match="read-only"):
            cursor.copy_expert("COPY spare FROM STDIN", io.StringIO("1\n"))
        with pytest.raises(psycopg2.Error, match="read-only"):
            cursor.copy_from(io.StringIO("1\n"), "spare")
        with pytest.raises(psycopg2.Error, match="read-only"):
            cursor.executemany("INSERT INTO spare VALUES (%s)", [(1,), (2,)])
        with pytest.raises(psycopg2.Error, match="read-only"):
            cursor.callproc("write")
        with pytest.raises(ReadOnlyError, match="undone"):
            cursor.callproc("set_config", ("default_transaction_read_only", "off", False))
        with pytest.raises(ReadOnlyError, match="several statements"):
            cursor.copy_expert(
                "COPY (SELECT 1) TO STDOUT; COMMIT; DELETE FROM target", io.BytesIO()
            )


@pytest.mark.usefixtures("unchanged")
def test_the_url_cannot_ask_for_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = "-c default_transaction_read_only=off"
    monkeypatch.setenv("PGOPTIONS", wish)
    requested = sa.make_url(url).update_query_dict({"options": wish})
    for address in (requested, url):
        with lcdb.connect(address) as db, pytest.raises(ReadOnlyError):
            run(db, WRITE)


@pytest.mark.usefixtures("unchanged")
def test_objects_are_refused_when_they_are_stored(db: lcdb.Database) -> None:
    db.session.add(Mission(name="CHEOPS", time_epoch=0, time_format_name="cheopsjd"))
    with pytest.raises(ReadOnlyError, match=r"opened for reading.*write=True"):
        db.session.commit()


# Reading goes on

READS = {
    "a semicolon at the end": ("SELECT 2;", 2),
    "a semicolon in a string": ("SELECT length('a;b')", 3),
    "quotes in a string": ("SELECT length('it''s; so')", 8),
    "a semicolon in a name": ('SELECT 4 AS ";"', 4),
    "a semicolon in dollars": ("SELECT length($a$;$b$$a$)", 4),
    "a semicolon in a comment": ("SELECT 5 -- ; DELETE\n/* ; /* ; */ */", 5),
    "a backslash": (r"SELECT length('a\b')", 3),
    "an escape": (r"SELECT length(E'a\'b')", 3),
    "in brackets": ("(SELECT 6)", 6),
    "WITH": ("WITH a AS (VALUES (7)) SELECT * FROM a", 7),
    "TABLE": ("TABLE seen", 1),
    "a procedure": ("CALL harmless(8)", 9),
    "explain": ("EXPLAIN (COSTS off) SELECT 1", "Result"),
    "show": ("SHOW default_transaction_read_only", "on"),
    "a large object": ("SELECT length(lo_get(4242))", 1),
    "a name that only sounds like it": ("SELECT 1 AS analyze_this", 1),
}


@pytest.mark.parametrize(("statement", "answer"), READS.values(), ids=READS)
def test_every_reading_statement_is_run(db: lcdb.Database, statement: str, answer: Any) -> None:
    with db.session_scope() as session:
        assert session.connection().exec_driver_sql(statement).scalar() == answer


def test_settings_that_change_nothing_can_be_set(db: lcdb.Database) -> None:
    for statement in ("SET work_mem = '7MB'", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"):
        run_in_session(db, statement)
    assert db.session.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
    assert db.session.scalar(sa.text("SHOW work_mem")) == "7MB"
    run_in_session(db, "COMMIT")


def test_a_transaction_begun_by_hand_ends_with_the_session_s(db: lcdb.Database) -> None:
    run_in_session(db, "BEGIN")
    assert db.session.scalar(sa.text("SELECT now() = statement_timestamp()")) is False
    db.session.rollback()
    assert db.session.scalar(sa.text("SELECT now() = statement_timestamp()")) is True


def test_reading_costs_no_round_trip_more(db: lcdb.Database, url: str) -> None:
    pid = db.session.scalar(sa.text("SELECT pg_backend_pid()"))
    driver: Any = db.session.connection().connection.driver_connection
    last = sa.text("SELECT query FROM pg_stat_activity WHERE pid = :pid")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as outside:
        for statement in ("SELECT 42", "SHOW work_mem"):
            with driver.cursor() as cursor:
                cursor.execute(statement)
            assert outside.scalar(last, {"pid": pid}) == statement
            outside.rollback()


def test_one_argument_enables_writing(empty_dsn: str) -> None:
    with lcdb.connect(empty_dsn, write=True) as db:
        run(db, f"{WRITE}; SET LOCAL work_mem = '5MB'")
        assert len(db.processing_methods()) == 1


# Who asks, and for how long


@pytest.mark.parametrize("write", [False, True], ids=["read-only", "writable"])
@pytest.mark.parametrize("origin", ["argument", "url", "environment", "nothing"])
def test_every_connection_has_an_application_name(
    url: str, write: bool, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "lcdb_notebook" if origin == "nothing" else "vetting of TOIs"
    address, argument = sa.make_url(url), None
    if origin == "argument":
        argument = name
    if origin in ("url", "argument"):
        inside = name if origin == "url" else "not this one"
        address = address.update_query_dict({"application_name": inside})
    if origin in ("environment", "url"):
        monkeypatch.setenv("PGAPPNAME", name if origin == "environment" else "not this one")
    with lcdb.connect(address, write=write, application_name=argument, statement_timeout=77) as db:
        engines = [db.session.get_bind(), db._engine]
        for engine in engines:
            assert isinstance(engine, sa.Engine)
            with engine.connect() as connection:
                row = connection.execute(
                    sa.text(
                        "SELECT application_name, current_setting('statement_timeout') "
                        "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
                    )
                ).one()
            assert tuple(row) == (name, "77s")


@pytest.mark.parametrize("name", ["", "ü", "x" * 64, "a\nb", 7])
def test_a_name_that_the_server_would_change_is_refused(url: str, name: Any) -> None:
    if name == "":
        with lcdb.connect(url, application_name=name) as db:
            assert db.session.scalar(sa.text("SHOW application_name")) == ""
    else:
        with pytest.raises(ConfigurationError, match="application_name"):
            lcdb.connect(url, application_name=name)


def test_options_of_the_environment_are_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=7MB")
    with lcdb.connect(url) as db:
        assert db.session.scalar(sa.text("SHOW work_mem")) == "7MB"
