"""Exit codes, layout of the help, and options of the database, which commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from lcdb_notebook.cli.output import without_password

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = [
    "CLOSED",
    "CODES",
    "FAILED",
    "INTERRUPTED",
    "LAYOUT",
    "NOTHING_FOUND",
    "SKIPPED",
    "Parser",
    "add_common",
    "add_json",
    "positive",
]

SKIPPED, NOTHING_FOUND, FAILED, INTERRUPTED, CLOSED = 1, 1, 2, 130, 141

CODES = """\
exit codes: 0 success, 1 nothing was found or files were skipped, 2 failure, 130 interrupted,
141 the output was closed
"""

LAYOUT = argparse.RawDescriptionHelpFormatter


class Parser(argparse.ArgumentParser):
    """An argument parser whose messages contain no password."""

    def error(self, message: str) -> NoReturn:
        """Exit with the usage, the message and exit code 2."""
        super().error(without_password(message))


def add_common(command: argparse.ArgumentParser) -> None:
    """Add the options that name the database, and ``--debug``."""
    which = command.add_argument_group(
        "database",
        "Default: ~/.config/lightcurvedb/db.conf, then the environment (LCDB_URL, PGHOST, ...),\n"
        "then the embedded PostgreSQL server, which is started if it is not running.",
    ).add_mutually_exclusive_group()
    which.add_argument("--url", help="postgresql://user@host:port/database")
    which.add_argument(
        "--config", metavar="FILE", help="a file with a section [Credentials], such as db.conf"
    )
    which.add_argument(
        "--embedded",
        nargs="?",
        const=True,
        metavar="FOLDER",
        help="the embedded server, even if another is configured, with its data in FOLDER "
        "(default: $LCDB_DATA, or your user data folder)",
    )
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def positive(text: str) -> int:
    """Return a number of at least 1, for argparse."""
    if not text.isdecimal() or (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, got {text!r}")
    return number
