"""The SQL of a search: matching DataSets in order, and their observations.

Building a statement takes SQLAlchemy as long as PostgreSQL takes to run it, so each is built once,
with named parameters, and cached. The cache keys contain the columns of all observation classes, so
that a class mapped later leads to new statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.models import (
    DataSet,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.sql.conditions import (
    Query,
    Shape,
    any_of,
    are_keys,
    dataset_matches,
    method_matches,
    observation_matches,
    parameters,
    same_row,
    shape_of,
    target_matches,
)
from lcdb_notebook.search.sql.observations import (
    CLOCK,
    chronology,
    chronology_columns,
    missions,
    observation_ids,
    observations,
    with_observations,
)

__all__ = [
    "CLOCK",
    "Query",
    "Shape",
    "any_of",
    "are_keys",
    "chronology",
    "counted",
    "dataset_matches",
    "datasets",
    "datasets_of",
    "missions",
    "observation_ids",
    "observation_matches",
    "observations",
    "parameters",
    "same_row",
    "shape_of",
    "target_matches",
    "with_observations",
]

# Table objects, not classes: these statements list columns and never build ORM objects.
_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__

#: A unit in brackets at the beginning of a description, as in comments of FITS headers.
_UNIT_PATTERN = r"^\s*\[([^]]*)\]"


def datasets(
    criteria: Criteria,
    *,
    limit: int | None = None,
    offset: int = 0,
    backwards: bool = False,
    after: int | None = None,
) -> Query:
    """Select the matching DataSets, one row each, without arrays.

    They are in the order of catalog number, catalog, start of the observation, photometry,
    processing (raw first), id. The start of an observation is the ``__chronology__`` of its class,
    then its first cadence number. With ``backwards`` they are in the opposite order; with
    ``after``, only those of larger catalog numbers are selected.

    With a limit, the planner walks the index on the numbers of targets (forwards or backwards),
    finds the DataSets of each by the index on target and observation, and sorts those of one number
    at a time. Where it expects that few DataSets match, it reads all of these by the index on
    observations or methods, and sorts them.
    """
    page = {"limit": limit, "offset": offset or None, "after": after}
    page = {name: rows for name, rows in page.items() if rows is not None}
    statement = _datasets(
        shape_of(criteria), chronology_columns(), *(name in page for name in _PAGE), backwards
    )
    return statement, parameters(criteria) | page


def counted(criteria: Criteria, most: int) -> sa.ColumnElement[int]:
    """Return a column with the number of matching DataSets, for a statement of their rows.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    most : int
        DataSets that are counted at most.
    """
    return _counted(shape_of(criteria), most)


@lru_cache(maxsize=256)
def _counted(shape: Shape, most: int) -> sa.ColumnElement[int]:
    rows = sa.select(_dataset.c.id).select_from(_datasets_joined()).where(*_matches(shape))
    some = rows.limit(sa.literal_column(str(most))).subquery("counted")
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()


def datasets_of(ids: Sequence[DataSetId]) -> Query:
    """Select DataSets by id, with the columns of :func:`datasets`, in no particular order."""
    return _datasets_of(are_keys(ids)), {"ids": list(ids)}


_PAGE = ("limit", "offset", "after")


@lru_cache(maxsize=256)
def _datasets(
    shape: Shape,
    chronology: tuple[sa.Column[Any], ...],
    limited: bool,
    moved: bool,
    further: bool,
    backwards: bool,
) -> sa.Select[tuple[Any, ...]]:
    opening = _observation.alias("opening")
    start = (
        sa.select(sa.literal_column("opening.cadence_reference[1]").label("cadence"))
        .select_from(opening)
        .where(opening.c.id == _dataset.c.observation_id)
        # OFFSET 0 keeps it separate from the outer query: the planner then caches the result by
        # observation and reads each array once, instead of once per DataSet.
        .offset(0)
        .correlate(_dataset)
        .lateral("start")
    )
    never_null = (_target.c.name, _catalog.c.name)
    then = (*chronology, start.c.cadence)
    names = (_photometry.c.name, _processing.c.name)
    ordered = [
        *_ordered(never_null, backwards),
        *_ordered(then, backwards, nulls=True),
        *_ordered((_dataset.c.observation_id,), backwards),
        *_ordered(names, backwards, nulls=True),
        *_ordered((_dataset.c.id,), backwards),
    ]
    statement = (
        _described(_datasets_joined().outerjoin(start, sa.true()))
        .where(*_matches(shape))
        .order_by(*ordered)
    )
    if further:
        statement = statement.where(_target.c.name > sa.bindparam("after", type_=sa.BigInteger))
    if limited:
        statement = statement.limit(sa.bindparam("limit", type_=sa.Integer))
    return statement.offset(sa.bindparam("offset", type_=sa.Integer)) if moved else statement


def _ordered(
    columns: Iterable[sa.ColumnElement[Any]], backwards: bool, *, nulls: bool = False
) -> list[sa.ColumnElement[Any]]:
    """Order by columns, with NULL first if there may be any; backwards, everything is reversed."""
    directed = [column.desc() if backwards else column.asc() for column in columns]
    if not nulls:
        return list(directed)
    return [one.nulls_last() if backwards else one.nulls_first() for one in directed]


@lru_cache(maxsize=2)
def _datasets_of(keys: bool) -> sa.Select[tuple[Any, ...]]:
    return _described(_datasets_joined()).where(any_of(_dataset.c.id, "ids", keys=keys))


def _described(rows: sa.FromClause) -> sa.Select[tuple[Any, ...]]:
    return sa.select(
        _dataset.c.id.label("dataset"),
        _dataset.c.target_id,
        _target.c.name.label("target"),
        _catalog.c.name.label("catalog"),
        _catalog.c.host_mission_id,
        _dataset.c.observation_id.label("observation"),
        _photometry.c.name.label("photometry"),
        _processing.c.name.label("processing"),
        sa.func.coalesce(
            sa.func.substring(_processing.c.description, _UNIT_PATTERN),
            sa.func.substring(_photometry.c.description, _UNIT_PATTERN),
            "",
        ).label("unit"),
        # NULL in a name means that there is none, unless a row of the method exists.
        sa.case(
            (_catalog.c.host_mission_id.is_(None), "its catalog has no mission"),
            (
                _photometry.c.name.is_(None) & _dataset.c.photometric_method_id.is_not(None),
                "the name of its photometric source is NULL",
            ),
            (
                _processing.c.name.is_(None) & _dataset.c.processing_method_id.is_not(None),
                "the name of its processing method is NULL",
            ),
        ).label("problem"),
    ).select_from(rows)


def _datasets_joined() -> sa.FromClause:
    """Join DataSets with their targets, catalogs, observations and methods."""
    return (
        _dataset.join(_target, _target.c.id == _dataset.c.target_id)
        .join(_catalog, _catalog.c.id == _target.c.catalog_id)
        .join(_observation, _observation.c.id == _dataset.c.observation_id)
        .outerjoin(_photometry, _photometry.c.id == _dataset.c.photometric_method_id)
        .outerjoin(_processing, _processing.c.id == _dataset.c.processing_method_id)
    )


def _matches(shape: Shape) -> list[sa.ColumnElement[bool]]:
    return [*observation_matches(shape), *target_matches(shape), *method_matches(shape)]
