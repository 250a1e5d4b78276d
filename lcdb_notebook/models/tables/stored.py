"""List the columns and types of the tables of a LightcurveDB, created by any program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from lcdb_notebook.models import Base

__all__ = [
    "REQUIRED",
    "StoredColumn",
    "by_table",
    "columns_query",
    "has_keys",
    "literal_names",
    "model_names",
    "qualified",
    "stored_columns",
]

#: Tables and columns without which no light curve can be read. Everything else is optional: the
#: fields of mission classes, the unit of a clock (days), flags, frames, the lineage.
REQUIRED: Mapping[str, frozenset[str]] = {
    "mission": frozenset(
        {"id", "name", "time_epoch", "time_epoch_scale", "time_epoch_format", "time_format_name"}
    ),
    "mission_catalog": frozenset({"id", "host_mission_id", "name"}),
    "target": frozenset({"id", "catalog_id", "name"}),
    "instrument": frozenset({"id", "name", "parent_id"}),
    "observation": frozenset({"id", "type", "cadence_reference", "instrument_id"}),
    "photometric_source": frozenset({"id", "name"}),
    "processing_method": frozenset({"id", "name"}),
    "dataset": frozenset(
        {
            "id",
            "target_id",
            "observation_id",
            "photometric_method_id",
            "processing_method_id",
            "values",
        }
    ),
    "target_specific_time": frozenset({"target_id", "observation_id", "barycentric_julian_dates"}),
}

# Like a query, to_regclass finds a table on the search path. A domain counts as its base type.
_COLUMNS = """
SELECT c.relname AS "table", a.attname AS "column", n.nspname AS "schema",
    c.relkind IN ('r', 'p') AS is_table,
    CASE WHEN t.typtype = 'e' THEN 'enum' ELSE
        format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL) END AS type,
    a.attnotnull OR t.typnotnull AS not_null,
    a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL AS has_default,
    has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
FROM unnest({tables}) AS name
JOIN pg_class c ON c.oid = to_regclass(quote_ident(name)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
ORDER BY c.relname, a.attnum
"""


class StoredColumn(NamedTuple):
    """A column of the database."""

    table: str
    column: str
    schema: str
    is_table: bool
    type: str
    not_null: bool
    has_default: bool
    readable: bool


def model_names() -> list[str]:
    """Return the names of the tables of the models."""
    return [table.name for table in Base.metadata.tables.values()]


def literal_names(names: Iterable[str]) -> str:
    """Return SQL for an array of names.

    Examples
    --------
    >>> print(literal_names(["dataset", "it's"]))
    ARRAY['dataset','it''s']::text[]
    """
    quoted = ("'" + name.replace("'", "''") + "'" for name in names)
    return f"ARRAY[{','.join(quoted)}]::text[]"


def columns_query(names: Iterable[str]) -> str:
    """Return the query for the columns of tables, with the fields of :class:`StoredColumn`."""
    return _COLUMNS.format(tables=literal_names(names))


def stored_columns(connection: sa.Connection) -> list[StoredColumn]:
    """Read the columns of the tables that have the names of the models, in one statement.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.

    Returns
    -------
    list of StoredColumn
        Columns in the order of tables and positions. Views, foreign and partitioned tables are
        included.
    """
    return [StoredColumn(*row) for row in connection.exec_driver_sql(columns_query(model_names()))]


def by_table(columns: Iterable[StoredColumn]) -> dict[str, dict[str, StoredColumn]]:
    """Group columns by table and name."""
    tables: dict[str, dict[str, StoredColumn]] = defaultdict(dict)
    for column in columns:
        tables[column.table][column.column] = column
    return dict(tables)


def qualified(tables: Mapping[str, Mapping[str, StoredColumn]], name: str) -> str | None:
    """Return the name of a table with its schema, quoted; None if there is no such table."""
    columns = tables.get(name)
    if not columns:
        return None
    parts = (next(iter(columns.values())).schema, name)
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def has_keys(tables: Mapping[str, Mapping[str, object]]) -> bool:
    """Check whether DataSets have a key of several columns and no id, as in LightcurveDB 3."""
    names = tables.get("dataset", {}).keys()
    return "id" not in names and {"target_id", "observation_id"} <= names
