"""Collect the results of a function into one DataFrame."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lcdb_notebook.search.results import Found

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Measured", "Outcome", "frame_of", "values"]


class Measured(NamedTuple):
    """A number with its unit, or a time with its format."""

    value: Any
    unit: str


class Outcome(NamedTuple):
    """The result for one light curve: values by column name, or the text of an error."""

    values: Mapping[str, Any]
    error: str | None = None


def values(result: Any) -> dict[str, Any]:
    """Return the values of a result by name, as objects that any process can unpickle.

    Parameters
    ----------
    result : object
        A dict, Series, named tuple or dataclass has a value for each name, and None has no values.
        Other results are a single value, named "result".

    Returns
    -------
    dict of str to object
        Quantities and times are :class:`Measured`.

    Examples
    --------
    >>> from astropy import units
    >>> values({"period": 1.5 * units.day, "power": 0.25})
    {'period': Measured(value=1.5, unit='d'), 'power': 0.25}
    >>> values(0.25)
    {'result': 0.25}
    """
    if result is None:
        return {}
    import pandas as pd

    named: Any
    if isinstance(result, Mapping | pd.Series):
        named = result.items()
    elif isinstance(result, tuple) and hasattr(result, "_fields"):
        named = zip(result._fields, result, strict=True)
    elif is_dataclass(result) and not isinstance(result, type):
        named = ((one.name, getattr(result, one.name)) for one in fields(result))
    else:
        named = [("result", result)]
    return {str(name): _plain(value) for name, value in named}


def _plain(value: Any) -> Any:
    """Split a scalar quantity or time into number and unit, and unpack 0-d arrays."""
    if value is np.ma.masked:
        return np.nan
    if isinstance(value, float | int | str | np.generic) and not hasattr(value, "unit"):
        return value
    if getattr(value, "shape", None) != ():
        return value
    value = getattr(value, "filled", lambda _: value)(np.nan) if np.ma.is_masked(value) else value
    units, time = sys.modules.get("astropy.units"), sys.modules.get("astropy.time")
    if units is not None and isinstance(value, units.Quantity):
        number = np.nan if np.any(getattr(value, "mask", False)) else _bare(value.value)
        unit = value.unit.to_string()
        return Measured(number, unit) if unit else number
    if time is not None and isinstance(value, time.Time):
        return Measured(_bare(value.value), value.format)
    return value.item() if isinstance(value, np.ndarray) else value


def _bare(number: Any) -> Any:
    number = getattr(number, "unmasked", number)
    return number.item() if hasattr(number, "item") else number


def frame_of(found: Found, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Build the DataFrame: one row per DataSet, with its identity, the values, and the error.

    A value whose name is already used by one of the first columns gets the suffix ``_result``.
    """
    import pandas as pd

    frame = found.table()
    seen = dict.fromkeys(
        name for about, _ in found.observations.values() for name in about.chronology
    )
    who = [
        "dataset",
        "target",
        *(["catalog"] if len({row.catalog for row in found.rows}) > 1 else []),
    ]
    who += [name for name in seen if name in frame]
    frame = frame[[*who, "photometry", "processing"]].copy()
    taken = {*frame.columns, "error"}
    units: dict[str, str] = {}
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in outcomes for name in one.values):
        column_values = [one.values.get(name) for one in outcomes]
        column = f"{name}_result" if name in taken else name
        column_values, unit = _one_unit(column_values)
        if unit:
            units[column] = unit
        columns[column] = _column(column_values)
    columns["error"] = pd.Series([one.error for one in outcomes], dtype=object)
    frame = pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)
    frame.attrs = {"units": units} if units else {}
    return frame


def _one_unit(column_values: list[Any]) -> tuple[list[Any], str]:
    """Convert measured values to the unit of the first, or to text if this is impossible."""
    found = dict.fromkeys(one.unit for one in column_values if isinstance(one, Measured))
    if not found:
        return column_values, ""
    first = next(iter(found))
    if len(found) == 1:
        return [one.value if isinstance(one, Measured) else one for one in column_values], first
    from astropy import units

    try:
        factors = {unit: units.Unit(unit).to(first) for unit in found}
    except (ValueError, units.UnitConversionError):
        texts = [
            f"{one.value} {one.unit}" if isinstance(one, Measured) else one for one in column_values
        ]
        return texts, ""
    return [
        one.value * factors[one.unit] if isinstance(one, Measured) else one for one in column_values
    ], first


def _column(column_values: list[Any]) -> Any:
    import pandas as pd

    if any(isinstance(one, np.ndarray | list | tuple | dict) for one in column_values):
        objects = np.empty(len(column_values), dtype=object)
        # One by one, because numpy would build a 2-D array from arrays of equal length.
        for place, one in enumerate(column_values):
            objects[place] = one
        return objects
    return (
        pd.Series(column_values)
        if any(one is not None for one in column_values)
        else np.full(len(column_values), np.nan)
    )
