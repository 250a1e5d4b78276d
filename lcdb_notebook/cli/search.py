"""``lcdb-notebook search``: list light curves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lcdb_notebook.cli.criteria import add_criteria, add_limit, select
from lcdb_notebook.cli.options import CODES, LAYOUT, add_common, add_json
from lcdb_notebook.cli.output import print_error, print_json, print_output, records
from lcdb_notebook.database import connect

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run"]

_LISTED = 1000


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "search",
        help="list light curves",
        formatter_class=LAYOUT,
        description="List the light curves that match all criteria, one per line.",
        epilog="examples:\n  lcdb-notebook search 261136679 --sector 1\n"
        "  lcdb-notebook search --processing PDCSAP --sector 1 2 --json\n\n"
        f"{CODES}",
    )
    add_criteria(command)
    add_limit(command, _LISTED)
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        # One more than is shown, to know whether more exist.
        found = select(given, database, limit=given.limit + 1)
        table = found.table
        shown = table.iloc[: given.limit]
        if given.json:
            print_json(records(shown))
        # Unlike the table, the ids of no light curves are an error, which explains why.
        if found.datasets and not given.json:
            print_output(shown.to_string(index=False, na_rep=""))
    if len(table) > len(shown):
        print_error(f"lcdb-notebook: only the first {len(shown):,} light curves; raise --limit")
    return 0
