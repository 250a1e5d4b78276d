"""Check the arguments of a search one by one: catalog numbers, names, ids, values of fields."""

from __future__ import annotations

import decimal
import numbers
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, LightCurveNotFoundError, TargetNotFoundError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.record import RAW
from lcdb_notebook.models import Instrument, Observation, ProcessingMethod, Target
from lcdb_notebook.search.lightkurve_words import catalog_name

__all__ = [
    "NUMBER",
    "RAW",
    "as_list",
    "field_values",
    "instrument_key",
    "is_position",
    "is_word_for_raw",
    "name_of",
    "not_a_number",
    "observations",
    "processing_name",
    "targets",
    "warn_of_gaps",
]


NUMBER = re.compile(r"\s*([A-Za-z][\w .-]*?)?\s*([0-9]+)\s*")
"""A number in a catalog, whose name may come first."""

_LARGEST_NUMBER = 2**63 - 1  # the largest bigint of PostgreSQL
_MOST_DIGITS = 100


def as_list(value: Any, argument: str) -> list[Any]:
    """Return the values of an argument as a list, which is empty for None; refuse an empty list.

    An empty list usually comes from a filter that removed everything. If it were ignored, the
    search would find everything instead.
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
        raise ArgumentError(f"{argument} must not be an empty list: nothing would match")
    return values


def targets(
    target: Any,
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[str, ...]]:
    """Read ``target``: catalog numbers, or ids of Target rows, and the named catalogs."""
    if target is None:
        return None, None, ()
    if is_position(target):
        raise ArgumentError(
            "target must not be a position here; search by it first: db.search(position).table"
        )
    numbers: list[int] = []
    ids: list[int] = []
    catalogs: set[str] = set()
    values = as_list(target, "target")
    present = [one for one in values if not _is_missing(one)]
    if not present:
        raise ArgumentError(
            f"target must be a catalog number, got only missing values such as {values[0]!r}"
        )
    if len(present) < len(values):
        warn_of_gaps(len(values) - len(present), len(values))
    for one in present:
        if isinstance(one, Target):
            ids.append(_id(one))
            continue
        catalog, number = _catalog_number(one)
        numbers.append(number)
        if catalog:
            catalogs.add(catalog)
    if len(catalogs) > 1:
        raise ArgumentError(
            f"targets of several catalogs in one search: {', '.join(sorted(catalogs))}; "
            "search each catalog separately"
        )
    if ids and numbers:
        raise ArgumentError(
            "target must be catalog numbers or Target objects, not a mixture of both"
        )
    return (None, tuple(ids), ()) if ids else (tuple(numbers), None, tuple(catalogs))


def is_position(target: Any) -> bool:
    """Return whether this is an astropy SkyCoord or a list of these, without importing astropy."""
    if isinstance(target, list | tuple):
        return bool(target) and all(is_position(one) for one in target)
    return any(cls.__name__ == "SkyCoord" for cls in type(target).__mro__)


def warn_of_gaps(missing: int, size: int) -> None:
    """Warn of targets that are missing values."""
    warn(f"{missing} of {size} targets are missing values (None, NaN or masked), which are skipped")


def _is_missing(value: Any) -> bool:
    """Return whether a value is a gap in a column: None, NaN, pandas.NA, or masked."""
    if value is None or value is np.ma.masked:
        return True
    # A comparison with pandas.NA is NA, which has no truth value.
    return type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)


def _catalog_number(value: Any) -> tuple[str | None, int]:
    """Read 261136679, 261136679.0, "261136679", "TIC 261136679" or "kplr011446443"."""
    catalog = None
    if isinstance(value, str):
        match = NUMBER.fullmatch(value)
        if match is None:
            raise ArgumentError(not_a_number(value))
        # int() refuses thousands of digits; the first digits are sufficient for the range check.
        catalog, number = match[1], int(match[2].lstrip("0")[:_MOST_DIGITS] or 0)
        catalog = catalog and catalog_name(catalog)
    elif isinstance(value, float | np.floating) and float(value).is_integer():
        if abs(float(value)) >= 2**53:
            raise ArgumentError(
                f"the catalog number {value!r} is a floating-point number that is too large to be "
                "exact; pass integers (in pandas, read the column with dtype='Int64')"
            )
        number = int(value)
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
    else:
        raise ArgumentError(
            f"target must be a catalog number, a Target or a list of these, got {value!r} "
            f"({type(value).__name__})"
        )
    if not 0 <= number <= _LARGEST_NUMBER:
        raise TargetNotFoundError(
            f"no target {number}: catalog numbers must be between 0 and 2**63 - 1"
        )
    return catalog, number


def not_a_number(text: str) -> str:
    """Return the beginning of a message about a text that is not a catalog number."""
    online = advice(
        python=f". astroquery finds the number of a name online: Catalogs.query_object({text!r}, "
        "radius=0.001, catalog='TIC')['ID'][0], from astroquery.mast",
        terminal="",
    )
    return f"{text!r} is not a catalog number; use 261136679 or 'TIC 261136679'{online}"


def _id(stored: Any) -> Any:
    """Return the primary key of an object without a query."""
    identity = sa.inspect(stored).identity
    if identity is None:
        raise ArgumentError(f"{stored!r} has not been stored yet; flush the session first")
    return identity[0]


def name_of(value: Any, model: type[Any], argument: str) -> str:
    """Return a name that is given as text or as a stored object."""
    if isinstance(value, model):
        return str(value.name)
    if isinstance(value, str):
        return str(value)
    raise ArgumentError(
        f"{argument} must be a name, a {model.__name__} or a list of these, got {value!r}"
    )


def processing_name(value: Any) -> str | None:
    """Return the name of a processing method; None for raw photometry."""
    name = name_of(value, ProcessingMethod, "processing")
    # An object represents its name, even if that is "raw".
    return None if isinstance(value, str) and name.lower() == RAW else name


def is_word_for_raw(value: Any) -> bool:
    """Return whether this is the word "raw", which can also be the name of a processing method."""
    return isinstance(value, str) and value is not RAW and value.lower() == RAW


def instrument_key(value: Any) -> str | uuid.UUID:
    """Return the name or the id of an instrument."""
    if isinstance(value, Instrument):
        found: uuid.UUID = _id(value)
        return found
    return value if isinstance(value, uuid.UUID) else name_of(value, Instrument, "instrument")


def observations(value: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Read ``observation``: ids, and the polymorphic identities of observation classes."""
    ids: list[int] = []
    types: list[str] = []
    any_type = False
    for one in as_list(value, "observation"):
        if isinstance(one, type) and issubclass(one, Observation):
            mapper = sa.inspect(one)
            # The base class includes types that do not belong to any class.
            any_type = any_type or mapper.inherits is None
            types += [str(m.polymorphic_identity) for m in mapper.self_and_descendants]
        elif isinstance(one, Observation):
            ids.append(_id(one))
        elif isinstance(one, int | np.integer) and not isinstance(one, bool):
            if not 0 <= int(one) <= _LARGEST_NUMBER:
                raise LightCurveNotFoundError(
                    f"no observation {int(one)}: ids must be between 1 and 2**63 - 1"
                )
            ids.append(int(one))
        else:
            raise ArgumentError(
                "observation must be an id, an Observation, an observation class or a list of "
                f"these, got {one!r}"
            )
    return tuple(ids), () if any_type else tuple(types)


def field_values(name: str, value: Any, columns: Sequence[sa.Column[Any]]) -> tuple[Any, ...]:
    """Return the values to match in a field of observations, after a check of their types."""
    if value is None:
        return (None,)
    kinds = {column.type.python_type for column in columns}
    values = [v.item() if isinstance(v, np.generic) else v for v in as_list(value, name)]
    for one in values:
        if one is not None and not any(_is_a(one, kind) for kind in kinds):
            expected = " or ".join(sorted(kind.__name__ for kind in kinds))
            raise ArgumentError(
                f"{name} must be {expected}, a list of these or None, got {one!r} "
                f"({type(one).__name__})"
            )
    return tuple(values)


def _is_a(value: Any, kind: type[Any]) -> bool:
    # True equals 1 in Python, but not in PostgreSQL.
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind in (int, float, decimal.Decimal):
        # NaN, the gap of a column, would match nothing.
        return isinstance(value, numbers.Real | decimal.Decimal) and value == value
    return isinstance(value, kind)
