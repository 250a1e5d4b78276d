"""Create the data folder of PostgreSQL, start it, check whether it runs, and stop it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from lcdb_notebook.errors import EmbeddedServerError
from lcdb_notebook.server.embedded.account import Account
from lcdb_notebook.server.embedded.folder import PORT, is_private, socket_folder, write_private
from lcdb_notebook.server.embedded.keeper import ServerLog, spawn
from lcdb_notebook.server.embedded.pidfile import PidFile
from lcdb_notebook.server.embedded.programs import major_version, server_programs

__all__ = ["READER", "SUPERUSER", "Cluster"]

SUPERUSER = "postgres"

READER = "lcdb_reader"
"""The role of databases opened for reading: it owns nothing and may only SELECT."""

# Sorts by code point, independent of the C library: indexes on text stay valid when that library is
# upgraded, and the folder can move to another machine.
_LOCALE = ("--encoding=UTF8", "--locale=C")
# The same, with upper and lower case beyond ASCII; PostgreSQL has it from version 17.
_BUILTIN_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # There are no replicas, so less has to be logged when data are loaded. fsync stays on.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    # Clients get their errors; a log of failed statements could fill the disk.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}
# After a crash the server first replays its write-ahead log, at most some GB (max_wal_size).
_RECOVERY_LIMIT = 600

_ADVICE = {
    "No space left on device": "The disk is full; free some space and try again.",
    "Disk quota exceeded": "Your disk quota is used up; free some space and try again.",
    "Read-only file system": "The disk is read-only; choose another folder, with LCDB_DATA.",
    "could not create shared memory": "The system has too little shared memory for another server.",
    "too many clients": "Close notebooks, or connections, that are no longer needed.",
    "still in use": "A process of an earlier server still runs: end the postgres processes first.",
}


class Cluster:
    """The data of a server, and its process.

    The caller must hold ``start.lock`` while it calls a method that changes anything.

    Parameters
    ----------
    folder : pathlib.Path
        A folder returned by :func:`~lcdb_notebook.server.embedded.folder.prepare`.
    account : Account
        The account that owns it.
    """

    def __init__(self, folder: Path, account: Account) -> None:
        self.folder = folder
        self.account = account
        self.data = folder / "data"
        self.log = ServerLog(folder / "server.log")

    def initialise(self) -> None:
        """Run ``initdb`` unless data exist.

        The folder is ``data.new`` until it is complete, so that an incomplete data folder is never
        used.

        Raises
        ------
        EmbeddedServerError
            If the data are of another major version (they are not changed), or ``initdb`` fails.
        """
        if self.data.exists():
            self._refuse_other_version()
            return
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        created = self.account.run(
            [
                server_programs(self.account) / "initdb",
                f"--pgdata={draft}",
                f"--username={SUPERUSER}",
                "--auth-host=reject",
                "--auth-local=peer",
                "--no-instructions",
                *_LOCALE,
                *(_BUILTIN_LOCALE if major_version() >= 17 else ()),
            ]
        )
        if created.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise self.failure("initdb cannot create a data folder", created.stdout)
        draft.rename(self.data)

    def _refuse_other_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"{self.data} is not a PostgreSQL data folder: it has no PG_VERSION. Restore its "
                "contents from a backup, or move it away to begin with an empty database."
            ) from None
        if found != str(ours := major_version()):
            raise EmbeddedServerError(
                f"the data in {self.data} are of PostgreSQL {found}, and the installed programs of "
                f"PostgreSQL {ours}; the data were not touched. Dump them with PostgreSQL "
                f"{found} (pg_dump -Fc) and restore the dump into a new folder (lcdb-notebook "
                "restore FILE --embedded=FOLDER), or choose another folder."
            )

    def running(self, timeout: float) -> Path | None:
        """Return the folder of the socket if the server runs on these data, else None.

        Parameters
        ----------
        timeout : float
            Seconds to wait for a server that is starting or stopping.

        Raises
        ------
        EmbeddedServerError
            If it runs on another host, its socket is gone, or it does not finish in time.
        """
        deadline = time.monotonic() + timeout
        while (found := PidFile.read(self.data)) is not None:
            self._refuse_other_host()
            if not found.is_alive():
                found.disown(self.account)
                return None
            if found.status == "ready":
                if is_private(found.sockets, self.account):
                    return found.sockets
                raise EmbeddedServerError(
                    f"the server of {self.folder} runs (process {found.pid}), but the folder of "
                    f"its socket, {found.sockets}, is gone or no longer private. Close the "
                    f"notebooks that use it, and run: kill -INT {found.pid}"
                )
            stopping = found.status == "stopping"
            if stopping and found.ended_within(max(0.0, deadline - time.monotonic())):
                continue
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"the server of {self.folder} (process {found.pid}) is still "
                    f"{found.status!r} after {timeout:g} s. See {self.log.path}, and try again."
                )
            time.sleep(0.01)
        return None

    def launch(self, timeout: float) -> Path:
        """Start the server and its keeper, and return the socket's folder once it is ready.

        Parameters
        ----------
        timeout : float
            Seconds to wait for the processes of an earlier server to exit.

        Raises
        ------
        EmbeddedServerError
            If it does not start, with the last lines of its log.
        """
        programs = server_programs(self.account)
        sockets = socket_folder(self.folder, self.account)
        self._admit()
        write_private(self.folder / "host", f"{socket.gethostname()}\n", self.account)
        settings = _SETTINGS | {"unix_socket_directories": f'"{sockets}"'}
        command = [str(programs / "postgres"), "-D", str(self.data)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + timeout
        while True:
            keeper = spawn(
                command,
                folder=self.folder,
                sockets=sockets,
                account=self.account,
                log=self.log,
            )
            if self._comes_up(keeper):
                return sockets
            output = self.log.last_lines()
            # Another process may have been killed while it was starting the server.
            if "already exists" in output and (other := self.running(timeout)) is not None:
                return other
            # After a kill -9, the other processes of the old server need a moment to exit.
            if "still in use" not in output or time.monotonic() > deadline:
                raise self.failure("PostgreSQL does not start", output)
            time.sleep(0.05)

    def _comes_up(self, keeper: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + _RECOVERY_LIMIT
        while keeper.poll() is None:
            found = PidFile.read(self.data)
            if found is not None and found.status == "ready" and found.is_alive():
                return True
            if time.monotonic() > deadline:
                raise self.failure(
                    f"PostgreSQL is not ready after {_RECOVERY_LIMIT} s", self.log.last_lines()
                )
            time.sleep(0.005)
        return False

    def stop(self, timeout: float) -> None:
        """Stop the server that runs on these data, if any, and wait until it has exited.

        The caller must hold the exclusive lock on ``users.lock``, so that the server has no users.

        Parameters
        ----------
        timeout : float
            Seconds to wait for it.
        """
        found = PidFile.read(self.data)
        if found is None or not found.is_alive():
            return
        os.kill(found.pid, signal.SIGINT)  # "fast": pg_ctl stop -m fast sends the same
        found.ended_within(timeout)
        if found.sockets != self.folder:
            with suppress(OSError):
                found.sockets.rmdir()

    def connect(self, sockets: Path, database: str) -> Connection:
        """Connect as the superuser, in autocommit.

        Parameters
        ----------
        sockets : pathlib.Path
            The folder of the socket.
        database : str
            The name of the database.

        Raises
        ------
        EmbeddedServerError
            If the server refuses.
        """
        try:
            opened = psycopg2.connect(
                host=str(sockets),
                port=PORT,
                user=SUPERUSER,
                dbname=database,
                requirepeer=self.account.name,
                connect_timeout=10,
            )
        except psycopg2.OperationalError as error:
            raise self.failure("the server refuses the connection", str(error)) from error
        opened.autocommit = True
        return opened

    def _admit(self) -> None:
        """Allow only the account that owns the server to connect, with any role."""
        # Before PostgreSQL 16, a map must name the roles.
        roles = ["all"] if major_version() >= 16 else [SUPERUSER, READER]
        names = {self.account.name} | ({"root"} if self.account.switched else set())
        lines = [f'lcdb "{name}" {role}\n' for name in sorted(names) for role in roles]
        write_private(self.data / "pg_ident.conf", "".join(lines), self.account)
        write_private(self.data / "pg_hba.conf", "local all all peer map=lcdb\n", self.account)

    def _refuse_other_host(self) -> None:
        with suppress(FileNotFoundError):
            host = (self.folder / "host").read_text(encoding="utf-8").strip()
            if host != socket.gethostname():
                raise EmbeddedServerError(
                    f"the server of {self.folder} runs on the host {host!r}, and this host is "
                    f"{socket.gethostname()!r}; two servers at once would destroy the data. Close "
                    f"the notebooks there. If that host is gone, or was a container, run: "
                    f"rm '{self.data / 'postmaster.pid'}'"
                )

    def failure(self, what: str, output: str) -> EmbeddedServerError:
        """Build an error with advice.

        Parameters
        ----------
        what : str
            What failed.
        output : str
            The output of the server or the program; the message contains the last lines.
        """
        output = "\n".join(output.strip().splitlines()[-12:])
        advice = (advice for text, advice in _ADVICE.items() if text in output)
        first = next(advice, f"The server's log is {self.log.path}.")
        return EmbeddedServerError(f"{what} in {self.folder}. {first} Its output:\n{output}")
