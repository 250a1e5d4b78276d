"""Create the tables in a database, and check what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.schema import AddConstraint, ColumnCollectionConstraint, CreateColumn
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Base, NumpyArray
from lcdb_notebook.models.tables import schema_diff
from lcdb_notebook.models.tables.access import explain_absence, explain_rights
from lcdb_notebook.models.tables.catalog import Catalog
from lcdb_notebook.models.tables.stored import (
    REQUIRED,
    by_table,
    has_keys,
    qualified,
)

__all__ = [
    "Missing",
    "check",
    "create",
    "find_missing",
    "missing",
    "mission_rules",
    "refuse_to_guess",
]

Column = sa.Column[object]

# Differences that an error lists, of those that do not cause it.
_NAMED = 3


@dataclass(frozen=True)
class Missing:
    """Missing tables, and missing columns and CHECKs of the tables that exist."""

    tables: list[sa.Table]
    columns: list[Column]
    #: CHECKs of mission classes on existing columns.
    rules: list[sa.CheckConstraint]


def create(connection: sa.Connection) -> list[str]:
    """Create the tables, columns and constraints that do not exist yet.

    Existing tables and columns are not altered or removed, so this is safe for a database with
    data. Columns of a new mission class are also created; they are NULL in existing rows of its
    type.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection, in a transaction, that may create tables.

    Returns
    -------
    list of str
        Additions: tables by name, columns as ``table.column``, and constraints on existing columns
        as ``table.constraint``.

    Raises
    ------
    SchemaError
        If a required column without a default is missing from an existing table. The table belongs
        to another program, or must be completed by hand.
    """
    # Two notebooks may connect to an empty database at once: the second waits, then does nothing.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.create'))"))
    absent = find_missing(connection)
    refuse_to_guess(absent.columns)
    added = _names(connection, absent)
    Base.metadata.create_all(connection, tables=absent.tables)
    for table in absent.tables:
        _keep_arrays_uncompressed(connection, table.c)
    for column in absent.columns:
        _add_column(connection, column)
    _keep_arrays_uncompressed(connection, absent.columns)
    _add_what_comes_with(connection, absent.columns)
    for rule in absent.rules:
        _add_rule(connection, rule)
    return added


def missing(connection: sa.Connection, catalog: Catalog | None = None) -> list[str]:
    """List the tables, columns and constraints that :func:`create` would add."""
    return _names(connection, find_missing(connection, catalog))


def check(connection: sa.Connection, catalog: Catalog | None = None) -> None:
    """Refuse a database from which no light curve can be read.

    Tables and columns that are not needed for reading may be missing;
    :data:`lcdb_notebook.models.tables.stored.REQUIRED` lists the required ones.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    catalog : Catalog, optional
        What the database contains, if it was read before.

    Raises
    ------
    SchemaError
        If tables or columns are missing, or columns have a type that cannot be read; the message
        lists all differences and how to resolve them. Also if the role may not read a table, or
        the database is not a LightcurveDB.
    """
    columns_found = (catalog or Catalog.read(connection)).columns
    stored = by_table(columns_found)
    if not stored:
        raise SchemaError(explain_absence(connection))
    tables = [table for table in Base.metadata.sorted_tables if table.name in REQUIRED]
    absent = [f"table {table.name}" for table in tables if table.name not in stored]
    keyed = has_keys(stored)
    absent += [
        f"column {column}"
        for table in tables
        for column in table.c
        if table.name in stored
        and column.name in REQUIRED[table.name]
        and column.name not in stored[table.name]
        and not (keyed and str(column) == "dataset.id")
    ]
    unreadable = [
        qualified(stored, name) or name
        for name, columns in REQUIRED.items()
        if any(c.column in columns and not c.readable for c in stored.get(name, {}).values())
    ]
    if unreadable:
        raise SchemaError(explain_rights(connection, unreadable))
    different = schema_diff.differences(connection, columns_found)
    blocking = [str(one) for one in different if one.blocks]
    if not (absent or blocking):
        return
    problems: list[str] = []
    if absent:
        problems.append(
            f"missing from this database: {', '.join(absent)}. If it is yours, add them (nothing "
            "existing is changed) with lcdb.connect(..., write=True, create=True) or db.create()."
        )
    if blocking:
        problems.append(
            f"this database has columns of types that cannot be read: {', '.join(blocking)}. "
            "Its owner can convert them (ALTER TABLE ... ALTER COLUMN ... TYPE ...), or make a "
            "view of the right types in a schema that comes first in your search_path."
        )
    harmless = [str(one) for one in different if not one.blocks]
    if harmless:
        more = f", and {len(harmless) - _NAMED} more" * (len(harmless) > _NAMED)
        named = ", ".join(harmless[:_NAMED]) + more
        problems.append(f"Other differences, which do not prevent reading: {named}.")
    raise SchemaError(" ".join(problems))


def find_missing(connection: sa.Connection, catalog: Catalog | None = None) -> Missing:
    """Find tables, columns and CHECKs of the models that are missing on the search path."""
    # Only the tables of the models, because the database may have thousands of others. Views count.
    tables = Base.metadata.sorted_tables
    catalog = catalog or Catalog.read(connection)
    existing = by_table(catalog.columns)
    quote = connection.dialect.identifier_preparer.quote
    known = {(table, quote(name)) for table, name in catalog.checks}
    return Missing(
        [table for table in tables if table.name not in existing],
        [
            column
            for table in tables
            for column in table.c
            if table.name in existing and column.name not in existing[table.name]
        ],
        [
            rule
            for table in tables
            for rule in mission_rules(table)
            if table.name in existing
            and {column.name for column in rule.columns} <= existing[table.name].keys()
            and (table.name, _name(connection, rule)) not in known
        ],
    )


def refuse_to_guess(columns: list[Column]) -> None:
    """Refuse to add a column whose value in existing rows is unknown.

    Raises
    ------
    SchemaError
        With the names of the columns.
    """
    unknown = [
        column
        for column in columns
        if not (column.nullable or column.server_default)
        and not isinstance(column.default, ScalarElementColumnDefault)
    ]
    if unknown:
        raise SchemaError(
            f"missing from this database: {', '.join(map(str, unknown))}, required in every row, "
            "without a default for the existing rows. If another program made "
            f"{unknown[0].table}, use a separate database; otherwise add and fill the column "
            "by hand"
        )


def _names(connection: sa.Connection, absent: Missing) -> list[str]:
    return [
        *(table.name for table in absent.tables),
        *map(str, absent.columns),
        *(f"{rule.table.name}.{_name(connection, rule)}" for rule in absent.rules),
    ]


def mission_rules(table: sa.Table) -> list[sa.CheckConstraint]:
    """List the CHECKs with which mission classes require columns in rows of their types."""
    checks = (c for c in table.constraints if isinstance(c, sa.CheckConstraint))
    return sorted((c for c in checks if "requires" in c.info), key=lambda c: str(c.name))


def _name(connection: sa.Connection, rule: sa.CheckConstraint) -> str:
    # Like in DDL: PostgreSQL limits names to 63 bytes, and the dialect shortens longer ones.
    return str(connection.dialect.identifier_preparer.format_constraint(rule))


def _keep_arrays_uncompressed(connection: sa.Connection, columns: Iterable[Column]) -> None:
    """Store arrays out of line and uncompressed.

    Compression of floats saves no space: loading took 4.6 times as long, and reading 1.3 times.
    Query plans do not use statistics of these columns.
    """
    quote = connection.dialect.identifier_preparer.format_column
    for column in columns:
        if isinstance(column.type, NumpyArray):
            name = quote(column)
            _alter(connection, column.table, f"ALTER COLUMN {name} SET STORAGE EXTERNAL")
            _alter(connection, column.table, f"ALTER COLUMN {name} SET STATISTICS 0")


def _add_column(connection: sa.Connection, column: Column) -> None:
    definition = str(CreateColumn(column).compile(dialect=connection.dialect))
    name = connection.dialect.identifier_preparer.format_column(column)
    default = column.default
    if column.nullable or not isinstance(default, ScalarElementColumnDefault):
        _alter(connection, column.table, f"ADD COLUMN {definition}")
        return
    # Existing rows get the default value of new rows.
    value = sa.literal(default.arg, column.type).compile(
        dialect=connection.dialect, compile_kwargs={"literal_binds": True}
    )
    _alter(connection, column.table, f"ADD COLUMN {definition} DEFAULT {value}")
    _alter(connection, column.table, f"ALTER COLUMN {name} DROP DEFAULT")


def _add_what_comes_with(connection: sa.Connection, columns: list[Column]) -> None:
    """Add the indexes and constraints that include an added column."""
    added = set(columns)
    for table in {column.table for column in columns}:
        for index in table.indexes:
            if added & set(index.columns):
                index.create(connection)
        for constraint in table.constraints:
            if isinstance(constraint, ColumnCollectionConstraint) and added & set(
                constraint.columns
            ):
                if isinstance(constraint, sa.CheckConstraint):
                    _add_rule(connection, constraint)
                else:
                    connection.execute(AddConstraint(constraint, isolate_from_table=False))


def _add_rule(connection: sa.Connection, rule: sa.CheckConstraint) -> None:
    """Add a CHECK for new rows, and validate it if all existing rows satisfy it."""
    name = _name(connection, rule)
    compile_kwargs = {"literal_binds": True, "include_table": False}
    condition = rule.sqltext.compile(dialect=connection.dialect, compile_kwargs=compile_kwargs)
    _alter(connection, rule.table, f"ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    broken = sa.select(sa.literal(1)).select_from(rule.table).where(sa.not_(rule.sqltext)).exists()
    if not connection.scalar(sa.select(broken)):
        _alter(connection, rule.table, f"VALIDATE CONSTRAINT {name}")


def _alter(connection: sa.Connection, table: sa.FromClause, how: str) -> None:
    assert isinstance(table, sa.Table)
    name = connection.dialect.identifier_preparer.format_table(table)
    connection.exec_driver_sql(f"ALTER TABLE {name} {how}")
