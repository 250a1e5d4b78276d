"""Criteria of a search, built from its arguments without a query."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.errors import ArgumentError, SchemaError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.models import (
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
)
from lcdb_notebook.search.arguments import (
    as_list,
    field_values,
    instrument_key,
    is_word_for_raw,
    name_of,
    observations,
    processing_name,
    targets,
)
from lcdb_notebook.search.lightkurve_words import WORDS, mission_names, translated

__all__ = ["Criteria", "Fields", "criteria", "observation_fields"]

#: Columns that a search may use, by field.
Fields = Mapping[str, Sequence[sa.Column[Any]]]

_SEARCH_ARGUMENTS = ("target", "catalog", "observation", "instrument", "photometry", "processing")


@dataclass(frozen=True)
class Criteria:
    """The criteria of a search; an empty tuple matches everything.

    Parameters
    ----------
    numbers : tuple of int, optional
        Catalog numbers; None matches all targets.
    target_ids : tuple of int, optional
        Ids of targets that were passed as objects.
    catalogs, photometry : tuple of str
        Names.
    processing : tuple of (str or None)
        Names; None means raw photometry.
    raw_by_word : bool
        Whether raw photometry was requested by the word "raw", which may also be the name of a
        method.
    missions : tuple of str
        Names in lower case, with which the types of observations begin.
    observations : tuple of int
        Ids.
    types : tuple of str
        Polymorphic identities of the requested observation classes.
    instruments : tuple of str or uuid.UUID
        Names or ids; their parts are included.
    without_positions : bool
        Whether DataSets that are positions of the star are left out.
    aliases : bool
        Whether other targets that are the same star as a requested one also match.
    fields : mapping of str to tuple of object
        Values to match, by column of the observation classes.
    columns : mapping of str to sequence of sqlalchemy.Column
        The columns of these fields in the database that is searched.
    """

    numbers: tuple[int, ...] | None = None
    target_ids: tuple[int, ...] | None = None
    catalogs: tuple[str, ...] = ()
    missions: tuple[str, ...] = ()
    observations: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    instruments: tuple[str | uuid.UUID, ...] = ()
    photometry: tuple[str, ...] = ()
    processing: tuple[str | None, ...] = ()
    raw_by_word: bool = False
    without_positions: bool = False
    aliases: bool = False
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    columns: Fields = field(default_factory=dict, compare=False, repr=False)


def criteria(
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    photometry: Any = None,
    processing: Any = None,
    caller: str = "search()",
    without: Collection[str] = (),
    known_fields: Fields | None = None,
    **fields: Any,
) -> Criteria:
    """Check the arguments of a search, and return them as criteria.

    Parameters
    ----------
    target, catalog, observation, instrument, photometry, processing, **fields
        The arguments of :meth:`Database.search`.
    caller : str, default "search()"
        Name of the method in error messages.
    without : collection of str, default ()
        Arguments that this method does not accept.
    known_fields : mapping of str to sequence of sqlalchemy.Column, optional
        The fields of observations in the database; by default those of all mapped classes.

    Raises
    ------
    SchemaError
        If a keyword is a field of a mapped class that the database does not have.
    ArgumentError
        If a keyword is not a column of any observation class, or a value has the wrong type.
        If a list is empty, a target or an observation has not been stored, or the target and
        ``catalog`` are in different catalogs.
    TargetNotFoundError, LightCurveNotFoundError
        If a number is out of the range of catalog numbers or observation ids.

    Examples
    --------
    >>> criteria("TIC 261136679", sector=range(1, 3)).numbers
    (261136679,)
    >>> criteria(sektor=1)
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.ArgumentError: search() got an unknown argument 'sektor'; it takes ...
    """
    known = observation_fields() if known_fields is None else known_fields
    values = (target, catalog, observation, instrument, photometry, processing)
    given = zip(_SEARCH_ARGUMENTS, values, strict=True)
    taken = [name for name in _SEARCH_ARGUMENTS if name not in without]
    taken += sorted({*known, *(WORDS if "observation" not in without else ())})
    for name in [*(name for name, value in given if value is not None), *fields]:
        if name not in taken:
            _refuse_absent_field(name, known)
            raise ArgumentError(
                advice(
                    python=f"{caller} got an unknown argument {name!r}; it takes "
                    f"{', '.join(taken)}",
                    terminal=f"no field named {name!r}; the fields of observations in this "
                    f"database: {', '.join(sorted(known)) or 'none'}",
                )
            )
    mission = fields.get("mission") if "mission" not in known else None
    fields = translated(fields, known)
    catalog_numbers, ids, named_catalogs = targets(target)
    catalogs = tuple(name_of(c, MissionCatalog, "catalog") for c in as_list(catalog, "catalog"))
    if catalogs and named_catalogs and catalogs != named_catalogs:
        raise ArgumentError(
            f"the target is in catalog {named_catalogs[0]!r}, but "
            + advice(python=f"catalog={catalog!r}", terminal=f"--catalog {' '.join(catalogs)}")
            + "; omit one of them"
        )
    ids_of_observations, types = observations(observation)
    return Criteria(
        numbers=catalog_numbers,
        target_ids=ids,
        catalogs=catalogs or named_catalogs,
        missions=() if mission is None else mission_names(mission),
        observations=ids_of_observations,
        types=types,
        instruments=tuple(instrument_key(i) for i in as_list(instrument, "instrument")),
        photometry=tuple(
            name_of(p, PhotometricSource, "photometry") for p in as_list(photometry, "photometry")
        ),
        processing=tuple(processing_name(p) for p in as_list(processing, "processing")),
        raw_by_word=any(is_word_for_raw(p) for p in as_list(processing, "processing")),
        fields={name: field_values(name, value, known[name]) for name, value in fields.items()},
        columns={name: known[name] for name in fields},
    )


def _refuse_absent_field(name: str, known: Fields) -> None:
    """Explain that a field of a mapped class does not exist in this database."""
    columns = observation_fields().get(name, ())
    if columns:
        there = ", ".join(sorted(known)) or "none"
        raise SchemaError(
            f"column {columns[0]} does not exist; the fields of observations in this database: "
            f"{there}. If the database is yours, add the column with db.create()"
        )


def observation_fields() -> dict[str, list[sa.Column[Any]]]:
    """Return the columns of all observation classes that a search may use, by name.

    Classes defined since the last call are included. Arrays and JSON are excluded because they
    cannot be compared with a value. A name may belong to columns of several classes, if each class
    has a separate table.

    Examples
    --------
    >>> [column.table.name for column in observation_fields()["sector"]]
    ['observation']
    """
    base = sa.inspect(Observation)
    columns: dict[str, list[sa.Column[Any]]] = {}
    for mapper in base.self_and_descendants:
        for name, column in mapper.columns.items():
            mine = column not in set(base.columns) and not column.primary_key
            comparable = not isinstance(column.type, NumpyArray | sa.JSON)
            if mine and comparable and column not in columns.setdefault(name, []):
                columns[name].append(column)
    return {name: found for name, found in columns.items() if found}
