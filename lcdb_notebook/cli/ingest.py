"""``lcdb-notebook ingest``: ingest light-curve files into a database."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import CODES, LAYOUT, SKIPPED, add_common, add_json
from lcdb_notebook.cli.output import print_json, print_output, records
from lcdb_notebook.database import connect

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "ingest",
        help="ingest light-curve files",
        formatter_class=LAYOUT,
        description="Ingest light-curve files: SPOC, TESS-SPOC, QLP, TGLC, Kepler, K2, CDIPS, "
        "eleanor, PATHOS, TASOC,\nK2SFF, EVEREST, KEPSEISMIC and KBONUS-BKG, .fits or .h5, "
        "gzip-compressed or not.\nA file is ingested completely or not at all; ingesting it "
        "again changes nothing. Files of other pipelines need --author and --photometry.",
        epilog="examples:\n  lcdb-notebook ingest ~/.lightkurve/cache\n"
        "  lcdb-notebook ingest 'sector-*/*.fits.gz' tess2018206045859-s0001-*_lc.fits\n"
        f"  lcdb-notebook ingest files --embedded=/data/mine\n\n{CODES}",
    )
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a file, a folder with its subfolders, a pattern, or an address (https:, mast:)",
    )
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="skip bad files and print the reasons (default), or stop at the first",
    )
    command.add_argument(
        "--replace",
        choices=("newer", "always"),
        help="replace stored light curves by those of newer releases, or of any file that differs",
    )
    for name, what in (("author", "pipeline"), ("photometry", "photometric source")):
        command.add_argument(f"--{name}", help=f"{what} of files of other pipelines")
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded, write=True) as database:
        if not given.json:
            print_output(repr(database))
        report = database.ingest(
            given.paths,
            on_error=given.on_error,
            replace="newer" if given.replace == "newer" else given.replace == "always",
            author=given.author,
            photometry=given.photometry,
        )
    if given.json:
        print_json(records(report.to_pandas()))
    else:
        print_output(repr(report))
    return SKIPPED if report.skipped else 0
