"""Engines for notebooks: read-only unless asked, interruptible, and never a stale connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lcdb_notebook import schema
from lcdb_notebook.driver_errors import read_only_error, translated
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.interrupt import interruptible

if TYPE_CHECKING:
    from lcdb_notebook.embedded import Server

__all__ = ["create_tables", "make_engine"]


def make_engine(
    url: sa.URL,
    description: str,
    *,
    write: bool,
    statement_timeout: float | None = None,
    server: Server | None = None,
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
        Allow changes, in transactions; without it there are none, so that none is left open.
    statement_timeout
        Seconds after which the server gives up on a statement.
    server
        The embedded server that the URL is of; it is started again if it has died.

    Raises
    ------
    ConfigurationError
        If the timeout is not positive.
    """
    options = _options(url, write=write, statement_timeout=statement_timeout)
    engine = sa.create_engine(
        url.difference_update_query(["options"]),
        connect_args={"options": " ".join(options)} if options else {},
        isolation_level="READ COMMITTED" if write else "AUTOCOMMIT",
        # A notebook stays open for days, servers restart: look before using the connection again.
        pool_pre_ping=True,
        pool_size=1,
        max_overflow=4,
    )
    _prepare_connecting(engine, server)
    _let_interrupt(engine)

    @sa.event.listens_for(engine, "handle_error")
    def _tell_of_read_only(context: Any) -> BaseException | None:
        return read_only_error(context.original_exception, description)

    return engine


def create_tables(url: sa.URL, description: str) -> None:
    """Create the tables, and the columns of mission classes, that a database lacks."""
    engine = make_engine(url, description, write=True)
    try:
        with translated(description), engine.connect() as connection:
            # Looking first takes no locks that a reader would wait for.
            if schema.missing(connection):
                connection.rollback()
                with connection.begin():
                    schema.create(connection)
    finally:
        engine.dispose()


def _options(url: sa.URL, *, write: bool, statement_timeout: float | None) -> list[str]:
    given = url.query.get("options") or ()
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


def _prepare_connecting(engine: sa.Engine, server: Server | None) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def _complete(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> None:
        # In pg_stat_activity, unless PGAPPNAME or the URL says otherwise.
        given.setdefault("fallback_application_name", "lcdb_notebook")
        # What the COPY stream is read as, whatever encoding the database has.
        given.setdefault("client_encoding", "utf8")
        if server is not None:
            server.ensure_running()
            given.update(server.url().query)


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
