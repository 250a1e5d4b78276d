"""What the commands have in common: their exit codes, their layout, and which database is meant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from lcdb_notebook.cli.output import without_password

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = [
    "CODES",
    "FAILED",
    "INTERRUPTED",
    "LAYOUT",
    "SKIPPED",
    "Parser",
    "add_common",
    "positive",
]

SKIPPED, FAILED, INTERRUPTED = 1, 2, 130

CODES = """\
exit codes: 0 all is well, 1 some files were skipped, 2 it failed, 130 it was interrupted
"""

LAYOUT = argparse.RawDescriptionHelpFormatter


class Parser(argparse.ArgumentParser):
    """Repeats no password when it complains of an argument."""

    def error(self, message: str) -> NoReturn:
        """End with the usage, the complaint and exit code 2."""
        super().error(without_password(message))


def add_common(command: argparse.ArgumentParser) -> None:
    """Add the options that say which database is meant, and ``--debug``."""
    which = command.add_argument_group(
        "which database",
        "Without any of these: ~/.config/lightcurvedb/db.conf, then the environment (LCDB_URL,\n"
        "PGHOST, ...), then a PostgreSQL server of your own, which is started if need be.",
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
        help="the server of your own, whatever else is configured; its data are in FOLDER "
        "(default: $LCDB_DATA, or your user data folder)",
    )
    command.add_argument("--debug", action="store_true", help="show where in the code it failed")


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
