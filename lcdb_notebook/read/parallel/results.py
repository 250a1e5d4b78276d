"""Collect the results of a function into one DataFrame."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.results import Found

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "InMemory",
    "Measured",
    "Outcome",
    "frame_of_parts",
    "in_units",
    "joined",
    "lead_and_results",
    "values",
]


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


class InMemory:
    """The results of a run, kept in memory."""

    def __init__(self) -> None:
        self._frames: list[pd.DataFrame] = []
        self._part: list[tuple[Found, Sequence[Outcome]]] = []
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def missing(self, found: Found) -> Found:
        """Return the rows that have no result: all."""
        self.flush()
        return found

    def add(self, found: Found, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of rows."""
        self._part.append((found, outcomes))
        self._number += len(outcomes)

    def flush(self) -> None:
        """Build the DataFrame of what was added."""
        if self._part:
            self._frames.append(frame_of_parts(self._part))
            self._part = []

    def frames(self) -> list[pd.DataFrame]:
        """Return all DataFrames."""
        return self._frames


def frame_of_parts(parts: Sequence[tuple[Found, Sequence[Outcome]]]) -> pd.DataFrame:
    """Build the DataFrame of several parts of a page, whose observations are the same."""
    rows = [row for found, _ in parts for row in found.rows]
    observations = {id_: about for found, _ in parts for id_, about in found.observations.items()}
    return frame_of(Found(rows, observations), [one for _, some in parts for one in some])


def joined(frames: Sequence[pd.DataFrame], order: Sequence[DataSetId]) -> pd.DataFrame:
    """Join DataFrames of :func:`frame_of`, with the rows of some DataSets in their order.

    Numbers of a name have the unit of the first DataFrame that has one. The column ``catalog`` is
    left out if it is the same everywhere.
    """
    import pandas as pd

    lead, results = lead_and_results([[str(name) for name in frame] for frame in frames])
    units: dict[str, str] = {}
    for frame in frames:
        units = {**frame.attrs.get("units", {}), **units}
    # Columns without any value have no type.
    parts = [
        in_units(frame, units).drop(
            columns=[n for n in results if n in frame and _is_empty(frame[n])]
        )
        for frame in frames
    ]
    columns = [*lead, "photometry", "processing", *results, "error"]
    whole: Any = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    # Two calls may have written results of the same DataSet into one folder.
    whole = whole.drop_duplicates("dataset", ignore_index=True)
    places = pd.Index(whole["dataset"]).get_indexer(order)
    whole = whole.iloc[places[places >= 0]].reset_index(drop=True)
    whole["error"] = whole["error"].astype(object).where(whole["error"].notna(), None)
    if whole["catalog"].nunique() < 2:
        del whole["catalog"]
    whole.attrs = {"units": units} if units else {}
    return cast("pd.DataFrame", whole)


def _is_empty(column: pd.Series[Any]) -> bool:
    return bool(column.isna().all())


def lead_and_results(columns: Iterable[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return the names before ``photometry``, and those of results, of several DataFrames."""
    lead: dict[str, None] = {}
    results: dict[str, None] = {}
    for names in columns:
        place = names.index("photometry")
        lead |= dict.fromkeys(names[:place])
        results |= dict.fromkeys(names[place + 2 : -1])
    return [*lead], [*results]


def in_units(frame: pd.DataFrame, units: Mapping[str, str]) -> pd.DataFrame:
    """Convert the numbers of a DataFrame to units, or to text if this is impossible."""
    own = frame.attrs.get("units", {})
    for name in [name for name in own if own[name] != units[name]]:
        measured = [Measured(value, own[name]) for value in frame[name]]
        values_, _ = _one_unit([Measured(float("nan"), units[name]), *measured])
        frame = frame.assign(**{name: values_[1:]})
    return frame


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
        "catalog",
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
