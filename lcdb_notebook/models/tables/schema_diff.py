"""How the tables of a database differ from the models: types, NULLs, and columns of others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Base

__all__ = ["Difference", "differences", "refuse_version_3"]

# Types that are read and written alike, in PostgreSQL's words and in SQLAlchemy's. An array takes
# no part of itself converted on the binary wire, so numeric[] is none of those that can be read.
_ALIKE = (
    {"smallint", "integer", "bigint"},
    {"real", "double precision", "float", "numeric"},
    {"text", "character varying", "varchar", "character", "char", "name", "citext", "enum"},
    {"smallint[]", "integer[]", "bigint[]"},
    {"real[]", "double precision[]"},
    {"json", "jsonb"},
    {"timestamp with time zone", "timestamp without time zone"},
    {"uuid"},
    {"boolean"},
)

# to_regclass finds the table that a query would, along the search path. A domain counts as the type
# that it is made of.
_COLUMNS = """
SELECT c.relname AS "table", a.attname AS "column", c.relkind IN ('r', 'p') AS is_table,
    CASE WHEN t.typtype = 'e' THEN 'enum' ELSE
        format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL) END AS type,
    a.attnotnull OR t.typnotnull AS not_null,
    a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS has_default
FROM unnest(CAST(:tables AS text[])) AS name
JOIN pg_class c ON c.oid = to_regclass(quote_ident(name))
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
ORDER BY c.relname, a.attnum
"""


@dataclass(frozen=True)
class Difference:
    """One column that is not as the models have it.

    Parameters
    ----------
    column
        As ``table.column``.
    what
        How it differs.
    blocks
        Whether it keeps light curves from being read.
    """

    column: str
    what: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.column} {self.what}"


def differences(connection: sa.Connection) -> list[Difference]:
    """Compare the columns of the database with those of the models.

    Tables and columns that are missing are told by
    :func:`lcdb_notebook.models.tables.schema.missing`.

    Parameters
    ----------
    connection
        An open connection; nothing is changed.

    Returns
    -------
    list of Difference
        By table and place. A column of another type ``blocks``. One that may be NULL where the
        models say NOT NULL does not: a light curve with such a row is refused by name when it is
        read. Nor does one that the models do not have, which may be a field of a mission's class
        that is not imported here; if it must be filled, new rows are refused by the server.
    """
    return list(_compared(_columns(connection), connection.dialect))


def refuse_version_3(connection: sa.Connection) -> None:
    """Refuse a database of LightcurveDB 3, naming it.

    Raises
    ------
    SchemaError
        If its table ``dataset`` has no ``id``, and a key of the rows that it joins instead.
    """
    names = [row.column for row in _columns(connection) if row.table == "dataset"]
    if "id" not in names and {"target_id", "observation_id"} <= set(names):
        key = [name for name in names if name.endswith("_id")]
        raise SchemaError(
            "this is a database of LightcurveDB 3: the rows of its table dataset have no id of "
            f"their own but a key of several columns ({', '.join(key)}). This package reads "
            "databases of LightcurveDB 2, whose dataset has an id; use a version of it that says "
            "it reads LightcurveDB 3"
        )


def _columns(connection: sa.Connection) -> list[Any]:
    tables = [table.name for table in Base.metadata.sorted_tables]
    return list(connection.execute(sa.text(_COLUMNS), {"tables": tables}))


def _compared(found: list[Any], dialect: sa.Dialect) -> Iterator[Difference]:
    tables = Base.metadata.tables
    for row in found:
        column = f"{row.table}.{row.column}"
        model = tables[row.table].c.get(row.column)
        if model is None:
            filled = row.not_null and not row.has_default
            harm = ", and has to be filled: new rows are refused" if filled else ""
            yield Difference(column, f"is no column of the models{harm}")
            continue
        wanted = _type_name(model, dialect)
        alike = next((kind for kind in _ALIKE if wanted in kind), None)
        if row.type != wanted and not (alike and row.type in alike):
            yield Difference(column, f"is {row.type}, not {wanted}", blocks=alike is not None)
        # Columns of a view never say that they are filled.
        if row.is_table and not row.not_null and not model.nullable:
            yield Difference(column, "may be NULL, which the models rule out")
        if row.not_null and model.nullable and not row.has_default:
            yield Difference(column, "has to be filled, and the models allow NULL")


def _type_name(column: sa.Column[Any], dialect: sa.Dialect) -> str:
    name = column.type.compile(dialect=dialect).lower()
    return re.sub(r"\s*\([^)]*\)", "", name)
