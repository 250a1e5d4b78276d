"""Cursors for connections behind a pooler, which shares them with other clients.

When a transaction ends, a pooler in transaction mode passes the server's connection to the next
client. Therefore the session must not be changed, and no statement may run outside a transaction:

* outside a transaction, each statement runs in a new one: ``BEGIN READ ONLY``, SET LOCAL for each
  setting, the statement, and ``ROLLBACK``, which also undoes a ``set_config()`` inside a query;
* when SQLAlchemy, psycopg2 or the user begins a transaction, the same settings are applied;
* statements with effects beyond the transaction (SET, LISTEN, PREPARE) are rejected.

A read-only transaction cannot be made writable once it has taken a snapshot (PostgreSQL manual, SET
TRANSACTION), so a SELECT follows BEGIN at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, cursor

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.server.read_only import ReadingCursor
from lcdb_notebook.server.statements import first_words, statements

__all__ = ["check_transactions", "shared_cursor"]

_LOCAL = ("LOCAL", "TRANSACTION", "CONSTRAINTS")
_OUTLIVE = ("SET", "RESET", "DISCARD", "LISTEN", "UNLISTEN", "PREPARE", "LOAD")
_BEGIN = ("BEGIN", "START")
_COMMIT = ("COMMIT", "END")
_END = (*_COMMIT, "ROLLBACK", "ABORT")


class _Shared(cursor):
    """Base of the cursors for reading and for writing."""

    #: Name of the database for messages, without a password.
    where: ClassVar[str] = "the database"
    #: SQL that applies the settings at the beginning of a transaction.
    settings: ClassVar[str] = ""
    opened_for_reading: ClassVar[bool] = False

    def executemany(self, query: Any, vars_list: Any) -> None:
        """Run one statement for each set of parameters."""
        with self._in_transaction(""):
            super().executemany(query, vars_list)

    def callproc(self, procname: Any, parameters: Any = ()) -> Any:
        """Call a function."""
        with self._in_transaction(""):
            return super().callproc(procname, parameters)

    def copy_from(self, *arguments: Any, **options: Any) -> None:
        """Copy a file into a table."""
        with self._in_transaction(""):
            super().copy_from(*arguments, **options)

    def copy_to(self, *arguments: Any, **options: Any) -> None:
        """Copy a table into a file."""
        with self._in_transaction(""):
            super().copy_to(*arguments, **options)

    @contextmanager
    def _in_transaction(self, text: str) -> Iterator[str]:
        """Make sure that the statement in the block runs in a transaction with the settings.

        Yields
        ------
        str
            The statement to run instead of ``text``.
        """
        words = first_words(text)
        first = words[0] if words else ""
        self._refuse_to_outlive(words)
        idle = self._is_idle()
        if first in _BEGIN:
            yield text
            self._run(self._settings(chosen=True))
        elif idle and self.connection.autocommit:
            with self._own_transaction():
                yield text
        elif idle:
            self._run(self._settings(chosen=self.connection.isolation_level is not None))
            yield text
        elif first in _END:
            yield self._end(text) if first in _COMMIT else text
            if not self._is_idle():  # AND CHAIN, or back to a savepoint
                self._run(self._settings(chosen=True))
        else:
            yield text

    @contextmanager
    def _own_transaction(self) -> Iterator[None]:
        self._run(f"BEGIN; {self._settings(chosen=self.opened_for_reading)}")
        try:
            yield
        except BaseException:
            # If the connection is lost, the server ends the transaction.
            with suppress(psycopg2.Error):
                self._run("ROLLBACK")
            raise
        if not self._is_idle():
            self._run("ROLLBACK" if self.opened_for_reading else "COMMIT")

    def _end(self, text: str) -> str:
        """Return the statement to run instead of COMMIT, which would keep a ``set_config()``."""
        if not self.opened_for_reading:
            return text
        return "ROLLBACK AND CHAIN" if _chains(text) else "ROLLBACK"

    def _refuse_to_outlive(self, words: list[str]) -> None:
        if not words or words[0] not in _OUTLIVE:
            return
        local = len(words) > 1 and words[0] == "SET" and words[1] in _LOCAL
        if not local or (self._is_idle() and self.connection.autocommit):
            raise ConfigurationError(
                f"{self.where} is behind a connection pooler, so {words[0]} would either be lost "
                "or reach other clients. Use SET LOCAL in a transaction (BEGIN ... COMMIT), or "
                "pass statement_timeout= to lcdb.connect(), or add options=-c name=value to its URL"
            )

    def _settings(self, *, chosen: bool) -> str:
        """Return SQL for a new transaction, with the isolation level unless it was chosen."""
        level = "" if chosen else "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
        return f"{level}{self.settings}"

    def _is_idle(self) -> bool:
        return self.connection.info.transaction_status == TRANSACTION_STATUS_IDLE

    def _run(self, sql: str) -> None:
        if sql:
            with cursor(self.connection) as other:
                other.execute(sql)


class _SharedWriting(_Shared):
    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run a statement."""
        text = self.mogrify(query, vars)
        with self._in_transaction(text.decode("utf-8", "replace")):
            super().execute(text)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Run a COPY."""
        with self._in_transaction("COPY"):
            super().copy_expert(sql, file, size)


class _SharedReading(_Shared, ReadingCursor):
    opened_for_reading = True

    @contextmanager
    def _guarded(self, query: str | bytes) -> Iterator[str]:
        with self._in_transaction(self._checked(query)) as statement, self._no_commit_inside():
            yield statement


def shared_cursor(where: str, settings: str, *, write: bool) -> type[cursor]:
    """Build the cursor class for psycopg2's ``cursor_factory``.

    Parameters
    ----------
    where : str
        Name of the database for messages, without a password.
    settings : str
        SQL that applies the settings to a transaction.
    write : bool
        Whether changes are allowed.
    """
    if write:
        return type("SharedWritingCursor", (_SharedWriting,), _of(where, settings))
    inside = f"SET TRANSACTION READ ONLY; {settings}; SELECT 1"
    return type("SharedReadingCursor", (_SharedReading,), _of(where, inside))


def check_transactions(connection: Any, settings: str, question: str) -> tuple[Any, ...]:
    """Begin and end a transaction with the settings, and ask a question in it.

    Parameters
    ----------
    connection : psycopg2.extensions.connection
        A connection in autocommit.
    settings : str
        SQL that applies the settings to a transaction.
    question : str
        A query with one row, which is returned.

    Raises
    ------
    psycopg2.Error
        If the server rejects a setting, or a pooler rejects the transaction.
    """
    with cursor(connection) as probe:
        probe.execute(f"BEGIN READ ONLY; {settings}; {question}")
        answer = probe.fetchone()
        probe.execute("ROLLBACK")
    assert answer is not None
    return answer


def _of(where: str, settings: str) -> dict[str, object]:
    return {"where": where, "settings": settings}


def _chains(text: str) -> bool:
    words = statements(text)[0]
    return "CHAIN" in words and "NO" not in words
