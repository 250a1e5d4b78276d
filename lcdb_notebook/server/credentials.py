"""Passwords whose ``repr`` is masked, from the configuration to the driver.

IPython's ``%xmode Verbose`` prints the ``repr`` of local variables in a traceback, including the
frames of SQLAlchemy and psycopg2. Therefore every variable with a password, or with a text that
contains one, has a type with a masked ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server.connection import OwnConnection
from lcdb_notebook.server.secret import Secret

__all__ = ["Environment", "open_connection", "with_secret"]


class Environment(dict[str, str]):
    """Environment variables with a masked ``repr``: any of them may contain a password.

    Examples
    --------
    >>> Environment({"PGPASSWORD": "hunter2"})
    Environment(1 variable)
    """

    def __repr__(self) -> str:
        return f"Environment({len(self)} variable{'' if len(self) == 1 else 's'})"


def with_secret(url: sa.URL) -> sa.URL:
    """Return the same URL with its password, if any, as a :class:`Secret`.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        Any URL.

    Returns
    -------
    sqlalchemy.engine.URL
        Equal to the one given.
    """
    if url.password is None or isinstance(url.password, Secret):
        return url
    return url.set(password=Secret(url.password))


def open_connection(arguments: Mapping[str, Any]) -> OwnConnection:
    """Open a psycopg2 connection; no frame below has the password in plain text.

    Parameters
    ----------
    arguments : mapping of str to object
        The parameters of :func:`psycopg2.connect`; the password, if any, is a :class:`Secret`.

    Returns
    -------
    OwnConnection
        A new connection.

    Raises
    ------
    ConfigurationError
        If libpq does not support one of the parameters.
    psycopg2.OperationalError
        If the connection fails.
    """
    cursor_factory = arguments.get("cursor_factory")
    parameters = {name: value for name, value in arguments.items() if name != "cursor_factory"}
    dsn = None
    # Not chained, because a frame of its traceback has the text with the password.
    with suppress(psycopg2.ProgrammingError):
        dsn = Secret(make_dsn(**parameters))
    if dsn is None:
        raise ConfigurationError(
            f"this version of libpq does not support one of {', '.join(sorted(parameters))}"
        )
    # Not with keywords, because psycopg2 would join them to a plain string in one of its frames.
    return psycopg2.connect(dsn, connection_factory=OwnConnection, cursor_factory=cursor_factory)
