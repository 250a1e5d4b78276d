"""Tables beside observations and targets: read from the database, without a mapped class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.models import Base
from lcdb_notebook.models.tables.catalog import TARGET_SIDE_TABLES
from lcdb_notebook.models.tables.stored import StoredColumn, qualified

__all__ = ["SideTables", "find_side_tables", "target_side_tables"]

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "smallint": sa.Integer(),
    "integer": sa.Integer(),
    "bigint": sa.BigInteger(),
    "real": sa.Float(),
    "double precision": sa.Float(),
    "numeric": sa.Numeric(),
    "text": sa.Text(),
    "character varying": sa.Text(),
    "character": sa.Text(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "timestamp without time zone": sa.DateTime(),
    "timestamp with time zone": sa.DateTime(timezone=True),
    "uuid": sa.Uuid(),
}

# A table whose primary key is an observation's id, as a joined-table class makes it, and the tables
# that it refers to. Partitions inherit keys from their parents and are left out.
_COLUMNS = """
WITH foreign_key AS (
    SELECT k.conrelid, k.confrelid, k.conkey[1] AS source, k.confkey[1] AS referred, k.conkey
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND NOT c.relispartition
), beside AS (
    SELECT k.conrelid AS relation, k.source AS key FROM foreign_key k JOIN pg_constraint p
    ON p.conrelid = k.conrelid AND p.contype = 'p' AND p.conkey = k.conkey
    WHERE k.confrelid = to_regclass('observation')
), linked AS (
    SELECT relation, key, NULL::oid AS from_relation, NULL::smallint AS from_key FROM beside
    UNION
    SELECT k.confrelid, k.referred, beside.relation, k.source
    FROM beside JOIN foreign_key k ON k.conrelid = beside.relation
    WHERE k.confrelid <> to_regclass('observation')
)
SELECT n.nspname AS schema, c.relname AS "table", k.attname AS key,
    l.relation::bigint AS relation, l.from_relation::bigint AS from_relation,
    f.attname AS from_key, a.attname AS "column",
    format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL) AS type,
    has_column_privilege(c.oid, k.attnum, 'SELECT')
        AND has_column_privilege(c.oid, COALESCE(a.attnum, k.attnum), 'SELECT') AS readable,
    l.from_relation IS NULL OR has_column_privilege(l.from_relation, f.attnum, 'SELECT') AS linked
FROM linked l
JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute k ON k.attrelid = l.relation AND k.attnum = l.key
LEFT JOIN pg_attribute f ON f.attrelid = l.from_relation AND f.attnum = l.from_key
LEFT JOIN pg_attribute a ON a.attrelid = l.relation AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attnum <> l.key
    AND NOT EXISTS (SELECT FROM foreign_key i WHERE i.conrelid = a.attrelid AND i.source = a.attnum)
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE NOT (c.relname = ANY (CAST(:ours AS text[])))
ORDER BY l.from_relation NULLS FIRST, n.nspname, c.relname, f.attname, a.attnum
"""

# Every table has these, for itself.
_NOT_FIELDS = {"id", "type", "created_on", "cadence_reference", "instrument_id"}


@dataclass(frozen=True)
class SideTables:
    """Fields of observations that are in other tables.

    Parameters
    ----------
    fields : dict of str to (str, sqlalchemy type)
        By name: the SQL of its value, and its type.
    joins : str
        What follows ``FROM observation o``.
    tables : tuple of (str, str)
        Schema and name of the tables whose primary key is an observation's id.
    unreadable : dict of str to set of str
        Fields that the role may not read, with the tables.
    """

    fields: dict[str, tuple[str, sa.types.TypeEngine[Any]]]
    joins: str
    tables: tuple[tuple[str, str], ...] = ()
    unreadable: Mapping[str, set[str]] = field(default_factory=dict)


def find_side_tables(connection: sa.Connection) -> SideTables:
    """Find the tables whose primary key is an observation's id, and those that they refer to.

    QLP keeps the sector of an observation so, in ``tess_orbit_observation`` and ``orbit``. Of
    several columns of one name and type, the first that is not NULL counts.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    """
    ours = [table.name for table in Base.metadata.sorted_tables]
    rows = connection.execute(sa.text(_COLUMNS), {"ours": ours}).all()
    quote = connection.dialect.identifier_preparer.quote
    rows, unreadable = _readable(rows, quote)
    aliases: dict[tuple[Any, ...], str] = {}
    # Those beside an observation come first, and then what they refer to.
    for row in rows:
        aliases.setdefault((row.relation, row.from_relation, row.from_key), f"b{len(aliases)}")
    joins = {}
    for row in rows:
        alias = aliases[row.relation, row.from_relation, row.from_key]
        source = "o.id"
        if row.from_relation is not None:
            source = f"{aliases[row.from_relation, None, None]}.{quote(row.from_key)}"
        table = f"{quote(row.schema)}.{quote(row.table)}"
        joins[alias] = f"LEFT JOIN {table} {alias} ON {alias}.{quote(row.key)} = {source}"
    found: dict[str, list[tuple[str, sa.types.TypeEngine[Any]]]] = defaultdict(list)
    for row in rows:
        type_ = _TYPES.get(row.type)
        if type_ is not None and row.column not in _NOT_FIELDS:
            alias = aliases[row.relation, row.from_relation, row.from_key]
            found[row.column].append((f"{alias}.{quote(row.column)}", type_))
    fields = {}
    for name, columns in found.items():
        alike = [sql for sql, type_ in columns if type(type_) is type(columns[0][1])]
        fields[name] = (
            alike[0] if len(alike) == 1 else f"COALESCE({', '.join(alike)})",
            columns[0][1],
        )
    tables = dict.fromkeys((row.schema, row.table) for row in rows if row.from_relation is None)
    hidden = {name: tables for name, tables in unreadable.items() if name not in fields}
    return SideTables(fields, " ".join(joins.values()), tuple(tables), hidden)


def _readable(
    rows: Sequence[Any], quote: Callable[[str], str]
) -> tuple[list[Any], dict[str, set[str]]]:
    """Split rows into those that the role may read, and the tables of the other fields."""
    names = {row.relation: f"{quote(row.schema)}.{quote(row.table)}" for row in rows}
    # Where the key may not be read, no row of the table is readable.
    hidden = {row.relation for row in rows} - {row.relation for row in rows if row.readable}
    readable: list[Any] = []
    unreadable: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        lacking = set() if row.readable else {names[row.relation]}
        if not row.linked or row.from_relation in hidden:
            lacking.add(names[row.from_relation])
        if not lacking:
            readable.append(row)
        elif row.column is not None and row.column not in _NOT_FIELDS:
            unreadable[row.column] |= lacking
    return readable, unreadable


def target_side_tables(
    tables: Mapping[str, Mapping[str, StoredColumn]],
) -> tuple[sa.TextClause | None, bool]:
    """Return the query for parameters of stars, and whether there are aliases.

    Parameters
    ----------
    tables : mapping of str to mapping of str to StoredColumn
        The columns that the database has; those that the role may not read do not count.

    Returns
    -------
    tuple of (sqlalchemy.TextClause or None, bool)
        The query takes the ids of targets as ``targets``, and selects each one's id, the name,
        the value, the unit, and the errors upwards and downwards.
    """
    has = {
        name: {column.column for column in tables.get(name, {}).values() if column.readable}
        for name in TARGET_SIDE_TABLES
    }
    has_aliases = {"target_id", "counterpart_id"} <= has["alias"]
    values, kinds = has["astro_parameter"], has["parameter_kind"]
    if not ({"target_id", "kind_id", "value"} <= values and {"id", "name"} <= kinds):
        return None, has_aliases
    unit = "k.unit_str" if "unit_str" in kinds else "NULL"
    errors = ", ".join(
        f"p.{name}" if name in values else "NULL" for name in ("upper_error", "lower_error")
    )
    query = sa.text(
        f"SELECT p.target_id, k.name, p.value, {unit}, {errors} "
        f"FROM {qualified(tables, 'astro_parameter')} p "
        f"JOIN {qualified(tables, 'parameter_kind')} k ON k.id = p.kind_id "
        "WHERE p.target_id = ANY(CAST(:targets AS bigint[])) ORDER BY k.name"
    )
    return query, has_aliases
