"""Database: a connection to a LightcurveDB, its session, and the methods that users call."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.database import creating, listings, names, reading, searching, writing
from lcdb_notebook.database import sql as _sql
from lcdb_notebook.database.opening import check, snapshot
from lcdb_notebook.errors import (
    ArgumentError,
    ConnectionFailedError,
    LCDBError,
    ReadOnlyError,
)
from lcdb_notebook.explore.figure import figure
from lcdb_notebook.models.tables.catalog import Catalog
from lcdb_notebook.search import layout
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.search.lightkurve_words import WORDS
from lcdb_notebook.server.driver_errors import READ_ONLY_ADVICE, translated
from lcdb_notebook.server.engine import make_engine
from lcdb_notebook.server.fork import is_own, renew_after_fork
from lcdb_notebook.server.recovery import CONNECTS_AGAIN, UNDONE, Recovery, add_note_once
from lcdb_notebook.server.trace import Tracer

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["Database"]

_USE_MAP = (
    "in this process, which was forked from the one that opened the database; to work on many "
    "light curves in parallel use selection.map(function), or call lcdb.connect(...) here"
)


class Database:
    """A LightcurveDB, which can be searched, read, and changed if opened with ``write=True``.

    :func:`lcdb_notebook.connect` returns one. Methods that read leave no transaction open, so an
    idle notebook holds one idle connection and no locks.

    Examples
    --------
    >>> db.search(3, sector=1, processing="DEMO DET")[0].lightcurve().meta["LABEL"]
    'DEMO 3'
    """

    # Methods with long documentation are defined in other files.
    search = searching.search
    lightcurve = reading.lightcurve
    lightcurves = reading.lightcurves
    dataframe = reading.dataframe
    lineage = searching.lineage
    coverage = reading.coverage
    load = reading.load
    explore = searching.explore
    _make_figure = staticmethod(figure)
    targets = listings.targets
    observations = listings.observations
    instruments = names.instruments
    missions = names.missions
    photometric_sources = names.photometric_sources
    processing_methods = names.processing_methods
    frames = listings.frames
    quality_flags = listings.quality_flags
    ingest = writing.ingest
    add = writing.add
    add_frames = writing.add_frames
    create = creating.create
    _require_columns = creating.require_columns
    sql = _sql.sql
    trace = _sql.trace
    _snapshot = snapshot

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
        self._pid = os.getpid()
        self._renewed = self._uncommitted_in_parent = False
        self._tracer = Tracer()

        def engine(*, kept: bool, write: bool = write, question: str | None = None) -> sa.Engine:
            return make_engine(
                url,
                description,
                write=write,
                statement_timeout=statement_timeout,
                application_name=application_name,
                server=server,
                kept=kept,
                tracer=self._tracer,
                question=question,
            )

        kept = engine(kept=True, question=Catalog.question())
        # For methods that commit on a separate connection, which is closed after each use, so that
        # only the session's connection stays open between cells.
        self._engine = engine(kept=False)
        self._engine_of_child: Callable[[], sa.Engine] = lambda: engine(kept=True, write=False)
        # Objects remain usable after a commit, because later cells may show them.
        self._session = orm.Session(kept, expire_on_commit=False)
        self._recovery = Recovery(self._session, kept, description, write=write)
        self._lock = threading.RLock()
        self._closer = weakref.finalize(self, _close, self._session, server, self._pid)
        renew_after_fork(self._after_fork)
        try:
            check(
                kept,
                self._engine,
                url,
                description,
                write=write,
                create=create,
                server=server,
                application_name=application_name,
            )
        except BaseException:
            self.close()
            raise

    @property
    def session(self) -> orm.Session:
        """The SQLAlchemy session, for queries on :mod:`lcdb_notebook.models`.

        Returns
        -------
        sqlalchemy.orm.Session
            The session. A transaction that your query begins stays open until ``session.commit()``
            or ``session.rollback()``. Errors of the server and the driver are raised as LCDBErrors.
            After a lost connection, the session reconnects automatically.

        Raises
        ------
        ConnectionFailedError
            If the database was closed.
        LCDBError
            In a forked process, if its parent had uncommitted changes.

        Examples
        --------
        >>> from lcdb_notebook.models import DataSet
        >>> db.session.query(DataSet).filter_by(target_id=1).count()
        24
        >>> db.session.rollback()
        """
        self._require_usable()
        self._recovery.recover()
        return self._session

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        """Use the session in a ``with`` statement, in a transaction that ends with the block.

        A transaction that was already open remains open. Only one thread can use the session at a
        time; others wait until the block ends.

        Yields
        ------
        sqlalchemy.orm.Session
            The session.

        Raises
        ------
        LCDBError
            Instead of errors of the driver. The transaction is then rolled back, because the server
            does not accept further statements in it.

        Examples
        --------
        >>> from lcdb_notebook.models import Target
        >>> with db.session_scope() as session:
        ...     print(session.get(Target, 1).name)
        1
        """
        self._require_usable()
        with self._lock:
            self._recovery.recover()
            under_way = self._session.in_transaction()
            try:
                with translated(self._description):
                    try:
                        if under_way and self._session.autoflush:
                            # Unlike statements on classes, statements on tables do not autoflush.
                            self._session.flush()
                        yield self._session
                        if not under_way:
                            self._session.commit()
                    except BaseException as error:
                        if not under_way:
                            self._recovery.roll_back()
                        elif self._recovery.must_roll_back(error):
                            self._recovery.roll_back()
                            if self._write:
                                add_note_once(error, UNDONE)
                        raise
            except ConnectionFailedError as error:
                add_note_once(error, CONNECTS_AGAIN)
                if not is_own(self._pid):
                    add_note_once(error, f"it was tried {_USE_MAP}")
                raise

    def _has_positions(self) -> bool:
        return bool(layout.of(self._session).positions)

    def _fields(self, named: Iterable[str]) -> Fields:
        """Return the fields of observations; read them again if a named field is missing."""
        known = layout.of(self._session).fields
        if known.keys() >= {*named} - WORDS:
            return known
        with self.session_scope() as session:
            return layout.learn_fields(session.connection(), named, self._engine)

    def close(self) -> None:
        """Close the connection, and stop the embedded server if this was its last user.

        Examples
        --------
        >>> import lcdb_notebook as lcdb
        >>> db = lcdb.connect()
        >>> db.close()
        >>> db
        <Database ... (read-only, closed)>
        """
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
        # A connection cannot be pickled, and the password of its URL must not be.
        raise ArgumentError(
            f"{self!r} holds a connection, so neither it nor its results can be pickled or copied; "
            "open it in the other process with lcdb.connect(...)"
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

    def _require_usable(self) -> None:
        self._require_open()
        if not (is_own(self._pid) or self._renewed):
            self._after_fork()
        if self._uncommitted_in_parent:
            raise LCDBError(
                f"{self!r} has changes that are not committed, and cannot be used {_USE_MAP}"
            )

    def _require_write(self, what: str) -> None:
        self._require_usable()
        if not self._write and not is_own(self._pid):
            raise ReadOnlyError(f"{what} changes the database, which is not possible {_USE_MAP}")
        if not self._write:
            raise ReadOnlyError(
                f"{what} changes the database, but {self!r} was opened for reading; "
                f"{READ_ONLY_ADVICE}"
            )

    def _after_fork(self) -> None:
        """Renew the objects that a forked process must not share with its parent.

        This runs in the forked process, which reads on a separate connection. It can neither see
        nor end the transaction of the parent, so it cannot make changes.
        """
        self._lock = threading.RLock()
        self._renewed = True
        self._recovery.needed = True
        if self._write:
            self._uncommitted_in_parent = self._session.in_transaction()
            self._write = False
            engine = self._engine_of_child()
            self._session.bind = engine
            self._recovery.watch(engine)


def _close(session: orm.Session, server: Server | None, pid: int) -> None:
    # When the interpreter exits, the embedded server may stop before its connections are closed.
    with suppress(sa.exc.DBAPIError, LCDBError):
        session.close()
    if isinstance(session.bind, sa.Engine):
        session.bind.dispose()
    # In a forked process, the server belongs to the parent.
    if server is not None and is_own(pid):
        server.stop()
