"""Engines for notebooks: read-only by default, interruptible, without stale connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, cursor, encodings

from lcdb_notebook.errors import ConfigurationError, UpgradeError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.models.tables import migrations
from lcdb_notebook.server.cancel import is_abandoned
from lcdb_notebook.server.connector import Connector
from lcdb_notebook.server.credentials import with_secret
from lcdb_notebook.server.driver_errors import read_only_error, translated
from lcdb_notebook.server.fork import forget_after_fork, is_own
from lcdb_notebook.server.interrupt import interruptible
from lcdb_notebook.server.pool import ClosingPool
from lcdb_notebook.server.read_only import ReadingCursor
from lcdb_notebook.server.session_settings import SessionSettings
from lcdb_notebook.server.trace import Tracer, traced

if TYPE_CHECKING:
    from lcdb_notebook.server.embedded import Server

__all__ = ["BEFORE", "create_tables", "make_engine"]

#: The execution option with a block of PL/pgSQL that is sent before a statement, together with it.
BEFORE = "lcdb_before"


def make_engine(
    url: sa.URL,
    description: str,
    *,
    write: bool,
    statement_timeout: float | None = None,
    application_name: str | None = None,
    server: Server | None = None,
    kept: bool = True,
    tracer: Tracer | None = None,
    question: str | None = None,
) -> sa.Engine:
    """Build an engine; it connects when it is first used.

    All statements can be interrupted, including queries on the session. Without
    ``write``, the server refuses changes, and a ReadOnlyError is raised.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        With the driver psycopg2.
    description : str
        Name of the database for messages, without a password.
    write : bool
        Allow changes, in transactions. If False, statements run in autocommit, so that no
        transaction stays open, and all cursors are a
        :class:`~lcdb_notebook.server.read_only.ReadingCursor`.
    statement_timeout : float, optional
        Seconds after which the server cancels a statement.
    application_name : str, optional
        The name of the connections in ``pg_stat_activity``; by default from the URL or
        ``PGAPPNAME``, or else "lcdb_notebook".
    server : Server, optional
        The embedded server of the URL; it is restarted if it has crashed.
    kept : bool, optional
        Keep one connection open for the next use; False closes connections after use.
    tracer : Tracer, optional
        Receives the statements that are sent.
    question : str, optional
        Expressions whose values the first connection has as its ``answer``.

    Returns
    -------
    sqlalchemy.Engine
        Connections behave in the same way behind a pooler, where they are shared with other clients
        (:class:`~lcdb_notebook.server.connector.Connector`).

    Raises
    ------
    ConfigurationError
        If the timeout or the name is invalid.
    """
    settings = SessionSettings.read(url, write=write, statement_timeout=statement_timeout)
    arguments: dict[str, Any] = {}
    if application_name is not None:
        arguments["application_name"] = _checked_name(application_name)
    # Servers may restart while notebooks stay open for days, so connections are tested before use.
    pool: dict[str, Any] = {
        "poolclass": ClosingPool,
        "pool_size": 1,
        "max_overflow": 4,
        "pool_pre_ping": True,
    }
    engine = sa.create_engine(
        # Workers connect by this URL, with the same settings.
        with_secret(settings.in_url(url)),
        connect_args=arguments,
        # For writing, the isolation level is a setting of the connection (SessionSettings). If the
        # driver set it, each test of a connection would send another SET.
        **({} if write else {"isolation_level": "AUTOCOMMIT"}),
        # No column is an hstore, and a lookup of that type costs a round trip.
        use_native_hstore=False,
        **(pool if kept else {"poolclass": sa.NullPool}),
    )
    forget_after_fork(engine)
    # The embedded server has a role for readers.
    only_reads = server is not None and not write
    connector = Connector(settings, description, role_only_reads=only_reads, question=question)
    _open_connections(engine, connector, server, tracer)
    _know_the_server(engine)
    _leave_no_transaction(engine)
    _let_interrupt(engine)

    @sa.event.listens_for(engine, "handle_error")
    def _translate_read_only(context: Any) -> BaseException | None:
        return read_only_error(context.original_exception, description)

    return engine


def create_tables(
    url: sa.URL,
    description: str,
    *,
    own: bool = False,
    requested: bool = True,
    application_name: str | None = None,
) -> None:
    """Create missing tables and columns, and upgrade tables that this package created.

    This is done on a separate connection, without a timeout.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        With the driver psycopg2.
    description : str
        Name of the database for messages, without a password.
    own : bool, optional
        Whether only this package can have created tables in it, as on the embedded server.
    requested : bool, optional
        Whether the user requested it. If not, tables that cannot be upgraded are left unchanged,
        with a warning, so that they can be opened to be corrected.
    application_name : str, optional
        The name of the connection in ``pg_stat_activity``.

    Raises
    ------
    UpgradeError
        If rows contradict the newest version of the tables.
    """
    engine = make_engine(url, description, write=True, application_name=application_name)
    try:
        with translated(description), engine.begin() as connection:
            migrations.create(connection, own=own)
    except UpgradeError as error:
        if requested:
            raise
        warn(str(error))
    finally:
        engine.dispose()


def _checked_name(name: object) -> str:
    # PostgreSQL would truncate the name, and replace other characters by question marks.
    if not (isinstance(name, str) and name.isascii() and name.isprintable() and len(name) < 64):
        raise ConfigurationError(
            f"application_name must be at most 63 printable ASCII characters, got {name!r}"
        )
    return name


def _open_connections(
    engine: sa.Engine, connector: Connector, server: Server | None, tracer: Tracer | None
) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> Any:
        if server is not None:
            server.ensure_running()
            given.update(server.url().query)
        # Otherwise a server that does not answer would block the prompt until the timeout.
        opened = interruptible(None, lambda: connector.open(given), discard=_close)
        opened.tracer = tracer
        return opened


def _close(connection: Any) -> None:
    connection.close()


def _know_the_server(engine: sa.Engine) -> None:
    """Initialize SQLAlchemy with what is known about the server, without queries.

    The server reports its version and ``standard_conforming_strings`` when a connection is opened,
    the connector has read the schema, and the isolation level is that of :class:`SessionSettings`.
    This saves four round trips.
    """
    dialect: Any = engine.dialect

    def version(connection: sa.Connection) -> tuple[int, ...]:
        driver: Any = connection.connection.driver_connection
        major, minor = divmod(driver.server_version, 10_000)
        return major, minor

    def escapes(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        reported = driver.info.parameter_status("standard_conforming_strings")
        dialect._backslash_escapes = reported == "off"

    def schema(connection: sa.Connection) -> str | None:
        driver: Any = connection.connection.driver_connection
        found: str | None = driver.schema
        return found

    dialect._get_server_version_info = version
    dialect._get_default_schema_name = schema
    dialect._set_backslash_escapes = escapes
    dialect.get_default_isolation_level = lambda _driver: "READ COMMITTED"


def _leave_no_transaction(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "reset")
    def _end(driver: Any, _record: Any, _state: Any) -> None:
        if driver.closed or not is_own(driver.pid):
            return
        # In autocommit, psycopg2's rollback() does not end a transaction that a BEGIN started.
        if driver.info.transaction_status != TRANSACTION_STATUS_IDLE:
            if driver.streams:
                driver.rollback()
                return
            with driver.cursor() as cursor:
                interruptible(driver, lambda: cursor.execute("ROLLBACK"))


def _after(cursor: Any, block: str, statement: str, parameters: Any) -> None:
    if isinstance(cursor, ReadingCursor):
        cursor.execute_after(block, statement, parameters)
    else:
        text = cursor.mogrify(statement, parameters).decode(encodings[cursor.connection.encoding])
        cursor.execute(f"{block};\n{text}")


def _let_interrupt(engine: sa.Engine) -> None:
    """Run every statement so that an interrupt cancels it on the server."""

    def run(cursor: Any, statement: str, work: Callable[[], object]) -> bool:
        def sent() -> str:
            query = cursor.query
            return query.decode("utf-8", "replace") if query else statement

        with traced(cursor.connection, sent):
            interruptible(cursor.connection, work)
        return True  # so that SQLAlchemy does not run it again

    def ping(driver: Any) -> bool:
        before = driver.autocommit
        if not before:
            driver.autocommit = True
        try:
            # A cursor that checks or wraps statements would take twice as long.
            with driver.cursor(cursor_factory=cursor) as probe:
                probe.execute("SELECT 1")
        finally:
            if not before and not driver.closed:
                driver.autocommit = before
        return True

    def interruptible_ping(dbapi_connection: Any) -> bool:
        return interruptible(dbapi_connection, lambda: ping(dbapi_connection))

    engine.dialect.do_ping = interruptible_ping  # type: ignore[method-assign]

    @sa.event.listens_for(engine, "do_execute")
    def _one(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        block = context.execution_options.get(BEFORE)
        if block is not None:
            return run(cursor, statement, lambda: _after(cursor, block, statement, parameters))
        execute = context.dialect.do_execute
        return run(cursor, statement, lambda: execute(cursor, statement, parameters, context))

    @sa.event.listens_for(engine, "do_execute_no_params")
    def _bare(cursor: Any, statement: str, context: Any) -> bool:
        execute = context.dialect.do_execute_no_params
        return run(cursor, statement, lambda: execute(cursor, statement, context))

    @sa.event.listens_for(engine, "do_executemany")
    def _many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        execute = context.dialect.do_executemany
        return run(cursor, statement, lambda: execute(cursor, statement, parameters, context))

    @sa.event.listens_for(engine, "handle_error")
    def _keep_connection(context: Any) -> None:
        # SQLAlchemy closes a connection after a KeyboardInterrupt, because its state is unknown.
        # Here the statement was cancelled and has ended, unless the server did not answer.
        interrupted = isinstance(context.original_exception, KeyboardInterrupt)
        if interrupted and context.connection is not None and not context.connection.invalidated:
            driver = context.connection.connection.driver_connection
            context.is_disconnect = is_abandoned(driver)
