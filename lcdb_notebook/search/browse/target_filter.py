"""Which targets are wanted: the beginning of their numbers, a search, flags; and that as SQL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from lcdb_notebook.models import DataSet, Observation, QualityFlagArray, Target
from lcdb_notebook.search import sql
from lcdb_notebook.search.criteria import Criteria

__all__ = [
    "OF_CRITERIA",
    "TargetRow",
    "Wanted",
    "beginning_with",
    "flag_conditions",
    "number_conditions",
    "parameters",
    "target_conditions",
]

_LARGEST_NUMBER = 2**63 - 1  # of PostgreSQL's bigint

_dataset = DataSet.__table__
_target = Target.__table__
_observation = Observation.__table__
_flags = QualityFlagArray.__table__

#: Facets that are no field of an observation class, and which part of Criteria each of them sets.
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
class Wanted:
    """Which targets are wanted.

    Parameters
    ----------
    digits
        How their catalog numbers begin; "" leaves that open.
    criteria
        What else is asked of them, as in a search.
    flagged
        True for those with quality flags, of their own or of an observation that they were seen
        in; False for those without; None leaves it open.
    """

    digits: str = ""
    criteria: Criteria = field(default_factory=Criteria)
    flagged: bool | None = None

    def without(self, facet: str) -> Wanted:
        """Leave one facet open: a field, or "catalog", "instrument", ..., "flags"."""
        if facet == "flags":
            return dataclasses.replace(self, flagged=None)
        if facet in OF_CRITERIA:
            changed: dict[str, Any] = {OF_CRITERIA[facet]: ()}
        else:
            changed = {"fields": {k: v for k, v in self.criteria.fields.items() if k != facet}}
        return dataclasses.replace(self, criteria=dataclasses.replace(self.criteria, **changed))


def beginning_with(digits: str) -> list[tuple[int, int]]:
    """Give the runs of numbers that begin with some digits, both ends included, in order.

    Catalog numbers are integers, so what begins with "2611" is 2611, 26110 to 26119, and so on: at
    most 19 runs, each of which the ordinary index finds.

    Raises
    ------
    ValueError
        If these are no digits.

    Examples
    --------
    >>> beginning_with("2611")[:3]
    [(2611, 2611), (26110, 26119), (261100, 261199)]
    >>> beginning_with("0")
    [(0, 0)]
    """
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{digits!r} is not the beginning of a catalog number: digits alone are")
    first = int(digits)
    if digits[0] == "0":
        # No number is written with a zero in front.
        return [(0, 0)] if digits == "0" else []
    runs = []
    width = 1
    while first * width <= _LARGEST_NUMBER:
        runs.append((first * width, min(first * width + width - 1, _LARGEST_NUMBER)))
        width *= 10
    return runs


def parameters(wanted: Wanted) -> dict[str, Any]:
    """Give the values of the parameters that conditions name, of statements on these targets."""
    return sql.parameters(wanted.criteria)


def number_conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """Give the condition on how a target's number begins."""
    if not wanted.digits:
        return []
    runs = beginning_with(wanted.digits)
    return [sa.or_(sa.false(), *(_target.c.name.between(low, high) for low, high in runs))]


def target_conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """Give all other conditions on a target, and on the light curves that it must have."""
    shape = sql.shape(wanted.criteria)
    conditions = list(sql.target_matches(shape))
    of_observation = sql.observation_matches(shape)
    of_dataset = sql.dataset_matches(shape)
    if of_observation or of_dataset:
        seen = sa.select(_dataset.c.id).where(_dataset.c.target_id == _target.c.id, *of_dataset)
        if of_observation:
            seen = seen.join(_observation, _observation.c.id == _dataset.c.observation_id)
            seen = seen.where(*of_observation)
        conditions.append(seen.correlate(_target).exists())
    return [*conditions, *flag_conditions(wanted)]


def flag_conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """Give the condition that a target has flags, or has none."""
    if wanted.flagged is None:
        return []
    own = sa.select(_flags.c.id).where(_flags.c.target_id == _target.c.id)
    seen = _dataset.alias("seen")
    of_observation = (
        sa.select(seen.c.id)
        .join(_flags, _flags.c.observation_id == seen.c.observation_id)
        .where(seen.c.target_id == _target.c.id, _flags.c.target_id.is_(None))
    )
    has = sa.or_(own.correlate(_target).exists(), of_observation.correlate(_target).exists())
    return [has if wanted.flagged else sa.not_(has)]
