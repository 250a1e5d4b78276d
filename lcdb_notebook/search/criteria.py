"""What a search asks for: arguments checked, catalog numbers understood, nothing queried yet."""

from __future__ import annotations

import decimal
import numbers
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import LightCurveNotFoundError, TargetNotFoundError
from lcdb_notebook.models import (
    Instrument,
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)

__all__ = ["RAW", "Criteria", "criteria", "observation_fields"]

#: ``processing="raw"`` asks for DataSets without a processing method.
RAW = "raw"

_SEARCH_ARGUMENTS = ("target", "catalog", "observation", "instrument", "photometry", "processing")
_LARGEST_NUMBER = 2**63 - 1  # of PostgreSQL's bigint
_MOST_DIGITS = 100


@dataclass(frozen=True)
class Criteria:
    """A search, ready to become SQL; an empty tuple leaves that thing open.

    Parameters
    ----------
    numbers
        Catalog numbers; None leaves the target open.
    target_ids
        Rows of targets given as objects.
    catalogs, photometry, processing
        Names; None among ``processing`` means raw.
    observations
        Ids.
    types
        Polymorphic identities, where an observation class was given.
    instruments
        Names or ids; what is part of them is included.
    fields
        Columns of observation classes, each with the values to match.
    """

    numbers: tuple[int, ...] | None = None
    target_ids: tuple[int, ...] | None = None
    catalogs: tuple[str, ...] = ()
    observations: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    instruments: tuple[str | uuid.UUID, ...] = ()
    photometry: tuple[str, ...] = ()
    processing: tuple[str | None, ...] = ()
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def criteria(
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    photometry: Any = None,
    processing: Any = None,
    asked_by: str = "search()",
    without: Collection[str] = (),
    **fields: Any,
) -> Criteria:
    """Check the arguments of a search: see :meth:`Database.search` for their meaning.

    Parameters
    ----------
    target, catalog, observation, instrument, photometry, processing, **fields
        As a person gave them.
    asked_by
        The method to name in messages.
    without
        Arguments that this method does not take.

    Raises
    ------
    TypeError
        If a keyword is no column of any observation class, or a value has the wrong type.
    ValueError
        If a list is empty, targets or observations are not stored yet, or two catalogs are named
        for one number.
    TargetNotFoundError, LightCurveNotFoundError
        If a number is one that no catalog, or no observation, can have.

    Examples
    --------
    >>> criteria("TIC 261136679", sector=range(1, 3)).numbers
    (261136679,)
    >>> criteria(sektor=1)
    Traceback (most recent call last):
    ...
    TypeError: search() got an unknown argument 'sektor'; it takes target, catalog, ...
    """
    known = observation_fields()
    arguments = (target, catalog, observation, instrument, photometry, processing)
    given = zip(_SEARCH_ARGUMENTS, arguments, strict=True)
    taken = [name for name in _SEARCH_ARGUMENTS if name not in without] + sorted(known)
    for name in [*(name for name, value in given if value is not None), *fields]:
        if name not in taken:
            raise TypeError(
                f"{asked_by} got an unknown argument {name!r}; it takes {', '.join(taken)}"
            )
    catalog_numbers, ids, named_catalogs = _targets(target)
    catalogs = tuple(_name(c, MissionCatalog, "catalog") for c in _several(catalog, "catalog"))
    if catalogs and named_catalogs and catalogs != named_catalogs:
        raise ValueError(
            f"the target names catalog {named_catalogs[0]!r}, but catalog= says {catalog!r}; "
            "leave one of them out"
        )
    observations, types = _observations(observation)
    return Criteria(
        numbers=catalog_numbers,
        target_ids=ids,
        catalogs=catalogs or named_catalogs,
        observations=observations,
        types=types,
        instruments=tuple(_instrument(i) for i in _several(instrument, "instrument")),
        photometry=tuple(
            _name(p, PhotometricSource, "photometry") for p in _several(photometry, "photometry")
        ),
        processing=tuple(_processing(p) for p in _several(processing, "processing")),
        fields={name: _values(name, value, known[name]) for name, value in fields.items()},
    )


def observation_fields() -> dict[str, list[sa.Column[Any]]]:
    """Columns that a search may name: those of every observation class.

    A class that was defined just now counts, too. Arrays and JSON are left out; they cannot be
    compared to a value. A name may belong to columns of several classes, when each has a table of
    its own.

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


def _several(value: Any, argument: str) -> list[Any]:
    """List what was given; None is nothing, and an empty list is refused.

    An empty list is what is left of a filter that kept nothing: read as "whatever", it would find
    everything instead.
    """
    if value is None:
        return []
    one = str | bytes | orm.DeclarativeBase | type | uuid.UUID
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return [value[()]]
    if isinstance(value, one) or not isinstance(value, Iterable):
        return [value]
    values = list(value)
    if not values:
        raise ValueError(f"{argument}= was given an empty list, which nothing can match")
    return values


def _targets(
    target: Any,
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[str, ...]]:
    if target is None:
        return None, None, ()
    numbers: list[int] = []
    ids: list[int] = []
    catalogs: set[str] = set()
    for one in _several(target, "target"):
        if isinstance(one, Target):
            ids.append(_id(one))
            continue
        catalog, number = _catalog_number(one)
        numbers.append(number)
        if catalog:
            catalogs.add(catalog)
    if len(catalogs) > 1:
        raise ValueError(
            f"targets of several catalogs in one search: {', '.join(sorted(catalogs))}; "
            "search each catalog by itself"
        )
    if ids and numbers:
        raise TypeError("a search takes catalog numbers or Target objects, not a mixture of both")
    return (None, tuple(ids), ()) if ids else (tuple(numbers), None, tuple(catalogs))


def _catalog_number(value: Any) -> tuple[str | None, int]:
    """Read 261136679, "261136679" or "TIC 261136679"."""
    catalog = None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([A-Za-z][\w .-]*?)?\s*([0-9]+)\s*", value)
        if match is None:
            raise TypeError(f"{value!r} is no catalog number; write 261136679 or 'TIC 261136679'")
        # Python reads no more than some thousand digits; those of a number are enough.
        catalog, number = match[1], int(match[2].lstrip("0")[:_MOST_DIGITS] or 0)
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
    else:
        raise TypeError(
            f"a target is a catalog number, a list of them or a Target, not {value!r} "
            f"({type(value).__name__})"
        )
    if not 0 <= number <= _LARGEST_NUMBER:
        raise TargetNotFoundError(
            f"no catalog has a target {number}: numbers go from 0 to 2**63 - 1"
        )
    return catalog, number


def _id(stored: Any) -> Any:
    """Give the primary key of an object without asking the database."""
    identity = sa.inspect(stored).identity
    if identity is None:
        raise ValueError(f"{stored!r} is not in the database yet; flush the session first")
    return identity[0]


def _name(value: Any, model: type[Any], argument: str) -> str:
    if isinstance(value, model):
        return str(value.name)
    if isinstance(value, str):
        return str(value)
    raise TypeError(
        f"{argument}= takes a name, a list of names or a {model.__name__}, not {value!r}"
    )


def _processing(value: Any) -> str | None:
    name = _name(value, ProcessingMethod, "processing")
    return None if name.lower() == RAW else name


def _instrument(value: Any) -> str | uuid.UUID:
    if isinstance(value, Instrument):
        found: uuid.UUID = _id(value)
        return found
    return value if isinstance(value, uuid.UUID) else _name(value, Instrument, "instrument")


def _observations(value: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    ids: list[int] = []
    types: list[str] = []
    any_type = False
    for one in _several(value, "observation"):
        if isinstance(one, type) and issubclass(one, Observation):
            mapper = sa.inspect(one)
            # The base class stands for types that no class claims, too.
            any_type = any_type or mapper.inherits is None
            types += [str(m.polymorphic_identity) for m in mapper.self_and_descendants]
        elif isinstance(one, Observation):
            ids.append(_id(one))
        elif isinstance(one, int | np.integer) and not isinstance(one, bool):
            if not 0 <= int(one) <= _LARGEST_NUMBER:
                raise LightCurveNotFoundError(
                    f"there is no observation {int(one)}; ids go from 1 to 2**63 - 1"
                )
            ids.append(int(one))
        else:
            raise TypeError(
                "observation= takes an id, an Observation, one of its classes, or a list, not "
                f"{one!r}"
            )
    return tuple(ids), () if any_type else tuple(types)


def _values(name: str, value: Any, columns: list[sa.Column[Any]]) -> tuple[Any, ...]:
    if value is None:
        return (None,)
    kinds = {column.type.python_type for column in columns}
    values = [v.item() if isinstance(v, np.generic) else v for v in _several(value, name)]
    for one in values:
        if one is not None and not any(_is_a(one, kind) for kind in kinds):
            wanted = " or ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(
                f"{name}= takes {wanted}, a list of them or None, not {one!r} "
                f"({type(one).__name__})"
            )
    return tuple(values)


def _is_a(value: Any, kind: type[Any]) -> bool:
    # To Python True is the number 1 and to PostgreSQL it is not.
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind in (int, float, decimal.Decimal):
        return isinstance(value, numbers.Real | decimal.Decimal)
    return isinstance(value, kind)
