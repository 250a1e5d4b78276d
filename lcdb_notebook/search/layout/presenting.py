"""SQL that presents the tables of a database in the shape of this package's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.models import Base
from lcdb_notebook.models.tables.stored import StoredColumn, has_keys
from lcdb_notebook.search.layout.side_tables import SideTables

__all__ = ["presentations"]

# Values of missing columns; NULL by default.
_DEFAULTS = {"mission.time_unit": "'d'", "photometric_source.description": "''"}
_DEFAULTS["processing_method.description"] = "''"

# Tables of LightcurveDB 3; each query gets the required part of them.
_PARTITIONED = {"dataset", "datasethierarchy", "target_specific_time"}
# There, the row 0 means that there is no value.
_NUMBERED_FROM_0 = {"photometric_source", "processing_method"}

Tables = Mapping[str, Mapping[str, StoredColumn]]


def presentations(
    dialect: sa.Dialect, tables: Tables, side_tables: SideTables, *, by_number: bool = True
) -> dict[str, sa.CTE]:
    """Make common table expressions for tables with missing columns, and for missing tables.

    Parameters
    ----------
    dialect : sqlalchemy.Dialect
        PostgreSQL's.
    tables : dict of dict
        The columns that the database has, by table and name.
    side_tables : SideTables
        Fields of observations from other tables.
    by_number : bool, default True
        Whether an index of targets begins with their number.
    """
    made = {}
    keyed = has_keys(tables)
    for table in Base.metadata.sorted_tables:
        there = tables.get(table.name)
        if keyed and table.name in _PARTITIONED:
            continue
        if keyed and there is not None and table.name in _NUMBERED_FROM_0:
            named = _complete(dialect, table, there, None)
            made[table.name] = _cte(table.name, f"{named} WHERE o.id <> 0")
        elif there is None:
            made[table.name] = _cte(table.name, _empty(dialect, table))
        elif table.name == "target" and not by_number:
            # The index begins with the catalog, so that each search has to name all catalogs.
            everywhere = "o.catalog_id = ANY(ARRAY(SELECT id FROM mission_catalog))"
            whole = _complete(dialect, table, there, None)
            made[table.name] = _cte(table.name, f"{whole} WHERE {everywhere}")
        elif table.name == "observation" and side_tables.fields:
            made[table.name] = _cte(table.name, _complete(dialect, table, there, side_tables))
        elif any(column.name not in there or _is_padded(there[column.name]) for column in table.c):
            made[table.name] = _cte(table.name, _complete(dialect, table, there, None))
    return made


def _cte(name: str, sql: str) -> sa.CTE:
    # A colon in an identifier does not begin a parameter.
    text = sa.text(sql.replace(":", r"\:"))
    return text.columns().cte(name).prefix_with("NOT MATERIALIZED")


def _empty(dialect: sa.Dialect, table: sa.Table) -> str:
    nulls = ", ".join(_null(dialect, column) for column in table.c)
    return f"SELECT {nulls} WHERE false"


def _complete(
    dialect: sa.Dialect,
    table: sa.Table,
    there: Mapping[str, StoredColumn],
    side_tables: SideTables | None,
) -> str:
    """Select the columns of the table, and for missing columns those of other tables, or NULL."""
    quote = dialect.identifier_preparer.quote
    fields: dict[str, tuple[str, Any]] = {} if side_tables is None else side_tables.fields
    columns = []
    for column in table.c:
        if column.name in there and column.name in fields:
            type_ = column.type.compile(dialect)
            in_side_table = f"CAST({fields[column.name][0]} AS {type_})"
            own = f"o.{quote(column.name)}"
            columns.append(f"COALESCE({own}, {in_side_table}) AS {quote(column.name)}")
        elif column.name in there and _is_padded(there[column.name]):
            columns.append(f"CAST(o.{quote(column.name)} AS text) AS {quote(column.name)}")
        elif column.name in there:
            columns.append(f"o.{quote(column.name)}")
        elif column.name in fields:
            type_ = column.type.compile(dialect)
            columns.append(f"CAST({fields[column.name][0]} AS {type_}) AS {quote(column.name)}")
        else:
            columns.append(_null(dialect, column))
    columns += [
        f"{sql} AS {quote(name)}" for name, (sql, _) in fields.items() if name not in table.c
    ]
    schema = quote(next(iter(there.values())).schema)
    joins = "" if side_tables is None else f" {side_tables.joins}"
    return f"SELECT {', '.join(columns)} FROM {schema}.{quote(table.name)} o{joins}"


def _is_padded(column: StoredColumn) -> bool:
    # A character(n) has spaces at its end, which a cast to text removes.
    return column.type == "character"


def _null(dialect: sa.Dialect, column: sa.Column[Any]) -> str:
    value = _DEFAULTS.get(str(column), "NULL")
    name = dialect.identifier_preparer.quote(column.name)
    return f"CAST({value} AS {column.type.compile(dialect)}) AS {name}"
