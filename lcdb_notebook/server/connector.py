"""Open connections of the driver, and check whether they keep the settings of a session."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import cursor

from lcdb_notebook.errors import ConfigurationError, ConnectionFailedError
from lcdb_notebook.server.connection import OwnConnection
from lcdb_notebook.server.credentials import open_connection
from lcdb_notebook.server.read_only import reading_cursor
from lcdb_notebook.server.session_settings import CLIENT_CHECK, SessionSettings
from lcdb_notebook.server.shared import check_transactions, shared_cursor

__all__ = ["OLDEST_SERVER", "Connector", "refuse_old_server"]

#: The oldest supported major version of PostgreSQL.
OLDEST_SERVER = 14

# A peer that vanished silently (a sleeping laptop, a cable, a firewall) is detected within 25 s: by
# keepalives while waiting for an answer, by the user timeout while sending (tcp(7)). libpq ignores
# them on Unix sockets, and on systems that do not support them. The URL can override them.
_NOTICE_DEAD_PEERS = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

_APPLICATION_NAME = "lcdb_notebook"

# Seconds after which connecting to a server that does not answer fails.
_CONNECT_TIMEOUT = 10

# A parameter of the session that only this package sets. If the server returns its random value,
# the server's process was started for this connection, with all of its options.
_MARK = "lcdb_notebook.session"

# Replies of poolers that reject startup options: PgBouncer and Neon; Amazon RDS Proxy.
_REFUSALS = ("startup parameter", "command-line options")


class Connector:
    """Opens the connections of one engine.

    Parameters
    ----------
    settings : SessionSettings
        The settings of each connection.
    where : str
        Name of the database for messages, without a password.
    role_only_reads : bool
        Whether the role may only read.
    question : str, optional
        Expressions whose values the first connection has as its ``answer``. They are read together
        with what is read from each new connection, which costs no further round trip.
    """

    def __init__(
        self,
        settings: SessionSettings,
        where: str,
        *,
        role_only_reads: bool,
        question: str | None = None,
    ) -> None:
        self._settings = settings
        self._where = where
        self._role_only_reads = role_only_reads
        self._question = question
        #: Whether the last connection was to a pooler that does not keep settings.
        self.shared = False

    def open(self, arguments: Mapping[str, Any]) -> OwnConnection:
        """Open a connection with the settings.

        One setting is read back, which takes one round trip, to check whether the settings are
        kept. If the options were rejected or ignored, a connection without options is opened, and
        each transaction applies the settings.

        Parameters
        ----------
        arguments : mapping of str to object
            The parameters of :func:`psycopg2.connect`.

        Raises
        ------
        ConfigurationError
            If a pooler supports neither settings nor transactions.
        ConnectionFailedError
            If the server is too old.
        psycopg2.OperationalError
            If the connection fails.
        """
        parameters = _NOTICE_DEAD_PEERS | dict(arguments)
        # Used in pg_stat_activity unless PGAPPNAME or the URL sets another name.
        parameters.setdefault("fallback_application_name", _APPLICATION_NAME)
        # The COPY stream is decoded as UTF-8, regardless of the encoding of the database.
        parameters.setdefault("client_encoding", "utf8")
        if "PGCONNECT_TIMEOUT" not in os.environ:
            parameters.setdefault("connect_timeout", _CONNECT_TIMEOUT)
        opened = None if self.shared else self._open_direct(parameters)
        self.shared = opened is None
        opened = opened or self._open_shared(parameters)
        self._question = None
        return opened

    def _asks(self) -> str:
        """Return what is selected on a new connection."""
        return "current_schema()" + (f", {self._question}" if self._question else "")

    def _open_direct(self, parameters: dict[str, Any]) -> OwnConnection | None:
        """Open a connection with startup options; return None if they are not kept."""
        mark = secrets.token_hex(8)
        options = self._settings.startup_options(lcdb_notebook__session=mark)
        factory = None
        if not self._settings.write:
            factory = reading_cursor(self._where, role_only_reads=self._role_only_reads)
        try:
            opened = open_connection(parameters | {"options": options, "cursor_factory": factory})
        except psycopg2.OperationalError as error:
            if CLIENT_CHECK in str(error) and CLIENT_CHECK in self._settings.values:
                self._settings = self._settings.without_client_check()
                return self._open_direct(parameters)
            if any(refusal in str(error) for refusal in _REFUSALS):
                return None
            raise
        try:
            refuse_old_server(opened.server_version, self._where)
            opened.autocommit = True
            with cursor(opened) as probe:
                probe.execute(f"SELECT current_setting('{_MARK}', true), {self._asks()}")
                found, *answer = probe.fetchone() or (None, None)
            kept = found == mark
            _keep(opened, answer)
            opened.autocommit = False
        except BaseException:
            opened.close()
            raise
        if not kept:
            opened.close()
        return opened if kept else None

    def _open_shared(self, parameters: dict[str, Any]) -> OwnConnection:
        """Open a connection on which each transaction applies the settings."""
        settings, write = self._settings.local(), self._settings.write
        factory = shared_cursor(self._where, settings, write=write)
        # Also if empty, because libpq would otherwise send PGOPTIONS.
        parameters = parameters | {"options": self._settings.other_options()}
        opened = open_connection(parameters | {"cursor_factory": factory})
        opened.shared = True
        try:
            refuse_old_server(opened.server_version, self._where)
            opened.autocommit = True
            _keep(opened, check_transactions(opened, settings, f"SELECT {self._asks()}"))
            opened.autocommit = False
        except psycopg2.Error as error:
            lost = opened.closed
            opened.close()
            if not lost:
                reason = str(error).strip().splitlines()[0]
                raise ConfigurationError(
                    f"{self._where} is behind a connection pooler, where a setting cannot be "
                    f"kept: {reason}. Remove it from the options of the URL or from PGOPTIONS"
                ) from error
            # If the server is being restarted, any statement may be the first that fails. It would
            # be BEGIN and not SELECT at most once in four times, and eight times almost never.
            if not any(self._begins(parameters) or not self._answers(parameters) for _ in range(8)):
                raise ConfigurationError(
                    f"{self._where} answers single statements but ends the connection at BEGIN, as "
                    "a connection pooler does in statement mode. Reading needs transactions: "
                    "connect to PostgreSQL itself, or ask the administrator for a pooler in "
                    "transaction or session mode (PgBouncer: pool_mode = transaction)"
                ) from error
            raise
        except BaseException:
            opened.close()
            raise
        return opened

    def _begins(self, parameters: dict[str, Any]) -> bool:
        """Return whether a transaction can be begun."""
        return self._answers(parameters, "BEGIN")

    def _answers(self, parameters: dict[str, Any], statement: str = "SELECT 1") -> bool:
        """Return whether a single statement is answered on a new connection."""
        try:
            again = open_connection(parameters)
        except psycopg2.OperationalError:
            return False
        try:
            again.autocommit = True
            with again.cursor() as probe:
                probe.execute(statement)
        except psycopg2.Error:
            return False
        finally:
            again.close()
        return True


def _keep(opened: OwnConnection, answer: Sequence[Any]) -> None:
    opened.schema, *others = answer
    opened.answer = tuple(others) or None


def refuse_old_server(version: int, where: str) -> None:
    """Refuse a server that is older than :data:`OLDEST_SERVER`.

    Parameters
    ----------
    version : int
        Version in the form of psycopg2's ``server_version``: 150004 is 15.4 (libpq's
        ``PQserverVersion``).
    where : str
        Name of the database for messages, without a password.

    Raises
    ------
    ConnectionFailedError
        If it is too old.

    Examples
    --------
    >>> refuse_old_server(140000, "pdo/lightcurvedb")
    """
    if version < OLDEST_SERVER * 10_000:
        raise ConnectionFailedError(
            f"{where} runs on PostgreSQL {version // 10_000}.{version % 10_000}, and this package "
            f"needs {OLDEST_SERVER} or later: ask its administrator to upgrade it, or copy the "
            "database to a newer one with pg_dump and pg_restore"
        )
