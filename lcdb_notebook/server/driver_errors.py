"""Errors of SQLAlchemy and psycopg2, told as ours: what happened and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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

__all__ = ["READ_ONLY_ADVICE", "read_only_error", "translated"]

READ_ONLY_ADVICE = "open the database with lcdb.connect(..., write=True) to change it"

# What to do, by the condition (PostgreSQL manual, Appendix A), or by the words of it: of a
# connection that was never made psycopg2 knows no code. A server that speaks another language than
# English gets no advice then.
_CURES = (
    (
        ("53300",),
        ("too many clients", "too many connections", "remaining connection slots"),
        "the server is full: close notebooks that are no longer needed, and call again; whoever "
        "runs the server can raise its max_connections",
    ),
    (
        ("53100",),
        (),
        "the server's disk is full: nothing of this call was stored; call again when there is room",
    ),
    (
        ("57P03",),
        ("starting up", "not yet accepting connections", "not accepting connections"),
        "it is starting, or recovering from a crash: call again in a moment",
    ),
    (("57P03",), ("shutting down",), "it is being stopped: call again when it is back"),
    (
        ("28P01", "28000"),
        ("authentication failed", "no password supplied", "no pg_hba.conf entry"),
        "check the user and the password in the URL, in db.conf or in ~/.pgpass, and with whoever "
        "runs the server whether you may connect from here",
    ),
    (
        ("42501",),
        (),
        "your role lacks that right: the owner of the tables can GRANT it",
    ),
)

# Conditions after which the connection is gone (PostgreSQL manual, Appendix A). Where none is made
# at all, psycopg2 gives no code.
_CONNECTION_CLASSES = ("08", "57P")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise driver errors as LCDBErrors; everything else passes.

    Parameters
    ----------
    where
        The database, as ``repr`` shows it; no password.

    Raises
    ------
    ReadOnlyError, StatementTimeoutError, SchemaError, ConnectionFailedError
        By what the server, or the driver, says.
    LCDBError
        For anything else that they say.
    """
    try:
        yield
    except (sa.exc.DBAPIError, psycopg2.Error) as error:
        lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
        raise _as_ours(error, _driver_error(error), where, lost=lost) from error
    except sa.exc.PendingRollbackError as error:
        ours = LCDBError(
            f"{where}: a change that the session had begun failed before this call, so it takes "
            "nothing else until db.session.rollback()"
        )
        for note in getattr(error, "__notes__", ()):
            ours.add_note(note)
        raise ours from error


def _driver_error(error: BaseException) -> BaseException | None:
    """Give what the driver said; if that is no more than "closed", what it said before."""
    driver = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    before = error.__context__ if driver is error else driver and driver.__context__
    if isinstance(driver, psycopg2.InterfaceError) and isinstance(
        before, sa.exc.DBAPIError | psycopg2.Error
    ):
        # Rolling back what a dead connection had begun only says that it is dead.
        return _driver_error(before)
    return driver


def read_only_error(error: BaseException | None, where: str) -> ReadOnlyError | None:
    """Give our error if a driver's says that the transaction is read-only; None if not."""
    code = getattr(error, "pgcode", None)
    cursor = getattr(error, "cursor", None)
    only_reads = getattr(cursor, "role_only_reads", False)
    if code == errorcodes.INSUFFICIENT_PRIVILEGE and only_reads:
        return _opened_for_reading(error, where)
    if code != errorcodes.READ_ONLY_SQL_TRANSACTION:
        return None
    if cursor is None or getattr(cursor, "opened_for_reading", False):
        return _opened_for_reading(error, where)
    # It was opened for writing, so the server or the role forbids it. The server reports both
    # settings by itself (GUC_REPORT, since PostgreSQL 14).
    reported = cursor.connection.info.parameter_status
    if reported("in_hot_standby") == "on":
        return ReadOnlyError(
            f"{where} is a standby server, which never accepts changes ({_said(error)[0]}); open "
            "the primary server with write=True"
        )
    if reported("default_transaction_read_only") == "on":
        return ReadOnlyError(
            f"{where}: transactions of this role or database are read-only by default "
            f"({_said(error)[0]}); ask the administrator, who can change it with ALTER ROLE ... "
            "SET default_transaction_read_only = off"
        )
    return ReadOnlyError(
        f"{where}: this transaction is read-only ({_said(error)[0]}); end it with "
        "db.session.rollback()"
    )


def _opened_for_reading(error: BaseException | None, where: str) -> ReadOnlyError:
    return ReadOnlyError(f"{where} was opened for reading: {_said(error)[0]}; {READ_ONLY_ADVICE}")


def _as_ours(raised: BaseException, error: Any, where: str, *, lost: bool) -> LCDBError:
    ours = read_only_error(error, where) or _by_code(error, where, lost=lost)
    for note in getattr(raised, "__notes__", ()):
        ours.add_note(note)
    return ours


def _by_code(error: Any, where: str, *, lost: bool) -> LCDBError:
    code = getattr(error, "pgcode", None) or ""
    said = _said(error)
    if code == errorcodes.QUERY_CANCELED:
        return StatementTimeoutError(
            f"{where} gave up: {said[0]}; ask for less, or for a longer statement_timeout"
        )
    if code in (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_COLUMN):
        return SchemaError(
            f"{where} is not laid out as the models say: {said[0]}; if it is yours, add what is "
            "missing (nothing existing is touched) with db.create(), or with "
            "lcdb.connect(..., write=True, create=True)"
        )
    # The driver itself has no codes; when it says that there is no connection, it is so.
    no_answer = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and not code
    if lost or no_answer or code.startswith(_CONNECTION_CLASSES):
        told = " ".join(line.strip() for line in said)
        return ConnectionFailedError(f"no connection to {where}: {told}{_cure(code, told)}")
    return LCDBError(f"{where} answered: {said[0]}{_cure(code, '')}")


def _cure(code: str, told: str) -> str:
    for codes, words, cure in _CURES:
        if code in codes or any(word in told for word in words):
            return f"; {cure}"
    return ""


def _said(error: BaseException | None) -> list[str]:
    return str(error).strip().splitlines() or [type(error).__name__]
