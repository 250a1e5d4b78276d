"""``lcdb-notebook info``: list the contents of a database."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lcdb_notebook.cli.options import CODES, LAYOUT, add_common, add_json
from lcdb_notebook.cli.output import print_json, print_output, records
from lcdb_notebook.database import Database, connect
from lcdb_notebook.search.summary import summary as summarize

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run", "summary"]


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "info",
        help="list the contents of a database",
        formatter_class=LAYOUT,
        description="Print which database is used, and how many stars, observations and light "
        "curves it contains.",
        epilog=f"example:\n  lcdb-notebook info --config ~/.config/lightcurvedb/db.conf\n\n{CODES}",
    )
    add_json(command)
    add_common(command)
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    with connect(given.url, config=given.config, embedded=given.embedded) as database:
        if given.json:
            with database.session_scope() as session:
                contents = records(summarize(session))
            print_json({"database": repr(database), "contents": contents})
            return 0
        print_output(f"{database!r}\n")
        print_output(summary(database))
    return 0


def summary(database: Database) -> str:
    """Return a table of the contents of a database, with one kind of object per line."""
    with database.session_scope() as session:
        table = summarize(session)
    if table.loc[table["what"] == "light curves", "number"].sum() == 0:
        return (
            "It contains no light curves yet. Run `lcdb-notebook ingest PATH` to ingest files, or "
            "`lcdb-notebook demo` to load synthetic stars."
        )
    lines = []
    for row in table.itertuples():
        number = f"{row.number:,}" if row.exact else f"about {row.number:,}"
        lines.append((str(row.what), number, str(row.which)))
    wide, long = (max(len(line[column]) for line in lines) for column in (0, 1))
    return "\n".join(f"  {a:<{wide}}  {b:>{long}}  {c}".rstrip() for a, b, c in lines)
