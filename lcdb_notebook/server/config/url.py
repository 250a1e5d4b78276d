"""PostgreSQL URLs as people write them, made safe to pass on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lcdb_notebook.errors import ConfigurationError

__all__ = ["DRIVER", "check_port", "describe", "label", "read_url"]

DRIVER = "postgresql+psycopg2"

_SCHEMES = ("postgresql", "postgres", DRIVER)
_ENCODING = "In a password write @ as %40, : as %3A, / as %2F, ? as %3F, % as %25, a space as %20."

# PostgreSQL manual, "Parameter Key Words" of libpq; not sslpassword, which would be shown.
# fmt: off
_QUERY_KEYS = frozenset({
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "require_auth",
    "channel_binding", "connect_timeout", "client_encoding", "options", "application_name",
    "fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval",
    "keepalives_count", "tcp_user_timeout", "gssencmode", "sslmode", "sslnegotiation",
    "sslcompression", "sslcert", "sslkey", "sslcertmode", "sslrootcert", "sslcrl", "sslcrldir",
    "sslsni", "requirepeer", "ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname",
    "gsslib", "gssdelegation", "service", "target_session_attrs", "load_balance_hosts",
})
# fmt: on


def read_url(given: str | URL, origin: str) -> URL:
    """Check a URL and give it the driver that is used here.

    Parameters
    ----------
    given
        ``postgresql://``, ``postgres://`` or ``postgresql+psycopg2://``.
    origin
        Where it comes from, for messages.

    Returns
    -------
    sqlalchemy.engine.URL
        Its password, if any, is in ``URL.password``, which no ``str`` or ``repr`` shows.

    Raises
    ------
    ConfigurationError
        If it makes no sense. The message contains no part of it that could be a password.

    Examples
    --------
    >>> read_url("postgres://ada:p%40ss@pdo/lightcurvedb?sslmode=require", "LCDB_URL")
    postgresql+psycopg2://ada:***@pdo/lightcurvedb?sslmode=require
    """
    url = _parse(given, origin) if isinstance(given, str) else given
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(
            f"{origin} begins with {url.drivername}://, and only {'://, '.join(_SCHEMES)}:// are "
            "understood: LightcurveDB needs PostgreSQL, and this package its driver psycopg2."
        )
    if url.port is not None:
        check_port(url.port, origin, "the port")
    query = dict(url.query)
    _refuse_unknown(query, origin)
    # libpq takes a password in the query, too; there SQLAlchemy would show it.
    password = query.pop("password", url.password)
    return URL.create(
        DRIVER,
        username=url.username,
        password=None if password is None else str(password),
        host=url.host,
        port=url.port,
        database=url.database or None,
        query=query,
    )


def describe(url: URL) -> str:
    """Write a URL as ``user@host:port/database``, never with its password."""
    parts = {name: value for name, value in url.query.items() if isinstance(value, str)}
    return label(
        parts.get("user", url.username),
        parts.get("host", url.host),
        parts.get("port", url.port),
        parts.get("dbname", url.database),
    )


def label(user: str | None, host: str | None, port: object, database: str | None) -> str:
    """Write ``user@host:port/database``, without what is missing."""
    host = f"[{host}]" if host and ":" in host and not host.startswith("/") else host
    where = (host or "") + (f":{port}" if port else "")
    return (f"{user}@" if user else "") + where + (f"/{database}" if database else "")


def _parse(text: str, origin: str) -> URL:
    if text.count("@") > 1:
        # It would be cut at the first one, and half the password be shown as a host.
        raise ConfigurationError(f"{origin} has more than one @. {_ENCODING}")
    # The reasons that SQLAlchemy and int() give may quote a password. They are dropped and not
    # chained: an error raised inside an except block carries them along.
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
        if name not in _QUERY_KEYS:
            # Not the name itself: it may be the rest of a password with a ? in it.
            near = difflib.get_close_matches(name, _QUERY_KEYS)
            raise ConfigurationError(
                f"{origin} has a parameter after the ? that is not allowed; "
                f"{'did you mean' if near else 'the usual ones are'} "
                f"{' or '.join(near or ['sslmode', 'sslrootcert', 'options', 'application_name'])}?"
                f" {_ENCODING}"
            )
        if not isinstance(value, str) and name not in ("host", "port"):
            raise ConfigurationError(f"{origin} has the parameter {name!r} more than once.")


def check_port(port: str | int, origin: str, name: str) -> int:
    """Read a port number, or say where it is wrong.

    Raises
    ------
    ConfigurationError
        If it is not a number from 1 to 65535.
    """
    # Not int(): that takes " 5_432 " too. The text itself is not shown: it may be a password that
    # was written on the wrong line.
    text = str(port)
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ConfigurationError(f"{origin}: {name} must be a number from 1 to 65535.")
    return int(text)
