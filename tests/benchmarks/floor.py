"""The floor under every reader: the same COPY as this package issues, discarded unread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from report import Row, duration

import lcdb_notebook as lcdb


def commands_of(read: Callable[[], object]) -> list[str]:
    """Find out which COPY commands the package issues while something is read."""
    logger, commands = logging.getLogger("lcdb_notebook.read.fetch"), _Commands()
    logger.addHandler(commands)
    logger.setLevel(logging.DEBUG)
    try:
        read()
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(commands)
    return commands.seen


def throw_away(db: lcdb.Database, commands: Iterable[str]) -> int:
    """Run COPY commands, forget what comes, and count its bytes."""
    counter = _Counter()
    with db.session_scope() as session:
        connection: Any = session.connection().connection.driver_connection
        for command in commands:
            with connection.cursor() as cursor:
                cursor.copy_expert(command, counter, size=1 << 16)
    return counter.size


def throw_away_unseen(db: lcdb.Database, commands: Iterable[str]) -> None:
    """Do the same, beside jobs that count light curves and not bytes."""
    throw_away(db, commands)


def with_floor(row: Row, medians: Mapping[str, float], number: int) -> Iterator[Row]:
    """Yield a row, and below one that misses its goal the row of its "floor"."""
    yield row
    if not row.reached:
        yield Row(
            "– its COPY alone, discarded unread",
            row.against,
            row.kind,
            row.ratio * medians["ours"] / medians["floor"],
            None,
            duration(medians["floor"], number),
            row.theirs,
        )


class _Commands(logging.Handler):
    """Keeps the SQL of every COPY, which the package logs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


class _Counter:
    """A file that forgets everything but how much it was."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)
