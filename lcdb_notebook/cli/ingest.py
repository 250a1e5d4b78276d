"""``lcdb-notebook ingest``: light-curve files into a database."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import CODES, LAYOUT, SKIPPED, add_common
from lcdb_notebook.cli.output import say
from lcdb_notebook.database import connect

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "ingest",
        help="take light-curve files in",
        formatter_class=LAYOUT,
        description="Take light-curve files in: SPOC, TESS-SPOC, QLP, TGLC, Kepler and K2, .fits "
        "or .h5, gzip-compressed or not.\nA file goes in as a whole or not at all, and one that is "
        "there already changes nothing.",
        epilog="examples:\n  lcdb-notebook ingest ~/.lightkurve/cache\n"
        "  lcdb-notebook ingest 'sector-*/*.fits.gz' tess2018206045859-s0001-*_lc.fits\n"
        f"  lcdb-notebook ingest files --embedded=/data/mine\n\n{CODES}",
    )
    command.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, a folder with all below it, or a pattern"
    )
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="skip bad files and say why (default), or stop at the first",
    )
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Do it, and give the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded, write=True) as database:
        say(repr(database))
        report = database.ingest(given.paths, on_error=given.on_error)
    say(repr(report))
    return SKIPPED if report.skipped else 0
