"""Errors of the driver become errors of the package, by the answer of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from lcdb_notebook import errors
from lcdb_notebook.server.driver_errors import translated

WHERE = "pdo/lightcurvedb"


@pytest.fixture
def connection(dsn: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(dsn, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


STATEMENTS: dict[str, tuple[list[str], type[errors.LCDBError], str]] = {
    "a change in a read-only transaction": (
        ["SET TRANSACTION READ ONLY", "DELETE FROM target"],
        errors.ReadOnlyError,
        r"transaction is read-only .cannot execute DELETE.*rollback",
    ),
    "a table in a read-only transaction": (
        ["SET TRANSACTION READ ONLY", "CREATE TABLE x ()"],
        errors.ReadOnlyError,
        r"transaction is read-only .cannot execute CREATE TABLE.*rollback",
    ),
    "a timeout": (
        ["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(30)"],
        errors.StatementTimeoutError,
        "raise statement_timeout",
    ),
    "a missing table": (
        ["SELECT * FROM no_such_table"],
        errors.SchemaError,
        "no_such_table.*create=True",
    ),
    "a missing column": (
        ["SELECT no_such_column FROM target"],
        errors.SchemaError,
        "no_such_column.*create=True",
    ),
    "anything else": (["SELECT 1/0"], errors.LCDBError, "answered: division by zero"),
    "a constraint": (
        ["INSERT INTO mission_catalog (name) VALUES ('x')"],
        errors.LCDBError,
        "answered: null value",
    ),
    "a session that idled for too long": (
        ["DO $$ BEGIN RAISE 'idle' USING ERRCODE = '57P05'; END $$"],
        errors.ConnectionFailedError,
        "no connection to .*idle",
    ),
    "a full disk": (
        ["DO $$ BEGIN RAISE 'disk full' USING ERRCODE = '53100'; END $$"],
        errors.LCDBError,
        "answered: disk full; .*call again when there is room",
    ),
    "a server that is starting": (
        ["DO $$ BEGIN RAISE 'not now' USING ERRCODE = '57P03'; END $$"],
        errors.ConnectionFailedError,
        "no connection to .*not now.*; .*call again in a moment",
    ),
    "a right that is not granted": (
        ["SET LOCAL ROLE pg_monitor", "SELECT * FROM target"],
        errors.LCDBError,
        "answered: permission denied for table target; ask the owner for: GRANT SELECT ON target",
    ),
    "a right to insert": (
        ["SET LOCAL ROLE pg_monitor", "INSERT INTO target (name) VALUES (1)"],
        errors.LCDBError,
        "ask the owner for: GRANT INSERT ON target TO ",
    ),
    "a right to draw numbers": (
        ["SET LOCAL ROLE pg_monitor", "SELECT nextval('target_id_seq')"],
        errors.LCDBError,
        "ask the owner for: GRANT USAGE ON SEQUENCE target_id_seq TO ",
    ),
    "a right to use a language": (
        [
            "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
            "SET LOCAL ROLE pg_monitor",
            "DO $$ BEGIN END $$",
        ],
        errors.LCDBError,
        "ask the owner for: GRANT USAGE ON LANGUAGE plpgsql TO ",
    ),
    "the end of a connection": (
        ["SELECT pg_terminate_backend(pg_backend_pid())"],
        errors.ConnectionFailedError,
        "no connection to .*terminat",
    ),
}


@pytest.mark.parametrize(("sql", "error", "message"), STATEMENTS.values(), ids=STATEMENTS)
def test_server_errors_become_errors_of_the_package(
    connection: sa.Connection, sql: list[str], error: type[Exception], message: str
) -> None:
    *before, last = sql
    for statement in before:
        connection.execute(sa.text(statement))
    with pytest.raises(error, match=message) as raised, translated(WHERE):
        connection.execute(sa.text(last))
    assert type(raised.value) is error
    assert WHERE in str(raised.value)
    assert isinstance(raised.value.__cause__, sa.exc.DBAPIError)
    connection.invalidate()


@pytest.mark.parametrize(("sql", "error", "message"), STATEMENTS.values(), ids=STATEMENTS)
def test_errors_of_the_driver_become_errors_of_the_package(
    connection: sa.Connection, sql: list[str], error: type[Exception], message: str
) -> None:
    driver: Any = connection.connection.driver_connection
    *before, last = sql
    with driver.cursor() as cursor:
        for statement in before:
            cursor.execute(statement)
        with pytest.raises(error, match=message), translated(WHERE):
            cursor.execute(last)
    connection.invalidate()


def test_a_missing_server_raises_connection_failed(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.ConnectionFailedError, match="No such file") as raised,
        translated(WHERE),
    ):
        psycopg2.connect(host=str(tmp_path), dbname="x", password="secret letters")
    assert "secret" not in str(raised.value)


def test_a_closed_connection_raises_connection_failed(connection: sa.Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.close()
    with pytest.raises(errors.ConnectionFailedError, match="closed"), translated(WHERE):
        driver.cursor()
    connection.invalidate()


@pytest.mark.parametrize(
    "text",
    [
        "server closed the connection unexpectedly",
        "error with status PGRES_COPY_OUT and no message from the libpq",
    ],
)
def test_a_copy_whose_connection_is_lost_raises_connection_failed(text: str) -> None:
    # psycopg2 has no code then, and raises its base class.
    with pytest.raises(errors.ConnectionFailedError, match="no connection to"), translated(WHERE):
        raise psycopg2.DatabaseError(text)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), errors.DataError("x")])
def test_everything_else_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, translated(WHERE):
        raise error
    assert raised.value is error


def test_notes_are_copied_to_the_new_error(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.DBAPIError) as original:
        connection.execute(sa.text("SELECT 1/0"))
    original.value.add_note("what was lost")
    with pytest.raises(errors.LCDBError) as raised, translated(WHERE):
        raise original.value
    assert raised.value.__notes__ == ["what was lost"]
