"""Generate the SQL that completes the tables of another program, for their owner.

INSERT statements of that program still work: new columns may be NULL or have a default in the
database, and no CHECK is added, because it would apply to rows of the other program.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.schema import CreateColumn, CreateIndex
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models.tables import schema
from lcdb_notebook.models.tables.catalog import Catalog
from lcdb_notebook.models.tables.stored import by_table, has_keys

__all__ = ["alterations", "refuse_to_alter", "refuse_version_3"]


def alterations(connection: sa.Connection, catalog: Catalog | None = None) -> list[str]:
    """Generate the SQL statements that add missing tables, columns and indexes.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    catalog : Catalog, optional
        What the database contains, if it was read before.

    Raises
    ------
    SchemaError
        If a required column without a default is missing from an existing table.
    """
    absent = schema.find_missing(connection, catalog)
    schema.refuse_to_guess(absent.columns)
    return [*_statements(connection.dialect, absent)]


def _statements(dialect: sa.Dialect, absent: schema.Missing) -> Iterator[str]:
    def text(element: sa.schema.ExecutableDDLElement) -> str:
        return str(element.compile(dialect=dialect)).strip()

    quote = dialect.identifier_preparer.quote
    for table in absent.tables:
        yield from _creation(dialect, table)
        for column in table.c:
            if default := _default(dialect, column):
                yield f"ALTER TABLE {quote(table.name)} ALTER {quote(column.name)} SET{default}"
        for rule in schema.mission_rules(table):
            # SQLAlchemy 2.0 leaves a constraint that has a DropConstraint out of new tables.
            name = dialect.identifier_preparer.format_constraint(rule)
            yield f"ALTER TABLE {quote(table.name)} DROP CONSTRAINT {name}"
    for column in absent.columns:
        definition = f"{CreateColumn(column).compile(dialect=dialect)}{_default(dialect, column)}"
        yield f"ALTER TABLE {quote(str(column.table))} ADD COLUMN {definition}"
    added = set(absent.columns)
    for table in dict.fromkeys(column.table for column in absent.columns):
        assert isinstance(table, sa.Table)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if added & set(index.columns) and not index.unique:
                yield text(CreateIndex(index))


def _creation(dialect: sa.Dialect, table: sa.Table) -> list[str]:
    """Write what creates a table on a server of this version, with its indexes."""
    statements: list[str] = []

    def collect(statement: Any, *_: object) -> None:
        statements.append(str(statement.compile(dialect=dialect)).strip())

    table.metadata.create_all(MockConnection(dialect, collect), tables=[table], checkfirst=False)
    return [statements[0], *sorted(statements[1:])]


def _default(dialect: sa.Dialect, column: sa.Column[object]) -> str:
    """Return the default of a required column, which another program does not know."""
    if column.nullable or not isinstance(column.default, ScalarElementColumnDefault):
        return ""
    value = sa.literal(column.default.arg, column.type).compile(
        dialect=dialect, compile_kwargs={"literal_binds": True}
    )
    return f" DEFAULT {value}"


def refuse_to_alter(connection: sa.Connection, catalog: Catalog) -> None:
    """Raise an error with the SQL that would complete the tables, if anything is missing.

    Raises
    ------
    SchemaError
        With the SQL, for the owner of the tables.
    """
    statements = alterations(connection, catalog)
    if statements:
        sql = "".join(f"\n{statement};" for statement in statements)
        raise SchemaError(
            "these tables were not created by lcdb_notebook, so nothing was added to them. They "
            "can be read unchanged, without create=True. If they are yours, "
            "db.create(alter=True) runs the following SQL; otherwise ask their owner to run it:"
            f"{sql}"
        )


def refuse_version_3(catalog: Catalog) -> None:
    """Refuse to create or add anything in a database of LightcurveDB 3.

    Raises
    ------
    SchemaError
        If DataSets have a key of several columns.
    """
    if has_keys(by_table(catalog.columns)):
        raise SchemaError(
            "this is a database of LightcurveDB 3, which lcdb_notebook only reads: its partitions "
            "are created by LightcurveDB, and its DataSets have a key of four columns instead of "
            "an id. Open it without write=True and create=True"
        )
