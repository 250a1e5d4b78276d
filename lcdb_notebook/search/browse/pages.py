"""Pages of targets in the order of their numbers, with keyset pagination."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import MissionCatalog, Target
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    TargetRow,
    beginning_with,
    fitted,
    parameters,
    target_conditions,
)

__all__ = ["Page", "page", "statement"]

_target = Target.__table__
_catalog = MissionCatalog.__table__


@dataclass(frozen=True)
class Page:
    """Targets in the order of their numbers, and whether there are more before or after them."""

    rows: tuple[TargetRow, ...] = ()
    more_before: bool = False
    more_after: bool = False


def page(
    session: orm.Session,
    target_filter: TargetFilter,
    *,
    size: int = 100,
    after: TargetRow | None = None,
    before: TargetRow | None = None,
) -> Page:
    """List targets by number: the first page, or the page after or before a target.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are included.
    target_filter : TargetFilter
        The filter.
    size : int, default 100
        Maximum number of targets.
    after, before : TargetRow, optional
        The target adjacent to the page; at most one of the two.
    """
    some = statement(target_filter, size=size + 1, after=after, before=before)
    found = session.execute(fitted(session, some, target_filter), parameters(target_filter)).all()
    rows = [TargetRow(*row) for row in found[:size]]
    beyond = len(found) > size
    if before is not None:
        return Page(tuple(reversed(rows)), more_before=beyond, more_after=True)
    return Page(tuple(rows), more_before=after is not None, more_after=beyond)


def statement(
    target_filter: TargetFilter,
    *,
    size: int,
    after: TargetRow | None = None,
    before: TargetRow | None = None,
) -> sa.Executable:
    """Select number, id and catalog of targets in increasing order; decreasing with ``before``.

    Each range of numbers in each catalog is a separate branch of a UNION ALL, which reads only one
    page of an index. The parameters are those of :func:`lcdb_notebook.search.sql.parameters`.
    """
    backwards = before is not None
    place = before if before is not None else after
    branches = []
    runs = list(_runs(target_filter, place, backwards))
    matches = target_conditions(target_filter.without("catalog"))
    for catalog in target_filter.criteria.catalogs or (None,):
        of_catalog = [] if catalog is None else [_target.c.catalog_id == _id_of(catalog)]
        for run in runs:
            select = (
                sa.select(_target.c.name, _target.c.id, _catalog.c.name.label("catalog"))
                .select_from(_target.join(_catalog, _catalog.c.id == _target.c.catalog_id))
                .where(*of_catalog, *run, *matches)
            )
            branches.append(_ordered(select, _target.c.name, _target.c.id, backwards).limit(size))
    if not branches:
        return sa.select(_target.c.name, _target.c.id, sa.literal("")).where(sa.false())
    if len(branches) == 1:
        return branches[0]
    together = sa.union_all(*(branch.subquery().select() for branch in branches)).subquery()
    return _ordered(sa.select(together), together.c.name, together.c.id, backwards).limit(size)


def _id_of(catalog: str) -> sa.ScalarSelect[int]:
    # A subquery that runs first, so that the index on catalog and number can be used.
    return sa.select(_catalog.c.id).where(_catalog.c.name == catalog).scalar_subquery()


def _ordered(select: sa.Select[Any], number: Any, id_: Any, backwards: bool) -> sa.Select[Any]:
    if backwards:
        return select.order_by(number.desc(), id_.desc())
    return select.order_by(number, id_)


def _runs(
    target_filter: TargetFilter, place: TargetRow | None, backwards: bool
) -> Iterator[list[sa.ColumnElement[bool]]]:
    runs: list[tuple[int, int] | None] = [None]
    if target_filter.digits:
        runs = [*beginning_with(target_filter.digits)]
    number, id_ = _target.c.name, _target.c.id
    for run in runs:
        low, high = run or (None, None)
        conditions: list[sa.ColumnElement[bool]] = []
        if place is not None:
            if backwards:
                if low is not None and low > place.number:
                    continue
                high = place.number if high is None else min(high, place.number)
                conditions.append(sa.or_(number < place.number, id_ < place.id))
            else:
                if high is not None and high < place.number:
                    continue
                low = place.number if low is None else max(low, place.number)
                conditions.append(sa.or_(number > place.number, id_ > place.id))
        if low is not None and low == high:
            conditions.append(number == low)
        else:
            conditions += [number >= low] if low is not None else []
            conditions += [number <= high] if high is not None else []
        yield conditions
