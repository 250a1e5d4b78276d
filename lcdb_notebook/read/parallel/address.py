"""The address of the database for workers, without a password; one connection per process."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ConfigurationError, LCDBError
from lcdb_notebook.errors.arguments import check_number
from lcdb_notebook.search import layout
from lcdb_notebook.server import config
from lcdb_notebook.server.config.url import describe, read_url
from lcdb_notebook.server.driver_errors import translated
from lcdb_notebook.server.engine import make_engine

__all__ = ["Source", "reading", "reading_once", "register", "source", "unregister"]

APPLICATION_NAME = "lcdb_notebook worker"
"""The name of a worker's connection in ``pg_stat_activity``."""


@dataclass(frozen=True)
class Source:
    """The address of a database without a password, which may be sent to workers.

    Parameters
    ----------
    where : str
        The URL of the process that called map(), without the password.
    database : str, optional
        The argument ``database=``: a URL without a password, or the path of a ``db.conf``.
    name : str
        Key of the URL that was registered in a process.
    max_connections : int, optional
        Most connections that all workers of a Dask cluster together have open at a time; None is
        one for each process.
    """

    where: str
    database: str | None = None
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    max_connections: int | None = None


class _Reader:
    """The connection of this process to a database, used by one thread at a time."""

    def __init__(self, url: sa.URL, turns: Callable[[], AbstractContextManager[object]]) -> None:
        self.description = describe(url) or "libpq's defaults"
        self._engine = make_engine(
            url,
            self.description,
            write=False,
            application_name=APPLICATION_NAME,
            # Kept connections would be open while other workers have their turn.
            kept=turns is nullcontext,
        )
        self._turns = turns
        self._lock = threading.Lock()
        self._is_known = False
        self._closed = False

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        try:
            with (
                self._lock,
                self._turns(),
                translated(self.description),
                orm.Session(self._engine) as session,
            ):
                if not self._is_known:
                    layout.learn(session.connection())
                    self._is_known = True
                yield session
        finally:
            # A cancelled batch may have connected again after close().
            if self._closed:
                self._engine.dispose()

    def close(self) -> None:
        """Close the connection: now, or when it is no longer in use."""
        self._closed = True
        self._engine.dispose()

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()


_readers: dict[str, _Reader] = {}
_registered: dict[str, sa.URL] = {}
_unregistered: set[str] = set()
_lock = threading.Lock()
_one_partition = threading.Lock()


def _turns(which: Source) -> Callable[[], AbstractContextManager[object]]:
    """Return what a worker waits for before it connects."""
    if which.max_connections is None:
        return nullcontext
    import distributed

    try:
        distributed.get_worker()
    except ValueError:
        # This process is not a worker of a cluster.
        return nullcontext
    made: Any = distributed.Semaphore
    # The scheduler counts; the turn of a worker that is killed ends after half a minute.
    semaphore = made(which.max_connections, name=f"lcdb_notebook {which.name}")
    return lambda: semaphore


def source(
    session: orm.Session, database: str | None, *, max_connections: int | None = None
) -> Source:
    """Describe the database of a session for workers.

    Parameters
    ----------
    session
        On the database.
    database
        The database for workers, if it differs from their configuration.
    max_connections
        Most connections that all workers of a cluster together have open at a time.

    Raises
    ------
    ArgumentError
        If ``max_connections`` is not a positive integer.
    ConfigurationError
        If ``database`` contains a password, or is not a URL or a path.
    """
    check_number("max_connections", max_connections)
    url = session.get_bind().engine.url
    is_url = database is not None and "://" in database
    if is_url and read_url(database or "", "database=").password is not None:
        raise ConfigurationError(
            "database must not contain a password, because the scheduler would see it; put the "
            "password into the workers' own ~/.pgpass, or pass a db.conf that they can read: "
            "database='~/.config/lightcurvedb/db.conf'"
        )
    # URL.set() cannot remove a password: None means unchanged.
    bare = sa.URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    )
    made = Source(
        bare.render_as_string(hide_password=False), database, max_connections=max_connections
    )
    register(made, url)
    return made


def register(which: Source, url: sa.URL) -> None:
    """Store the URL of a database, with its password, in this process only."""
    _registered[which.name] = url


def unregister(which: Source) -> None:
    """Close this process's connection to a database, and delete its URL."""
    with _lock:
        reader = _readers.pop(which.name, None)
        _registered.pop(which.name, None)
        # A cancelled batch may still be running; it must not connect again.
        _unregistered.add(which.name)
    if reader is not None:
        reader.close()


@contextmanager
def reading(which: Source) -> Iterator[orm.Session]:
    """Yield a session on the read-only connection of this process.

    The database is the first of these: the one registered in this process; that of ``database=``;
    that of a socket on this machine; the one in the configuration of this process (``db.conf``,
    ``LCDB_URL``, ``PG*``); that of the process that called map(), without a password.

    Raises
    ------
    ConnectionFailedError
        If no server answers, or it requires a password that this process does not have.
    """
    with _lock:
        if which.name in _unregistered:
            raise LCDBError("this map() has ended")
        if which.name not in _readers:
            _readers[which.name] = _Reader(_address(which), _turns(which))
        reader = _readers[which.name]
    with reader.session_scope() as session:
        yield session


@contextmanager
def reading_once(
    which: Source,
) -> Iterator[Callable[[], AbstractContextManager[orm.Session]]]:
    """Open a connection like :func:`reading`, and close it at the end.

    Threads of this process wait for each other, so it has at most one such connection.
    """
    with _one_partition:
        reader = _Reader(_address(which), _turns(which))
        try:
            yield reader.session_scope
        finally:
            reader.close()


def _renew_locks() -> None:
    """Renew, in a forked process, the locks that a thread of its parent may hold."""
    global _lock, _one_partition
    _lock, _one_partition = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def _address(which: Source) -> sa.URL:
    if which.name in _registered:
        return _registered[which.name]
    if which.database is not None:
        how = {"url" if "://" in which.database else "config": which.database}
        found = config.resolve(**how).url  # type: ignore[arg-type]
        assert found is not None
        return found
    caller_url = read_url(which.where, "the database of the notebook")
    hosts = caller_url.query.get("host", caller_url.host) or ""
    if str(hosts).startswith("/"):
        return caller_url
    try:
        own = config.resolve(embedded=False).url
    except ConfigurationError:
        return caller_url
    assert own is not None
    return own
