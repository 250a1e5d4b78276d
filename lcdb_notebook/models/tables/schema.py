"""The tables: create what is missing, and say what a database lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.schema import AddConstraint, ColumnCollectionConstraint, CreateColumn
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Base, NumpyArray
from lcdb_notebook.models.tables import schema_diff

__all__ = ["check", "create", "missing"]

Column = sa.Column[object]


@dataclass(frozen=True)
class _Lack:
    """What the models need and a database has not; columns and rules of tables that it has."""

    tables: list[sa.Table]
    columns: list[Column]
    #: CHECKs by which a mission's class requires a column that is there already.
    rules: list[sa.CheckConstraint]


def create(connection: sa.Connection) -> list[str]:
    """Create the tables, columns and constraints that are not there yet.

    Nothing that exists is altered or removed, so it is safe on a database with data, and it is how
    the fields of a newly written mission class get their columns. Rows of that class's type which
    were there before lack its fields; they stay as they are.

    Parameters
    ----------
    connection
        An open connection, in a transaction, that may create tables.

    Returns
    -------
    list of str
        What was added: names of tables, of columns as ``table.column``, and of constraints on
        columns that were there before as ``table.constraint``.

    Raises
    ------
    SchemaError
        If a table lacks a column that every row must have and for which there is no default: it is
        some other program's table of the same name, or has to be completed by hand.
    """
    # Two notebooks may start on an empty database at once; the second waits, then finds it done.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.create'))"))
    lack = _lacking(connection)
    _refuse_to_guess(lack.columns)
    added = _names(connection, lack)
    Base.metadata.create_all(connection, tables=lack.tables)
    for table in lack.tables:
        _keep_arrays_uncompressed(connection, table.c)
    for column in lack.columns:
        _add_column(connection, column)
    _keep_arrays_uncompressed(connection, lack.columns)
    _add_what_comes_with(connection, lack.columns)
    for rule in lack.rules:
        _add_rule(connection, rule)
    return added


def missing(connection: sa.Connection) -> list[str]:
    """Name the tables, columns and constraints that :func:`create` would add."""
    return _names(connection, _lacking(connection))


def check(connection: sa.Connection) -> None:
    """Refuse a database that the models cannot be read from.

    Raises
    ------
    SchemaError
        Naming what is missing and how to add it, each column of another type, and what else
        differs beside these; or that it is a LightcurveDB of another generation, or none.
    """
    schema_diff.refuse_version_3(connection)
    lack = _lacking(connection)
    if len(lack.tables) == len(Base.metadata.tables):
        raise SchemaError(
            "this database holds no LightcurveDB: none of its tables exist. To make them here, "
            "connect with lcdb.connect(..., write=True, create=True)."
        )
    lacks = [f"table {table.name}" for table in lack.tables]
    lacks += [f"column {column}{_whose(column)}" for column in lack.columns]
    different = schema_diff.differences(connection)
    blocking = [str(one) for one in different if one.blocks]
    if not (lacks or blocking):
        return
    told: list[str] = []
    if lacks:
        told.append(
            f"this database lacks {', '.join(lacks)}. If it is yours, add what is missing (nothing "
            "existing is touched) with lcdb.connect(..., write=True, create=True) or db.create()."
        )
    if blocking:
        told.append(
            f"this database has columns of other types than the models: {', '.join(blocking)}. "
            "Its owner can convert them (ALTER TABLE ... ALTER COLUMN ... TYPE ...), or make a "
            "view of the right types in a schema that comes first in your search_path."
        )
    beside = [str(one) for one in different if not one.blocks]
    if beside:
        told.append(f"It differs besides, which does no harm to reading: {', '.join(beside)}.")
    raise SchemaError(" ".join(told))


def _lacking(connection: sa.Connection) -> _Lack:
    # Nothing but the tables of the models: the database may have thousands of others. A view does
    # as well as a table.
    tables = Base.metadata.sorted_tables
    names = [table.name for table in tables]
    inspector = sa.inspect(connection)
    found = inspector.get_multi_columns(filter_names=names, kind=ObjectKind.ANY)
    there = {name: {column["name"] for column in columns} for (_, name), columns in found.items()}
    rules = inspector.get_multi_check_constraints(filter_names=names)
    quote = connection.dialect.identifier_preparer.quote
    known = {
        (name, quote(rule["name"] or "")) for (_, name), found in rules.items() for rule in found
    }
    return _Lack(
        [table for table in tables if table.name not in there],
        [
            column
            for table in tables
            for column in table.c
            if table.name in there and column.name not in there[table.name]
        ],
        [
            rule
            for table in tables
            for rule in _rules(table)
            if table.name in there
            and {column.name for column in rule.columns} <= there[table.name]
            and (table.name, _name(connection, rule)) not in known
        ],
    )


def _refuse_to_guess(columns: list[Column]) -> None:
    unknown = [
        column
        for column in columns
        if not (column.nullable or column.server_default)
        and not isinstance(column.default, ScalarElementColumnDefault)
    ]
    if unknown:
        raise SchemaError(
            f"this database lacks {', '.join(map(str, unknown))}, which every row must have and "
            "nothing says what it would be in the rows that are there. Is "
            f"{unknown[0].table} another program's table? Use a database of its own then; else add "
            "and fill the column by hand"
        )


def _names(connection: sa.Connection, lack: _Lack) -> list[str]:
    return [
        *(table.name for table in lack.tables),
        *map(str, lack.columns),
        *(f"{rule.table.name}.{_name(connection, rule)}" for rule in lack.rules),
    ]


def _rules(table: sa.Table) -> list[sa.CheckConstraint]:
    checks = (c for c in table.constraints if isinstance(c, sa.CheckConstraint))
    return sorted((c for c in checks if "requires" in c.info), key=lambda c: str(c.name))


def _name(connection: sa.Connection, rule: sa.CheckConstraint) -> str:
    # As DDL writes it: PostgreSQL's names end at 63 bytes, and the dialect shortens longer ones.
    return str(connection.dialect.identifier_preparer.format_constraint(rule))


def _whose(column: Column) -> str:
    """Say which mission's class needs a column, if it is one of those."""
    for mapper in Base.registry.mappers:
        mine = mapper.inherits is not None and column in set(mapper.columns)
        if mine and mapper.inherits is not None and column not in set(mapper.inherits.columns):
            return f" (of {mapper.class_.__name__})"
    return ""


def _keep_arrays_uncompressed(connection: sa.Connection, columns: Iterable[Column]) -> None:
    """Store arrays out of line and as they are.

    Compressing floats gains nothing and costs much: loading took 4.6 times as long and reading
    1.3 times. Their statistics are never used by a plan either.
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
    # The rows that are there get what a new one would.
    value = sa.literal(default.arg, column.type).compile(
        dialect=connection.dialect, compile_kwargs={"literal_binds": True}
    )
    _alter(connection, column.table, f"ADD COLUMN {definition} DEFAULT {value}")
    _alter(connection, column.table, f"ALTER COLUMN {name} DROP DEFAULT")


def _add_what_comes_with(connection: sa.Connection, columns: list[Column]) -> None:
    """Add the indexes and constraints that take in an added column."""
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
    """Add a CHECK for rows to come, and vouch for those that are there if they obey it."""
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
