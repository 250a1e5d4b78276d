"""``lcdb-notebook backup`` and ``restore``: copy a database to a file, and restore it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from lcdb_notebook.cli.options import CODES, LAYOUT, add_common
from lcdb_notebook.cli.output import print_output
from lcdb_notebook.server import backup, config

if TYPE_CHECKING:
    from lcdb_notebook.cli.options import Commands

__all__ = ["add", "run_backup", "run_restore"]


def add(commands: Commands) -> None:
    """Add both commands to a parser."""
    command = commands.add_parser(
        "backup",
        help="back up a database to one file",
        formatter_class=LAYOUT,
        description="Write a complete database to a file that only you can read. The database "
        "may be in use.\nAn existing file is replaced when the new one is complete.",
        epilog="examples:\n  lcdb-notebook backup lightcurves.dump\n"
        "  lcdb-notebook backup --embedded=/data/mine mine.dump\n"
        f"\nThe format is that of pg_dump -Fc.\n\n{CODES}",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the file to write")
    add_common(command)
    command.set_defaults(run=run_backup)

    command = commands.add_parser(
        "restore",
        help="restore a backup",
        formatter_class=LAYOUT,
        description="Restore a backup into an empty database, completely or not at all. Tables "
        "without rows are\nreplaced; a database with any rows is refused. A file with code (more "
        "than tables and data) is\nalso refused, as it would run with your rights: see --trust.",
        epilog="examples:\n  lcdb-notebook restore lightcurves.dump --embedded=/data/new\n"
        f"  lcdb-notebook restore lightcurves.dump --replace\n\n{CODES}",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the file that backup wrote")
    command.add_argument(
        "--replace",
        action="store_true",
        help="delete the rows in the tables that the backup contains",
    )
    command.add_argument(
        "--trust",
        action="store_true",
        help="also restore functions, triggers, extensions and other code in the file, which run "
        "with your rights",
    )
    add_common(command)
    command.set_defaults(run=run_restore)


def run_backup(given: argparse.Namespace) -> int:
    """Back up and return the exit code."""
    with _ends_as_interrupted(), _reached(given) as (url, description):
        file = backup.backup(url, given.file, description=description)
        print_output(f"Backed up {description}\nto {file} ({file.stat().st_size / 1e6:,.1f} MB)")
    return 0


def run_restore(given: argparse.Namespace) -> int:
    """Restore and return the exit code."""
    with _ends_as_interrupted(), _reached(given) as (url, description):
        backup.restore(
            url,
            given.file,
            description=description,
            replace=given.replace,
            trust=given.trust,
        )
        print_output(f"Restored {given.file}\nto {description}")
    return 0


@contextmanager
def _reached(given: argparse.Namespace) -> Iterator[tuple[sa.URL, str]]:
    """Yield the URL and the description of the database; its server runs during the block."""
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
    """Clean up after SIGTERM, which is sent at logout, like after Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
