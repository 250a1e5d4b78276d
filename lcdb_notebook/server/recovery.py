"""A session that reconnects after its connection was lost, and raises LCDBErrors."""

from __future__ import annotations

from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN
from sqlalchemy import orm

from lcdb_notebook.errors import ConnectionFailedError, ReadOnlyError
from lcdb_notebook.server.driver_errors import translate

__all__ = ["CONNECTS_AGAIN", "UNDONE", "Recovery", "add_note_once"]

UNDONE = "uncommitted changes of the session were rolled back"
CONNECTS_AGAIN = "the next call reconnects automatically"


class Recovery:
    """Reconnects a session after its connection was lost.

    If the connection is lost, SQLAlchemy leaves the session in a transaction that can only be
    rolled back. Most losses are detected in SQLAlchemy itself, for example when an attribute of an
    object is loaded. They are recorded there, and the session is rolled back before its next
    statement.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    engine : sqlalchemy.Engine
        Its engine.
    description : str
        Name of the database for messages, without a password.
    write : bool
        Whether the session may have uncommitted changes, which are then lost.
    """

    def __init__(
        self, session: orm.Session, engine: sa.Engine, description: str, *, write: bool
    ) -> None:
        self._session = session
        self._description = description
        self._write = write
        self.needed = False
        self.watch(engine)
        sa.event.listen(session, "do_orm_execute", lambda _: self.recover())

    def watch(self, engine: sa.Engine) -> None:
        """Translate the errors of an engine, and record lost connections.

        Parameters
        ----------
        engine : sqlalchemy.Engine
            The engine of the session.
        """
        sa.event.listen(engine, "handle_error", self._translate)

    def recover(self) -> None:
        """Roll the session back if its connection was lost."""
        if self.needed:
            self.roll_back()

    def roll_back(self) -> None:
        """Roll the session back, regardless of the state of its connection."""
        self.needed = False
        try:
            self._session.rollback()
        except (ConnectionFailedError, sa.exc.SQLAlchemyError, psycopg2.Error):
            # The rollback revealed that the connection is lost; now the session has none.
            self._session.rollback()
        # An error of the rollback does not require another rollback.
        self.needed = False

    def must_roll_back(self, error: BaseException) -> bool:
        """Return whether the open transaction can only be rolled back.

        Parameters
        ----------
        error : BaseException
            The exception that was raised in it.
        """
        drivers = (sa.exc.SQLAlchemyError, psycopg2.Error)
        if isinstance(error, (*drivers, ReadOnlyError)) or isinstance(error.__cause__, drivers):
            return True
        if not self._session.is_active:
            return True
        driver = self._session.connection().connection.driver_connection
        assert driver is not None
        failed = (TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN)
        return driver.info.transaction_status in failed

    def _translate(self, context: Any) -> BaseException | None:
        # SQLAlchemy replaces a connection whose test failed, and needs its own error for that.
        if context.is_pre_ping:
            return None
        # Violated constraints are not translated, because user code catches SQLAlchemy's errors.
        if isinstance(context.sqlalchemy_exception, sa.exc.IntegrityError):
            return None
        error = translate(
            context.sqlalchemy_exception or context.original_exception,
            self._description,
            lost=context.is_disconnect,
        )
        if context.is_disconnect and context.connection is not None:
            self.needed = True
            if error is not None:
                if self._write:
                    error.add_note(UNDONE)
                error.add_note(CONNECTS_AGAIN)
        return error


def add_note_once(error: BaseException, note: str) -> None:
    """Add a note to an error, unless it already has this note.

    Parameters
    ----------
    error : BaseException
        Any error.
    note : str
        The note.
    """
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
