"""Pages of targets in the order of their numbers, with keyset pagination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import MissionCatalog, Target
from lcdb_notebook.search import layout
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    TargetRow,
    beginning_with,
    number_conditions,
    parameters,
    parts,
    target_conditions,
)
from lcdb_notebook.search.numbered import numbered

__all__ = ["Page", "page", "statement"]

# Targets whose flags are looked up together.
_MOST_CANDIDATES = 400

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
    found = _rows(session, target_filter, size + 1, after, before)
    rows = found[:size]
    beyond = len(found) > size
    if before is not None:
        return Page(tuple(reversed(rows)), more_before=beyond, more_after=True)
    return Page(tuple(rows), more_before=after is not None, more_after=beyond)


def _rows(
    session: orm.Session,
    target_filter: TargetFilter,
    size: int,
    after: TargetRow | None,
    before: TargetRow | None,
) -> list[TargetRow]:
    select = partial(
        statement,
        size=size,
        after=after,
        before=before,
        catalogs=_catalogs(session, target_filter),
        by_type=layout.of(session).flags_by_type,
    )
    fitted = parts(session, select(target_filter), target_filter)
    if len(fitted) == 1:
        found = session.execute(fitted[0], parameters(target_filter))
        return [TargetRow(*row) for row in found]
    rows: list[TargetRow] = []
    backwards = before is not None
    place = before if backwards else after
    step = size
    while len(rows) < size:
        # Flags are looked up for few targets: those of an observation count for all in it.
        candidates = _candidates(session, target_filter.without("flags"), step, place, backwards)
        ids = tuple(id_ for _, id_ in candidates)
        criteria = replace(target_filter.criteria, target_ids=ids)
        some = replace(target_filter, criteria=criteria)
        (few,) = parts(session, select(some), some)
        rows += [TargetRow(*row) for row in session.execute(few, parameters(some))]
        if len(candidates) < step:
            break
        place = TargetRow(*candidates[-1], "")
        step = min(4 * step, _MOST_CANDIDATES)
    return rows[:size]


def _candidates(
    session: orm.Session,
    target_filter: TargetFilter,
    size: int,
    place: TargetRow | None,
    backwards: bool,
) -> list[tuple[int, int]]:
    """Return the numbers and ids of targets that match in some parts of the database."""
    towards: dict[str, Any] = {"before" if backwards else "after": place}
    catalogs = _catalogs(session, target_filter)
    some = statement(target_filter, size=size, catalogs=catalogs, **towards)
    fitted = parts(session, some, target_filter)
    if len(fitted) == 1:
        rows = session.execute(fitted[0], parameters(target_filter))
        return [(row[0], row[1]) for row in rows]
    further = number_conditions(target_filter)
    if place is not None:
        here, beyond = sa.tuple_(_target.c.name, _target.c.id), (place.number, place.id)
        further.append(here < beyond if backwards else here > beyond)
    seen = numbered(
        session,
        target_filter.criteria,
        most=size,
        each_once=True,
        backwards=backwards,
        further=further,
    )
    return [(one.number, one.id) for one in seen or []]


def statement(
    target_filter: TargetFilter,
    *,
    size: int,
    after: TargetRow | None = None,
    before: TargetRow | None = None,
    catalogs: Sequence[int] | None = None,
    by_type: bool = False,
) -> sa.Executable:
    """Select number, id and catalog of targets in increasing order; decreasing with ``before``.

    Each range of numbers in each catalog is a separate branch of a UNION ALL, which reads only one
    page of an index. The parameters are those of :func:`lcdb_notebook.search.sql.parameters`.

    Parameters
    ----------
    target_filter : TargetFilter
        The filter.
    size : int
        Number of targets at most.
    after, before : TargetRow, optional
        The target adjacent to the page; at most one of the two.
    catalogs : sequence of int, optional
        Ids of the catalogs of the filter; None if it names none, and an index begins with numbers.
    by_type : bool, default False
        Whether the index of quality flags begins with their type.
    """
    backwards = before is not None
    place = before if before is not None else after
    branches = []
    runs = list(_runs(target_filter, place, backwards))
    matches = target_conditions(target_filter.without("catalog"), by_type=by_type)
    for catalog in (None,) if catalogs is None else catalogs:
        of_catalog = [] if catalog is None else [_target.c.catalog_id == catalog]
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


def _catalogs(session: orm.Session, target_filter: TargetFilter) -> list[int] | None:
    """Return the ids of the catalogs to list; None if an index on numbers alone finds targets."""
    arranged = layout.of(session)
    names = target_filter.criteria.catalogs
    if not names and arranged.by_number:
        return None
    statement = sa.select(_catalog.c.id).order_by(_catalog.c.id)
    if names:
        # Catalogs of two missions may have the same name.
        statement = statement.where(_catalog.c.name.in_(names))
    return list(session.scalars(arranged.present(statement)))


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
