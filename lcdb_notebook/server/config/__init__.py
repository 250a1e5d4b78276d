"""Decide which database to connect to, without using the network.

The first of these that exists is used, and later ones are not read:

1. the ``url`` given;
2. the file given as ``config``, or ``~/.config/lightcurvedb/db.conf``, the file of LightcurveDB;
3. the variable ``LCDB_URL``;
4. libpq's own variables ``PGHOST``, ``PGSERVICE``, ``PGDATABASE``, ... with ``~/.pgpass`` and its
   service files (PostgreSQL manual, "Environment Variables" of libpq);
5. the embedded server.

A ``db.conf``::

    [Credentials]
    username = ada
    password = written literally: no quotes, no %-encoding; empty for ~/.pgpass
    database_name = lightcurvedb
    database_host = pdo.example.org
    database_port = 5432
    # optional: sslmode, sslrootcert, sslcert and sslkey; paths may begin with ~

Messages, ``str`` and ``repr`` of this package never contain a password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from lcdb_notebook.errors import ArgumentError, ConfigurationError
from lcdb_notebook.server.config.file import OpenToOthersWarning, read_file
from lcdb_notebook.server.config.url import DRIVER, describe, label, read_url
from lcdb_notebook.server.credentials import Environment
from lcdb_notebook.server.secret import Secret

__all__ = ["Address", "OpenToOthersWarning", "resolve"]

CONFIG_FILE = Path(".config/lightcurvedb/db.conf")

# Variables that identify a server or a database; PGUSER and PGPASSWORD do not.
_LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT")


@dataclass(frozen=True)
class Address:
    """The location of a database: a URL, or the embedded server.

    Parameters
    ----------
    origin : str
        Origin of the address, for messages: ``"the url given"``, a file, ``"LCDB_URL"``,
        ``"PG* variables"`` or ``"embedded server in ..."``.
    url : sqlalchemy.engine.URL or None, optional
        The database's URL, always with the driver ``postgresql+psycopg2``; None for the embedded
        server. With an empty URL, libpq uses its own configuration.
    folder : pathlib.Path or None, optional
        The embedded server's folder; None for any other server.
    label : str, optional
        Short name of the server and database, without a password.

    Examples
    --------
    >>> address = resolve("postgresql://ada:secret@pdo.example.org/lightcurvedb")
    >>> print(address, "from", address.origin)
    ada@pdo.example.org/lightcurvedb from the url given
    """

    origin: str
    url: URL | None = None
    folder: Path | None = None
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.origin


def resolve(
    url: str | URL | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    embedded: bool | str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Address:
    """Decide which database to connect to.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL, optional
        ``postgresql://user:password@host:port/database?sslmode=require``.
    config : str or path-like, optional
        Path of a ``db.conf``.
    embedded : bool, str or path-like, optional
        True for the embedded server even if another is configured, a path for the embedded server
        in that folder, False to forbid it.
    environ : mapping of str to str, optional
        The environment; by default that of this process.
    home : pathlib.Path, optional
        The home folder that may contain ``db.conf``; by default the user's.

    Returns
    -------
    Address
        A URL or a folder.

    Raises
    ------
    ConfigurationError
        If an argument has the wrong type, two arguments contradict each other, a URL or a file is
        invalid, or no database is configured and the embedded server is forbidden.

    Warns
    -----
    OpenToOthersWarning
        If other users can read the password in the user's own ``db.conf``; once per file.

    Examples
    --------
    >>> resolve(environ={"LCDB_URL": "postgres://pdo/lightcurvedb"}, home=Path("/nowhere")).origin
    'LCDB_URL'
    >>> print(resolve(embedded="/data/tess"))
    embedded server in /data/tess
    """
    environ = Environment(os.environ if environ is None else environ)
    _check_types(url, config, embedded)
    sources = {"url": url, "config": config, "embedded": None if embedded is False else embedded}
    given = [f"{name}=" for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise ConfigurationError(
            f"{' and '.join(given)} contradict each other, because each names a database; pass "
            "only one of them"
        )
    if url is not None:
        return _at(read_url(url, "the url given"), "the url given")
    if config is not None:
        return _at(read_file(Path(config).expanduser()), str(config))
    if embedded is not None and embedded is not False:
        return _embedded(None if embedded is True else Path(embedded), environ)
    standard = (_home() if home is None else home) / CONFIG_FILE
    if os.path.lexists(standard):
        return _at(read_file(standard), f"~/{CONFIG_FILE}")
    if environ.get("LCDB_URL"):
        return _at(read_url(Secret(environ["LCDB_URL"]), "LCDB_URL"), "LCDB_URL")
    if any(environ.get(name) for name in _LIBPQ_VARIABLES):
        return _from_libpq(environ)
    if embedded is False:
        raise ConfigurationError(
            "no database is configured, and embedded=False forbids the embedded server. Tried: "
            f"url= and config= (not given), {standard} (not found), LCDB_URL (not set), "
            f"{', '.join(_LIBPQ_VARIABLES)} (not set)."
        )
    return _embedded(None, environ)


def _check_types(url: object, config: object, embedded: object) -> None:
    if not (url is None or isinstance(url, str | URL)):
        raise ArgumentError(
            f"url must be a string such as postgresql://user@host/database, got {url!r}"
        )
    if not (config is None or isinstance(config, str | os.PathLike)):
        raise ArgumentError(f"config must be the path of a db.conf, got {config!r}")
    if not (embedded is None or isinstance(embedded, bool | str | os.PathLike)):
        raise ArgumentError(f"embedded must be True, False or a folder, got {embedded!r}")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # A user without a home folder has no db.conf.
        return Path("/nonexistent")


def _at(url: URL, origin: str) -> Address:
    return Address(origin, url=url, label=describe(url) or "libpq's defaults")


def _embedded(folder: Path | None, environ: Mapping[str, str]) -> Address:
    if folder is None and environ.get("LCDB_DATA"):
        folder = Path(environ["LCDB_DATA"])
    if folder is None:
        from platformdirs import user_data_path

        folder = user_data_path("lcdb_notebook") / "postgres"
    folder = folder.expanduser().absolute()
    return Address(f"embedded server in {folder}", folder=folder)


def _from_libpq(environ: Mapping[str, str]) -> Address:
    service = environ.get("PGSERVICE")
    short = label(
        environ.get("PGUSER"),
        environ.get("PGHOST") or environ.get("PGHOSTADDR"),
        environ.get("PGPORT"),
        environ.get("PGDATABASE"),
    )
    if service:
        short = f"{short} of service {service}" if short else f"service {service}"
    return Address("PG* variables", url=URL.create(DRIVER), label=short)
