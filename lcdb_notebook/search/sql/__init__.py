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
from sqlalchemy.dialects.postgresql import aggregate_order_by

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search.criteria import Criteria, Fields, observation_fields
from lcdb_notebook.search.sql.conditions import (
    Shape,
    any_of,
    are_keys,
    dataset_matches,
    method_matches,
    observation_matches,
    parameters,
    same_row,
    shape,
    target_matches,
)

__all__ = [
    "Asked",
    "Shape",
    "any_of",
    "are_keys",
    "chronology",
    "count",
    "dataset_matches",
    "datasets",
    "datasets_of",
    "matching",
    "missions",
    "observation_matches",
    "observations",
    "parameters",
    "same_row",
    "shape",
    "target_matches",
]

#: A statement and the values of its parameters: ``connection.execute(*asked)``.
Asked = tuple[sa.Select[tuple[Any, ...]], dict[str, Any]]

# Table objects, not classes: these statements list columns and never build ORM objects.
_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__
_instrument = Instrument.__table__
_mission = Mission.__table__

# Levels of a tree of instruments; TESS has three.
_DEEPEST = 20

#: A unit in brackets at the beginning of a description, as in comments of FITS headers.
_UNIT_PATTERN = r"^\s*\[([^]]*)\]"


def datasets(
    wanted: Criteria, *, limit: int | None = None, offset: int = 0, backwards: bool = False
) -> Asked:
    """Select the matching DataSets, one row each, without arrays.

    They are in the order of catalog number, catalog, start of the observation, photometry,
    processing (raw first), id. The start of an observation is the ``__chronology__`` of its class,
    then its first cadence number. With ``backwards`` they are in the opposite order.

    With a limit, the planner walks the index on the numbers of targets (forwards or backwards),
    finds the DataSets of each by the index on target and observation, and sorts those of one number
    at a time. Where it expects that few DataSets match, it reads all of these by the index on
    observations or methods, and sorts them.
    """
    page = {"limit": limit, "offset": offset or None}
    page = {name: rows for name, rows in page.items() if rows is not None}
    statement = _datasets(
        shape(wanted), _chronology(), *(name in page for name in _PAGE), backwards
    )
    return statement, parameters(wanted) | page


def datasets_of(ids: Sequence[DataSetId]) -> Asked:
    """Select DataSets by id, with the columns of :func:`datasets`, in no particular order."""
    return _datasets_of(are_keys(ids)), {"ids": list(ids)}


def matching(wanted: Criteria) -> Asked:
    """Select the ids of the matching DataSets, in no particular order."""
    return _matching(shape(wanted)), parameters(wanted)


def count(wanted: Criteria, *, limit: int | None = None, offset: int = 0) -> Asked:
    """Count the matching DataSets, or those of a range."""
    if limit is None and not offset:
        return _count(shape(wanted)), parameters(wanted)
    some, values = matching(wanted)
    page = some.limit(limit).offset(offset).subquery()
    counted: sa.Select[Any] = sa.select(sa.func.count()).select_from(page)
    return counted, values


def observations(ids: Sequence[int], fields: Fields | None = None) -> Asked:
    """Select observations: their fields, instrument path and number of cadences.

    Arrays and JSON are left out. The fields of all classes are columns, NULL for other types.

    Parameters
    ----------
    ids : sequence of int
        Ids of observations.
    fields : mapping of str to sequence of sqlalchemy.Column, optional
        The fields that the database has; those of all mapped classes unless given.
    """
    known = observation_fields() if fields is None else fields
    columns = tuple(c for found in known.values() for c in found)
    return _observations(columns), {"ids": list(ids)}


@lru_cache(maxsize=1)
def missions() -> sa.Select[tuple[Any, ...]]:
    """Select all missions, with the columns of their time formats."""
    names = ("id", "name", "time_format_name", "time_unit", "time_epoch", "time_epoch_format")
    return sa.select(*(_mission.c[name] for name in (*names, "time_epoch_scale")))


_PAGE = ("limit", "offset")


@lru_cache(maxsize=256)
def _datasets(
    asked: Shape,
    chronology: tuple[sa.Column[Any], ...],
    limited: bool,
    moved: bool,
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
        .where(*_matches(asked))
        .order_by(*ordered)
    )
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


@lru_cache(maxsize=256)
def _matching(asked: Shape) -> sa.Select[Any]:
    return sa.select(_dataset.c.id).select_from(_datasets_joined()).where(*_matches(asked))


@lru_cache(maxsize=256)
def _count(asked: Shape) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(_datasets_joined()).where(*_matches(asked))


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


@lru_cache(maxsize=8)
def _observations(fields: tuple[sa.Column[Any], ...]) -> sa.Select[tuple[Any, ...]]:
    above = (
        sa.select(
            _observation.c.instrument_id.label("leaf"),
            _observation.c.instrument_id.label("id"),
            sa.literal(0).label("depth"),
        )
        .where(any_of(_observation.c.id, "ids"))
        .distinct()
        .cte("above", recursive=True)
    )
    above = above.union(
        sa.select(above.c.leaf, _instrument.c.parent_id, above.c.depth + 1)
        .join(_instrument, _instrument.c.id == above.c.id)
        # The schema allows an instrument that is part of itself: limit the recursion.
        .where(_instrument.c.parent_id.is_not(None), above.c.depth < _DEEPEST)
    )
    path = (
        sa.select(
            above.c.leaf,
            sa.func.array_agg(aggregate_order_by(_instrument.c.name, above.c.depth.desc())).label(
                "path"
            ),
        )
        .join(_instrument, _instrument.c.id == above.c.id)
        .group_by(above.c.leaf)
        .subquery("path")
    )
    source: sa.FromClause = _observation.outerjoin(
        path, path.c.leaf == _observation.c.instrument_id
    )
    for table in dict.fromkeys(column.table for column in fields):
        if table is not _observation:
            source = source.outerjoin(table, same_row(table))
    return (
        sa.select(
            _observation.c.id,
            _observation.c.type,
            sa.func.cardinality(_observation.c.cadence_reference).label("cadences"),
            path.c.path.label("instrument"),
            *(column.label(f"{column.table.name}.{column.name}") for column in fields),
        )
        .select_from(source)
        .where(any_of(_observation.c.id, "ids"))
    )


def _datasets_joined() -> sa.FromClause:
    """Join DataSets with their targets, catalogs, observations and methods."""
    return (
        _dataset.join(_target, _target.c.id == _dataset.c.target_id)
        .join(_catalog, _catalog.c.id == _target.c.catalog_id)
        .join(_observation, _observation.c.id == _dataset.c.observation_id)
        .outerjoin(_photometry, _photometry.c.id == _dataset.c.photometric_method_id)
        .outerjoin(_processing, _processing.c.id == _dataset.c.processing_method_id)
    )


def _matches(asked: Shape) -> list[sa.ColumnElement[bool]]:
    return [*observation_matches(asked), *target_matches(asked), *method_matches(asked)]


def chronology() -> list[str]:
    """Return the names of the fields of all observation classes that increase with time."""
    return [column.name for column in _chronology()]


def _chronology() -> tuple[sa.Column[Any], ...]:
    columns: dict[str, sa.Column[Any]] = {}
    for mapper in sa.inspect(Observation).self_and_descendants:
        for name in mapper.class_.__chronology__:
            column = mapper.columns[name]
            if column.table is _observation:
                columns[name] = column
    return tuple(columns.values())
