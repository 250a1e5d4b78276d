"""The psycopg2 connection of this package: used by a single process, always interruptible."""

from __future__ import annotations

import functools
import os
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as psycopg2_connection
from psycopg2.extensions import cursor as psycopg2_cursor

from lcdb_notebook.server.cancel import cancel_within
from lcdb_notebook.server.fork import watch_connection
from lcdb_notebook.server.interrupt import interruptible
from lcdb_notebook.server.secret import Secret
from lcdb_notebook.server.trace import Tracer

__all__ = ["OwnConnection"]

# Seconds within which the server must answer a cancel request.
_CANCEL_TIMEOUT = 1.0


class _Streaming(psycopg2_cursor):
    """A server-side cursor, which requires a transaction.

    In autocommit, the first cursor begins a transaction, and closing the last cursor ends it.
    """

    _streams = False

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run a query, as psycopg2 does."""
        if not self._streams:
            self._streams = True
            connection: Any = self.connection
            connection.streams += 1
            # psycopg2 begins a transaction with the next statement.
            connection.autocommit = False
        super().execute(query, vars)

    def close(self) -> None:
        """Close the cursor; with the last cursor, end the transaction."""
        connection: Any = self.connection
        try:
            super().close()
            if self._streams and not connection.closed:
                self._streams = False
                if connection.streams == 1:
                    connection.rollback()
                elif connection.streams:
                    connection.streams -= 1
        except psycopg2.Error:
            # A lost connection has nothing to close or to end, and SQLAlchemy would log the error.
            if not connection.closed:
                raise


@functools.cache
def _streaming(factory: type) -> type:
    return type(f"Streaming{factory.__name__}", (_Streaming, factory), {})


class OwnConnection(psycopg2_connection):
    """A psycopg2 connection for ``connection_factory``.

    In a forked child it is closed, without effect on the server or the parent. An interrupt ends
    :meth:`commit` and :meth:`rollback` like a query. :meth:`cancel` returns within a second even if
    the server does not answer; psycopg2's would wait and hold the interpreter's lock.

    Attributes
    ----------
    pid : int
        The process that opened the connection.
    streams : int
        Number of open server-side cursors in the transaction that was begun for them.
    tracer : Tracer or None
        Receives the statements that are sent.
    schema : str or None
        The first schema of the search path that exists.
    answer : tuple or None
        The answer to the question that was sent when the connection was opened, if any.
    shared : bool
        Whether it is one of a pooler, which lends a connection of the server for a transaction.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # psycopg2 passes a plain copy of the DSN, which a verbose traceback would print.
        arguments = tuple(Secret(one) if isinstance(one, str) else one for one in arguments)
        super().__init__(*arguments, **options)
        self.pid = os.getpid()
        self.streams = 0
        self.tracer: Tracer | None = None
        self.schema: str | None = None
        self.answer: tuple[Any, ...] | None = None
        self.shared = False
        watch_connection(self)

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """Open a cursor, like psycopg2; a named cursor also works in autocommit."""
        if self.pid != os.getpid():
            raise self._not_ours()
        named = bool(arguments and arguments[0]) or bool(options.get("name"))
        if named and (self.autocommit or self.streams):
            factory: Any = options.get("cursor_factory") or self.cursor_factory
            options["cursor_factory"] = _streaming(factory or psycopg2_cursor)
        return super().cursor(*arguments, **options)

    def commit(self) -> None:
        """Commit the transaction, like psycopg2."""
        if self.pid != os.getpid():
            raise self._not_ours()
        if self._has_to_ask():
            interruptible(self, super().commit)
        else:
            super().commit()

    def rollback(self) -> None:
        """Roll the transaction back, like psycopg2; do nothing in a forked child."""
        if self.pid != os.getpid():
            return
        if self._has_to_ask():
            interruptible(self, super().rollback)
        else:
            super().rollback()
        if self.streams:
            self.streams = 0
            self.autocommit = True

    def close(self) -> None:
        """Close the connection; in a forked child, that of the parent stays open."""
        if self.pid == os.getpid():
            super().close()

    def cancel(self) -> None:
        """Cancel the statement that runs; close the connection if the server does not answer."""
        if self.pid == os.getpid() and not self.closed:
            cancel_within(self, _CANCEL_TIMEOUT)

    def _has_to_ask(self) -> bool:
        return not self.closed and self.info.transaction_status != TRANSACTION_STATUS_IDLE

    def _not_ours(self) -> psycopg2.Error:
        # SQLAlchemy recognizes a lost connection by these words.
        return psycopg2.InterfaceError("connection already closed in this forked process")
