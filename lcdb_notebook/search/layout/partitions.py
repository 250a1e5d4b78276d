"""Statements on a few partitions at a time, so that each holds few locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import orm

from lcdb_notebook.server.interrupt import interruptible

__all__ = ["array", "batches", "rows"]


def rows(
    session: orm.Session,
    observations: Iterable[int],
    statement: Callable[[list[int]], str],
    *,
    at_once: int,
    most: int | None = None,
) -> list[Any]:
    """Run a statement on the partitions of a few observations after another.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    observations : iterable of int
        Ids of the observations.
    statement : callable
        Makes the SQL for some of them. Ids are part of it, so that the planner opens only their
        partitions.
    at_once : int
        Number of observations for one statement.
    most : int, optional
        Number of rows to read at most; None reads all.

    Returns
    -------
    list of sqlalchemy.Row
        The rows of all statements.
    """
    connection = session.connection()

    def run() -> list[Any]:
        found: list[Any] = []
        for some in batches(observations, at_once):
            limit = "" if most is None else f" LIMIT {most - len(found)}"
            found += connection.exec_driver_sql(statement(some) + limit)
            if most is not None and len(found) >= most:
                break
        return found

    # All in one thread: passing each statement to it would take longer than a short statement.
    return interruptible(connection.connection.driver_connection, run)


def batches(observations: Iterable[int], size: int) -> Iterator[list[int]]:
    """Split ids into lists of a size."""
    ids = list(observations)
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def array(ids: Sequence[int], type_: str) -> str:
    """Return SQL for an array of integers."""
    return f"'{{{','.join(str(int(id_)) for id_ in ids)}}}'::{type_}[]"
