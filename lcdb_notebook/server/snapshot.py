"""Several connections that see the same state of a database."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import LCDBError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.server.cancel import abandon
from lcdb_notebook.server.driver_errors import is_full, translated
from lcdb_notebook.server.fork import is_own

__all__ = ["Snapshot"]

_IN_CHILD = (
    "this read began in the process from which this one was forked, and its connections belong to "
    "that process; call the method again here"
)


class Snapshot:
    """Several connections in read-only transactions that see the same state of a database.

    They are closed by :meth:`close`, or when the object is no longer used.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        An engine that does not keep connections.
    where : str
        Name of the database for messages, without a password.
    connections : int
        Their number. If the server has no room for all, there are fewer, with a warning.

    Raises
    ------
    LCDBError
        If the connections are those of a pooler.
    ConnectionFailedError
        If the server has no room for any connection, or does not answer.
    """

    def __init__(self, engine: sa.Engine, where: str, connections: int) -> None:
        self._where = where
        self._pid = os.getpid()
        self._locks: list[Any] = []
        self._sessions: list[orm.Session] = []
        self._drivers: list[Any] = []
        self._close = weakref.finalize(self, _end, self._sessions, self._pid)
        try:
            with translated(where):
                self._open(engine, connections)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._sessions)

    @contextmanager
    def session_scope(self, number: int = 0) -> Iterator[orm.Session]:
        """Use one of the connections; other threads that want the same one wait.

        Parameters
        ----------
        number : int, default 0
            Which of them.

        Raises
        ------
        LCDBError
            Instead of errors of the driver, and in a process that was forked meanwhile.
        """
        self.require_own()
        with self._locks[number], translated(self._where):
            if not self._close.alive:
                raise LCDBError("this read has ended")
            yield self._sessions[number]

    def require_own(self) -> None:
        """Raise an error in a process that was forked from the one with the connections."""
        if not is_own(self._pid):
            raise LCDBError(_IN_CHILD)

    def is_own(self) -> bool:
        """Return whether this process has opened the connections."""
        return is_own(self._pid)

    def cancel(self) -> None:
        """End the statements that run; a server that does not answer is abandoned."""
        for driver in self._drivers:
            if not driver.closed:
                driver.cancel()

    def abandon(self) -> None:
        """Shut all connections down, so that no thread waits for the server."""
        for driver in self._drivers:
            abandon(driver)

    def close(self) -> None:
        """Close the connections; in a forked process, do nothing."""
        self._close()

    def _open(self, engine: sa.Engine, connections: int) -> None:
        exported = self._begin(engine).execute(sa.select(sa.func.pg_export_snapshot())).scalar_one()
        for _ in range(1, connections):
            try:
                one = self._begin(engine)
            except sa.exc.OperationalError as error:
                if not is_full(error):
                    raise
                warn(
                    f"the server has no room for {connections} more connections, so "
                    f"{len(self)} are used"
                )
                return
            # It must come before any query; the name is the server's.
            one.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{exported}'")

    def _begin(self, engine: sa.Engine) -> sa.Connection:
        session = orm.Session(engine)
        with ExitStack() as unless_kept:
            unless_kept.callback(session.close)
            connection = session.connection(
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            )
            driver: Any = connection.connection.driver_connection
            if driver.shared:
                raise LCDBError(
                    f"{self._where} is behind a connection pooler, which lends a connection for "
                    "one transaction and could not lend several of the same snapshot; leave out "
                    "connections=, or connect to PostgreSQL itself"
                )
            unless_kept.pop_all()
        self._sessions.append(session)
        self._drivers.append(driver)
        self._locks.append(threading.RLock())
        return connection


def _end(sessions: list[orm.Session], pid: int) -> None:
    if is_own(pid):
        for session in sessions:
            # A connection that was lost has nothing to end.
            with suppress(sa.exc.SQLAlchemyError, psycopg2.Error, LCDBError):
                session.close()
