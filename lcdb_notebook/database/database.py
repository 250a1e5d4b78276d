"""Database: a connection to a LightcurveDB, its session, and the methods that users call."""

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

from lcdb_notebook.database import listings, names, reading, searching, writing
from lcdb_notebook.errors import ConnectionFailedError, ReadOnlyError, SchemaError
from lcdb_notebook.models.tables import migrations, schema
from lcdb_notebook.search import layout
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.server.driver_errors import READ_ONLY_ADVICE, translated
from lcdb_notebook.server.engine import create_tables, make_engine
from lcdb_notebook.server.rights import warn_of_rights

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["Database"]

_UNDONE = "uncommitted changes of the session were rolled back"
_AGAIN = "the next call reconnects automatically"


class Database:
    """A LightcurveDB: search it, read from it, and add to it if it was opened with ``write=True``.

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
        # For methods that commit on a separate connection, which is closed after each use, so that
        # only the session's connection stays open between cells.
        self._engine = engine(kept=False)
        # Objects stay usable after a commit: a notebook may show them several cells later.
        self._session = orm.Session(kept, expire_on_commit=False)
        self._lock = threading.RLock()
        self._closer = weakref.finalize(self, _close, self._session, kept, server)
        try:
            if create:
                own = server is not None
                # On the embedded server, readers are a role that may not.
                owner = url if server is None else server.url()
                create_tables(owner, description, own=own, application_name=application_name)
            with translated(description), kept.connect() as connection:
                migrations.refuse_newer(connection)
                schema.check(connection)
                layout.learn(connection, self._engine)
                if not write and server is None:
                    warn_of_rights(connection, description)
        except BaseException:
            self.close()
            raise

    @property
    def session(self) -> orm.Session:
        """The SQLAlchemy session, for queries on :mod:`lcdb_notebook.models`.

        Returns
        -------
        sqlalchemy.orm.Session
            A transaction that your query begins stays open until ``session.commit()`` or
            ``session.rollback()``.

        Examples
        --------
        >>> from lcdb_notebook.models import DataSet
        >>> db.session.query(DataSet).filter_by(target_id=1).count()
        24
        >>> db.session.rollback()
        """
        return self._session

    @contextmanager
    def session_scope(self) -> Iterator[orm.Session]:
        """Use the session in a ``with`` block, in a transaction that ends with the block.

        A transaction that was open before stays open. Only one thread uses the session at a time;
        others wait until its block ends.

        Yields
        ------
        sqlalchemy.orm.Session
            The session.

        Raises
        ------
        LCDBError
            In place of the driver's errors. The transaction is then rolled back, since the server
            accepts no further statements in it.

        Examples
        --------
        >>> from lcdb_notebook.models import Target
        >>> with db.session_scope() as session:
        ...     print(session.get(Target, 1).name)
        1
        """
        with self._lock:
            self._require_open()
            under_way = self._session.in_transaction()
            try:
                with translated(self._description):
                    try:
                        if under_way and self._session.autoflush:
                            # Unlike those on classes, statements on tables do not autoflush.
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

    def create(self, *, alter: bool = False) -> list[str]:
        """Add the missing tables and columns of the models, those of mission classes included.

        Tables that an earlier version of this package created are upgraded to the newest version,
        with the data kept. Nothing is added to tables that another program created, unless
        ``alter`` is True; new columns may then be NULL or have a default, so that the other
        program can still insert its rows.

        Parameters
        ----------
        alter : bool, default False
            Add to tables that another program created, too.

        Returns
        -------
        list of str
            What was added, as ``table`` or ``table.column``.

        Raises
        ------
        ReadOnlyError
            If the database was not opened with ``write=True``.
        SchemaError
            If the tables have a version that this package does not support, or belong to another
            program.

        Examples
        --------
        >>> db.create()
        []
        """
        self._require_write("create()")
        with translated(self._description), self._engine.begin() as connection:
            added = migrations.create(connection, alter=alter)
        with self.session_scope() as session:
            layout.learn(session.connection(), self._engine)
        return added

    def _fields(self, named: Iterable[str]) -> Fields:
        """Return the fields of observations, read again if a named one is not among them."""
        known = layout.of(self._session).fields
        if not known.keys() >= {*named}:
            with self.session_scope() as session:
                known = layout.learn(session.connection(), self._engine).fields
        return known

    def close(self) -> None:
        """Close the connection, and stop the embedded server if this was its last user.

        Examples
        --------
        >>> db = lcdb.connect()  # doctest: +SKIP
        >>> db.close()  # doctest: +SKIP
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
        raise TypeError(
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

    def _require_write(self, what: str) -> None:
        self._require_open()
        if not self._write:
            raise ReadOnlyError(
                f"{what} changes the database, but {self!r} was opened for reading; "
                f"{READ_ONLY_ADVICE}"
            )

    def _require_columns(self, what: str) -> None:
        """Check that the tables have what this package writes."""
        lacking = layout.of(self._session).lacking
        if lacking:
            raise SchemaError(
                f"{what} needs {', '.join(lacking)}, which this database does not have, because "
                "another program created its tables. If they are yours, db.create(alter=True) adds "
                "what is missing, and db.create() shows the SQL that does so"
            )

    def _is_spoilt(self, error: BaseException) -> bool:
        """Check whether the open transaction can only be rolled back."""
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
            # The connection was lost, which is only noticed now; the second call succeeds.
            self._session.rollback()


def _close(session: orm.Session, engine: sa.Engine, server: Server | None) -> None:
    # At the end of the interpreter the embedded server may stop before its connections close.
    with suppress(sa.exc.DBAPIError):
        session.close()
    engine.dispose()
    if server is not None:
        server.stop()
