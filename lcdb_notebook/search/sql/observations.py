"""The SQL of observations and missions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from lcdb_notebook.models import Instrument, Mission, Observation
from lcdb_notebook.search.criteria import Criteria, Fields, observation_fields
from lcdb_notebook.search.sql.conditions import (
    Query,
    any_of,
    observation_matches,
    parameters,
    same_row,
    shape_of,
)

__all__ = [
    "CLOCK",
    "chronology",
    "chronology_columns",
    "columns_of",
    "described",
    "missions",
    "observation_ids",
    "observations",
    "with_observations",
]

_observation = Observation.__table__
_instrument = Instrument.__table__
_mission = Mission.__table__

#: Columns of a mission and its time format.
CLOCK = (
    *("id", "name", "time_format_name", "time_unit"),
    *("time_epoch", "time_epoch_format", "time_epoch_scale"),
)

# Levels of a tree of instruments; TESS has three.
_DEEPEST = 20


def observations(ids: Sequence[int], fields: Fields | None = None) -> Query:
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
    return _observations(columns_of(known)), {"ids": list(ids)}


def with_observations(
    rows: sa.Select[tuple[Any, ...]], fields: Fields
) -> sa.Select[tuple[Any, ...]]:
    """Add to a page of DataSets what :func:`observations` selects, and the columns of missions.

    Parameters
    ----------
    rows : sqlalchemy.Select
        The DataSets, in order.
    fields : mapping of str to sequence of sqlalchemy.Column
        The fields that the database has.
    """
    return _with_observations(rows, columns_of(fields))


def columns_of(fields: Fields) -> tuple[sa.Column[Any], ...]:
    """Return the columns of all fields of observations."""
    return tuple(column for found in fields.values() for column in found)


@lru_cache(maxsize=256)
def _with_observations(
    rows: sa.Select[tuple[Any, ...]], fields: tuple[sa.Column[Any], ...]
) -> sa.Select[tuple[Any, ...]]:
    ordered = rows.subquery("ordered")
    # Once, and with the plan of a statement that selects nothing else.
    page = (
        sa.select(ordered, sa.func.row_number().over().label("place"))
        .cte("page")
        .prefix_with("MATERIALIZED")
    )
    seen = sa.select(page.c.observation).distinct().scalar_subquery()
    about = described(_observation.c.id == sa.any_(sa.func.array(seen)), fields).subquery("about")
    return (
        sa.select(
            *(column for column in page.c if column.name != "place"),
            *about.c,
            *(_mission.c[name].label(f"mission.{name}") for name in CLOCK),
        )
        .select_from(
            page.join(about, about.c.id == page.c.observation).outerjoin(
                _mission, _mission.c.id == page.c.host_mission_id
            )
        )
        .order_by(page.c.place)
    )


@lru_cache(maxsize=1)
def missions() -> sa.Select[tuple[Any, ...]]:
    """Select all missions, with the columns of their time formats."""
    return sa.select(*(_mission.c[name] for name in CLOCK))


def observation_ids(criteria: Criteria) -> Query:
    """Select the ids of the observations that a search names, in order of time, then of id."""
    statement = (
        sa.select(_observation.c.id)
        .where(*observation_matches(shape_of(criteria)))
        .order_by(*(c.nulls_first() for c in chronology_columns()), _observation.c.id)
    )
    return statement, parameters(criteria)


def chronology() -> list[str]:
    """Return the names of the fields of all observation classes that increase with time."""
    return [column.name for column in chronology_columns()]


def chronology_columns() -> tuple[sa.Column[Any], ...]:
    """Return the fields of all observation classes that increase with time, as columns."""
    columns: dict[str, sa.Column[Any]] = {}
    for mapper in sa.inspect(Observation).self_and_descendants:
        for name in mapper.class_.__chronology__:
            column = mapper.columns[name]
            if column.table is _observation:
                columns[name] = column
    return tuple(columns.values())


@lru_cache(maxsize=8)
def _observations(fields: tuple[sa.Column[Any], ...]) -> sa.Select[tuple[Any, ...]]:
    return described(any_of(_observation.c.id, "ids"), fields)


def described(
    which: sa.ColumnElement[bool], fields: tuple[sa.Column[Any], ...]
) -> sa.Select[tuple[Any, ...]]:
    """Select what :func:`observations` selects, of the observations that match a condition."""
    above = (
        sa.select(
            _observation.c.instrument_id.label("leaf"),
            _observation.c.instrument_id.label("id"),
            sa.literal(0).label("depth"),
        )
        .where(which)
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
        .where(which)
    )
