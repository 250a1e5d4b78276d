"""A sample of the targets of a filter, spread over all of their catalog numbers.

The first targets by number often have the same observations, as their numbers follow their
positions in the sky. A sample that is spread is representative, and costs as much in a table of any
size: one lookup in ``ix_target_name`` for each target. It is kept for ten seconds, in which the
other filters of an explorer are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import MissionCatalog, Target
from lcdb_notebook.search import layout
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    beginning_with,
    flag_conditions,
    light_curve_conditions,
)

__all__ = ["SAMPLE", "Sample", "sample", "spread_over_ids"]

#: Targets of a sample, about.
SAMPLE = 2_000

# Multiples of the golden ratio, less their integers, are spread evenly and follow no period.
_GOLDEN_RATIO = 0.6180339887498949

_target = Target.__table__
_catalog = MissionCatalog.__table__

# An equal number of targets is between any two neighbouring bounds, by the planner's statistics.
_BOUNDS = sa.text(
    "SELECT CAST(CAST(histogram_bounds AS text) AS bigint[]), "
    "(SELECT min(name) FROM target), (SELECT max(name) FROM target), current_user "
    "FROM (VALUES (1)) one (row) LEFT JOIN (SELECT s.histogram_bounds FROM pg_stats s "
    "JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = "
    "CAST(quote_ident(s.schemaname) AS regnamespace) "
    "WHERE c.oid = to_regclass('target') AND s.attname = 'name' AND NOT s.inherited) stats ON true"
)

Run = tuple[int, int]

_SECONDS = 10.0
_MOST_KNOWN = 16


class _Targets(NamedTuple):
    ids: list[int]
    catalogs: list[int]
    until: float


# For each engine, by the role, the first digits, the catalogs, and the range of numbers.
_known: WeakKeyDictionary[sa.Engine, dict[tuple[Any, ...], _Targets]] = WeakKeyDictionary()


class Sample(NamedTuple):
    """Some targets, as parts of a statement with the columns ``target_id`` and ``catalog_id``.

    Parameters
    ----------
    looked_at : sqlalchemy.CTE
        All of them.
    matching : sqlalchemy.CTE
        Those that match a filter.
    """

    looked_at: sa.CTE
    matching: sa.CTE


def sample(session: orm.Session, target_filter: TargetFilter) -> Sample | None:
    """Select targets that are spread over all that match the digits and catalogs of a filter.

    Their rows are not looked up again: digits and catalogs match by the way they are found. A
    sample that a session of the same engine used in the last ten seconds is used again.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    target_filter : TargetFilter
        The filter.

    Returns
    -------
    Sample or None
        None if the numbers are listed, or the database has no index on them alone.
    """
    targets = _targets(session, target_filter)
    if targets is None:
        return None
    given = sa.func.unnest(
        sa.cast(targets.ids, sa.ARRAY(_target.c.id.type)),
        sa.cast(targets.catalogs, sa.ARRAY(_target.c.catalog_id.type)),
    ).table_valued(
        sa.column("target_id", _target.c.id.type),
        sa.column("catalog_id", _target.c.catalog_id.type),
        name="given",
    )
    some = sa.select(given.render_derived()).cte("looked_at")
    by_type = layout.of(session).flags_by_type
    matches = [
        *light_curve_conditions(target_filter, target_id=some.c.target_id, one_by_one=True),
        *flag_conditions(target_filter, target_id=some.c.target_id, by_type=by_type),
    ]
    return Sample(some, sa.select(some).where(*matches).cte("matching"))


def _targets(session: orm.Session, target_filter: TargetFilter) -> _Targets | None:
    criteria = target_filter.criteria
    if not layout.of(session).by_number or not (criteria.numbers is criteria.target_ids is None):
        return None
    bounds, low, high, role = session.execute(layout.present(session, _BOUNDS)).one()
    if low is None:
        return None
    known = _known.setdefault(session.get_bind().engine, {})
    key = (role, target_filter.digits, tuple(criteria.catalogs), low, high)
    found = known.pop(key, None)
    if found is None or found.until < time.monotonic():
        edges = sorted({low, *(bounds or ()), high + 1})
        runs = beginning_with(target_filter.digits) if target_filter.digits else [(low, high)]
        first = _first_of_each([*_segments(edges, runs)], criteria.catalogs)
        rows = session.execute(layout.present(session, first)).all()
        until = time.monotonic() + _SECONDS
        found = _Targets([row[0] for row in rows], [row[1] for row in rows], until)
    known[key] = found
    for oldest in [*known][:-_MOST_KNOWN]:
        known.pop(oldest, None)
    return found


def _first_of_each(segments: Sequence[Run], catalogs: Sequence[str]) -> sa.Select[Any]:
    """Select the first target in each segment of numbers."""
    given = (
        sa.func.unnest(
            sa.cast([start for start, _ in segments], sa.ARRAY(sa.BigInteger)),
            sa.cast([end for _, end in segments], sa.ARRAY(sa.BigInteger)),
        )
        .table_valued("low", "high", name="segment")
        .render_derived()
    )
    within = [_target.c.name >= given.c.low, _target.c.name <= given.c.high]
    if catalogs:
        named = sa.select(_catalog.c.id).where(_catalog.c.name.in_(catalogs))
        within.append(_target.c.catalog_id.in_(named))
    first = (
        sa.select(_target.c.id, _target.c.catalog_id)
        .where(*within)
        .order_by(_target.c.name)
        .limit(sa.literal_column("1"))
        .correlate(given)
        .lateral("first")
    )
    return sa.select(first).select_from(given.join(first, sa.true()))


def spread_over_ids() -> sa.Select[Any]:
    """Select the ids of targets spread over all ids, which the primary key finds."""
    turns = sa.func.generate_series(1, SAMPLE).column_valued("n") * _GOLDEN_RATIO
    low = sa.select(sa.func.min(_target.c.id)).scalar_subquery()
    high = sa.select(sa.func.max(_target.c.id)).scalar_subquery()
    place = low + sa.func.floor((turns - sa.func.floor(turns)) * (high - low + 1))
    return sa.select(sa.cast(place, sa.BigInteger).label("target_id")).distinct()


def _segments(bounds: Sequence[int], runs: Sequence[Run]) -> Iterator[Run]:
    """Divide runs of numbers into about 2,000 segments that have about as many targets each."""
    pieces: list[tuple[int, int, float]] = []
    for start, end in runs:
        for low, above in pairwise(bounds):
            first, last = max(start, low), min(end, above - 1)
            if first <= last:
                pieces.append((first, last, (last - first + 1) / (above - low)))
    total = sum(share for _, _, share in pieces)
    for first, last, share in pieces:
        parts = min(max(1, round(SAMPLE * share / total)), last - first + 1)
        edges = [first + (last - first + 1) * part // parts for part in range(parts + 1)]
        yield from ((low, above - 1) for low, above in pairwise(edges))
