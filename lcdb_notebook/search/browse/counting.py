"""Count how many targets match a filter, or estimate it."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    DataSet,
    MissionCatalog,
    Observation,
    Target,
)
from lcdb_notebook.search import sql
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    fitted,
    flag_conditions,
    number_conditions,
    parameters,
)
from lcdb_notebook.search.constants import Constants, constants
from lcdb_notebook.search.size import COUNTED, Size, planned_rows, size_of

__all__ = ["count"]

# DataSets, or targets, from which the number of targets is estimated.
_SAMPLE = 2_000

# Targets that are looked at to count those with flags.
_LOOKED_AT = 30_000

_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__


def count(session: orm.Session, target_filter: TargetFilter) -> Size:
    """Count the targets that match a filter if they are few, or estimate how many there are.

    Targets that have certain light curves are estimated from the number of these light curves,
    which the planner knows from its statistics, and from the number that each target has among the
    first of them. How many targets have flags is estimated from the first of them, too.
    """
    asked = sql.shape(target_filter.criteria)
    ids = constants(session, target_filter.criteria)
    if sql.observation_matches(asked) or sql.dataset_matches(asked):
        return _count_seen(session, target_filter, ids)
    whole = _count_all(session, target_filter, ids)
    if target_filter.flagged is None:
        return whole
    exact = whole <= _LOOKED_AT
    some = _targets(target_filter, ids)
    if not exact:
        some = some.order_by(_target.c.name).limit(sa.literal_column(str(_SAMPLE)))
    with_flags = sa.select(sa.func.count()).select_from(_flagged_among(some, target_filter))
    statement = fitted(session, with_flags, target_filter)
    number: int = session.scalar(statement, parameters(target_filter)) or 0
    return Size(number) if exact else Size(round(whole * number / _SAMPLE), exact=False)


def _count_all(session: orm.Session, target_filter: TargetFilter, ids: Constants) -> Size:
    """Count targets with any flags, by ``ix_target_name`` or ``uq_target_catalog_id_name``."""
    return size_of(
        session,
        _targets(target_filter, ids),
        parameters(target_filter),
        present=partial(fitted, session, target_filter=target_filter.without("flags")),
    )


def _targets(target_filter: TargetFilter, ids: Constants) -> sa.Select[Any]:
    conditions = [*number_conditions(target_filter), *ids.of_target()]
    return sa.select(_target.c.id.label("target_id")).where(*conditions)


def _count_seen(session: orm.Session, target_filter: TargetFilter, ids: Constants) -> Size:
    """Count targets by their DataSets, which are found by the index on one of the ids."""
    rows = ids.select(_dataset.c.target_id, number_conditions(target_filter))
    given = parameters(target_filter)

    def among_first(size: int) -> sa.Select[Any]:
        some = rows.limit(sa.literal_column(str(size))).subquery("some")
        number = sa.func.count(some.c.target_id.distinct())
        with_flags: sa.ColumnElement[int] = number
        if target_filter.flagged is not None:
            flagged = _flagged_among(sa.select(some.c.target_id).distinct(), target_filter)
            with_flags = sa.select(sa.func.count()).select_from(flagged).scalar_subquery()
        columns: list[Any] = [sa.func.count(), number, with_flags]
        return fitted(session, sa.select(*columns).select_from(some), target_filter)

    first = among_first(_SAMPLE)
    expected = planned_rows(session, first, given)
    datasets, targets, flagged = session.execute(first, given).one()
    if datasets == _SAMPLE:
        each = datasets / targets
        if expected / each <= COUNTED:
            # Twice as many, in case that the first targets have fewer DataSets than others.
            datasets, targets, flagged = session.execute(
                among_first(round(2 * COUNTED * each)), given
            ).one()
            if datasets < round(2 * COUNTED * each):
                return Size(flagged)
        everything = _count_all(session, target_filter, ids)
        found = min(max(expected, datasets) / each, everything)
        return Size(round(max(targets, found) * flagged / targets), exact=False)
    return Size(flagged)


def _flagged_among(targets: sa.Select[Any], target_filter: TargetFilter) -> sa.Subquery:
    """Select those of some targets that have flags, or that have none.

    The flags of a target are found by ``ix_quality_flag_array_target_id``, those of its
    observations by ``ix_dataset_target_id_observation_id`` and
    ``ix_quality_flag_array_observation_id_target_id``.
    """
    among = targets.subquery("among")
    joined = _target.join(among, among.c.target_id == _target.c.id)
    return (
        sa.select(_target.c.id)
        .select_from(joined)
        .where(*flag_conditions(target_filter))
        .subquery("with_flags")
    )
