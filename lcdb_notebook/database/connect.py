"""connect(): open a LightcurveDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from lcdb_notebook.database.database import Database
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server import config as config_module
from lcdb_notebook.server.secret import Secret

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["connect"]


def connect(
    url: str | sa.URL | None = None,
    *,
    write: bool = False,
    config: str | Path | None = None,
    embedded: bool | str | Path | None = None,
    create: bool = False,
    statement_timeout: float | None = None,
    application_name: str | None = None,
) -> Database:
    """Open a LightcurveDB.

    The database is the first of these: ``url``; ``config`` or
    ``~/.config/lightcurvedb/db.conf``; the environment (``LCDB_URL``, then the ``PG*`` variables,
    service and password files of libpq); an embedded server in your data folder, which is started
    if it is not running.

    Parameters
    ----------
    url : str or sqlalchemy.URL, optional
        Address of the database: ``postgresql://user:password@host:port/database``.
    write : bool, optional
        Allow changes. By default the server refuses them.
    config : str or pathlib.Path, optional
        A file with a section ``[Credentials]``: username, password, database_name,
        database_host, database_port.
    embedded : bool or str or pathlib.Path, optional
        True uses the embedded server even if another is configured. A path uses an embedded server
        with its data in that folder. False never uses an embedded server.
    create : bool, optional
        Create missing tables, and missing columns of mission classes; needs ``write=True``. Always
        done on the embedded server. Existing tables and columns are not changed.
    statement_timeout : float, optional
        Time in seconds after which the server cancels a statement; None for no limit.
    application_name : str, optional
        Name of the connection in ``pg_stat_activity``; None uses ``application_name=`` in the URL,
        ``PGAPPNAME``, or else "lcdb_notebook".

    Returns
    -------
    Database
        The open database. It can be used in a ``with`` statement; calling :meth:`Database.close` is
        optional.

    Raises
    ------
    ConfigurationError
        If an argument or a configuration file is invalid, or ``create=True`` is given without
        ``write=True``.
    ConnectionFailedError
        If the server cannot be reached, or refuses the connection.
    SchemaError
        If the database does not have the tables of a LightcurveDB.
    UpgradeError
        If rows contradict the newest version of the tables; a warning on the embedded server,
        unless ``create=True``.

    Examples
    --------
    >>> import lcdb_notebook as lcdb
    >>> db = lcdb.connect()
    >>> len(db.targets())
    24
    >>> db.close()

    With a server of your institute, ``lcdb.connect("postgresql://tess.example.edu/lightcurvedb")``.
    A ``with`` statement closes the connection:

    >>> with lcdb.connect(statement_timeout=60) as db:
    ...     len(db.search(3, sector=1))
    6
    """
    # IPython's verbose tracebacks print local variables, so none may have the URL in plain text.
    url = Secret(url) if isinstance(url, str) else url
    if create and not write:
        raise ConfigurationError(
            "create=True changes the database and needs write=True; pass both, or omit create= to "
            "open it for reading"
        )
    address = config_module.resolve(url, config=config, embedded=embedded)
    server: Server | None = None
    where = address.url
    if address.folder is not None:
        from lcdb_notebook.server import embedded as embedded_server

        server = embedded_server.start(address.folder)
        where = server.url(reading=not write)
    assert where is not None
    try:
        return Database(
            where,
            description=str(address),
            server=server,
            write=write,
            create=create,
            statement_timeout=statement_timeout,
            application_name=application_name,
        )
    except BaseException:
        if server is not None:
            server.stop()
        raise
