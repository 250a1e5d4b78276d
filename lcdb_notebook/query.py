"""The SQL of a search: which DataSets match, in which order, and what is known about each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from lcdb_notebook.criteria import Criteria, observation_fields
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)

__all__ = [
    "any_of",
    "count",
    "dataset_matches",
    "datasets",
    "datasets_joined",
    "instruments_below",
    "missions",
    "observation_matches",
    "observations",
    "target_matches",
]

# Table objects, not classes: these statements list columns and never build ORM objects.
_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__
_instrument = Instrument.__table__

# Levels of a tree of instruments; TESS has three.
_DEEPEST = 20

#: A unit in brackets at the head of a description, where FITS headers put it.
_UNIT_PATTERN = r"^\s*\[([^]]*)\]"


def any_of(column: Any, numbers: Sequence[int]) -> sa.ColumnElement[bool]:
    """Compare a column with many integers, sent as one array.

    Examples
    --------
    >>> print(any_of(_target.c.id, [1, 2]))
    target.id = ANY (CAST(:param_1 AS BIGINT[]))
    """
    matches: sa.ColumnElement[bool] = column == sa.any_(
        sa.literal(list(numbers), NumpyArray("int64"))
    )
    return matches


def datasets(
    wanted: Criteria, *, limit: int | None = None, offset: int = 0
) -> sa.Select[tuple[Any, ...]]:
    """Select the DataSets that match, one row each, without arrays.

    Order: catalog number, catalog, start of the observation, photometry, processing (raw first),
    id. An observation's start is what its class declares as ``__chronology__``, then its first
    cadence number.
    """
    opening = _observation.alias("opening")
    start = (
        sa.select(sa.literal_column("opening.cadence_reference[1]").label("cadence"))
        .select_from(opening)
        .where(opening.c.id == _dataset.c.observation_id)
        # Kept apart from the outer query, the planner remembers it for each observation and reads
        # that array once, not once a DataSet.
        .offset(0)
        .correlate(_dataset)
        .lateral("start")
    )
    statement = (
        sa.select(
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
        )
        .select_from(datasets_joined().outerjoin(start, sa.true()))
        .where(*_matches(wanted))
        .order_by(
            _target.c.name,
            _catalog.c.name,
            *(column.nulls_first() for column in _chronology()),
            start.c.cadence.nulls_first(),
            _dataset.c.observation_id,
            _photometry.c.name.nulls_first(),
            _processing.c.name.nulls_first(),
            _dataset.c.id,
        )
    )
    if limit is not None:
        statement = statement.limit(limit)
    return statement.offset(offset) if offset else statement


def count(wanted: Criteria) -> sa.Select[Any]:
    """Count the DataSets that match."""
    return sa.select(sa.func.count()).select_from(datasets_joined()).where(*_matches(wanted))


def observations(ids: Sequence[int]) -> sa.Select[tuple[Any, ...]]:
    """Select what is known of observations: fields, instrument path, number of cadences.

    Arrays and JSON stay behind; the fields of every class are columns, NULL where not of its type.
    """
    above = (
        sa.select(
            _observation.c.instrument_id.label("leaf"),
            _observation.c.instrument_id.label("id"),
            sa.literal(0).label("depth"),
        )
        .where(any_of(_observation.c.id, ids))
        .distinct()
        .cte("above", recursive=True)
    )
    above = above.union(
        sa.select(above.c.leaf, _instrument.c.parent_id, above.c.depth + 1)
        .join(_instrument, _instrument.c.id == above.c.id)
        # Nothing forbids an instrument that is part of itself; it must not keep the server busy.
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
    columns: list[sa.Label[Any]] = []
    tables = {_observation}
    for found in observation_fields().values():
        for column in found:
            if column.table not in tables:
                tables.add(column.table)
                source = source.outerjoin(column.table, _same_row(column.table))
            columns.append(column.label(f"{column.table.name}.{column.name}"))
    return (
        sa.select(
            _observation.c.id,
            _observation.c.type,
            sa.func.cardinality(_observation.c.cadence_reference).label("cadences"),
            path.c.path.label("instrument"),
            *columns,
        )
        .select_from(source)
        .where(any_of(_observation.c.id, ids))
    )


def missions() -> sa.Executable:
    """Select every mission; there are never many."""
    return sa.select(Mission)


def instruments_below(wanted: Sequence[str | uuid.UUID]) -> sa.Select[tuple[uuid.UUID]]:
    """Select the ids of instruments, given by name or id, and of all that is part of them."""
    names = [i for i in wanted if isinstance(i, str)]
    ids = [i for i in wanted if not isinstance(i, str)]
    below = (
        sa.select(_instrument.c.id)
        .where(sa.or_(_instrument.c.name.in_(names), _instrument.c.id.in_(ids)))
        .cte("below", recursive=True)
    )
    below = below.union(
        sa.select(_instrument.c.id).join(below, _instrument.c.parent_id == below.c.id)
    )
    return sa.select(below.c.id)


def observation_matches(wanted: Criteria) -> list[sa.ColumnElement[bool]]:
    """Conditions on the observation table."""
    conditions: list[sa.ColumnElement[bool]] = []
    which: list[sa.ColumnElement[bool]] = []
    if wanted.observations:
        which.append(any_of(_observation.c.id, wanted.observations))
    if wanted.types:
        which.append(_observation.c.type.in_(wanted.types))
    if which:
        conditions.append(sa.or_(*which))
    if wanted.instruments:
        conditions.append(_observation.c.instrument_id.in_(instruments_below(wanted.instruments)))
    columns = observation_fields() if wanted.fields else {}
    for name, values in wanted.fields.items():
        conditions.append(sa.or_(*(_field_matches(c, values) for c in columns[name])))
    return conditions


def target_matches(wanted: Criteria) -> list[sa.ColumnElement[bool]]:
    """Conditions on the tables of targets and catalogs."""
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.numbers is not None:
        conditions.append(any_of(_target.c.name, wanted.numbers))
    if wanted.target_ids is not None:
        conditions.append(any_of(_target.c.id, wanted.target_ids))
    if wanted.catalogs:
        conditions.append(_catalog.c.name.in_(wanted.catalogs))
    return conditions


def dataset_matches(wanted: Criteria) -> list[sa.ColumnElement[bool]]:
    """Conditions on the dataset table alone: photometry and processing."""
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.photometry:
        ids = sa.select(_photometry.c.id).where(_photometry.c.name.in_(wanted.photometry))
        conditions.append(_dataset.c.photometric_method_id.in_(ids))
    if wanted.processing:
        names = [name for name in wanted.processing if name is not None]
        choices: list[sa.ColumnElement[bool]] = []
        if names:
            ids = sa.select(_processing.c.id).where(_processing.c.name.in_(names))
            choices.append(_dataset.c.processing_method_id.in_(ids))
        if None in wanted.processing:
            choices.append(_dataset.c.processing_method_id.is_(None))
        conditions.append(sa.or_(*choices))
    return conditions


def datasets_joined() -> sa.FromClause:
    """Join datasets with their targets, catalogs, observations and methods."""
    return (
        _dataset.join(_target, _target.c.id == _dataset.c.target_id)
        .join(_catalog, _catalog.c.id == _target.c.catalog_id)
        .join(_observation, _observation.c.id == _dataset.c.observation_id)
        .outerjoin(_photometry, _photometry.c.id == _dataset.c.photometric_method_id)
        .outerjoin(_processing, _processing.c.id == _dataset.c.processing_method_id)
    )


def _matches(wanted: Criteria) -> list[sa.ColumnElement[bool]]:
    return [*observation_matches(wanted), *target_matches(wanted), *dataset_matches(wanted)]


def _field_matches(column: sa.Column[Any], values: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    if column.table is not _observation:
        inside = sa.select(sa.literal(1)).where(_same_row(column.table), _is_one_of(column, values))
        return inside.exists()
    return _is_one_of(column, values)


def _is_one_of(column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    given = [value for value in values if value is not None]
    conditions: list[sa.ColumnElement[bool]] = []
    if given:
        conditions.append(column.in_(given))
    if len(given) < len(values):
        conditions.append(column.is_(None))
    return sa.or_(*conditions)


def _same_row(table: Any) -> sa.ColumnElement[bool]:
    key = next(iter(table.primary_key.columns))
    return sa.ColumnElement.__eq__(key, _observation.c.id)


def _chronology() -> list[sa.Column[Any]]:
    columns: dict[str, sa.Column[Any]] = {}
    for mapper in sa.inspect(Observation).self_and_descendants:
        for name in mapper.class_.__chronology__:
            column = mapper.columns[name]
            if column.table is _observation:
                columns[name] = column
    return list(columns.values())
