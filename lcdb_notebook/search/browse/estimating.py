"""Estimate how many targets match a filter in a database that must be searched in parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import DataSet, Target
from lcdb_notebook.search import layout
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    fitted,
    flag_conditions,
    number_conditions,
    parameters,
    parts,
)
from lcdb_notebook.search.constants import Constants
from lcdb_notebook.search.size import Size, planned_rows

__all__ = ["MOST_TARGETS", "flagged_share", "in_parts", "seen"]

#: Targets whose light curves are counted, or whose flags are looked up.
MOST_TARGETS = 200

# DataSets in which these targets are found.
_SAMPLE = 2_000

_dataset = DataSet.__table__
_target = Target.__table__


def in_parts(session: orm.Session, target_filter: TargetFilter) -> bool:
    """Check whether no single statement may read the light curves of the targets."""
    return len(parts(session, sa.select(_dataset.c.id), target_filter)) > 1


def seen(
    session: orm.Session, target_filter: TargetFilter, ids: Constants, everything: int
) -> Size:
    """Estimate how many targets have certain light curves.

    The planner knows from its statistics how many light curves each part has; how many a target has
    is counted in all parts for the targets of the first ones.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    target_filter : TargetFilter
        The filter.
    ids : Constants
        What its criteria mean.
    everything : int
        The number of targets with any light curves, or none.
    """
    given = parameters(target_filter)
    criteria = target_filter.criteria
    rows = ids.select(_dataset.c.target_id, number_conditions(target_filter))
    sample: list[int] = []
    expected = 0
    for some in layout.parts(session, rows.limit(sa.literal_column(str(_SAMPLE))), criteria):
        expected += planned_rows(session, some, given)
        if len(sample) < _SAMPLE:
            sample += session.scalars(some, given)
    found = [*dict.fromkeys(sample)]
    few = found[:MOST_TARGETS]
    whole = Size(len(found))
    if len(sample) >= _SAMPLE:
        of_few = dataclasses.replace(criteria, target_ids=tuple(few))
        counted = sa.select(sa.func.count()).select_from(rows.subquery())
        (statement,) = layout.parts(session, counted, of_few)
        each = max(1, session.scalar(statement, given) or 0) / len(few)
        number = max(len(found), min(expected / each, everything))
        whole = Size(round(number), exact=False)
    if target_filter.flagged is None or not few:
        return whole
    share = flagged_share(session, target_filter, few)
    return Size(round(whole * share), exact=whole.exact and len(few) == len(found))


def flagged_share(
    session: orm.Session, target_filter: TargetFilter, targets: Sequence[int]
) -> float:
    """Return which fraction of some targets has flags, or has none."""
    criteria = dataclasses.replace(target_filter.criteria, target_ids=tuple(targets))
    of_few = dataclasses.replace(target_filter, criteria=criteria)
    by_type = layout.of(session).flags_by_type
    statement: sa.Select[Any] = (
        sa.select(sa.func.count())
        .select_from(_target)
        .where(_target.c.id.in_(targets), *flag_conditions(of_few, by_type=by_type))
    )
    number: int = session.scalar(fitted(session, statement, of_few)) or 0
    return number / len(targets)
