"""Check a database when it is opened, create requested tables, and open further connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.errors import LCDBError
from lcdb_notebook.models.tables import migrations, schema
from lcdb_notebook.models.tables.catalog import Catalog
from lcdb_notebook.search import layout
from lcdb_notebook.server.driver_errors import translated
from lcdb_notebook.server.engine import create_tables
from lcdb_notebook.server.rights import warn_of_rights
from lcdb_notebook.server.snapshot import Snapshot

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["check", "snapshot"]


def check(
    engine: sa.Engine,
    other: sa.Engine,
    url: sa.URL,
    description: str,
    *,
    write: bool,
    create: bool,
    server: Server | None,
    application_name: str | None,
) -> None:
    """Check the version and the tables of a database, learn its layout, and warn of rights.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The engine of the session. When it connects, it asks the question of the
        :class:`~lcdb_notebook.models.tables.catalog.Catalog`.
    other : sqlalchemy.Engine
        Another engine that is used with the same layout.
    url : sqlalchemy.engine.URL
        The database.
    description : str
        Name of the database for messages, without a password.
    write, create : bool
        Whether changes are allowed, and whether missing tables are created.
    server : Server or None
        The embedded server of the URL, where missing tables are always created.
    application_name : str or None
        The name of the connections in ``pg_stat_activity``.

    Raises
    ------
    SchemaError
        If the database cannot be read or, with ``create``, changed.
    UpgradeError
        If rows contradict the newest version of the tables; a warning unless ``create``.
    """
    own = server is not None
    with translated(description), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        catalog = Catalog.read(connection, driver.answer)
        migrations.refuse_newer(catalog)
        # This takes no locks that a reader would wait for.
        if (create or own) and migrations.pending(connection, catalog, own=own):
            # Its locks would block an upgrade.
            connection.rollback()
            create_tables(
                # On the embedded server, readers have a role that may not write.
                url if server is None else server.url(),
                description,
                own=own,
                requested=create,
                application_name=application_name,
            )
            catalog = Catalog.read(connection)
        schema.check(connection, catalog)
        layout.learn(connection, other, catalog=catalog)
        if not write and not own:
            warn_of_rights(catalog, description)


def snapshot(self: Open, connections: int) -> Snapshot:
    """Open connections that see the same state of the database.

    Raises
    ------
    LCDBError
        If the session has uncommitted changes, which other connections cannot see, or if the
        database is behind a connection pooler.
    """
    with self.session_scope() as session:
        if self._write and session.in_transaction():
            # Only a transaction that has changed something has a number.
            number = session.scalar(sa.select(sa.func.pg_current_xact_id_if_assigned()))
            if number is not None:
                raise LCDBError(
                    "the session has uncommitted changes, which further connections cannot see; "
                    "call db.session.commit() first, or leave out connections="
                )
    return Snapshot(self._engine, self._description, connections)
