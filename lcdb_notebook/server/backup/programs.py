"""PostgreSQL's own programs: which of them can talk to a server, and what they said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from lcdb_notebook.errors import BackupError
from lcdb_notebook.server import embedded
from lcdb_notebook.server.driver_errors import translated

__all__ = ["Server", "ended", "installed", "reason_of"]

# The later ones tell more: the server's own words.
_TELLING = (
    re.compile(r"pg_(?:dump|restore): (?:error: )?(?!detail:|hint:)(.*)"),
    re.compile(r"pg_dump: detail: Error message from server: \w+:\s+(.*)"),
    re.compile(r"psql:\S*:\d+: \w+:\s+(.*)"),
    re.compile(r"psql: (?:error: )?(.*)"),
)


@dataclass(frozen=True)
class Server:
    """A server that answered, and how its programs are told to connect to it."""

    description: str
    dsn: str
    environment: dict[str, str]
    version: int
    encrypted: bool
    holds_lightcurves: bool

    @classmethod
    def reach(cls, url: sa.URL, description: str) -> Server:
        """Connect once, to see that it answers and what is there."""
        arguments = url.get_dialect()().create_connect_args(url)[1]
        with translated(description):
            connection = psycopg2.connect(**arguments)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT to_regclass('dataset') IS NOT NULL")
                    (holds_lightcurves,) = cursor.fetchone() or (False,)
                version, info = connection.server_version, connection.info
                encrypted = bool(info.ssl_in_use)
            finally:
                connection.close()
        # Everybody can see a command line; a process's environment, only its owner.
        password = arguments.pop("password", None)
        environment = dict(os.environ) | ({} if password is None else {"PGPASSWORD": password})
        dsn = make_dsn(**arguments)
        return cls(description, dsn, environment, version, encrypted, holds_lightcurves)

    def program(self, name: str) -> Path:
        """Find a program that can talk to it."""
        if not self.encrypted:
            return embedded.binary(name)
        needed = self.version // 10_000
        for path, version in installed(name):
            if version >= needed:
                return path
        raise BackupError(
            f"the connection to {self.description} is encrypted, and the {name} that comes with "
            f"this package knows no TLS. Install the programs of PostgreSQL {needed} or newer "
            "(Debian, Ubuntu: apt install postgresql-client)"
        )


def installed(name: str) -> Iterator[tuple[Path, int]]:
    """Find the programs of that name on this machine, with their major versions."""
    # Debian keeps several, and the one on the PATH is a script that chooses by other rules.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found += [Path(path) for path in [shutil.which(name)] if path]
    for path in found:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if version := re.search(r"\) (\d+)", said.stdout):
            yield path, int(version[1])


@contextmanager
def ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave no process behind, whatever happens in the block."""
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


def reason_of(said: str) -> str:
    """Pick the line that says why out of what a program said, without the program's name."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [found[1] for pattern in _TELLING for line in lines if (found := pattern.match(line))]
    return (told or lines or ["it ended without a word"])[-1].rstrip(".")
