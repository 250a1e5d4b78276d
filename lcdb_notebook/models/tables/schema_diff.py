"""Compare the columns of a database with the models: types, NULLs, additional columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.models import Base
from lcdb_notebook.models.tables.stored import StoredColumn, stored_columns

__all__ = ["Difference", "differences"]

# Types that are equivalent for reading, with the names of PostgreSQL and SQLAlchemy.
_ALIKE = (
    {"smallint", "integer", "bigint"},
    {"real", "double precision", "float", "numeric"},
    {"text", "character varying", "varchar", "character", "char", "name", "citext", "enum"},
    {"smallint[]", "integer[]", "bigint[]"},
    {"real[]", "double precision[]", "numeric[]"},
    {"json", "jsonb"},
    {"timestamp with time zone", "timestamp without time zone"},
    {"uuid"},
    {"boolean"},
)

# The names among them that messages show.
_POSTGRESQL = set[str]().union(*_ALIKE) - {"float", "varchar", "char", "enum", "name", "citext"}


@dataclass(frozen=True)
class Difference:
    """One column that differs from the models.

    Parameters
    ----------
    column : str
        The column, as ``table.column``.
    what : str
        The difference.
    blocks : bool, default False
        Whether it prevents reading light curves.
    """

    column: str
    what: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.column} {self.what}"


def differences(
    connection: sa.Connection, found: list[StoredColumn] | None = None
) -> list[Difference]:
    """Compare the columns of the database with those of the models.

    Missing tables and columns are not included;
    :func:`lcdb_notebook.models.tables.schema.missing` lists those.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    found : list of StoredColumn, optional
        The columns of the database, if they were read before.

    Returns
    -------
    list of Difference
        Differences in the order of tables and columns. A column with another type ``blocks``. A
        column that may be NULL although the models require a value does not block; reading a light
        curve with such a row raises an error that names it. A column that the models do not have
        does not block either. It may be a field of a mission class that is not imported; if it is
        required, the server rejects new rows.
    """
    columns = stored_columns(connection) if found is None else found
    return list(_compared(columns, connection.dialect))


def _compared(found: list[StoredColumn], dialect: sa.Dialect) -> Iterator[Difference]:
    tables = Base.metadata.tables
    for row in found:
        column = f"{row.table}.{row.column}"
        model = tables[row.table].c.get(row.column)
        if model is None:
            filled = row.not_null and not row.has_default
            harm = " and is required, so that new rows are rejected" if filled else ""
            yield Difference(column, f"is not in the models{harm}")
            continue
        expected = _type_name(model, dialect)
        alike = next((kind for kind in _ALIKE if expected in kind), None)
        if row.column == "barycentric_julian_dates" and row.type == "real[]":
            yield Difference(
                column,
                "is real[], whose numbers near 2458000 are 0.25 days apart, so it cannot hold the "
                "times of cadences; it must be double precision[] or numeric[]",
                blocks=True,
            )
            continue
        if row.type != expected and not (alike and row.type in alike):
            what = f"is {row.type}, not {expected}"
            if alike:
                what = f"is {row.type}, and must be {' or '.join(sorted(alike & _POSTGRESQL))}"
            yield Difference(column, what, blocks=alike is not None)
        # Columns of a view are never marked NOT NULL.
        if row.is_table and not row.not_null and not model.nullable:
            yield Difference(column, "may be NULL, which the models do not allow")
        if row.not_null and model.nullable and not row.has_default:
            yield Difference(column, "is required, although the models allow NULL")


def _type_name(column: sa.Column[Any], dialect: sa.Dialect) -> str:
    name = column.type.compile(dialect=dialect).lower()
    return re.sub(r"\s*\([^)]*\)", "", name)
