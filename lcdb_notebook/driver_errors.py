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
    except sa.exc.DBAPIError as error:
        raise _as_ours(error, error.orig, where, lost=error.connection_invalidated) from error
    except psycopg2.Error as error:
        raise _as_ours(error, error, where, lost=False) from error


def read_only_error(error: BaseException | None, where: str) -> ReadOnlyError | None:
    """Give our error if a driver's says that the transaction is read-only; None if not."""
    if getattr(error, "pgcode", None) != errorcodes.READ_ONLY_SQL_TRANSACTION:
        return None
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
        return ConnectionFailedError(
            f"no connection to {where}: {told}; the next call tries again by itself"
        )
    return LCDBError(f"{where} answered: {said[0]}")


def _said(error: BaseException | None) -> list[str]:
    return str(error).strip().splitlines() or [type(error).__name__]
