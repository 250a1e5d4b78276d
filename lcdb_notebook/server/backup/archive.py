r"""Check that a backup contains data and definitions of tables, and no code that would run.

The server runs the contents of an archive with the rights of the user who restores it. A function,
a trigger or an expression in a CHECK can do anything that this user may do, and can start programs
on the client and the server (``\!``, ``COPY ... FROM PROGRAM``). Therefore a file that is not
trusted may only contain the objects of a LightcurveDB.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lcdb_notebook.errors import BackupError
from lcdb_notebook.server import embedded
from lcdb_notebook.server.backup.programs import reason_of
from lcdb_notebook.server.statements import tokens

__all__ = ["UNPACK", "check_archive", "is_data_line", "trusted_lines"]

UNPACK = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--file=-")
"""Options of pg_restore that convert an archive to SQL."""

# Kinds of entries in the list of an archive (pg_dump.c, the "desc" of ArchiveEntry()).
_KINDS = {"TABLE", "TABLE DATA", "TABLE ATTACH", "INDEX", "INDEX ATTACH", "SCHEMA", "COMMENT"}
_KINDS |= {"SEQUENCE", "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT", "STATISTICS"}
_KINDS |= {"CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "ACL", "DEFAULT ACL"}
_ENTRY = re.compile(r"^\d+; \d+ \d+ ((?:[A-Z]+ )+)(\S.*)$", re.MULTILINE)

# First words of the statements that define tables.
_STATEMENT = re.compile(
    r"SET|COMMENT ON|CREATE UNIQUE INDEX"
    r"|(?:CREATE|ALTER|DROP) (?:TABLE|SEQUENCE|INDEX|SCHEMA|STATISTICS)"
)
_SEARCH_PATH = "SELECT pg_catalog.set_config('search_path', '', false);"

# Words that may precede a bracket in them: grammar,
_BEFORE_BRACKETS = {"key", "unique", "check", "default", "constraint", "partition", "include"}
_BEFORE_BRACKETS |= {"using", "where", "on", "with", "as", "by", "range", "list", "from", "to"}
_BEFORE_BRACKETS |= {"for", "identity", "generated", "array", "add", "set", "values", "distinct"}
_BEFORE_BRACKETS |= {"or", "and", "not", "in", "any", "all", "some", "when", "then", "else", "case"}
_BEFORE_BRACKETS |= {"is", "include", "btree", "hash", "gin", "gist", "brin", "spgist"}
# types with a length,
_BEFORE_BRACKETS |= {"numeric", "decimal", "varying", "varchar", "character", "char", "bit"}
_BEFORE_BRACKETS |= {"timestamp", "time", "interval", "float"}
# and functions of PostgreSQL that only compute.
_BEFORE_BRACKETS |= {"nextval", "now", "clock_timestamp", "gen_random_uuid", "coalesce", "nullif"}
_BEFORE_BRACKETS |= {"greatest", "least", "abs", "round", "floor", "ceil", "length", "lower"}
_BEFORE_BRACKETS |= {"char_length", "octet_length", "upper", "btrim", "array_length"}
_BEFORE_BRACKETS |= {"array_ndims", "array_position", "cardinality", "jsonb_typeof", "json_typeof"}
# These are followed by the name of a table, and its columns in brackets.
_BEFORE_TABLES = {"table", "only", "references", "on", "exists", "index", "sequence", "of"}

_DATA_LINES = re.compile(
    rb"\s*"
    rb"|--[^\r\n]*\n"
    rb"|\\(?:un)?restrict [A-Za-z0-9]+\n"
    rb'|COPY (?:[\w.]|"(?:[^"\n]|"")*")+ (?:\([^()\n;]*\) )?FROM stdin;\n'
    rb"|SELECT pg_catalog\.setval\('[^'\n]*', \d+, (?:true|false)\);\n"
)


def check_archive(file: Path, *, trust: bool) -> None:
    """Check the list of an archive.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    trust : bool
        Accept everything in it.

    Raises
    ------
    BackupError
        If it cannot be read, is not a backup of a LightcurveDB, or contains other kinds of entries
        than a LightcurveDB.
    """
    try:
        file.open("rb").close()
    except OSError as error:
        raise BackupError(f"cannot read {file}: {error.strerror or error}") from error
    listed = _run(file, "--list")
    if listed.returncode:
        raise BackupError(f"{file} is not a backup, or is damaged: {reason_of(listed.stderr)}")
    if not re.search(r"^\d+;.* TABLE DATA \S+ dataset ", listed.stdout, re.MULTILINE):
        raise BackupError(f"{file} is a backup of another database: it has no table dataset")
    for kind, name in _ENTRY.findall(listed.stdout):
        if not trust and kind.strip() not in _KINDS:
            raise _refusal(file, f"{kind.lower()}{name}")


def trusted_lines(file: Path) -> frozenset[bytes]:
    """Check the definitions in an archive.

    Parameters
    ----------
    file : pathlib.Path
        The file.

    Returns
    -------
    frozenset of bytes
        The lines of SQL that define its tables.

    Raises
    ------
    BackupError
        If it is damaged, or contains a statement or calls a function that the tables of a
        LightcurveDB do not need.
    """
    unpacked = _run(file, *UNPACK, "--section=pre-data", "--section=post-data")
    if unpacked.returncode:
        raise BackupError(f"{file} is damaged: {reason_of(unpacked.stderr)}")
    lines = unpacked.stdout.splitlines(keepends=True)
    sql = [line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict "))]
    _check_definitions(file, "".join(line for line in sql if line.rstrip() != _SEARCH_PATH))
    return frozenset(line.encode("utf-8", "surrogateescape") for line in sql)


def is_data_line(line: bytes) -> bool:
    r"""Return whether a line outside the data of a table is part of loading data.

    Examples
    --------
    >>> is_data_line(b"COPY public.dataset (id, errors) FROM stdin;\n")
    True
    >>> is_data_line(b"COPY public.dataset FROM PROGRAM 'id';\n")
    False
    """
    return _DATA_LINES.fullmatch(line) is not None


def _check_definitions(file: Path, sql: str) -> None:
    words: list[str] = []
    for kind, token in tokens(sql):
        if kind == "comment" or token.isspace():
            continue
        if kind == "end":
            _check_statement(file, words)
            words = []
        elif token == "\\":
            raise _refusal(file, "a command of psql")
        elif token == "(":
            _check_bracket(file, words)
            words.append(token)
        else:
            words.append(token if kind != "word" else token.lower())
    _check_statement(file, words)


def _check_statement(file: Path, words: list[str]) -> None:
    if words and not _STATEMENT.match(f"{' '.join(words[:3])} ".upper()):
        raise _refusal(file, f"the statement {' '.join(words[:4])} ...")


def _check_bracket(file: Path, words: list[str]) -> None:
    """Refuse a bracket after a name that could be a function."""
    if not words or not (words[-1][0].isalpha() or words[-1][0] in '_"'):
        return
    name, before = words[-1], len(words) - 2
    schema = None
    if before >= 1 and words[before] == ".":
        schema, before = words[before - 1], before - 2
    if before >= 0 and words[before] in _BEFORE_TABLES:
        return
    if schema not in (None, "pg_catalog") or name not in _BEFORE_BRACKETS:
        raise _refusal(file, f"a call of {name}()")


def _refusal(file: Path, what: str) -> BackupError:
    return BackupError(
        f"{file} contains {what.strip()}, which the tables of a LightcurveDB do not need and which "
        "would run with your rights. Nothing was changed. Restore it with --trust only if you know "
        "who made the file"
    )


def _run(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [embedded.binary("pg_restore"), *options, file],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
