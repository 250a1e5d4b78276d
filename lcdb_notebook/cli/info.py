"""``lcdb-notebook info``: which database it is, and what it holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import LAYOUT, add_common
from lcdb_notebook.cli.output import say
from lcdb_notebook.database import Database, connect
from lcdb_notebook.search import listings

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run", "summary"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "info",
        help="say which database it is and what it holds",
        formatter_class=LAYOUT,
        description="Say which database it is, and how many stars, observations and light curves "
        "it holds.",
        epilog="example:\n  lcdb-notebook info --config ~/.config/lightcurvedb/db.conf",
    )
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Do it, and give the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        say(f"{database!r}\n")
        say(summary(database))
    return 0


def summary(database: Database) -> str:
    """Lay out what a database holds: a line a thing, with its number and names."""
    with database.session_scope() as session:
        table = listings.summary(session)
    if table.loc[table["what"] == "light curves", "number"].sum() == 0:
        return (
            "It holds no light curves yet. `lcdb-notebook ingest PATH` takes files in, and "
            "`lcdb-notebook demo` loads synthetic stars."
        )
    lines = []
    for row in table.itertuples():
        number = f"{row.number:,}" if row.exact else f"about {row.number:,}"
        lines.append((str(row.what), number, str(row.which)))
    wide, long = (max(len(line[column]) for line in lines) for column in (0, 1))
    return "\n".join(f"  {a:<{wide}}  {b:>{long}}  {c}".rstrip() for a, b, c in lines)
