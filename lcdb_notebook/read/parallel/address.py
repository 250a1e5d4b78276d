"""Where a worker reads from: an address without a password, and one connection a process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ConfigurationError, LCDBError
from lcdb_notebook.search import layout
from lcdb_notebook.server import config
from lcdb_notebook.server.config.url import describe, read_url
from lcdb_notebook.server.driver_errors import translated
from lcdb_notebook.server.engine import make_engine

__all__ = ["Source", "entrust", "forget", "reading", "reading_once", "source"]

APPLICATION_NAME = "lcdb_notebook worker"
"""How a worker's connection is called in ``pg_stat_activity``."""


@dataclass(frozen=True)
class Source:
    """A database in words that may travel anywhere: it has no password.

    Parameters
    ----------
    where
        The URL of whoever asks, without the password.
    told
        The argument ``database=``: a URL without a password, or the path of a ``db.conf``.
    name
        By which a process finds the URL that it was entrusted with.
    """

    where: str
    told: str | None = None
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


class _Reader:
    """The one connection of this process to a database, lent to one thread at a time."""

    def __init__(self, url: sa.URL) -> None:
        self.description = describe(url) or "libpq's defaults"
        self._engine = make_engine(
            url, self.description, write=False, application_name=APPLICATION_NAME
        )
        self._lock = threading.Lock()
        self._is_known = False

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        with self._lock, translated(self.description), orm.Session(self._engine) as session:
            if not self._is_known:
                layout.learn(session.connection())
                self._is_known = True
            yield session

    def close(self) -> None:
        self._engine.dispose()


_readers: dict[str, _Reader] = {}
_entrusted: dict[str, sa.URL] = {}
_forgotten: set[str] = set()
_lock = threading.Lock()
_one_partition = threading.Lock()


def source(session: orm.Session, database: str | None) -> Source:
    """Describe the database of a session for workers.

    Parameters
    ----------
    session
        On the database.
    database
        Where workers are to look instead of in their own configuration.

    Raises
    ------
    ConfigurationError
        If that has a password in it, or makes no sense.
    """
    url = session.get_bind().engine.url
    is_url = database is not None and "://" in database
    if is_url and read_url(database or "", "database=").password is not None:
        raise ConfigurationError(
            "database= has a password in it, which would travel to the workers by way of the "
            "scheduler. Leave it out, and let the workers have it from their own ~/.pgpass, or "
            "name a db.conf that they can read: database='~/.config/lightcurvedb/db.conf'"
        )
    # URL.set() takes None for "as it is".
    bare = sa.URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    )
    made = Source(bare.render_as_string(hide_password=False), database)
    entrust(made, url)
    return made


def entrust(which: Source, url: sa.URL) -> None:
    """Let this process, and no other, read from a database with the password that is in a URL."""
    _entrusted[which.name] = url


def forget(which: Source) -> None:
    """Close this process's connection to a database, and forget its URL."""
    with _lock:
        reader = _readers.pop(which.name, None)
        _entrusted.pop(which.name, None)
        # A share that was cancelled may still be under way; it must not connect anew.
        _forgotten.add(which.name)
    if reader is not None:
        reader.close()


@contextmanager
def reading(which: Source) -> Iterator[orm.Session]:
    """Lend a session on this process's own read-only connection.

    The database is the one this process was entrusted with; else what ``database=`` says; else
    that of a socket on this machine; else the one that this process itself is configured for
    (``db.conf``, ``LCDB_URL``, ``PG*``); else the one of whoever asked, without a password.

    Raises
    ------
    ConnectionFailedError
        If no server answers there, or it wants a password that this process has not.
    """
    with _lock:
        if which.name in _forgotten:
            raise LCDBError("this work was ended while it was under way")
        if which.name not in _readers:
            _readers[which.name] = _Reader(_address(which))
        reader = _readers[which.name]
    with reader.session_scope() as session:
        yield session


@contextmanager
def reading_once(
    which: Source,
) -> Iterator[Callable[[], AbstractContextManager[orm.Session]]]:
    """Open a connection as :func:`reading` does, and close it in the end.

    There is one at a time in this process; other threads wait.
    """
    with _one_partition:
        reader = _Reader(_address(which))
        try:
            yield reader.session_scope
        finally:
            reader.close()


def _address(which: Source) -> sa.URL:
    if which.name in _entrusted:
        return _entrusted[which.name]
    if which.told is not None:
        how = {"url" if "://" in which.told else "config": which.told}
        found = config.resolve(**how).url  # type: ignore[arg-type]
        assert found is not None
        return found
    asked = read_url(which.where, "the database of the notebook")
    hosts = asked.query.get("host", asked.host) or ""
    if str(hosts).startswith("/"):
        return asked
    try:
        own = config.resolve(embedded=False).url
    except ConfigurationError:
        return asked
    assert own is not None
    return own
