"""TargetFilter: first digits, criteria of a search and quality flags; and its SQL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.models import DataSet, MissionCatalog, Observation, QualityFlagArray, Target
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.layout.flag_types import FLAG_TYPES

__all__ = [
    "OF_CRITERIA",
    "TargetFilter",
    "TargetRow",
    "beginning_with",
    "fitted",
    "flag_conditions",
    "light_curve_conditions",
    "number_conditions",
    "parameters",
    "parts",
    "target_conditions",
    "with_catalogs",
]

_LARGEST_NUMBER = 2**63 - 1  # the largest bigint of PostgreSQL

_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__
_flags = QualityFlagArray.__table__

#: Facets that are not fields of observation classes, with the attribute of Criteria each sets.
OF_CRITERIA = {
    "catalog": "catalogs",
    "instrument": "instruments",
    "photometry": "photometry",
    "processing": "processing",
}


class TargetRow(NamedTuple):
    """A target in a list."""

    number: int
    id: int
    catalog: str


@dataclass(frozen=True)
class TargetFilter:
    """A filter for a list of targets.

    Parameters
    ----------
    digits : str, default ""
        First digits of the catalog numbers; "" matches all.
    criteria : Criteria
        Criteria of a search that the targets must match.
    flagged : bool, optional
        True for targets with quality flags, either of the target or of one of its observations;
        False for targets without; None for all.
    """

    digits: str = ""
    criteria: Criteria = field(default_factory=Criteria)
    flagged: bool | None = None

    def without(self, facet: str) -> TargetFilter:
        """Return the filter without one facet: a field, "catalog", "instrument", ..., "flags"."""
        if facet == "flags":
            return dataclasses.replace(self, flagged=None)
        if facet in OF_CRITERIA:
            changed: dict[str, Any] = {OF_CRITERIA[facet]: ()}
        else:
            changed = {"fields": {k: v for k, v in self.criteria.fields.items() if k != facet}}
        return dataclasses.replace(self, criteria=dataclasses.replace(self.criteria, **changed))


def beginning_with(digits: str) -> list[tuple[int, int]]:
    """Return the ranges of numbers that begin with some digits, in order, including both ends.

    Numbers that begin with "2611" are 2611, 26110 to 26119, and so on. There are at most 19 ranges,
    which are looked up in the ordinary index.

    Raises
    ------
    ArgumentError
        If the text contains anything except digits.

    Examples
    --------
    >>> beginning_with("2611")[:3]
    [(2611, 2611), (26110, 26119), (261100, 261199)]
    >>> beginning_with("0")
    [(0, 0)]
    """
    if not (digits.isascii() and digits.isdigit()):
        raise ArgumentError(f"the beginning of a catalog number must be digits, got {digits!r}")
    first = int(digits)
    if digits[0] == "0":
        # Numbers have no leading zeros.
        return [(0, 0)] if digits == "0" else []
    runs = []
    width = 1
    while first * width <= _LARGEST_NUMBER:
        runs.append((first * width, min(first * width + width - 1, _LARGEST_NUMBER)))
        width *= 10
    return runs


def parameters(target_filter: TargetFilter) -> dict[str, Any]:
    """Return the parameters of statements that use these conditions."""
    return sql.parameters(target_filter.criteria)


def number_conditions(target_filter: TargetFilter) -> list[sa.ColumnElement[bool]]:
    """Return the condition on the first digits of a target's number."""
    if not target_filter.digits:
        return []
    runs = beginning_with(target_filter.digits)
    return [sa.or_(sa.false(), *(_target.c.name.between(low, high) for low, high in runs))]


def with_catalogs(targets: sa.FromClause, target_filter: TargetFilter) -> sa.FromClause:
    """Join the table of catalogs to that of targets, if the filter has conditions on it."""
    if not target_filter.criteria.catalogs:
        return targets
    return targets.join(_catalog, _catalog.c.id == _target.c.catalog_id)


def target_conditions(
    target_filter: TargetFilter, *, one_by_one: bool = False, by_type: bool = False
) -> list[sa.ColumnElement[bool]]:
    """Return all other conditions on a target, including those on its light curves.

    Parameters
    ----------
    target_filter : TargetFilter
        The filter.
    one_by_one : bool, default False
        Whether the targets are few, so that the light curves of each are looked up by
        ``ix_dataset_target_id_observation_id``. The planner decides otherwise.
    by_type : bool, default False
        As for :func:`flag_conditions`.
    """
    return [
        *sql.target_matches(sql.shape_of(target_filter.criteria)),
        *light_curve_conditions(target_filter, one_by_one=one_by_one),
        *flag_conditions(target_filter, by_type=by_type),
    ]


def light_curve_conditions(
    target_filter: TargetFilter,
    *,
    target_id: sa.ColumnElement[int] = _target.c.id,
    one_by_one: bool = False,
) -> list[sa.ColumnElement[bool]]:
    """Return the condition that a target has light curves that match the criteria.

    Parameters
    ----------
    target_filter : TargetFilter
        The filter.
    target_id : sqlalchemy.ColumnElement, default Target.id
        As for :func:`flag_conditions`.
    one_by_one : bool, default False
        As for :func:`target_conditions`.
    """
    shape = sql.shape_of(target_filter.criteria)
    of_observation = sql.observation_matches(shape)
    of_dataset = sql.dataset_matches(shape)
    if not of_observation and not of_dataset:
        return []
    seen = sa.select(_dataset.c.id).where(_dataset.c.target_id == target_id, *of_dataset)
    if of_observation:
        seen = seen.join(_observation, _observation.c.id == _dataset.c.observation_id)
        seen = seen.where(*of_observation)
    if one_by_one:
        # A subquery with an OFFSET does not become a join.
        seen = seen.offset(0)
    return [seen.correlate(target_id.table).exists()]


def fitted(
    session: orm.Session, statement: layout.Statement, target_filter: TargetFilter
) -> layout.Statement:
    """Fit a statement on few targets to the database of a session."""
    (one,) = parts(session, statement, target_filter)
    return one


def parts(
    session: orm.Session, statement: layout.Statement, target_filter: TargetFilter
) -> list[layout.Statement]:
    """Fit a statement on these targets to the database of a session, possibly in parts."""
    # Flags of an observation count for all targets in it, regardless of other filters.
    everywhere = target_filter.flagged is not None
    return layout.parts(session, statement, target_filter.criteria, everywhere=everywhere)


def flag_conditions(
    target_filter: TargetFilter,
    *,
    target_id: sa.ColumnElement[int] = _target.c.id,
    by_type: bool = False,
) -> list[sa.ColumnElement[bool]]:
    """Return the condition that a target has flags, or does not have flags.

    The flags of a target are found by ``ix_quality_flag_array_target_id``. So are, once for all
    targets, the observations with flags; whether a target is in one of these is found by
    ``ix_dataset_target_id_observation_id`` alone.

    Parameters
    ----------
    target_filter : TargetFilter
        The filter.
    target_id : sqlalchemy.ColumnElement, default Target.id
        The id of the target, in the statement that the condition is used in.
    by_type : bool, default False
        Whether to use LightcurveDB's index, on type, observation and target (-1 for all targets).
        Flags of a target then count in the observations in which it has light curves.
    """
    if target_filter.flagged is None:
        return []
    own = sa.select(_flags.c.id).where(_flags.c.target_id == target_id)
    seen = _dataset.alias("seen")
    flagged = sa.select(_flags.c.observation_id).where(_flags.c.target_id.is_(None)).distinct()
    if by_type:
        types = sa.literal_column(FLAG_TYPES, sa.ARRAY(sa.Text))
        of_type = _flags.c.type == sa.any_(types)
        for_all: sa.ColumnElement[int] = sa.literal_column("-1")
        whose = sa.func.coalesce(_flags.c.target_id, for_all)
        every = sa.func.array(sa.select(_observation.c.id).scalar_subquery())
        flagged = flagged.where(
            of_type, whose == for_all, _flags.c.observation_id == sa.any_(every)
        )
        own = (
            sa.select(_flags.c.id)
            .join(seen, seen.c.observation_id == _flags.c.observation_id)
            .where(seen.c.target_id == target_id, of_type, whose == target_id)
        )
    observations = sa.func.array(flagged.scalar_subquery(), type_=sa.ARRAY(sa.Integer))
    of_observation = sa.select(sa.literal(1)).where(
        seen.c.target_id == target_id, seen.c.observation_id == sa.any_(observations)
    )
    # With an OFFSET they are run for each target; the planner might read all DataSets once instead.
    has = sa.or_(
        *(one.correlate(target_id.table).offset(0).exists() for one in (own, of_observation)),
    )
    return [has if target_filter.flagged else sa.not_(has)]
