"""PostgreSQL's programs: find those that can connect to a server, and parse their output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from lcdb_notebook.errors import BackupError
from lcdb_notebook.server import embedded
from lcdb_notebook.server.credentials import Environment, open_connection, with_secret
from lcdb_notebook.server.driver_errors import translated

__all__ = ["Server", "ended", "installed", "reason_of"]

# Later patterns are more specific: they match the server's own message.
_REASONS = (
    re.compile(r"pg_(?:dump|restore): (?:error: )?(?!detail:|hint:)(.*)"),
    re.compile(r"pg_dump: detail: Error message from server: \w+:\s+(.*)"),
    re.compile(r"psql:\S*:\d+: \w+:\s+(.*)"),
    re.compile(r"psql: (?:error: )?(.*)"),
)


@dataclass(frozen=True)
class Server:
    """A server that answered, and the parameters for programs to connect to it.

    Parameters
    ----------
    description : str
        Name of the database for messages, without a password.
    dsn : str
        The connection string for a command line, without a password.
    environment : Environment
        The environment for a program, with the password.
    version : int
        Version number, such as 150004 for PostgreSQL 15.4.
    encrypted : bool
        Whether the connection is encrypted.
    holds_lightcurves : bool
        Whether the database has a table ``dataset``.
    """

    description: str
    dsn: str
    environment: Environment
    version: int
    encrypted: bool
    holds_lightcurves: bool

    @classmethod
    def reach(cls, url: sa.URL, description: str) -> Server:
        """Connect once, to check that the server answers, and read facts about the database.

        Parameters
        ----------
        url : sqlalchemy.engine.URL
            With the driver psycopg2.
        description : str
            Name of the database for messages, without a password.

        Raises
        ------
        ConnectionFailedError
            If no server answers, or the server refuses the connection.
        """
        url = with_secret(url)
        arguments = url.get_dialect()().create_connect_args(url)[1]
        with translated(description):
            connection = open_connection(arguments)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT to_regclass('dataset') IS NOT NULL")
                    (holds_lightcurves,) = cursor.fetchone() or (False,)
                version, info = connection.server_version, connection.info
                encrypted = bool(info.ssl_in_use)
            finally:
                connection.close()
        # All users can see a command line, but only the owner of a process its environment.
        environment = Environment(os.environ)
        if "password" in arguments:
            environment["PGPASSWORD"] = arguments.pop("password")
        dsn = make_dsn(**arguments)
        return cls(description, dsn, environment, version, encrypted, holds_lightcurves)

    def program(self, name: str) -> Path:
        """Find a program that can connect to the server.

        Parameters
        ----------
        name : str
            ``"pg_dump"`` or ``"psql"``.

        Raises
        ------
        BackupError
            If the connection is encrypted and no installed program supports TLS.
        """
        if not self.encrypted:
            return embedded.binary(name)
        needed = self.version // 10_000
        for path, version in installed(name):
            if version >= needed:
                return path
        raise BackupError(
            f"the connection to {self.description} is encrypted, and the {name} that comes with "
            f"this package does not support TLS. Install the programs of PostgreSQL {needed} or "
            "newer (Debian, Ubuntu: apt install postgresql-client)"
        )


def installed(name: str) -> Iterator[tuple[Path, int]]:
    """Find the programs of a name on this machine.

    Parameters
    ----------
    name : str
        The program's name.

    Yields
    ------
    tuple of pathlib.Path and int
        The program and its major version.
    """
    # Debian keeps several versions; the program on its PATH is a script that chooses one of them.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found += [Path(path) for path in [shutil.which(name)] if path]
    for path in found:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if version := re.search(r"\) (\d+)", shown.stdout):
            yield path, int(version[1])


@contextmanager
def ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process at the end of the block if it still runs, and close its pipes."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()


def reason_of(output: str) -> str:
    """Return the line with the reason in a program's output, without the program's name.

    Examples
    --------
    >>> reason_of("psql:<stdin>:7: ERROR:  out of memory")
    'out of memory'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [found[1] for pattern in _REASONS for line in lines if (found := pattern.match(line))]
    return (reasons or lines or ["it exited without a message"])[-1].rstrip(".")
