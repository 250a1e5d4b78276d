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
    target_conditions,
)
from lcdb_notebook.search.constants import Constants, constants
from lcdb_notebook.search.size import COUNTED, Size, planned_rows, size_of

__all__ = ["count"]

# DataSets, or targets, from which the number of targets is estimated.
_SAMPLE = 2_000

# Targets of a sample that must match for a fraction of them to be an estimate.
_ENOUGH = 100

# Multiples of the golden ratio, less their integers, are spread evenly and follow no period.
_GOLDEN_RATIO = 0.6180339887498949

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
    first of them. How many targets have flags is estimated from targets spread over all ids, as
    the first targets often have the same observations.
    """
    shape = sql.shape_of(target_filter.criteria)
    ids = constants(session, target_filter.criteria)
    if sql.observation_matches(shape) or sql.dataset_matches(shape):
        return _count_seen(session, target_filter, ids)
    whole = _count_all(session, target_filter, ids)
    if target_filter.flagged is None:
        return whole
    exact = whole <= _LOOKED_AT
    if not exact:
        spread = _flagged_in_spread(session, target_filter)
        if spread is not None:
            return Size(round(whole * spread), exact=False)
    some = _targets(target_filter, ids)
    if not exact:
        some = some.order_by(_target.c.name).limit(sa.literal_column(str(_SAMPLE)))
    with_flags = sa.select(sa.func.count()).select_from(_flagged_among(some, target_filter))
    statement = fitted(session, with_flags, target_filter)
    number: int = session.scalar(statement, parameters(target_filter)) or 0
    return Size(number) if exact else Size(round(whole * number / _SAMPLE), exact=False)


def _flagged_in_spread(session: orm.Session, target_filter: TargetFilter) -> float | None:
    """Return which fraction of targets has flags, or has none; None if too few are found.

    The targets are looked up by their primary key, at ids that are spread over all of the table.
    """
    turns = sa.func.generate_series(1, _SAMPLE).column_valued("n") * _GOLDEN_RATIO
    low = sa.select(sa.func.min(_target.c.id)).scalar_subquery()
    high = sa.select(sa.func.max(_target.c.id)).scalar_subquery()
    place = low + sa.func.floor((turns - sa.func.floor(turns)) * (high - low + 1))
    spread = sa.select(sa.cast(place, sa.BigInteger).label("id")).distinct().subquery("spread")
    anywhere = target_filter.without("flags")
    conditions = [*number_conditions(anywhere), *target_conditions(anywhere)]
    joined: sa.FromClause = _target
    if anywhere.criteria.catalogs:
        joined = _target.join(_catalog, _catalog.c.id == _target.c.catalog_id)
    found = (
        sa.select(_target.c.id.label("target_id"))
        .select_from(joined.join(spread, spread.c.id == _target.c.id))
        .where(*conditions)
    )
    flagged = _flagged_among(sa.select(found.cte("found").c.target_id), target_filter)
    statement = sa.select(
        sa.select(sa.func.count()).select_from(found.subquery("looked_at")).scalar_subquery(),
        sa.select(sa.func.count()).select_from(flagged).scalar_subquery(),
    )
    given = parameters(target_filter)
    number, with_flags = session.execute(fitted(session, statement, target_filter), given).one()
    return with_flags / number if number >= _ENOUGH else None


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

    def among_first(size: int, *, flags: bool) -> sa.Select[Any]:
        some = rows.limit(sa.literal_column(str(size))).subquery("some")
        number = sa.func.count(some.c.target_id.distinct())
        with_flags: sa.ColumnElement[int] = number
        if flags:
            flagged = _flagged_among(sa.select(some.c.target_id).distinct(), target_filter)
            with_flags = sa.select(sa.func.count()).select_from(flagged).scalar_subquery()
        columns: list[Any] = [sa.func.count(), number, with_flags]
        return fitted(session, sa.select(*columns).select_from(some), target_filter)

    by_flags = target_filter.flagged is not None
    first = among_first(_SAMPLE, flags=False)
    expected = planned_rows(session, first, given)
    datasets, targets, flagged = session.execute(first, given).one()
    if datasets < _SAMPLE:
        if by_flags and targets:
            _, _, flagged = session.execute(among_first(_SAMPLE, flags=True), given).one()
        return Size(flagged)
    each = datasets / targets
    if expected / each <= COUNTED:
        # Twice as many, in case that the first targets have fewer DataSets than others.
        most = round(2 * COUNTED * each)
        number, _, flagged = session.execute(among_first(most, flags=by_flags), given).one()
        if number < most:
            return Size(flagged)
    everything = _count_all(session, target_filter, ids)
    found = max(targets, min(max(expected, datasets) / each, everything))
    if not by_flags:
        return Size(round(found), exact=False)
    spread = _flagged_in_spread(session, target_filter)
    if spread is None:
        _, _, flagged = session.execute(among_first(_SAMPLE, flags=True), given).one()
        spread = flagged / targets
    return Size(round(found * spread), exact=False)


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
