"""``lcdb-notebook backup`` and ``restore``: a whole database into one file, and back."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from lcdb_notebook.cli.options import CODES, LAYOUT, add_common
from lcdb_notebook.cli.output import say
from lcdb_notebook.server import backup, config

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run_backup", "run_restore"]


def add(commands: Commands) -> None:
    """Add both commands to a parser."""
    command = commands.add_parser(
        "backup",
        help="write the whole database into a file",
        formatter_class=LAYOUT,
        description="Write all that a database holds into a file that only you can read. It may be "
        "in use meanwhile.\nA file of that name is replaced once the new one is whole.",
        epilog="examples:\n  lcdb-notebook backup lightcurves.dump\n"
        "  lcdb-notebook backup --embedded=/data/mine mine.dump\n"
        f"\nThe format is that of pg_dump -Fc.\n\n{CODES}",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="where to write")
    add_common(command)
    command.set_defaults(run=run_backup)

    command = commands.add_parser(
        "restore",
        help="bring a backup back",
        formatter_class=LAYOUT,
        description="Bring a backup back into an empty database, as a whole or not at all. Tables "
        "without rows are\nreplaced; a database that holds anything is refused.",
        epilog="examples:\n  lcdb-notebook restore lightcurves.dump --embedded=/data/new\n"
        f"  lcdb-notebook restore lightcurves.dump --replace\n\n{CODES}",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="what backup wrote")
    command.add_argument(
        "--replace",
        action="store_true",
        help="delete what the database holds in the tables of the backup",
    )
    add_common(command)
    command.set_defaults(run=run_restore)


def run_backup(given: argparse.Namespace) -> int:
    """Make one, and give the exit code."""
    with _ends_as_interrupted(), _reached(given) as (url, description):
        file = backup.backup(url, given.file, description=description)
        say(f"Backed up {description}\nin {file} ({file.stat().st_size / 1e6:,.1f} MB)")
    return 0


def run_restore(given: argparse.Namespace) -> int:
    """Bring one back, and give the exit code."""
    with _ends_as_interrupted(), _reached(given) as (url, description):
        backup.restore(url, given.file, description=description, replace=given.replace)
        say(f"Restored {given.file}\ninto {description}")
    return 0


@contextmanager
def _reached(given: argparse.Namespace) -> Iterator[tuple[sa.URL, str]]:
    """Give the URL and the name of the database meant, its server running."""
    address = config.resolve(given.url, config=given.config, embedded=given.embedded)
    if address.folder is not None:
        from lcdb_notebook.server import embedded

        with embedded.start(address.folder) as server:
            yield server.url(), str(address)
    else:
        assert address.url is not None
        yield address.url, str(address)


@contextmanager
def _ends_as_interrupted() -> Iterator[None]:
    """Have SIGTERM, as at logout, clean up as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
