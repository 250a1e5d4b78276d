"""An open database: its session, lent to one call at a time, and how it is closed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN
from sqlalchemy import orm

from lcdb_notebook.errors import ConnectionFailedError, ReadOnlyError
from lcdb_notebook.models.tables import migrations, schema
from lcdb_notebook.search import layout
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.server.driver_errors import READ_ONLY_ADVICE, translated
from lcdb_notebook.server.engine import create_tables, make_engine

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["OpenDatabase"]

_UNDONE = "what the session had not committed is undone"
_AGAIN = "the next call connects again by itself"


class OpenDatabase:
    """What every use of a database needs: a connection when it is asked for, and none left busy."""

    def __init__(
        self,
        url: sa.URL,
        *,
        description: str,
        server: Server | None = None,
        write: bool = False,
        create: bool = False,
        statement_timeout: float | None = None,
        application_name: str | None = None,
    ) -> None:
        self._description = description
        self._write = write

        def engine(*, kept: bool) -> sa.Engine:
            return make_engine(
                url,
                description,
                write=write,
                statement_timeout=statement_timeout,
                application_name=application_name,
                server=server,
                kept=kept,
            )

        kept = engine(kept=True)
        # For what has to commit by itself. Its connections go when they are done with: beside the
        # session's, which may be waiting for its next cell, none is kept.
        self._engine = engine(kept=False)
        # Objects stay usable after the connection went back: a notebook shows them cells later.
        self._session = orm.Session(kept, expire_on_commit=False)
        self._lock = threading.RLock()
        self._closer = weakref.finalize(self, _close, self._session, kept, server)
        try:
            if create:
                own = server is not None
                create_tables(url, description, own=own, application_name=application_name)
            with translated(description), kept.connect() as connection:
                migrations.refuse_newer(connection)
                schema.check(connection)
                layout.learn(connection, self._engine)
        except BaseException:
            self.close()
            raise

    @property
    def session(self) -> orm.Session:
        """The SQLAlchemy session, for queries of one's own on :mod:`lcdb_notebook.models`."""
        return self._session

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        """Lend the session for one call, and leave no transaction behind that it found none of.

        A session is for one thread at a time: a second one waits here until the first is done.

        Raises
        ------
        LCDBError
            In place of the driver's errors. A transaction in which one happened is rolled back, as
            the server takes nothing else in it.
        """
        with self._lock:
            self._require_open()
            under_way = self._session.in_transaction()
            try:
                with translated(self._description):
                    try:
                        if under_way and self._session.autoflush:
                            # Statements on tables do not flush by themselves, as those on classes.
                            self._session.flush()
                        yield self._session
                        if not under_way:
                            self._session.commit()
                    except BaseException as error:
                        if not under_way:
                            self._roll_back()
                        elif self._is_spoilt(error):
                            self._roll_back()
                            if self._write:
                                error.add_note(_UNDONE)
                        raise
            except ConnectionFailedError as error:
                if _AGAIN not in getattr(error, "__notes__", ()):
                    error.add_note(_AGAIN)
                raise

    def create(self) -> list[str]:
        """Add the tables and columns that the models (mission classes included) need and lack.

        Tables that an earlier version of this package made are brought to the newest version, with
        the data kept. Nothing else that exists is touched.

        Returns
        -------
        list of str
            What was added: ``table`` or ``table.column``.

        Raises
        ------
        ReadOnlyError
            If the database was not opened with ``write=True``.
        """
        self._require_write("create()")
        with translated(self._description), self._engine.begin() as connection:
            added = migrations.create(connection)
        with self.session_scope() as session:
            layout.learn(session.connection(), self._engine)
        return added

    def _fields(self, named: Iterable[str]) -> Fields:
        """Return the fields of observations, read anew if one that is named is not among them."""
        known = layout.of(self._session).fields
        if not known.keys() >= {*named}:
            with self.session_scope() as session:
                known = layout.learn(session.connection(), self._engine).fields
        return known

    def close(self) -> None:
        """Give the connection back; the last user of an embedded server stops it."""
        self._closer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        # A connection cannot go along, and the password of its URL must not.
        raise TypeError(
            f"{self!r} holds a connection and cannot be pickled or copied, nor can what was found "
            "in it; where it is needed, open it again with lcdb.connect(...)"
        )

    def __repr__(self) -> str:
        access = "read and write" if self._write else "read-only"
        closed = "" if self._closer.alive else ", closed"
        return f"<Database {self._description} ({access}{closed})>"

    def _require_open(self) -> None:
        if not self._closer.alive:
            raise ConnectionFailedError(
                f"{self!r} was closed; open it again with lcdb.connect(...)"
            )

    def _require_write(self, what: str) -> None:
        self._require_open()
        if not self._write:
            raise ReadOnlyError(
                f"{what} changes the database, and {self!r} was opened for reading; "
                f"{READ_ONLY_ADVICE}"
            )

    def _is_spoilt(self, error: BaseException) -> bool:
        """Whether the transaction under way can only be rolled back."""
        if isinstance(error, sa.exc.SQLAlchemyError | psycopg2.Error | ReadOnlyError):
            return True
        if not self._session.is_active:
            return True
        driver = self._session.connection().connection.driver_connection
        assert driver is not None
        failed = (TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN)
        return driver.info.transaction_status in failed

    def _roll_back(self) -> None:
        try:
            self._session.rollback()
        except (sa.exc.SQLAlchemyError, psycopg2.Error):
            # The connection is dead, which only now was noticed; the second time there is none.
            self._session.rollback()


def _close(session: orm.Session, engine: sa.Engine, server: Server | None) -> None:
    # At the interpreter's end the embedded server may be gone before its connections.
    with suppress(sa.exc.DBAPIError):
        session.close()
    engine.dispose()
    if server is not None:
        server.stop()
