"""Count how many targets match a filter, or estimate it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    DataSet,
    Target,
)
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.browse import estimating
from lcdb_notebook.search.browse.spread import SAMPLE, sample, spread_over_ids
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    fitted,
    flag_conditions,
    number_conditions,
    parameters,
    target_conditions,
    with_catalogs,
)
from lcdb_notebook.search.constants import Constants, constants
from lcdb_notebook.search.size import COUNTED, Size, planned_rows, size_of

__all__ = ["ENOUGH", "count"]

#: Targets of a sample that must match for a fraction of them to be an estimate.
ENOUGH = 100

# Targets that are looked at to find those with flags if a sample has none.
_LOOKED_AT = 30_000

_dataset = DataSet.__table__
_target = Target.__table__


def count(session: orm.Session, target_filter: TargetFilter) -> Size:
    """Count the targets that match a filter if they are few, or estimate how many there are.

    Targets that have certain light curves are estimated from the number of these light curves,
    which the planner knows from its statistics, and from the number that each target has among the
    first of them, or from targets that are spread over all numbers. So is how many of them have
    flags.
    """
    shape = sql.shape_of(target_filter.criteria)
    ids = constants(session, target_filter.criteria)
    if sql.observation_matches(shape) or sql.dataset_matches(shape):
        return _count_seen(session, target_filter, ids)
    whole = _count_all(session, target_filter, ids)
    if target_filter.flagged is None:
        return whole
    if estimating.in_parts(session, target_filter):
        return _count_flagged(session, target_filter, ids, whole)
    exact = whole.exact
    if not exact:
        fraction = _flagged_in_spread(session, target_filter)
        exact = fraction == 0 and whole <= _LOOKED_AT
        if fraction is not None and not exact:
            return Size(round(whole * fraction), exact=False)
    some = _targets(target_filter, ids)
    if not exact:
        some = some.order_by(_target.c.name).limit(sa.literal_column(str(SAMPLE)))
    flagged = _flagged_among(session, some, target_filter)
    with_flags = sa.select(sa.func.count()).select_from(flagged)
    statement = fitted(session, with_flags, target_filter)
    number: int = session.scalar(statement, parameters(target_filter)) or 0
    return Size(number) if exact else Size(round(whole * number / SAMPLE), exact=False)


def _count_flagged(
    session: orm.Session, target_filter: TargetFilter, ids: Constants, whole: Size
) -> Size:
    """Estimate how many targets have flags, or none, where all light curves cannot be read."""
    given = parameters(target_filter)
    of_all = _targets(target_filter, ids).order_by(_target.c.name)
    over_ids = _over_ids(target_filter.without("flags"))
    for some in (over_ids, of_all):
        few = some.limit(sa.literal_column(str(estimating.MOST_TARGETS)))
        targets = session.scalars(layout.present(session, few), given).all()
        if len(targets) >= ENOUGH:
            break
    if not targets:
        return Size(0)
    share = estimating.flagged_share(session, target_filter, targets)
    return Size(round(whole * share), exact=whole.exact and whole == len(targets))


def _count_each(session: orm.Session, target_filter: TargetFilter) -> Size:
    """Count targets by looking up the light curves of each; they are few."""
    by_type = layout.of(session).flags_by_type
    conditions = number_conditions(target_filter)
    conditions += target_conditions(target_filter, one_by_one=True, by_type=by_type)
    targets = with_catalogs(_target, target_filter)
    statement = sa.select(sa.func.count()).select_from(targets).where(*conditions)
    fitting = fitted(session, statement, target_filter)
    return Size(session.scalar(fitting, parameters(target_filter)) or 0)


def _over_ids(target_filter: TargetFilter) -> sa.Select[Any]:
    """Select the targets that match a filter among those spread over all ids."""
    some = spread_over_ids().subquery("among")
    joined = with_catalogs(_target.join(some, some.c.target_id == _target.c.id), target_filter)
    conditions = [*number_conditions(target_filter), *target_conditions(target_filter)]
    return sa.select(_target.c.id.label("target_id")).select_from(joined).where(*conditions)


def _flagged_in_spread(session: orm.Session, target_filter: TargetFilter) -> float | None:
    """Return which fraction of targets has flags, or has none; None if too few are found."""
    of_any_flags = target_filter.without("flags")
    some = sample(session, of_any_flags)
    found = some.matching if some is not None else _over_ids(of_any_flags).cte("found")
    flagged = _flagged_among(session, sa.select(found.c.target_id), target_filter)
    number, with_flags = _numbers_of_rows(session, target_filter, found, flagged)
    return with_flags / number if number >= ENOUGH else None


def _numbers_of_rows(
    session: orm.Session, target_filter: TargetFilter, *parts: sa.FromClause
) -> Sequence[int]:
    """Count the rows of parts of one statement, which may use each other."""
    numbers = (sa.select(sa.func.count()).select_from(part).scalar_subquery() for part in parts)
    statement = fitted(session, sa.select(*numbers), target_filter)
    return session.execute(statement, parameters(target_filter)).one()


def _count_all(session: orm.Session, target_filter: TargetFilter, ids: Constants) -> Size:
    """Count targets with any flags, by ``ix_target_name`` or ``uq_target_catalog_id_name``."""
    return size_of(
        session,
        _targets(target_filter, ids),
        parameters(target_filter),
        parts=lambda statement: [layout.present(session, statement)],
    )


def _targets(target_filter: TargetFilter, ids: Constants) -> sa.Select[Any]:
    conditions = [*number_conditions(target_filter), *ids.of_target()]
    return sa.select(_target.c.id.label("target_id")).where(*conditions)


def _count_seen(session: orm.Session, target_filter: TargetFilter, ids: Constants) -> Size:
    """Count targets by their DataSets, which are found by the index on one of the ids."""
    if estimating.in_parts(session, target_filter):
        of_all = _count_all(session, target_filter, ids)
        return estimating.seen(session, target_filter, ids, of_all)
    rows = ids.select(_dataset.c.target_id, number_conditions(target_filter))
    given = parameters(target_filter)

    def among_first(size: int, *, flags: bool) -> sa.Select[Any]:
        some = rows.limit(sa.literal_column(str(size))).subquery("some")
        number = sa.func.count(some.c.target_id.distinct())
        with_flags: sa.ColumnElement[int] = number
        if flags:
            of_some = sa.select(some.c.target_id).distinct()
            flagged = _flagged_among(session, of_some, target_filter)
            with_flags = sa.select(sa.func.count()).select_from(flagged).scalar_subquery()
        columns: list[Any] = [sa.func.count(), number, with_flags]
        return fitted(session, sa.select(*columns).select_from(some), target_filter)

    by_flags = target_filter.flagged is not None
    everything: Size | None = None
    if target_filter.digits:
        # Few of the DataSets may have numbers that begin with these, and all would be read.
        everything = _count_all(session, target_filter, ids)
        if everything.exact and layout.of(session).by_number:
            return _count_each(session, target_filter)
        spread = None if everything.exact else sample(session, target_filter)
        if spread is not None:
            looked_at, matched = _numbers_of_rows(session, target_filter, *spread)
            if matched >= ENOUGH:
                return Size(round(everything * matched / looked_at), exact=False)
    first = among_first(SAMPLE, flags=False)
    expected = planned_rows(session, first, given)
    datasets, targets, flagged = session.execute(first, given).one()
    if datasets < SAMPLE:
        if by_flags and targets:
            _, _, flagged = session.execute(among_first(SAMPLE, flags=True), given).one()
        return Size(flagged)
    each = datasets / targets
    if expected / each <= COUNTED:
        # Twice as many, in case that the first targets have fewer DataSets than others.
        most = round(2 * COUNTED * each)
        number, _, flagged = session.execute(among_first(most, flags=by_flags), given).one()
        if number < most:
            return Size(flagged)
    if everything is None:
        everything = _count_all(session, target_filter, ids)
    found = max(targets, min(max(expected, datasets) / each, everything))
    if not by_flags:
        return Size(round(found), exact=False)
    fraction = _flagged_in_spread(session, target_filter)
    if fraction is None:
        _, _, flagged = session.execute(among_first(SAMPLE, flags=True), given).one()
        fraction = flagged / targets
    return Size(round(found * fraction), exact=False)


def _flagged_among(
    session: orm.Session, targets: sa.Select[Any], target_filter: TargetFilter
) -> sa.Subquery:
    """Select those of some targets that have flags, or that have none."""
    some = targets.subquery("among").c.target_id
    by_type = layout.of(session).flags_by_type
    matches = flag_conditions(target_filter, target_id=some, by_type=by_type)
    return sa.select(some).where(*matches).subquery("with_flags")
