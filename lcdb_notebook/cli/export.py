"""``lcdb-notebook export``: write light curves to files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lcdb_notebook.cli.criteria import add_criteria, add_quality, select
from lcdb_notebook.cli.options import CODES, LAYOUT, SKIPPED, add_common, add_json
from lcdb_notebook.cli.output import print_json, print_output, records
from lcdb_notebook.database import connect
from lcdb_notebook.read.export import PER_LIGHT_CURVE, FileFormat

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "export",
        help="write light curves to files",
        formatter_class=LAYOUT,
        description="Write light curves to files. The same command continues an interrupted "
        "export, and an\nincomplete file is never left behind.",
        epilog="examples:\n  lcdb-notebook export 261136679 --output light_curves\n"
        "  lcdb-notebook export --sector 1 --processing PDCSAP --format parquet -o sector1\n\n"
        f"{CODES}",
    )
    add_criteria(command)
    add_quality(command)
    command.add_argument(
        "--flagged",
        choices=("keep", "mask", "drop"),
        default="keep",
        help="keep flagged cadences (default), set their flux to NaN, or leave them out",
    )
    command.add_argument(
        "--format",
        choices=get_args(FileFormat),
        default="fits",
        help=f"one file per light curve ({', '.join(PER_LIGHT_CURVE)}), or one dataset (parquet); "
        "hdf5 needs --wide (default: fits)",
    )
    command.add_argument(
        "--wide",
        action="store_true",
        help="one file per target and observation, with its light curves side by side",
    )
    command.add_argument("--overwrite", action="store_true", help="write complete files again")
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="skip unreadable light curves and print the reasons (default), or stop at the first",
    )
    command.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FOLDER", help="the folder of the files"
    )
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        files = select(given, database).export(
            given.output,
            format=given.format,
            quality_bitmask=given.quality_bitmask,
            flagged=given.flagged,
            overwrite=given.overwrite,
            wide=given.wide,
            on_error=given.on_error,
        )
    counts = files["status"].value_counts()
    if given.json:
        print_json(records(files))
    else:
        numbers = ", ".join(f"{counts.get(n, 0):,} {n}" for n in ("written", "kept", "skipped"))
        print_output(f"{len(files):,} light curves: {numbers}, in {given.output.absolute()}")
    return SKIPPED if counts.get("skipped", 0) else 0
