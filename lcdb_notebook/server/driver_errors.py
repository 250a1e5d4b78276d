"""Translate errors of SQLAlchemy and psycopg2 to LCDBErrors, with advice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import psycopg2
import sqlalchemy as sa
from psycopg2 import errorcodes

from lcdb_notebook.errors import (
    ConnectionFailedError,
    LCDBError,
    ReadOnlyError,
    SchemaError,
    StatementTimeoutError,
)

__all__ = [
    "READ_ONLY_ADVICE",
    "is_away",
    "is_full",
    "read_only_error",
    "translate",
    "translated",
]

READ_ONLY_ADVICE = "open the database with lcdb.connect(..., write=True) to change it"

# Advice by error code (PostgreSQL manual, Appendix A), or by the text of the message if the
# connection failed, because psycopg2 then has no code. In that case there is advice only for
# English messages.
_ADVICE = (
    (
        ("53300",),
        ("too many clients", "too many connections", "remaining connection slots"),
        "the server is full: close notebooks that are no longer needed, and call again; the "
        "administrator can raise max_connections",
    ),
    (
        ("53100",),
        (),
        "the server's disk is full: nothing of this call was stored; call again when there is room",
    ),
    (
        ("57P03",),
        (
            "starting up",
            "not yet accepting connections",
            "not accepting connections",
            "in recovery mode",
        ),
        "it is starting, or recovering from a crash: call again in a moment",
    ),
    (("57P03",), ("shutting down",), "it is being stopped: call again when it is back"),
    (
        ("28P01", "28000"),
        ("authentication failed", "no password supplied", "no pg_hba.conf entry"),
        "check the user and the password in the URL, in db.conf or in ~/.pgpass, and whether the "
        "server admits connections from this host",
    ),
)

# What a statement that begins so needs; COPY is decided by its direction.
_RIGHTS = {"INSERT": "INSERT", "UPDATE": "SELECT, UPDATE", "DELETE": "SELECT, DELETE"}
_DENIED = re.compile(
    r"permission denied for (?:\w+ )*?(sequence|schema|language|view|table) (\S+)$"
)

# Codes of errors after which the connection is lost (PostgreSQL manual, Appendix A). psycopg2 has
# no code if the connection failed.
_CONNECTION_CLASSES = ("08", "57P")

# psycopg2's message if the connection was lost during a COPY (pqpath.c, pq_raise): libpq then has
# no message, and the error has no code.
_NO_MESSAGE = "no message from the libpq"

# The words of a server that is being stopped or started, and libpq's own for one that was killed.
_AWAY = (
    "starting up",
    "shutting down",
    "accepting connections",
    "in recovery mode",
    "No such file or directory",
    "Connection refused",
    "Connection reset",
    "server closed the connection",
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise driver errors as LCDBErrors; other exceptions are not changed.

    Parameters
    ----------
    where : str
        The database, as in the ``repr`` of Database, without a password.

    Raises
    ------
    ReadOnlyError, StatementTimeoutError, SchemaError, ConnectionFailedError
        Depending on the error of the server or the driver.
    LCDBError
        For other errors of the server or the driver.
    """
    try:
        yield
    except (sa.exc.DBAPIError, psycopg2.Error) as error:
        ours = translate(error, where)
        assert ours is not None
        raise ours from error
    except sa.exc.PendingRollbackError as error:
        ours = LCDBError(
            f"{where}: an earlier change in the open transaction failed; call "
            "db.session.rollback() first"
        )
        for note in getattr(error, "__notes__", ()):
            ours.add_note(note)
        raise ours from error


def translate(error: BaseException, where: str, *, lost: bool = False) -> LCDBError | None:
    """Return the LCDBError for an error of the driver.

    Parameters
    ----------
    error : BaseException
        Any error.
    where : str
        Name of the database for messages, without a password.
    lost : bool, optional
        Whether the connection is known to be lost.

    Returns
    -------
    LCDBError or None
        None if it is not an error of the driver.
    """
    if isinstance(error, sa.exc.DBAPIError):
        lost = lost or error.connection_invalidated
    elif not isinstance(error, psycopg2.Error):
        return None
    driver: Any = _driver_error(error)
    ours = read_only_error(driver, where) or _by_code(driver, where, lost=lost)
    for note in getattr(error, "__notes__", ()):
        ours.add_note(note)
    return ours


def is_away(error: BaseException | None) -> bool:
    """Return whether an error of psycopg2 means that the server may answer in a moment.

    Parameters
    ----------
    error : BaseException or None
        It is being stopped or started, is recovering from a crash, or was killed.

    Examples
    --------
    >>> is_away(psycopg2.OperationalError("FATAL:  the database system is shutting down"))
    True
    >>> is_away(psycopg2.OperationalError("FATAL:  sorry, too many clients already"))
    False
    """
    if not _is_of_the_connection(error):
        return False
    return (error.pgcode or "").startswith("57P") or any(word in str(error) for word in _AWAY)


def is_full(error: BaseException | None) -> bool:
    """Return whether an error means that the server accepts no further connections.

    Parameters
    ----------
    error : BaseException or None
        Of psycopg2 or SQLAlchemy.

    Examples
    --------
    >>> is_full(psycopg2.OperationalError("FATAL:  sorry, too many clients already"))
    True
    """
    codes, words, _ = _ADVICE[0]
    driver: Any = _driver_error(error) if error is not None else None
    return getattr(driver, "pgcode", None) in codes or any(word in str(driver) for word in words)


def _is_of_the_connection(error: BaseException | None) -> TypeGuard[psycopg2.Error]:
    # psycopg2 raises the base class where libpq lost the connection in the middle of a COPY.
    lost = (psycopg2.OperationalError, psycopg2.InterfaceError)
    return isinstance(error, lost) or type(error) is psycopg2.DatabaseError


def _driver_error(error: BaseException) -> BaseException | None:
    """Return the error of the driver, or the earlier one that "connection closed" hides."""
    driver = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    before = error.__context__ if driver is error else driver and driver.__context__
    if isinstance(driver, psycopg2.InterfaceError) and isinstance(
        before, sa.exc.DBAPIError | psycopg2.Error
    ):
        # The rollback on a lost connection fails as well, with a less useful message.
        return _driver_error(before)
    return driver


def read_only_error(error: BaseException | None, where: str) -> ReadOnlyError | None:
    """Return a ReadOnlyError if the driver's error concerns a read-only transaction, else None."""
    code = getattr(error, "pgcode", None)
    cursor = getattr(error, "cursor", None)
    only_reads = getattr(cursor, "role_only_reads", False)
    if code == errorcodes.INSUFFICIENT_PRIVILEGE and only_reads:
        return _opened_for_reading(error, where)
    if code != errorcodes.READ_ONLY_SQL_TRANSACTION:
        return None
    if cursor is None or getattr(cursor, "opened_for_reading", False):
        return _opened_for_reading(error, where)
    # The database was opened for writing, so the server or the role forbids the change. The server
    # reports both settings without a query (GUC_REPORT, since PostgreSQL 14).
    reported = cursor.connection.info.parameter_status
    if reported("in_hot_standby") == "on":
        return ReadOnlyError(
            f"{where} is a standby server, which never accepts changes ({_lines(error)[0]}); open "
            "the primary server with write=True"
        )
    if reported("default_transaction_read_only") == "on":
        return ReadOnlyError(
            f"{where}: transactions of this role or database are read-only by default "
            f"({_lines(error)[0]}); ask the administrator, who can change it with ALTER ROLE ... "
            "SET default_transaction_read_only = off"
        )
    return ReadOnlyError(
        f"{where}: this transaction is read-only ({_lines(error)[0]}); end it with "
        "db.session.rollback()"
    )


def _opened_for_reading(error: BaseException | None, where: str) -> ReadOnlyError:
    return ReadOnlyError(f"{where} was opened for reading: {_lines(error)[0]}; {READ_ONLY_ADVICE}")


def _by_code(error: Any, where: str, *, lost: bool) -> LCDBError:
    code = getattr(error, "pgcode", None) or ""
    lines = _lines(error)
    if code == errorcodes.QUERY_CANCELED:
        return StatementTimeoutError(
            f"{where}: {lines[0]}; narrow the search or raise statement_timeout"
        )
    if code in (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN):
        return SchemaError(
            f"{where} has other tables than the models: {lines[0]}; if it is yours, add what is "
            "missing (nothing existing is changed) with db.create(), or with "
            "lcdb.connect(..., write=True, create=True)"
        )
    # Errors without a code come from the driver, and mean that the connection failed.
    no_answer = not code and _is_of_the_connection(error)
    text = " ".join(line.strip() for line in lines)
    if not code and _NO_MESSAGE in text:
        text = "it was lost in the middle of a COPY; the server may have been restarted"
    if lost or no_answer or code.startswith(_CONNECTION_CLASSES):
        return ConnectionFailedError(f"no connection to {where}: {text}{_advice(code, text)}")
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return LCDBError(f"{where} answered: {lines[0]}; {_missing_right(error, lines[0])}")
    return LCDBError(f"{where} answered: {lines[0]}{_advice(code, '')}")


def _missing_right(error: Any, line: str) -> str:
    """Return the GRANT that permits what was denied, as far as the message names it."""
    denied = _DENIED.search(line)
    cursor = getattr(error, "cursor", None)
    if denied is None or cursor is None:
        return "the owner of the tables can GRANT your role this permission"
    kind, name = denied.groups()
    query = (cursor.query or b"").decode("utf-8", "replace").upper()
    if kind in ("sequence", "schema", "language"):
        what = f"USAGE ON {kind.upper()}"
    elif "FROM STDIN" in query:
        what = "INSERT ON"
    else:
        what = f"{_RIGHTS.get(query.split(maxsplit=1)[0] if query else '', 'SELECT')} ON"
    role = cursor.connection.info.user
    named = (n if re.fullmatch("[a-z_][a-z0-9_]*", n) else f'"{n}"' for n in (name, role))
    return "ask the owner for: GRANT {} {} TO {}".format(what, *named)


def _advice(code: str, text: str) -> str:
    for codes, words, advice in _ADVICE:
        if code in codes or any(word in text for word in words):
            return f"; {advice}"
    return ""


def _lines(error: BaseException | None) -> list[str]:
    return str(error).strip().splitlines() or [type(error).__name__]
