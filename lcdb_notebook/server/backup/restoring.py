"""Restore a backup, completely or not at all."""

from __future__ import annotations

import re
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from lcdb_notebook.errors import BackupError
from lcdb_notebook.models.tables import contents, migrations
from lcdb_notebook.server import embedded
from lcdb_notebook.server.backup.archive import (
    UNPACK,
    check_archive,
    is_data_line,
    trusted_lines,
)
from lcdb_notebook.server.backup.programs import Server, ended, reason_of

__all__ = ["restore"]

PATIENCE = "30s"
"""Time to wait for a table that is in use."""

# They refer to tables that are replaced, and a backup of an earlier version does not replace them.
_DROP_CONTENTS = f"DROP TABLE IF EXISTS {contents.COLUMNS}, {contents.HEADERS};\n"

# In the transaction of the restore, so that no rows can be added between this check and it.
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


def restore(
    url: sa.URL, file: Path, *, description: str, replace: bool = False, trust: bool = False
) -> None:
    """Restore a backup, completely or not at all.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        A database without rows. Its empty tables, which connecting creates, are replaced.
    file : pathlib.Path
        A file of :func:`lcdb_notebook.server.backup.backup`.
    description : str
        Name of the database for messages, without a password.
    replace : bool, optional
        Delete the rows of tables with the same names.
    trust : bool, optional
        Also restore functions, triggers, extensions and other code in the file, which run with the
        rights of the user who restores it.

    Raises
    ------
    ConnectionFailedError
        If no server answers, or the server refuses the connection.
    BackupError
        If the file is not a backup of a LightcurveDB, is damaged, or contains code and is not
        trusted; if the database contains rows; or if the server refuses. Nothing is changed then.
    """
    file = file.expanduser().absolute()
    check_archive(file, trust=trust)
    definitions = None if trust else trusted_lines(file)
    server = Server.reach(url, description)
    unpack: list[str | Path] = [embedded.binary("pg_restore"), *UNPACK, file]
    run: list[str | Path] = [server.program("psql"), "--no-psqlrc", "--quiet"]
    run += ["--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-", f"--dbname={server.dsn}"]
    with tempfile.TemporaryFile() as unpacking_output, tempfile.TemporaryFile() as running_output:
        unpacking = subprocess.Popen(
            unpack, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=unpacking_output
        )
        running = subprocess.Popen(
            run,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=running_output,
            env=server.environment,
        )
        # If this fails, psql is killed before it can commit an incomplete restore.
        with ended(unpacking), ended(running):
            assert unpacking.stdout is not None
            assert running.stdin is not None
            with suppress(BrokenPipeError):  # psql has stopped, and its output has the reason
                running.stdin.write(f"SET lock_timeout = '{PATIENCE}';\n".encode())
                if not replace:
                    running.stdin.write(_REFUSE_ROWS.encode())
                running.stdin.write(_DROP_CONTENTS.encode())
                _copy(unpacking.stdout, running.stdin, server.version, definitions, file)
                if unpacking.wait():
                    reason = reason_of(_read(unpacking_output))
                    raise BackupError(f"{file} is damaged: {reason}")
                running.stdin.write(b"ANALYZE;\n")
                running.stdin.close()
            if running.wait():
                raise _failure(reason_of(_read(running_output)), file, description)


def _copy(
    unpacked: IO[bytes],
    to: IO[bytes],
    version: int,
    definitions: frozenset[bytes] | None,
    file: Path,
) -> None:
    """Copy the SQL of an archive, without statements that some servers do not support.

    The rows of tables are copied unchecked. Every other line must be one of the checked
    ``definitions``, or load data.
    """
    in_rows = False
    for line in unpacked:
        if in_rows:
            in_rows = line != b"\\.\n"
            to.write(line)
            continue
        if definitions is not None and not (line in definitions or is_data_line(line)):
            raise BackupError(
                f"{file} contains a statement in its data: {line[:80].decode('utf-8', 'replace')!r}"
                ". Nothing was changed. Restore it with --trust only if you know who made the file"
            )
        in_rows = line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n")
        if line.startswith(b"SET lock_timeout") or (
            line.startswith(b"SET transaction_timeout") and version < 170_000
        ):
            continue
        to.write(_COLUMN_OPTIONS.sub(_without_marks, line))
    to.flush()


# Debian's PostgreSQL 15.20 gives every column an option pg_attver. Its own pg_dump omits it; newer
# versions write it like any other option, and other servers reject it.
_COLUMN_OPTIONS = re.compile(rb"^ALTER TABLE .* ALTER COLUMN .* SET \((.*)\);$", re.MULTILINE)


def _without_marks(found: re.Match[bytes]) -> bytes:
    options = found[1].split(b", ")
    kept = b", ".join(option for option in options if not option.startswith(b"pg_attver="))
    return found[0].replace(b"(" + found[1] + b")", b"(" + kept + b")") if kept else b""


def _failure(reason: str, file: Path, description: str) -> BackupError:
    advice = "Nothing was changed."
    if reason.startswith("there are rows in "):
        advice = (
            "Restore into an empty database, or delete the rows of this one by restoring with "
            "--replace. Nothing was changed."
        )
    elif "lock timeout" in reason:
        advice = "It is in use: close the notebooks that use it. Nothing was changed."
    elif "other objects depend" in reason:
        advice = "Restore into an empty database instead. Nothing was changed."
    return BackupError(f"cannot restore {file} into {description}: {reason}. {advice}")


def _read(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode("utf-8", "replace")
