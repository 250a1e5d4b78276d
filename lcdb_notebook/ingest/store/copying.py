"""Read and write rows of arrays by binary COPY, on the caller's connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import sqlalchemy as sa

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.server import wire
from lcdb_notebook.server.copy import run_copy
from lcdb_notebook.server.trace import traced

Types = Mapping[tuple[str, str], wire.Field]
"""The wire field of each (table, column)."""

_FIELDS = {
    "int2": wire.INT2,
    "int4": wire.INT4,
    "int8": wire.INT8,
    "float4": wire.FLOAT4,
    "float8": wire.FLOAT8,
    "text": wire.TEXT,
    # The binary format of varchar is that of text.
    "varchar": wire.TEXT,
    "_int2": wire.INT2_ARRAY,
    "_int4": wire.INT4_ARRAY,
    "_int8": wire.INT8_ARRAY,
    "_float4": wire.FLOAT4_ARRAY,
    "_float8": wire.FLOAT8_ARRAY,
}

# Larger than any block, so that psycopg2 does not split blocks.
_READ_BYTES = 8 * 1024 * 1024


def column_types(connection: sa.Connection, tables: Sequence[str]) -> Types:
    """Find the wire fields of all columns of tables.

    Binary COPY does not convert types, and databases of other programs may have ``bigint`` instead
    of ``integer``.
    """
    rows = connection.execute(
        sa.text(
            "SELECT c.relname, a.attname, t.typname FROM unnest(CAST(:tables AS text[])) AS n "
            "JOIN pg_class c ON c.oid = to_regclass(n) "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            "JOIN pg_type t ON t.oid = a.atttypid"
        ),
        {"tables": list(tables)},
    )
    return {
        (table, column): _FIELDS[type_].named(column)
        for table, column, type_ in rows
        if type_ in _FIELDS
    }


def read_rows(
    connection: sa.Connection, query: str, fields: Sequence[wire.Field]
) -> list[tuple[Any, ...]]:
    """Read all rows of a query without parameters.

    Raises
    ------
    WireError
        If the type of a value differs from its field, or an integer array has NULLs.
    """
    rows: list[tuple[Any, ...]] = []
    statement = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    with _cursor(connection, statement) as cursor, wire.RowReader(fields, rows.extend) as reader:
        run_copy(cursor, statement, reader, size=1 << 16)
    return rows


def write_rows(
    connection: sa.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    types: Types,
    *,
    like: str | None = None,
) -> None:
    """Append rows to a table.

    Parameters
    ----------
    connection
        Connection; the rows belong to its transaction.
    table, columns
        The table and its columns; other columns get their defaults.
    rows
        One sequence per row; they are encoded while they are sent.
    types
        From :func:`column_types`.
    like
        Name of another table in ``types`` with the same columns, by default ``table``.
    """
    try:
        fields = [types[like or table, column] for column in columns]
    except KeyError as error:
        raise SchemaError(
            f"column {'.'.join(error.args[0])} of this database is missing or has a type that "
            "cannot be written"
        ) from None
    names = ", ".join(f'"{column}"' for column in columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT binary)"
    with _cursor(connection, statement) as cursor, wire.RowWriter(fields, rows) as writer:
        run_copy(cursor, statement, writer, size=_READ_BYTES)


def rewrite(
    connection: sa.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    types: Types,
) -> None:
    """Replace the given columns of existing rows.

    Parameters
    ----------
    connection, table, types
        As for :func:`write_rows`.
    columns
        Columns to replace.
    rows
        The id of a row, followed by one value per column.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    # EXTERNAL, since compressing floats saves nothing and takes several times as long as writing.
    storage = ", ".join(f'ALTER "{column}" SET STORAGE EXTERNAL' for column in columns)
    new = ", ".join(f'"{column}" = new."{column}"' for column in columns)
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE lcdb_new AS SELECT id, {names} FROM {table} WITH NO DATA"
    )
    connection.exec_driver_sql(f"ALTER TABLE lcdb_new {storage}")
    write_rows(connection, "lcdb_new", ("id", *columns), rows, types, like=table)
    connection.exec_driver_sql(
        f"UPDATE {table} SET {new} FROM lcdb_new new WHERE {table}.id = new.id"
    )
    connection.exec_driver_sql("DROP TABLE lcdb_new")


def integers(numbers: Iterable[int | None]) -> str:
    """Return a bigint array literal for the query of a COPY, which takes no parameters.

    Examples
    --------
    >>> integers([1, None])
    "'{1,NULL}'::bigint[]"
    """
    inside = ",".join("NULL" if number is None else str(int(number)) for number in numbers)
    return f"'{{{inside}}}'::bigint[]"


@contextmanager
def _cursor(connection: sa.Connection, statement: str) -> Iterator[Any]:
    """Open a psycopg2 cursor that raises SQLAlchemy's errors."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, traced(driver, lambda: statement):
        try:
            yield cursor
        except psycopg2.Error as error:
            raise sa.exc.DBAPIError.instance(statement, None, error, psycopg2.Error) from error
