"""Versions of the tables: which one a database has, and the way from there to the present.

The tables that we create are marked with a version, in a table ``lcdb_notebook_version`` of their
own, and Alembic brings them from there to the newest one, with the data kept. Each step is a file
in ``environment/versions``. A database without that table was not created here; it is read,
and given what a mission's class needs where its owner asks for that, but never altered otherwise.

What is only added, such as a new table or the columns of a mission's class, of which there may be
some that only one notebook knows, is made from the models by
:func:`lcdb_notebook.models.tables.schema.create`.
A step is written for what that cannot do, and leaves alone what it does not know.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import sqlalchemy as sa

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Base
from lcdb_notebook.models.tables import schema

__all__ = ["TABLE", "create", "pending", "refuse_newer", "stored_version", "versions"]

TABLE = "lcdb_notebook_version"

ENVIRONMENT = Path(__file__).with_name("environment")
"""Where the steps are: ``versions/v0001.py`` leads to version 0001, and so on without a fork."""

_log = logging.getLogger(__name__)
# Alembic keeps the step under way in a global variable.
_one_at_a_time = threading.Lock()


def versions() -> list[str]:
    """Name the versions that this package knows, the oldest first.

    Examples
    --------
    >>> versions()[0]
    '0001'
    """
    return sorted(file.stem[1:] for file in (ENVIRONMENT / "versions").glob("v[0-9]*.py"))


def stored_version(connection: sa.Connection) -> str | None:
    """Give the version of a database.

    Returns
    -------
    str or None
        Such as ``"0001"``; None if the tables were not created by this package, or if this user
        may not know.
    """
    # Others may have been granted the tables that there were, before this one was.
    readable = "SELECT has_table_privilege(to_regclass(:name), 'SELECT')"
    if not connection.scalar(sa.text(readable), {"name": TABLE}):
        return None
    version: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {TABLE}"))
    return version


def refuse_newer(connection: sa.Connection) -> None:
    """Refuse a database whose tables a newer package has made or upgraded.

    Raises
    ------
    SchemaError
        Naming both versions, and what to do.
    """
    found, known = stored_version(connection), versions()
    if found is not None and found not in known:
        raise SchemaError(
            f"the tables of this database are of version {found}, and this lcdb_notebook knows "
            f"them up to version {known[-1]} only: a newer one has made or upgraded them. Upgrade "
            "the package: pip install --upgrade lcdb-notebook"
        )


def pending(connection: sa.Connection, *, own: bool = False) -> bool:
    """Tell whether :func:`create` would do anything; it takes no locks to find out."""
    found = stored_version(connection)
    if found is None and own:
        return True
    return found not in (None, versions()[-1]) or bool(schema.missing(connection))


def create(connection: sa.Connection, *, own: bool = False) -> list[str]:
    """Make the tables, or bring those that this package made to the newest version.

    Either all of it is done or nothing, and by one process at a time.

    Parameters
    ----------
    connection
        An open connection, in a transaction, that may create tables.
    own
        Whether nobody else can have made tables here, as on the embedded server. If they are of
        the first version then, from before versions were kept, they are marked so.

    Returns
    -------
    list of str
        What was added from the models, as :func:`lcdb_notebook.models.tables.schema.create` tells
        it.

    Raises
    ------
    SchemaError
        If the tables are of a version that this package does not know, or those of some other
        program.
    """
    # The same lock as schema.create's: the second waits, and then finds it done.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.create'))"))
    refuse_newer(connection)
    found, newest = stored_version(connection), versions()[-1]
    if found is None and not {*Base.metadata.tables} & {*sa.inspect(connection).get_table_names()}:
        added = schema.create(connection)
        _run("stamp", newest, connection)
        return added
    if found is None and own and _is_first_version(connection):
        found = versions()[0]
        _run("stamp", found, connection)
    if found not in (None, newest):
        _run("upgrade", newest, connection)
        _log.info("upgraded the tables from version %s to %s", found, newest)
    return schema.create(connection)


def _run(command: str, version: str, connection: sa.Connection) -> None:
    """Have Alembic do something on this connection, in its transaction."""
    from alembic import command as commands
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # It is read by a configparser.
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    with _one_at_a_time:
        getattr(commands, command)(config, version)


def _is_first_version(connection: sa.Connection) -> bool:
    """Compare the tables with those of the first version, built beside them and undone again."""
    found = _described(connection)
    attempt = connection.begin_nested()
    try:
        connection.execute(sa.text("CREATE SCHEMA lcdb_notebook_first"))
        connection.execute(sa.text("SET LOCAL search_path TO lcdb_notebook_first"))
        _run("upgrade", versions()[0], connection)
        expected = _described(connection)
    finally:
        attempt.rollback()
    # Mission classes may have added columns, with their indexes and rules.
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
    """Say what the tables of the search path's first schema consist of."""
    return set(connection.scalars(_DESCRIPTION, {"tables": [*Base.metadata.tables]}))
