"""Cursors of a database opened for reading: they close the ways around PostgreSQL's read-only mode.

``default_transaction_read_only`` makes the server refuse every change, but it is a setting, and a
session may change its own settings. There is no other switch that a session could not undo. So
each statement of such a connection passes here:

* the server reports the setting after every statement (PostgreSQL manual, "Asynchronous
  Operations" of libpq; since version 14), whoever changed it and however: ``SET``,
  ``set_config()`` or a function. When it reads ``off``, it is set back and the statement is an
  error;
* a transaction that was begun for writing is rolled back, and is an error;
* statements come one by one: after a COMMIT in the middle of a string, what follows would be in a
  transaction that nobody has looked at. ``DO`` and ``CALL`` could commit inside, which PostgreSQL
  forbids behind another statement, so an empty SELECT goes before them;
* the few commands that PostgreSQL lets through although they change or lock something are refused
  here: "Read-only transactions do not prevent all writes to disk" (manual, SET TRANSACTION).

It is no protection against somebody who has the password: a connection of one's own does what its
role may. Against that, give readers a role that cannot write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from psycopg2.errors import InvalidTransactionTermination
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS, cursor, encodings

from lcdb_notebook.errors import ReadOnlyError
from lcdb_notebook.server.driver_errors import READ_ONLY_ADVICE

__all__ = ["ReadingCursor", "reading_cursor"]

_SETTING = "default_transaction_read_only"

# What a read-only transaction lets through and yet changes, or locks others out of, something; the
# second word where the first alone is innocent.
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
# EXPLAIN ANALYZE CREATE TABLE ... AS makes the table (seen with PostgreSQL 15 and 18).
_EXPLAIN, _CREATE = "EXPLAIN", "CREATE"
# They may hold COMMIT, after which they choose their next transaction themselves.
_MAY_COMMIT = ("CALL", "DO")

# Before version 16 a read-only transaction could write large objects.
_LARGE_OBJECTS = re.compile(r'\b(?:lo_(?!get\b)\w+|lowrite)"?\s*\(', re.IGNORECASE)
_LARGE_OBJECTS_REFUSED_BY = 160000

# Lexical structure of SQL (PostgreSQL manual, chapter 4.1). Every character from 128 on is one of
# identifiers, also those that Python would not call a letter.
_TOKEN = re.compile(
    r"""
    (?P<word> [A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]* )
    | (?P<end> ; )
    | (?P<block> /\* )
    | --[^\n\r]*
    | '[^']*'
    | "[^"]*"
    | \$(?P<tag> (?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)? )\$
      .*? \$(?P=tag)\$
    | \$?[0-9]+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_WORDS = re.compile(r"[\s(]*([A-Za-z]*)\s*([A-Za-z]*)")
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class ReadingCursor(cursor):
    """A psycopg2 cursor that runs nothing that changes the database: see the module."""

    #: The database in messages; no password.
    where: ClassVar[str] = "the database"

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run one statement, as psycopg2 does."""
        statement = self._prepared(self.mogrify(query, vars))
        try:
            super().execute(statement)
        except InvalidTransactionTermination as error:
            raise self._refusal("a COMMIT or ROLLBACK inside a block or a procedure") from error
        self._look_after()

    def executemany(self, query: Any, vars_list: Any) -> None:
        """Run one statement again and again."""
        for each in vars_list:
            self.execute(query, each)

    def callproc(self, procname: Any, parameters: Any = ()) -> Any:
        """Run a function."""
        self._look_before()
        result = super().callproc(procname, parameters)
        self._look_after()
        return result

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Run a COPY."""
        text = sql if isinstance(sql, str | bytes) else sql.as_string(self)
        super().copy_expert(self._prepared(text), file, size)
        self._look_after()

    def _prepared(self, query: str | bytes) -> str:
        self._look_before()
        encoding = encodings[self.connection.encoding]
        text = query.decode(encoding) if isinstance(query, bytes) else query
        words = self._only_statement(text)
        if any(words[: len(refused)] == list(refused) for refused in _REFUSED):
            raise self._refusal(" ".join(words[:2]) if words[0] == "ALTER" else words[0])
        if words[:1] == [_EXPLAIN] and _CREATE in _statements(text)[0]:
            raise self._refusal("EXPLAIN of a CREATE, which creates")
        if self.connection.server_version < _LARGE_OBJECTS_REFUSED_BY:
            found = _LARGE_OBJECTS.search(text)
            if found:
                raise self._refusal(f"writing large objects ({found[0].rstrip('( ')})")
        return f"SELECT;{text}" if words[:1] and words[0] in _MAY_COMMIT else text

    def _only_statement(self, text: str) -> list[str]:
        """Give the first words of a string of one statement."""
        if not any(mark in text for mark in (";", "/*", "--")):
            match = _FIRST_WORDS.match(text)
            return [word.upper() for word in match.groups() if word] if match else []
        # Where a backslash may hide a quote, strings cannot be told from what is between them
        # without knowing more of the server's settings than is worth it.
        escapes = "\\'" in text.replace("\\\\", "")
        plain = self.connection.info.parameter_status("standard_conforming_strings") != "off"
        uncertain = escapes or not plain
        found = _statements(text)
        if len(found) > 1 or (uncertain and ";" in text.rstrip("; \t\r\n")):
            raise self._refusal(
                "several statements in one string, which could hide what they change; send them "
                "one by one"
            )
        return found[0][:2] if found else []

    def _look_before(self) -> None:
        connection = self.connection
        if connection.readonly is False:
            connection.set_session(readonly=True)
            raise self._refusal("psycopg2's readonly=False was undone")
        if connection.info.parameter_status(_SETTING) == "off":
            raise self._set_back()

    def _look_after(self) -> None:
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


def reading_cursor(where: str) -> type[ReadingCursor]:
    """Make the class of cursors of one database, for psycopg2's ``cursor_factory``.

    Parameters
    ----------
    where
        The database, as ``repr`` shows it; no password.
    """
    return type("ReadingCursor", (ReadingCursor,), {"where": where})


def _statements(text: str) -> list[list[str]]:
    """Give the words of each statement of a string, in capitals, without what is quoted.

    Examples
    --------
    >>> _statements("/* 1; */ SELECT 'a;b' ; commit;")
    [['SELECT'], ['COMMIT']]
    """
    found: list[list[str]] = [[]]
    empty = True
    for kind, token in _tokens(text):
        if kind == "end":
            if not empty:
                found.append([])
            empty = True
        elif kind == "word":
            found[-1].append(token.upper())
            empty = False
        elif kind != "comment" and not token.isspace():
            empty = False
    return found[:-1] if empty else found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "block":
            position = _end_of_comment(text, position)
            kind = "comment"
        elif match[0].startswith("--"):
            kind = "comment"
        yield kind, match[0]


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position
