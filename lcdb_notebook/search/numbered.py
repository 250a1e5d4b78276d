"""Targets by number, from the parts of a database that cannot be searched as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import DataSet, MissionCatalog, Observation, Target
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.criteria import Criteria

__all__ = ["Seen", "in_groups", "numbered"]

# Light curves whose rows are found together.
_TOGETHER = 50_000

_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__


@dataclass
class Seen:
    """A target with matching light curves.

    Parameters
    ----------
    number, id : int
        Its number in the catalog, and its id.
    datasets : int
        How many light curves match.
    """

    number: int
    id: int
    datasets: int = 0


def numbered(
    session: orm.Session,
    criteria: Criteria,
    *,
    most: int | None,
    each_once: bool = False,
    backwards: bool = False,
    further: Sequence[sa.ColumnElement[bool]] = (),
) -> list[Seen] | None:
    """Find the targets of the first light curves of a search, if it has to be made in parts.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    criteria : Criteria
        The criteria of the search.
    most : int or None
        How many light curves are needed; None for all. There may be more, because those of a number
        are not divided.
    each_once : bool, default False
        Count targets instead of light curves.
    backwards : bool, default False
        Begin at the last number.
    further : sequence of sqlalchemy.ColumnElement, default ()
        Other conditions on the table of targets.

    Returns
    -------
    list of Seen or None
        Targets in the order of their numbers and ids; None if one statement can search everything.
    """
    shape = sql.shape_of(criteria)
    rows = _dataset.join(_target, _target.c.id == _dataset.c.target_id)
    rows = rows.join(_catalog, _catalog.c.id == _target.c.catalog_id)
    rows = rows.join(_observation, _observation.c.id == _dataset.c.observation_id)
    # The parts that follow are only searched up to the last number that is needed.
    bound = sa.bindparam("bound", type_=sa.BigInteger)
    by_number, by_id = _target.c.name, _target.c.id
    of_some: sa.Select[Any] = (
        sa.select(by_number, by_id, sa.func.count())
        .select_from(rows)
        .where(*sql.target_matches(shape), *sql.observation_matches(shape))
        .where(*sql.dataset_matches(shape), *further)
        .where(by_number >= bound if backwards else by_number <= bound)
        .group_by(by_number, by_id)
        .order_by(by_number.desc() if backwards else by_number)
    )
    if most is not None:
        of_some = of_some.fetch(sa.literal_column(str(most)), with_ties=True)
    statements = layout.parts(session, of_some, criteria)
    if len(statements) == 1:
        return None
    found: dict[int, Seen] = {}
    given = {**sql.parameters(criteria), "bound": -(2**63) if backwards else 2**63 - 1}
    for statement in statements:
        for number, id_, datasets in session.connection().execute(statement, given):
            found.setdefault(id_, Seen(number, id_)).datasets += datasets
        if most is not None:
            first = _first(found.values(), most, each_once=each_once, backwards=backwards)
            found = {one.id: one for one in first}
            if first and _count(first, each_once=each_once) >= most:
                given["bound"] = first[-1].number
    return _first(found.values(), most, each_once=each_once, backwards=backwards)


def _first(
    found: Iterable[Seen], most: int | None, *, each_once: bool, backwards: bool
) -> list[Seen]:
    """Return the first targets that have enough light curves, and all others of the last number."""
    ordered = sorted(found, key=lambda one: (one.number, one.id), reverse=backwards)
    left = most
    for place, one in enumerate(ordered):
        if left is not None and left <= 0 and one.number != ordered[place - 1].number:
            return ordered[:place]
        if left is not None:
            left -= 1 if each_once else one.datasets
    return ordered if most != 0 else []


def _count(found: Sequence[Seen], *, each_once: bool) -> int:
    return len(found) if each_once else sum(one.datasets for one in found)


def in_groups(targets: Iterable[Seen]) -> Iterator[list[Seen]]:
    """Split targets into groups of some thousand light curves; no number is in two groups."""
    group: list[Seen] = []
    size = 0
    for one in targets:
        if size >= _TOGETHER and one.number != group[-1].number:
            yield group
            group, size = [], 0
        group.append(one)
        size += one.datasets
    if group:
        yield group
