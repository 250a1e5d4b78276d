"""Other programs, which share a pooler with clients of the soak and know nothing of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import QueryCanceledError
from server.pgbouncer import PGBOUNCER, pgbouncer

from .progress import POLL

ROLE = "astronomer"
"""The role of all who come through the pooler: with one role they share connections."""

SIZE = 4
"""Connections of the pooler to the server."""

_STRANGERS = 2

_PREPARE = (
    f"CREATE ROLE {ROLE} LOGIN",
    f"GRANT pg_read_all_data, pg_write_all_data TO {ROLE}",
    f"GRANT TEMPORARY ON DATABASE lightcurvedb TO {ROLE}",
    "CREATE TABLE of_strangers (stranger int, number int)",
    f"ALTER TABLE of_strangers OWNER TO {ROLE}",
)

# Everything that another client could leave behind on a connection.
_STATE = """
SELECT name, setting FROM pg_settings WHERE name <> 'application_name'
UNION ALL SELECT 'prepared statements', count(*)::text FROM pg_prepared_statements
UNION ALL SELECT 'cursors', count(*)::text FROM pg_cursors WHERE name <> ''
UNION ALL SELECT 'advisory locks', count(*)::text FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'temporary tables', count(*)::text FROM pg_class
    WHERE relnamespace = pg_my_temp_schema()
UNION ALL SELECT 'role', current_user::text
"""


class Strangers:
    """Programs that insert through the pooler, and look at the connections that they get.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        The database through the pooler.
    was_away : callable
        Returns whether the server was away at a moment, so that a lost connection is not
        a fault.
    """

    def __init__(self, url: sa.URL, was_away: Callable[[float], bool]) -> None:
        self._url = url
        self._was_away = was_away
        self._over = threading.Event()
        self._untouched: dict[str, str] = {}
        self.harm: list[str] = []
        self.inserted = [0] * _STRANGERS

    @contextmanager
    def running(self) -> Iterator[None]:
        """Insert until the block ends, then check all connections of the pooler."""
        with closing(self._connect()) as connection:
            self._untouched = _state(connection)
        threads = [
            threading.Thread(target=self._keep_inserting, args=(number,), daemon=True)
            for number in range(_STRANGERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        try:
            self._look_at_all()
        except psycopg2.Error as error:
            self.harm.append(f"another program cannot connect any more: {error}".rstrip())

    def _connect(self) -> Any:
        connection = psycopg2.connect(
            host=self._url.host, port=self._url.port, user=ROLE, dbname=self._url.database
        )
        connection.autocommit = True
        return connection

    def _keep_inserting(self, stranger: int) -> None:
        while not self._over.is_set():
            try:
                with closing(self._connect()) as connection:
                    while not self._over.wait(POLL):
                        self._insert(connection, stranger)
            except Exception as error:
                lost = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
                canceled = isinstance(error, QueryCanceledError)
                if not lost or canceled or not self._was_away(time.monotonic()):
                    self.harm.append(f"another program failed: {type(error).__name__}: {error}")
                    return
                self._over.wait(POLL)

    def _insert(self, connection: Any, stranger: int) -> None:
        number = self.inserted[stranger] + 1
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO of_strangers VALUES (%s, %s) RETURNING stranger, number",
                (stranger, number),
            )
            if (found := cursor.fetchone()) != (stranger, number):
                self.harm.append(f"another program got {found} for {(stranger, number)}")
        self.inserted[stranger] = number
        self._look(connection)

    def _look(self, connection: Any) -> None:
        found = _state(connection)
        self.harm += [
            f"{name} is {found.get(name)} for another program, not {value}"
            for name, value in self._untouched.items()
            if found.get(name) != value
        ]

    def _look_at_all(self) -> None:
        """Look at every connection of the pooler, each held by a transaction meanwhile."""
        with ExitStack() as stack:
            for _ in range(SIZE):
                connection = stack.enter_context(closing(self._connect()))
                with connection.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute("INSERT INTO of_strangers VALUES (-1, 0)")
                self._look(connection)


@contextmanager
def pooler(server: sa.URL, log: Path) -> Iterator[sa.URL | None]:
    """Run a PgBouncer in front of a database, if it is installed; yield its URL.

    It is in transaction mode and ignores options: what is set on a connection reaches others.

    Parameters
    ----------
    server : sqlalchemy.engine.URL
        The database, as a superuser.
    log : pathlib.Path
        Where the log of PgBouncer is kept after the end.
    """
    if PGBOUNCER is None:
        yield None
        return
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in _PREPARE:
            connection.exec_driver_sql(statement)
    with pgbouncer(server, "transaction", lenient=True, size=SIZE, users=(ROLE,), log=log) as url:
        yield url.set(username=ROLE)


def _state(connection: Any) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        return dict(cursor.fetchall())
