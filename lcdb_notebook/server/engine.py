"""Engines for notebooks: read-only unless asked, interruptible, and never a stale connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from lcdb_notebook.errors import ConfigurationError, ConnectionFailedError
from lcdb_notebook.models.tables import migrations
from lcdb_notebook.server.driver_errors import read_only_error, translated
from lcdb_notebook.server.interrupt import interruptible
from lcdb_notebook.server.read_only import reading_cursor

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["OLDEST_SERVER", "create_tables", "make_engine", "refuse_old_server"]

#: The oldest major version of PostgreSQL that is promised to work.
OLDEST_SERVER = 15

_NAME_SHOWN = "lcdb_notebook"

# Seconds after which a server that does not answer a new connection is given up.
_CONNECT_TIMEOUT = 10

# While it works, the server looks this often whether its client is still there: a kernel that was
# killed would else keep a long query, with its snapshot and locks, going to its end. Servers on a
# system that cannot tell (Windows) refuse the setting.
_CLIENT_CHECK = "SET client_connection_check_interval = '1s'"


def make_engine(
    url: sa.URL,
    description: str,
    *,
    write: bool,
    statement_timeout: float | None = None,
    application_name: str | None = None,
    server: Server | None = None,
    kept: bool = True,
) -> sa.Engine:
    """Make an engine; nothing is connected yet.

    Every statement on it can be interrupted, those of the session's own queries included. Without
    ``write`` the server refuses changes, which comes out as ReadOnlyError.

    Parameters
    ----------
    url
        With the driver psycopg2.
    description
        The database in messages; no password.
    write
        Allow changes, in transactions; without it there are none, so that none is left open, and
        every cursor is a :class:`~lcdb_notebook.server.read_only.ReadingCursor`.
    statement_timeout
        Seconds after which the server gives up on a statement.
    application_name
        How the connections are called in ``pg_stat_activity``; None leaves that to the URL, to
        ``PGAPPNAME``, or else calls them lcdb_notebook.
    server
        The embedded server that the URL is of; it is started again if it has died.
    kept
        Keep one connection for the next use; False closes each when it is given back.

    Raises
    ------
    ConfigurationError
        If the timeout is not positive, or the name no name.
    """
    settings: dict[str, Any] = {}
    options = _options(url, write=write, statement_timeout=statement_timeout)
    if options:
        settings["options"] = " ".join(options)
    if application_name is not None:
        settings["application_name"] = _checked_name(application_name)
    if not write:
        settings["cursor_factory"] = reading_cursor(description)
    # A notebook stays open for days, servers restart: look before using the connection again.
    pool: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 4}
    engine = sa.create_engine(
        url.difference_update_query(["options"]),
        connect_args=settings,
        isolation_level="READ COMMITTED" if write else "AUTOCOMMIT",
        **(pool if kept else {"poolclass": sa.NullPool}),
    )
    _prepare_connecting(engine, server, description)
    _leave_no_transaction(engine)
    _let_interrupt(engine)

    @sa.event.listens_for(engine, "handle_error")
    def _tell_of_read_only(context: Any) -> BaseException | None:
        return read_only_error(context.original_exception, description)

    return engine


def create_tables(
    url: sa.URL, description: str, *, own: bool = False, application_name: str | None = None
) -> None:
    """Create what a database lacks, and bring tables that we made to the newest version.

    Parameters
    ----------
    url, description, application_name
        As for :func:`make_engine`.
    own
        Whether nobody else can have made tables there: see
        :func:`lcdb_notebook.models.tables.migrations.create`.
    """
    engine = make_engine(url, description, write=True, application_name=application_name)
    try:
        with translated(description), engine.connect() as connection:
            # Looking first takes no locks that a reader would wait for.
            if migrations.pending(connection, own=own):
                connection.rollback()
                with connection.begin():
                    migrations.create(connection, own=own)
    finally:
        engine.dispose()


def refuse_old_server(version: int, where: str) -> None:
    """Refuse a server that is older than what is promised.

    Parameters
    ----------
    version
        As psycopg2's ``server_version``: 150004 is 15.4 (libpq's ``PQserverVersion``).
    where
        The database in messages; no password.

    Raises
    ------
    ConnectionFailedError
        If it is too old.

    Examples
    --------
    >>> refuse_old_server(150000, "pdo/lightcurvedb")
    """
    if version < OLDEST_SERVER * 10_000:
        raise ConnectionFailedError(
            f"{where} runs on PostgreSQL {version // 10_000}.{version % 10_000}, and this package "
            f"needs {OLDEST_SERVER} or later: ask whoever runs the server to upgrade it, or copy "
            "the database to a newer one with pg_dump and pg_restore"
        )


def _checked_name(name: object) -> str:
    # PostgreSQL would cut it, and put a question mark for every other character.
    if not (isinstance(name, str) and name.isascii() and name.isprintable() and len(name) < 64):
        raise ConfigurationError(
            f"application_name={name!r}: give at most 63 printable ASCII characters"
        )
    return name


def _options(url: sa.URL, *, write: bool, statement_timeout: float | None) -> list[str]:
    # Where options are given, libpq does not look at PGOPTIONS any more.
    given = url.query.get("options") or os.environ.get("PGOPTIONS") or ()
    options = [given] if isinstance(given, str) else list(given)
    if not write:
        options.append("-c default_transaction_read_only=on")
    if statement_timeout is not None:
        # PostgreSQL reads 0 as "never", and counts whole milliseconds up to 24 days.
        if isinstance(statement_timeout, bool) or not 0 < statement_timeout < 2_000_000:
            raise ConfigurationError(
                f"statement_timeout={statement_timeout!r} is no number of seconds; give one above "
                "0, or None to wait for ever"
            )
        options.append(f"-c statement_timeout={max(1, round(statement_timeout * 1000))}")
    return options


def _prepare_connecting(engine: sa.Engine, server: Server | None, where: str) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, args: Any, given: dict[str, Any]) -> Any:
        # In pg_stat_activity, unless PGAPPNAME or the URL says otherwise.
        given.setdefault("fallback_application_name", _NAME_SHOWN)
        # What the COPY stream is read as, whatever encoding the database has.
        given.setdefault("client_encoding", "utf8")
        if "PGCONNECT_TIMEOUT" not in os.environ:
            given.setdefault("connect_timeout", _CONNECT_TIMEOUT)
        if server is not None:
            server.ensure_running()
            given.update(server.url().query)
        opened = dialect.connect(*args, **given)
        try:
            refuse_old_server(opened.server_version, where)
        except ConnectionFailedError:
            opened.close()
            raise
        opened.autocommit = True
        with suppress(psycopg2.Error), opened.cursor() as cursor:
            cursor.execute(_CLIENT_CHECK)
        opened.autocommit = False
        return opened


def _leave_no_transaction(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "reset")
    def _end(driver: Any, _record: Any, _state: Any) -> None:
        # psycopg2's rollback() knows of none that somebody began by hand in autocommit.
        if not driver.closed and driver.info.transaction_status != TRANSACTION_STATUS_IDLE:
            with driver.cursor() as cursor:
                cursor.execute("ROLLBACK")


def _let_interrupt(engine: sa.Engine) -> None:
    """Have every statement run where an interrupt cancels it on the server."""

    def run(cursor: Any, work: Callable[[], object]) -> bool:
        interruptible(cursor.connection, work)
        return True  # tells SQLAlchemy that it is done

    @sa.event.listens_for(engine, "do_execute")
    def _one(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        execute = context.dialect.do_execute
        return run(cursor, lambda: execute(cursor, statement, parameters, context))

    @sa.event.listens_for(engine, "do_execute_no_params")
    def _bare(cursor: Any, statement: str, context: Any) -> bool:
        execute = context.dialect.do_execute_no_params
        return run(cursor, lambda: execute(cursor, statement, context))

    @sa.event.listens_for(engine, "do_executemany")
    def _many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        execute = context.dialect.do_executemany
        return run(cursor, lambda: execute(cursor, statement, parameters, context))

    @sa.event.listens_for(engine, "handle_error")
    def _keep_connection(context: Any) -> None:
        # SQLAlchemy gives a connection up on KeyboardInterrupt, not knowing what state it is in.
        # Here the statement has been cancelled and has come to its end.
        if isinstance(context.original_exception, KeyboardInterrupt):
            context.is_disconnect = False
