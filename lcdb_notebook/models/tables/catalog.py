"""Read what a database contains about the tables of a LightcurveDB, in two statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS
from lcdb_notebook.models.tables.stored import (
    StoredColumn,
    by_table,
    columns_query,
    literal_names,
    model_names,
)

__all__ = ["TARGET_SIDE_TABLES", "VERSION", "Catalog"]

#: Tables of LightcurveDB 3 on targets: which are the same star, and what was measured of them.
TARGET_SIDE_TABLES = ("alias", "astro_parameter", "parameter_kind")

#: The table with the version of the tables that this package created.
VERSION = "lcdb_notebook_version"

# Expressions without a FROM clause, because the statement that opens a connection has others.
_QUESTION = """
(SELECT json_agg(json_build_array("table", "column", "schema", is_table, type, not_null,
    has_default, readable)) FROM ({columns}) every),
(SELECT json_agg(json_build_array(name, conname)) FROM unnest({tables}) AS name
    JOIN pg_constraint ON conrelid = to_regclass(quote_ident(name)) WHERE contype = 'c'),
has_table_privilege(to_regclass('{version}'), 'SELECT'),
current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
EXISTS (SELECT FROM unnest({tables}) AS name JOIN pg_class ON oid = to_regclass(quote_ident(name))
    WHERE pg_has_role(relowner, 'USAGE')),
EXISTS (SELECT FROM pg_constraint f JOIN pg_constraint p ON p.conrelid = f.conrelid
    AND p.contype = 'p' AND p.conkey = f.conkey
    WHERE f.contype = 'f' AND f.confrelid = to_regclass('observation')),
{target_begins}, {flags_begin},
COALESCE((SELECT relkind = 'r' AND pg_relation_size(oid) < {few} FROM pg_class
    WHERE oid = to_regclass('dataset')), false),
EXISTS (SELECT FROM pg_language WHERE lanname = 'plpgsql' AND has_language_privilege(oid, 'USAGE'))
"""

# Bytes of 20,000 DataSets without arrays. The size of a partitioned table is not known.
_FEW = 20_000 * 60

# Of what LightcurveDB itself makes, the indexes begin otherwise than those of this package.
_BEGINS = (
    "EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
    "AND a.attnum = i.indkey[0] WHERE i.indrelid = to_regclass('{}') AND a.attname = '{}')"
)


@dataclass(frozen=True)
class Catalog:
    """What a database contains about the tables of a LightcurveDB.

    Parameters
    ----------
    every_column : list of StoredColumn
        The columns of the tables of the models, and of the other tables that this package reads.
    checks : frozenset of (str, str)
        Table and name of each CHECK of the tables of the models.
    has_version : bool
        Whether there is a table with the version of the tables, which the role may read.
    role : str
        The name of the role.
    is_superuser : bool or None
        Whether the role is a superuser, if it may know.
    is_owner : bool
        Whether the role owns tables of the models.
    has_side_tables : bool
        Whether the primary key of a table is the id of an observation.
    targets_by_number : bool
        Whether an index of targets begins with their number.
    flags_by_target : bool
        Whether an index of quality flags begins with their target.
    has_few_datasets : bool
        Whether the table of DataSets has no room for more than 20,000.
    has_plpgsql : bool
        Whether the role may use the language PL/pgSQL.
    version : str or None, default None
        The version of the tables.
    positions : mapping of str to str
        The names of the processing methods of positions, by id.
    """

    every_column: list[StoredColumn]
    checks: frozenset[tuple[str, str]]
    has_version: bool
    role: str
    is_superuser: bool | None
    is_owner: bool
    has_side_tables: bool
    targets_by_number: bool
    flags_by_target: bool
    has_few_datasets: bool
    has_plpgsql: bool
    version: str | None = None
    positions: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def question() -> str:
        """Return the first statement, without SELECT: expressions whose values are its answer."""
        return _QUESTION.format(
            columns=columns_query((*model_names(), *TARGET_SIDE_TABLES, HEADERS, COLUMNS)),
            tables=literal_names(model_names()),
            version=VERSION,
            target_begins=_BEGINS.format("target", "name"),
            flags_begin=_BEGINS.format("quality_flag_array", "target_id"),
            few=_FEW,
        )

    @classmethod
    def read(cls, connection: sa.Connection, answer: Sequence[Any] | None = None) -> Catalog:
        """Read the catalog of a database.

        Parameters
        ----------
        connection : sqlalchemy.Connection
            An open connection; nothing is changed.
        answer : sequence, optional
            The answer to :meth:`question`, if it is known.
        """
        if answer is None:
            answer = connection.exec_driver_sql(f"SELECT {cls.question()}").one()
        columns, checks, *others = answer
        given: list[Any] = [
            [StoredColumn(*column) for column in columns or ()],
            frozenset((table, name) for table, name in checks or ()),
            *others,
        ]
        rows = dict(_queries_of_rows(cls(*given)))
        if rows:
            statement = f"SELECT {', '.join(f'({query})' for query in rows.values())}"
            values = connection.exec_driver_sql(statement).one()
            found = dict(zip(rows, values, strict=True))
            given += [found.get("version"), found.get("positions") or {}]
        return cls(*given)

    @cached_property
    def columns(self) -> list[StoredColumn]:
        """The columns of the tables of the models."""
        names = {*model_names()}
        return [column for column in self.every_column if column.table in names]


def _queries_of_rows(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield queries for values in tables that exist and may be read, by name."""
    if catalog.has_version:
        yield "version", f"SELECT version_num FROM {VERSION} LIMIT 1"
    methods = by_table(catalog.every_column).get("processing_method", {})
    if all(name in methods and methods[name].readable for name in ("id", "name")):
        yield (
            "positions",
            "SELECT json_object_agg(id, CAST(name AS text)) FROM processing_method "
            f"WHERE name::text = ANY ({literal_names(POSITIONS)})",
        )
