"""The conditions of a search on each table, with named parameters instead of values."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import RAW
from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search.criteria import Criteria, observation_fields

__all__ = [
    "Field",
    "Query",
    "Shape",
    "any_of",
    "are_keys",
    "dataset_matches",
    "method_matches",
    "observation_matches",
    "parameters",
    "same_row",
    "shape_of",
    "target_matches",
]

Conditions = list[sa.ColumnElement[bool]]

#: A statement and the values of its parameters: ``connection.execute(*query)``.
Query = tuple[sa.Select[tuple[Any, ...]], dict[str, Any]]

# Table objects instead of classes: statements select columns and never build ORM objects.
_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__
_instrument = Instrument.__table__


@dataclass(frozen=True)
class Field:
    """A field of observations that a search uses.

    Parameters
    ----------
    columns : tuple of sa.Column
        The columns of this name, in the shared table or in separate tables of missions.
    given : bool
        Whether there are values to match.
    empty : bool
        Whether a field that is not set matches.
    """

    columns: tuple[sa.Column[Any], ...]
    given: bool
    empty: bool


@dataclass(frozen=True)
class Shape:
    """The criteria of a search without their values; equal shapes lead to the same SQL.

    Parameters
    ----------
    given : frozenset of str
        Names of the parameters for which :func:`parameters` has values.
    fields : tuple of tuple of (str, Field)
        Fields by name. They include the columns, so that a class mapped later leads to a new shape.
    """

    given: frozenset[str]
    fields: tuple[tuple[str, Field], ...]


def shape_of(criteria: Criteria) -> Shape:
    """Return the shape of a search."""
    columns = criteria.columns
    if not columns.keys() >= criteria.fields.keys():
        columns = observation_fields()
    fields = tuple(
        (
            name,
            Field(
                tuple(columns[name]),
                given=any(value is not None for value in values),
                empty=None in values,
            ),
        )
        for name, values in criteria.fields.items()
    )
    raw = {"raw"} if None in criteria.processing else set()
    if criteria.raw_by_word:
        raw.add("raw_by_word")
    if criteria.without_positions:
        raw.add("without_positions")
    return Shape(frozenset(parameters(criteria).keys() | raw), fields)


def parameters(criteria: Criteria) -> dict[str, Any]:
    """Return the values of the parameters in the conditions of a search.

    Examples
    --------
    >>> from lcdb_notebook.search.criteria import criteria
    >>> parameters(criteria(261136679, sector=[1, 2], processing="raw"))
    {'numbers': (261136679,), 'field sector': [1, 2]}
    """
    instruments = criteria.instruments
    values: dict[str, Any] = {
        "numbers": criteria.numbers,
        "target_ids": criteria.target_ids,
        "catalogs": criteria.catalogs or None,
        "observations": criteria.observations or None,
        "types": criteria.types or None,
        "missions": criteria.missions or None,
        "instrument_names": [i for i in instruments if isinstance(i, str)] or None,
        "instrument_ids": [i for i in instruments if isinstance(i, uuid.UUID)] or None,
        "photometry": criteria.photometry or None,
        "processing": [name for name in criteria.processing if name is not None] or None,
    }
    for name, matching in criteria.fields.items():
        values[f"field {name}"] = [value for value in matching if value is not None] or None
    return {name: value for name, value in values.items() if value is not None}


def any_of(
    column: Any, numbers: Sequence[DataSetId] | str, *, keys: bool = False
) -> sa.ColumnElement[bool]:
    """Return the condition that a column is one of many integers, which are sent as an array.

    Parameters
    ----------
    column : object
        The column.
    numbers : sequence of int or str
        The integers, or the name of a parameter for them.
    keys : bool, default False
        Whether they are texts of keys.

    Examples
    --------
    >>> print(any_of(_target.c.id, [1, 2]))
    target.id = ANY (CAST(:param_1 AS BIGINT[]))
    >>> print(any_of(_target.c.id, "ids"))
    target.id = ANY (CAST(:ids AS BIGINT[]))
    """
    sent: sa.types.TypeEngine[Any] = sa.ARRAY(sa.Text) if keys else NumpyArray("int64")
    array: Any = (
        sa.bindparam(numbers, type_=sent)
        if isinstance(numbers, str)
        else sa.literal(list(numbers), sent)
    )
    if keys:
        # Without a cast, an empty list would have no type.
        array = sa.cast(array, sent)
    matches: sa.ColumnElement[bool] = column == sa.any_(array)
    return matches


def are_keys(ids: Sequence[DataSetId]) -> bool:
    """Return whether ids are texts of keys, as in LightcurveDB 3."""
    return any(isinstance(id_, str) for id_ in ids)


def observation_matches(shape: Shape) -> Conditions:
    """Return the conditions on the table of observations."""
    conditions: Conditions = []
    which: Conditions = []
    if "observations" in shape.given:
        which.append(any_of(_observation.c.id, "observations"))
    if "types" in shape.given:
        which.append(_in(_observation.c.type, "types"))
    if which:
        conditions.append(sa.or_(*which))
    if "missions" in shape.given:
        # The types of all missions are named like tess_observation.
        conditions.append(_in(sa.func.split_part(_observation.c.type, "_", 1), "missions"))
    if shape.given & {"instrument_names", "instrument_ids"}:
        conditions.append(_observation.c.instrument_id.in_(_instruments_below(shape)))
    for name, field in shape.fields:
        conditions.append(sa.or_(*(_field_matches(c, name, field) for c in field.columns)))
    return conditions


def target_matches(shape: Shape) -> Conditions:
    """Return the conditions on the tables of targets and catalogs."""
    conditions: Conditions = []
    if "numbers" in shape.given:
        conditions.append(any_of(_target.c.name, "numbers"))
    if "target_ids" in shape.given:
        conditions.append(any_of(_target.c.id, "target_ids"))
    if "catalogs" in shape.given:
        conditions.append(_in(_catalog.c.name, "catalogs"))
    return conditions


def method_matches(shape: Shape) -> Conditions:
    """Return the conditions on the joined tables of photometric sources and processing methods.

    Planning takes half as long as for conditions on the table of DataSets.
    """
    conditions = _methods_match(
        shape,
        lambda: _in(_photometry.c.name, "photometry"),
        lambda: _in(_processing.c.name, "processing"),
    )
    if "raw_by_word" in shape.given:
        # Methods with that name are also found, so that the ambiguity is detected.
        method = _processing.alias("called_raw")
        called_raw = sa.select(method.c.id).where(sa.func.lower(method.c.name) == RAW)
        conditions[-1] |= _dataset.c.processing_method_id.in_(called_raw)
    if "without_positions" in shape.given:
        is_flux = _processing.c.name.is_(None) | _processing.c.name.not_in([*POSITIONS])
        conditions.append(is_flux)
    return conditions


def dataset_matches(shape: Shape) -> Conditions:
    """Return the conditions on photometry and processing for the table of DataSets alone."""
    photometry = sa.select(_photometry.c.id).where(_in(_photometry.c.name, "photometry"))
    processing = sa.select(_processing.c.id).where(_in(_processing.c.name, "processing"))
    return _methods_match(
        shape,
        lambda: _dataset.c.photometric_method_id.in_(photometry),
        lambda: _dataset.c.processing_method_id.in_(processing),
    )


def _methods_match(shape: Shape, photometry: Any, processing: Any) -> Conditions:
    conditions: Conditions = [photometry()] if "photometry" in shape.given else []
    choices: Conditions = [processing()] if "processing" in shape.given else []
    if "raw" in shape.given:
        choices.append(_dataset.c.processing_method_id.is_(None))
    return [*conditions, sa.or_(*choices)] if choices else conditions


def same_row(table: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a row of a mission's table belongs to a row of observations."""
    key = next(iter(table.primary_key.columns))
    return sa.ColumnElement.__eq__(key, _observation.c.id)


def _instruments_below(shape: Shape) -> sa.Select[tuple[uuid.UUID]]:
    """Select the ids of instruments by name or id, and of all their parts."""
    given = {"instrument_names": _instrument.c.name, "instrument_ids": _instrument.c.id}
    below = (
        sa.select(_instrument.c.id)
        .where(sa.or_(*(_in(column, n) for n, column in given.items() if n in shape.given)))
        # Unnamed, because a statement may contain this more than once.
        .cte(recursive=True)
    )
    below = below.union(
        sa.select(_instrument.c.id).join(below, _instrument.c.parent_id == below.c.id)
    )
    return sa.select(below.c.id)


def _field_matches(column: sa.Column[Any], name: str, field: Field) -> sa.ColumnElement[bool]:
    choices: Conditions = []
    if field.given:
        choices.append(_in(column, f"field {name}"))
    if field.empty:
        choices.append(column.is_(None))
    matches = sa.or_(*choices)
    if column.table is _observation:
        return matches
    return sa.select(sa.literal(1)).where(same_row(column.table), matches).exists()


def _in(column: Any, name: str) -> sa.ColumnElement[bool]:
    matches: sa.ColumnElement[bool] = column.in_(sa.bindparam(name, expanding=True))
    return matches
