"""Versions of the tables: find the version of a database, and upgrade it to the newest.

Tables created by this package are marked with a version in the table ``lcdb_notebook_version``.
Alembic upgrades them to the newest version and keeps the data. Each step is a file in
``environment/versions``. A database without that table was created by another program. It can be
read, and is only altered if its owner requests columns for a mission's class.

Additions, such as a new table or the columns of a mission's class (which may be defined in a
notebook), do not need a step. They are made from the models by
:func:`lcdb_notebook.models.tables.schema.create`. A step is only needed for other changes, and does
not touch tables or columns that it does not name.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import sqlalchemy as sa

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Base
from lcdb_notebook.models.tables import alterations, contents, schema
from lcdb_notebook.models.tables.catalog import VERSION, Catalog

__all__ = ["TABLE", "create", "pending", "refuse_newer", "stored_version", "versions"]

TABLE = VERSION

ENVIRONMENT = Path(__file__).with_name("environment")
"""Folder of the steps: ``versions/v0001.py`` creates version 0001, and so on, without branches."""

_log = logging.getLogger(__name__)
# Alembic stores the running step in a global variable.
_one_at_a_time = threading.Lock()


def versions() -> list[str]:
    """List the versions that this package supports, oldest first.

    Examples
    --------
    >>> versions()[0]
    '0001'
    """
    return sorted(file.stem[1:] for file in (ENVIRONMENT / "versions").glob("v[0-9]*.py"))


def stored_version(connection: sa.Connection) -> str | None:
    """Read the version of a database.

    Returns
    -------
    str or None
        The version, such as ``"0001"``; None if the tables were not created by this package, or
        this user has no permission to read it.
    """
    return Catalog.read(connection).version


def refuse_newer(catalog: Catalog) -> None:
    """Refuse a database whose tables were created or upgraded by a newer version of this package.

    Parameters
    ----------
    catalog : Catalog
        What the database contains.

    Raises
    ------
    SchemaError
        If the version is unknown; the message contains both versions and what to do.
    """
    found, known = catalog.version, versions()
    if found is not None and found not in known:
        raise SchemaError(
            f"the tables of this database have version {found}, but this lcdb_notebook supports "
            f"versions up to {known[-1]}: a newer lcdb_notebook created or upgraded them. Upgrade "
            "the package: pip install --upgrade lcdb-notebook"
        )


def pending(connection: sa.Connection, catalog: Catalog, *, own: bool = False) -> bool:
    """Check whether :func:`create` would change anything, without taking locks.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    catalog : Catalog
        What the database contains.
    own : bool, default False
        Whether only this package can have created the tables, as on the embedded server.

    Raises
    ------
    SchemaError
        If the database is a LightcurveDB 3, or a required column of a table of another program is
        missing and has no default.
    """
    alterations.refuse_version_3(catalog)
    found = catalog.version
    if not catalog.columns or (found is None and own):
        return True
    if found is None:
        return bool(alterations.alterations(connection, catalog))
    return found != versions()[-1] or bool(schema.missing(connection, catalog))


def create(connection: sa.Connection, *, own: bool = False, alter: bool = False) -> list[str]:
    """Create the tables, or upgrade those that this package created to the newest version.

    All changes are made or none, and by one process at a time.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection, in a transaction, that may create tables.
    own : bool, default False
        Whether only this package can have created the tables, as on the embedded server. Tables of
        the first version, which did not store a version, are then marked.
    alter : bool, default False
        Whether to add to tables that another program created.

    Returns
    -------
    list of str
        Additions from the models: tables by name, columns as ``table.column``, and constraints on
        existing columns as ``table.constraint``.

    Raises
    ------
    SchemaError
        If the tables have a version that this package does not support, or another program
        created them and something is missing; the message then has the SQL that would add it.
    UpgradeError
        If rows contradict the newest version; the message names them.
    """
    # The same lock as in schema.create: a second process waits, and then finds nothing to do.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.create'))"))
    catalog = Catalog.read(connection)
    refuse_newer(catalog)
    alterations.refuse_version_3(catalog)
    found, newest = catalog.version, versions()[-1]
    if found is None and not catalog.columns:
        added = schema.create(connection)
        contents.create(connection)
        _run("stamp", newest, connection)
        return added
    if found is None and own and _is_first_version(connection):
        found = versions()[0]
        _run("stamp", found, connection)
    if found not in (None, newest):
        _run("upgrade", newest, connection)
        _log.info("upgraded the tables from version %s to %s", found, newest)
    if found is not None or own:
        return schema.create(connection)
    if not alter:
        alterations.refuse_to_alter(connection, catalog)
        return []
    absent = schema.find_missing(connection, catalog)
    for statement in alterations.alterations(connection, catalog):
        connection.exec_driver_sql(statement)
    return [*(table.name for table in absent.tables), *map(str, absent.columns)]


def _run(command: str, version: str, connection: sa.Connection) -> None:
    """Run an Alembic command on this connection, in its transaction."""
    from alembic import command as commands
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # The value is read by a configparser, which interpolates %.
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    with _one_at_a_time:
        getattr(commands, command)(config, version)


def _is_first_version(connection: sa.Connection) -> bool:
    """Compare the tables with those of the first version, created temporarily beside them."""
    found = _described(connection)
    attempt = connection.begin_nested()
    try:
        connection.execute(sa.text("CREATE SCHEMA lcdb_notebook_first"))
        connection.execute(sa.text("SET LOCAL search_path TO lcdb_notebook_first"))
        _run("upgrade", versions()[0], connection)
        expected = _described(connection)
    finally:
        attempt.rollback()
    # Mission classes may have added columns, with their indexes and constraints.
    return expected <= found


_DESCRIPTION = sa.text(r"""
WITH ours AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
)
SELECT concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull, attstorage,
                 attstattarget, pg_get_expr(adbin, adrelid))
    FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT concat_ws(' ', relname, conname, pg_get_constraintdef(pg_constraint.oid))
    FROM ours JOIN pg_constraint ON conrelid = ours.oid
UNION ALL
SELECT replace(pg_get_indexdef(indexrelid), ' ON ' || current_schema() || '.', ' ON ')
    FROM ours JOIN pg_index ON indrelid = ours.oid
""")


def _described(connection: sa.Connection) -> set[str]:
    """List columns, constraints and indexes of the tables in the search path's first schema."""
    return set(connection.scalars(_DESCRIPTION, {"tables": [*Base.metadata.tables]}))
