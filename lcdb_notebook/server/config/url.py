"""Parse and check PostgreSQL URLs without revealing a password."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import psycopg2
from psycopg2.extensions import parse_dsn
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server.credentials import with_secret
from lcdb_notebook.server.secret import Secret

__all__ = ["DRIVER", "check_port", "describe", "label", "read_url"]

DRIVER = "postgresql+psycopg2"

_SCHEMES = ("postgresql", "postgres", DRIVER)
_ENCODING = "In a password write @ as %40, : as %3A, / as %2F, ? as %3F, % as %25, a space as %20."

# Parameters of libpq that contain a secret, which repr() of a URL would show.
_SECRET = {"sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}
# Suggested for a parameter that libpq does not know.
_USUAL = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "options", "application_name"),
    *("connect_timeout", "target_session_attrs", "user", "password", "dbname", "service"),
)


def read_url(given: str | URL, origin: str) -> URL:
    """Check a URL and set its driver to psycopg2.

    Parameters
    ----------
    given : str or sqlalchemy.engine.URL
        ``postgresql://``, ``postgres://`` or ``postgresql+psycopg2://``.
    origin : str
        Origin of the URL, for messages.

    Returns
    -------
    sqlalchemy.engine.URL
        URL with the password, if any, in ``URL.password``, which ``str`` and ``repr`` do not show.

    Raises
    ------
    ConfigurationError
        If it is invalid. The message never contains parts of it that could be a password.

    Examples
    --------
    >>> read_url("postgres://ada:p%40ss@pdo/lightcurvedb?sslmode=require", "LCDB_URL")
    postgresql+psycopg2://ada:***@pdo/lightcurvedb?sslmode=require
    """
    given = Secret(given) if isinstance(given, str) else with_secret(given)
    url = _parse(given, origin) if isinstance(given, str) else given
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(
            f"{origin} must begin with {':// or '.join(_SCHEMES)}://, got {url.drivername}://; "
            "LightcurveDB needs PostgreSQL and the driver psycopg2"
        )
    if url.port is not None:
        check_port(url.port, origin, "the port")
    query = dict(url.query)
    _refuse_unknown(query, origin)
    # libpq also accepts a password in the query, but there SQLAlchemy's repr would show it.
    password = query.pop("password", url.password)
    return URL.create(
        DRIVER,
        username=url.username,
        password=None if password is None else Secret(password),
        host=url.host,
        port=url.port,
        database=url.database or None,
        query=query,
    )


def describe(url: URL) -> str:
    """Return ``user@host:port/database`` of a URL, without its password."""
    parts = {name: value for name, value in url.query.items() if isinstance(value, str)}
    return label(
        parts.get("user", url.username),
        parts.get("host", url.host),
        parts.get("port", url.port),
        parts.get("dbname", url.database),
    )


def label(user: str | None, host: str | None, port: object, database: str | None) -> str:
    """Return ``user@host:port/database``, without the parts that are missing."""
    host = f"[{host}]" if host and ":" in host and not host.startswith("/") else host
    where = (host or "") + (f":{port}" if port else "")
    return (f"{user}@" if user else "") + where + (f"/{database}" if database else "")


def _parse(text: str, origin: str) -> URL:
    if text.count("@") > 1:
        # SQLAlchemy splits at the first one and would show half the password as a host.
        raise ConfigurationError(f"{origin} has more than one @. {_ENCODING}")
    # The messages of SQLAlchemy and int() may quote a password. An error raised inside the except
    # block would have them as its context, so it is raised outside.
    try:
        return make_url(text.strip())
    except (ArgumentError, ValueError):
        pass
    raise ConfigurationError(
        f"{origin} is not a database URL; expected postgresql://user:password@host:port/database, "
        f"with a number for a port. {_ENCODING}"
    )


def _refuse_unknown(query: Mapping[str, object], origin: str) -> None:
    for name, value in query.items():
        if name in _SECRET or not _is_keyword(name):
            # The name is not shown, because it may be part of a password that contains a ?.
            near = difflib.get_close_matches(name, _USUAL)
            raise ConfigurationError(
                f"{origin} has an unknown parameter after the ?; "
                f"{'did you mean' if near else 'the usual ones are'} "
                f"{' or '.join(near or ['sslmode', 'sslrootcert', 'options', 'application_name'])}?"
                f" {_ENCODING}"
            )
        if not isinstance(value, str) and name not in ("host", "port"):
            raise ConfigurationError(f"{origin} repeats the parameter {name!r}")


def _is_keyword(name: str) -> bool:
    """Return whether the installed libpq accepts a connection parameter."""
    if not (name.isascii() and name.isidentifier()):
        return False
    try:
        parse_dsn(f"{name}=1")
    except psycopg2.ProgrammingError:
        return False
    return True


def check_port(port: str | int, origin: str, name: str) -> int:
    """Check a port number.

    Parameters
    ----------
    port : str or int
        The number.
    origin, name : str
        Origin and name of the number, for messages.

    Returns
    -------
    int
        From 1 to 65535.

    Raises
    ------
    ConfigurationError
        If it is not a number from 1 to 65535.
    """
    # int() alone would accept " 5_432 ". The message does not show the text, because it may be a
    # password that was written on the wrong line.
    text = port = Secret(port)
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ConfigurationError(f"{origin}: {name} must be a number from 1 to 65535.")
    return int(text)
