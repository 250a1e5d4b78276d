"""Cursors of a database opened for reading, which prevent leaving PostgreSQL's read-only mode.

With ``default_transaction_read_only`` the server refuses every change, but a session may change its
own settings, and PostgreSQL has no setting that a session cannot undo. Therefore these cursors
check each statement:

* the server reports the setting after every statement that changed it (PostgreSQL manual,
  "Asynchronous Operations" of libpq; since version 14), whether by ``SET``, ``set_config()`` or a
  function. If it is ``off``, it is set again, and the statement raises an error;
* a transaction that was begun for writing is rolled back, and raises an error;
* a string may contain only one statement, because statements after a COMMIT in the same string
  would run in an unchecked transaction. ``DO`` and ``CALL`` could commit inside. PostgreSQL forbids
  this after another statement in the same string, so an empty SELECT is put before them.

In addition, commands that a read-only transaction allows although they change or lock something
("Read-only transactions do not prevent all writes to disk", manual, SET TRANSACTION) are rejected.
This only prevents accidents: SQL text cannot be checked completely, and a user with the password
can open another connection. Only a role without write permissions is a protection; on the embedded
server, readers have such a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from psycopg2.errors import InvalidTransactionTermination
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS, cursor, encodings

from lcdb_notebook.errors import ReadOnlyError
from lcdb_notebook.server.driver_errors import READ_ONLY_ADVICE
from lcdb_notebook.server.statements import first_words, statements

__all__ = ["ReadingCursor", "reading_cursor"]

_SETTING = "default_transaction_read_only"

# Commands that a read-only transaction allows although they change something or block other
# clients, with the second word if the first alone is harmless.
_REFUSED = {
    ("ANALYSE",),
    ("ANALYZE",),
    ("CHECKPOINT",),
    ("CLUSTER",),
    ("LOAD",),
    ("LOCK",),
    ("REINDEX",),
    ("REPACK",),
    ("VACUUM",),
    ("ALTER", "SYSTEM"),
    ("PREPARE", "TRANSACTION"),
}
# EXPLAIN ANALYZE CREATE TABLE ... AS creates the table (observed with PostgreSQL 15 and 18).
_EXPLAIN, _CREATE = "EXPLAIN", "CREATE"
# They may contain COMMIT, after which they choose the mode of the next transaction.
_MAY_COMMIT = ("CALL", "DO")

# Before version 16, a read-only transaction could write large objects.
_LARGE_OBJECTS = re.compile(r'\b(?:lo_(?!get\b)\w+|lowrite)"?\s*\(', re.IGNORECASE)
_LARGE_OBJECTS_REFUSED_BY = 160000


class ReadingCursor(cursor):
    """A psycopg2 cursor that rejects statements that change the database."""

    #: Name of the database for messages, without a password.
    where: ClassVar[str] = "the database"
    #: Whether the role may only read, so that a missing permission means an attempt to write.
    role_only_reads: ClassVar[bool] = False
    opened_for_reading: ClassVar[bool] = True

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run one statement, like psycopg2."""
        with self._guarded(self.mogrify(query, vars)) as statement:
            super().execute(statement)

    def execute_after(self, block: str, query: Any, parameters: Any = None) -> None:
        """Run one statement after a block of this package, which only reads, in one round trip.

        Parameters
        ----------
        block : str
            A statement without parameters.
        query : str
            The statement that has a result.
        parameters : dict, optional
            Its parameters.
        """
        with self._guarded(self.mogrify(query, parameters)) as statement:
            super().execute(f"{block};\n{statement}")

    def executemany(self, query: Any, vars_list: Any) -> None:
        """Run one statement for each set of parameters."""
        for each in vars_list:
            self.execute(query, each)

    def callproc(self, procname: Any, parameters: Any = ()) -> Any:
        """Call a function."""
        with self._guarded(""):
            return super().callproc(procname, parameters)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Run a COPY."""
        text = sql if isinstance(sql, str | bytes) else sql.as_string(self)
        with self._guarded(text) as statement:
            super().copy_expert(statement, file, size)

    @contextmanager
    def _guarded(self, query: str | bytes) -> Iterator[str]:
        """Check a statement before the block runs it, and the settings afterwards."""
        self._look_before()
        text = self._checked(query)
        # PostgreSQL permits COMMIT inside them only if nothing else is in the same string.
        alone = first_words(text)[:1]
        with self._no_commit_inside():
            yield f"SELECT;{text}" if alone and alone[0] in _MAY_COMMIT else text
        self._check_read_only()

    @contextmanager
    def _no_commit_inside(self) -> Iterator[None]:
        try:
            yield
        except InvalidTransactionTermination as error:
            raise self._refusal("a COMMIT or ROLLBACK inside a block or a procedure") from error

    def _checked(self, query: str | bytes) -> str:
        """Return the text of a statement, or raise an error."""
        encoding = encodings[self.connection.encoding]
        text = query.decode(encoding) if isinstance(query, bytes) else query
        words = self._only_statement(text)
        if any(words[: len(refused)] == list(refused) for refused in _REFUSED):
            raise self._refusal(" ".join(words[:2]) if words[0] == "ALTER" else words[0])
        if words[:1] == [_EXPLAIN] and _CREATE in statements(text)[0]:
            raise self._refusal("EXPLAIN of a CREATE, which creates")
        if self.connection.server_version < _LARGE_OBJECTS_REFUSED_BY:
            found = _LARGE_OBJECTS.search(text)
            if found:
                raise self._refusal(f"writing large objects ({found[0].rstrip('( ')})")
        return text

    def _only_statement(self, text: str) -> list[str]:
        """Return the first words of a string; raise an error if it has several statements."""
        if ";" in text:
            # If a backslash may escape a quote, recognizing strings would require more settings of
            # the server.
            escapes = "\\'" in text.replace("\\\\", "")
            plain = self.connection.info.parameter_status("standard_conforming_strings") != "off"
            uncertain = escapes or not plain
            if len(statements(text)) > 1 or (uncertain and ";" in text.rstrip("; \t\r\n")):
                raise self._refusal(
                    "several statements in one string, which could hide what they change; send "
                    "them one by one"
                )
        return first_words(text)

    def _look_before(self) -> None:
        connection = self.connection
        if connection.readonly is False:
            connection.set_session(readonly=True)
            raise self._refusal("psycopg2's readonly=False was undone")
        if connection.info.parameter_status(_SETTING) == "off":
            raise self._set_back()

    def _check_read_only(self) -> None:
        info = self.connection.info
        if info.parameter_status(_SETTING) == "off":
            raise self._set_back()
        if info.transaction_status == TRANSACTION_STATUS_INTRANS:
            with cursor(self.connection) as other:
                other.execute("SHOW transaction_read_only")
                if other.fetchone() != ("on",):
                    other.execute("ROLLBACK")
                    raise self._refusal("a transaction that may write was rolled back")

    def _set_back(self) -> ReadOnlyError:
        with cursor(self.connection) as other:
            other.execute(f"SET {_SETTING} = on")
        return self._refusal(f"{_SETTING} = off was undone")

    def _refusal(self, what: str) -> ReadOnlyError:
        return ReadOnlyError(f"{self.where} was opened for reading: {what}; {READ_ONLY_ADVICE}")


def reading_cursor(where: str, *, role_only_reads: bool = False) -> type[ReadingCursor]:
    """Build the cursor class of a database, for psycopg2's ``cursor_factory``.

    Parameters
    ----------
    where : str
        Name of the database for messages, without a password.
    role_only_reads : bool, optional
        Whether the role may only read.
    """
    given = {"where": where, "role_only_reads": role_only_reads}
    return type("ReadingCursor", (ReadingCursor,), given)
