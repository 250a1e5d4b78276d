"""How many rows a query has: counted up to a bound, estimated beyond it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.compiler import compiles

__all__ = ["COUNTED", "TRUSTED", "Size", "bounded_count", "planned_rows", "size_from", "size_of"]

#: Rows that are counted. Counting more would read a large part of a table.
COUNTED = 10_000

#: Estimates of the planner that are shown without counting. Their errors are about as large.
TRUSTED = 50_000

# Digits of an estimate that mean something.
_DIGITS = 2


class Size(int):
    """A number of rows, which may be an estimate.

    Parameters
    ----------
    number : int
        The number.
    exact : bool, default True
        Whether it was counted.

    Examples
    --------
    >>> Size(1234).text, Size(4_012_345, exact=False).text, Size(0, exact=False).text
    ('1,234', 'about 4,000,000', 'few')
    """

    exact: bool

    def __new__(cls, number: int, *, exact: bool = True) -> Self:
        """Make the number, and remember whether it was counted."""
        size = super().__new__(cls, number)
        size.exact = exact
        return size

    @property
    def text(self) -> str:
        """The number with commas; an estimate is rounded, and marked by "about" or "few"."""
        if self.exact:
            return f"{self:,}"
        if not self:
            return "few"
        digits = _DIGITS - len(str(int(self)))
        return f"about {round(int(self), min(0, digits)):,}"


class _Explain(sa.Executable, sa.ClauseElement):
    """EXPLAIN of a statement, which is planned but not run."""

    inherit_cache = False

    def __init__(self, statement: sa.Executable) -> None:
        self.statement = statement


@compiles(_Explain)
def _explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def size_of(
    session: orm.Session,
    rows: sa.Select[Any],
    given: Mapping[str, Any],
    *,
    parts: Callable[[sa.Select[Any]], Sequence[sa.Select[Any]]],
    limit: int | None = None,
    offset: int = 0,
) -> Size:
    """Count the rows of a query if they are at most 10,000, or estimate how many there are.

    The planner knows how many there are about without reading the table; only where it expects few
    are they read, and no more than 10,001.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are counted.
    rows : sqlalchemy.Select
        The query, without ORDER BY.
    given : mapping
        The values of its parameters.
    parts : callable
        Fits a statement to the database, for which it may be divided.
    limit : int, optional
        Number of rows that count at most; None for all.
    offset : int, default 0
        Number of rows that do not count.
    """
    most = _counted_at_most(limit, offset)
    statements = parts(bounded_count(rows, limit, offset))
    planned = sum(planned_rows(session, statement, given) for statement in statements)
    counted: int | None = None
    if _within(planned, limit, offset) <= TRUSTED:
        counted = 0
        for statement in statements:
            counted = min(most, counted + (session.scalar(statement, given) or 0))
            if counted == most:
                break
    return size_from(planned, counted, limit=limit, offset=offset)


def bounded_count(rows: sa.Select[Any], limit: int | None, offset: int) -> sa.Select[Any]:
    """Return a statement that counts as many rows of a query as :func:`size_from` needs.

    Parameters
    ----------
    rows : sqlalchemy.Select
        The query.
    limit : int or None
        Number of rows in the range at most; None for all.
    offset : int
        Number of rows before the range.
    """
    some = rows.limit(sa.literal_column(str(_counted_at_most(limit, offset))))
    return sa.select(sa.func.count()).select_from(some.subquery())


def _counted_at_most(limit: int | None, offset: int) -> int:
    return offset + (COUNTED + 1 if limit is None else min(limit, COUNTED + 1))


def size_from(
    planned: int, counted: int | None, *, limit: int | None = None, offset: int = 0
) -> Size:
    """Return the number of rows in a range of a query.

    Parameters
    ----------
    planned : int
        The rows that the planner expects of the query.
    counted : int or None
        The rows that :func:`bounded_count` counted; None if they were not counted.
    limit : int, optional
        Number of rows in the range at most; None for all.
    offset : int, default 0
        Number of rows before the range.

    Examples
    --------
    >>> size_from(7_000, 8_000, offset=100).text, size_from(12_345, 10_001).text
    ('7,900', 'about 12,000')
    """
    if counted is not None and max(0, counted - offset) <= COUNTED:
        return Size(max(0, counted - offset))
    return Size(max(_within(planned, limit, offset), COUNTED + 1), exact=False)


def _within(planned: int, limit: int | None, offset: int) -> int:
    rows = max(0, planned - offset)
    return rows if limit is None else min(rows, limit)


def planned_rows(session: orm.Session, statement: sa.Executable, given: Mapping[str, Any]) -> int:
    """Return how many rows the planner expects below the LIMIT of a statement; nothing is run."""
    plan = session.connection().execute(_Explain(statement), dict(given)).scalar()
    found = _below_limit(json.loads(plan) if isinstance(plan, str) else plan)
    return math.ceil(found or 0)


def _below_limit(plan: Any) -> float | None:
    if isinstance(plan, dict):
        outer = [p for p in plan.get("Plans", ()) if p["Parent Relationship"] == "Outer"]
        if plan.get("Node Type") == "Limit" and outer:
            rows: float = outer[0]["Plan Rows"]
            return rows
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            found = _below_limit(part)
            if found is not None:
                return found
    return None
