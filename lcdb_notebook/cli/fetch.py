"""``lcdb-notebook fetch``: search MAST, download light curves and ingest them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lcdb_notebook.cli.options import (
    CODES,
    LAYOUT,
    NOTHING_FOUND,
    SKIPPED,
    add_common,
    add_json,
)
from lcdb_notebook.cli.output import print_error, print_json, print_output, records
from lcdb_notebook.database import connect
from lcdb_notebook.errors import ConfigurationError

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run", "search"]

_CRITERIA = ("mission", "author", "sector", "quarter", "campaign", "exptime", "limit")


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "fetch",
        help="download light curves of a star from MAST and ingest them",
        formatter_class=LAYOUT,
        description="Search MAST with lightkurve, download the light curves and ingest them.\n"
        "Files are kept in lightkurve's cache and not downloaded twice.",
        epilog='examples:\n  lcdb-notebook fetch "TIC 261136679" --sector 1 --author SPOC\n'
        f'  lcdb-notebook fetch "pi Men" --author SPOC --exptime 120\n\n{CODES}',
    )
    command.add_argument("target", help='name, catalog number or position: "TIC 261136679"')
    command.add_argument("--author", action="append", help="pipeline; may be repeated")
    command.add_argument("--mission", action="append", help="TESS, Kepler or K2")
    for name in ("sector", "quarter", "campaign"):
        command.add_argument(f"--{name}", type=int, action="append", metavar="N")
    command.add_argument("--exptime", help='seconds, "fast", "short" or "long"')
    command.add_argument("--limit", type=int, metavar="N", help="number of files at most")
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def search(target: str, criteria: dict[str, Any]) -> Any:
    """Search MAST, and return the SearchResult of lightkurve.

    Raises
    ------
    ConfigurationError
        If MAST cannot be reached.
    """
    import lightkurve

    try:
        return lightkurve.search_lightcurve(target, **criteria)
    # astroquery raises errors of several libraries if there is no network.
    except Exception as error:
        raise ConfigurationError(f"the search at MAST failed: {error}") from error


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    criteria: dict[str, Any] = {
        name: getattr(given, name) for name in _CRITERIA if getattr(given, name) is not None
    }
    if str(given.exptime or "").isdecimal():
        criteria["exptime"] = int(given.exptime)
    result = search(given.target, criteria)
    if len(result) == 0:
        print_error(f"lcdb-notebook: MAST has no light curves of {given.target!r} like this")
        return NOTHING_FOUND
    if not given.json:
        print_output(repr(result))
    with connect(given.url, config=given.config, embedded=given.embedded, write=True) as database:
        if not given.json:
            print_output(repr(database))
        report = database.ingest(result)
    if given.json:
        print_json(records(report.to_pandas()))
    else:
        print_output(repr(report))
    return SKIPPED if report.skipped else 0
