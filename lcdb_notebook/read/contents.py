"""Add the header cards and further columns of files to LightCurves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, DataError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import unit_of_astropy
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS
from lcdb_notebook.read.fetch import Arrays, Pair, fetch
from lcdb_notebook.search import layout

if TYPE_CHECKING:
    import lightkurve

__all__ = ["Columns", "add_cards", "add_contents"]

Columns = str | Sequence[str] | None
"""Type of ``columns``: "all", or the names of further columns."""

# lightkurve's names of columns, which it adds to those of the files (lightkurve.io.generic).
_ALSO = {"centroid_col": "mom_centr1", "centroid_row": "mom_centr2"}
_UNITS = {"e-/s": "electron/s", "e/s": "electron/s", "pixels": "pixel", "ADU": "adu"}

_OF_PAIRS = (
    "(SELECT unnest(CAST(:targets AS bigint[])) AS target_id, "
    "unnest(CAST(:observations AS int[])) AS observation_id) AS pair "
)
_CURVES = sa.text(
    f"SELECT target_id, observation_id, curves, cadences FROM {_OF_PAIRS} "
    f"JOIN {HEADERS} USING (target_id, observation_id)"
)
_NAMES = sa.text(
    f"SELECT target_id, observation_id, name FROM {_OF_PAIRS} "
    f"JOIN {COLUMNS} USING (target_id, observation_id)"
)
_VALUES = sa.text(
    f'SELECT target_id, observation_id, name, unit, type, "values" FROM {_OF_PAIRS} '
    f"JOIN {COLUMNS} USING (target_id, observation_id) WHERE name = ANY(:names)"
)
_DATASETS = sa.text(
    "SELECT d.target_id, d.observation_id, d.id, p.name, m.name "
    f"FROM {_OF_PAIRS} JOIN dataset d USING (target_id, observation_id) "
    "LEFT JOIN photometric_source p ON p.id = d.photometric_method_id "
    "LEFT JOIN processing_method m ON m.id = d.processing_method_id"
)


@dataclass(frozen=True)
class _Column:
    """Values of a column at the cadences of a light curve's observation, or at its own."""

    unit: str
    cadence: npt.NDArray[np.int64]
    values: npt.NDArray[Any]

    def at(self, cadence: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the values at some cadences; NaN, or 0 for integers, if there are none."""
        values = self.values
        missing = np.zeros((), values.dtype) if values.dtype.kind in "iu" else np.nan
        found = np.full(cadence.size, missing, values.dtype)
        if values.size:
            places = np.searchsorted(self.cadence, cadence)
            places[places == self.cadence.size] = 0
            known = self.cadence[places] == cadence
            found[known] = values[places[known]]
        return found


def add_contents(
    session: orm.Session,
    lightcurves: Sequence[lightkurve.LightCurve],
    records: Sequence[LightCurveData],
    pairs: Mapping[Any, Pair],
    cards: Mapping[Pair, Mapping[str, Any]],
    columns: Columns = None,
) -> None:
    """Add header cards to ``meta``, and the named columns to light curves.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    lightcurves : sequence of lightkurve.LightCurve
        They are changed.
    records : sequence of LightCurveData
        The record of each.
    pairs : mapping of DataSetId to tuple of (int, int)
        The ids of the target and the observation of each DataSet.
    cards : mapping of tuple of (int, int) to mapping of str to object
        The header cards, by the ids of targets and observations.
    columns : str, sequence of str, or None
        "all", or names in any case.

    Raises
    ------
    ArgumentError
        If a light curve has no column of a name.
    """
    names = _requested(columns)
    datasets = list(dict.fromkeys(pairs[data.dataset] for data in records))
    if not layout.of(session).has_contents or not datasets:
        _refuse(names, ())
        return
    for lightcurve, data in zip(lightcurves, records, strict=True):
        add_cards(lightcurve, cards.get(pairs[data.dataset], {}))
    if names == []:
        return
    further, known = _columns(session, _keys(datasets), records, pairs, names)
    for lightcurve, data in zip(lightcurves, records, strict=True):
        found = further.get(pairs[data.dataset], {})
        _refuse([n for n in names or () if n not in found], known.get(pairs[data.dataset], ()))
        _add(lightcurve, found if names is None else {name: found[name] for name in names})


def add_cards(lightcurve: lightkurve.LightCurve, cards: Mapping[str, Any]) -> None:
    """Add the cards to ``meta`` that it does not contain."""
    meta = lightcurve.meta
    for key, value in cards.items():
        if meta.get(key) is None:
            meta[key] = value


def _keys(pairs: Collection[Pair]) -> dict[str, Any]:
    return {"targets": [t for t, _ in pairs], "observations": [o for _, o in pairs]}


def _requested(columns: Columns) -> list[str] | None:
    """Return names in lower case; None for all."""
    if columns is None:
        return []
    if isinstance(columns, str):
        return None if columns.lower() == "all" else [columns.lower()]
    names = list(columns)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"columns must be 'all' or names of columns, got {columns!r}")
    return [name.lower() for name in names]


def _refuse(names: Collection[str] | None, available: Collection[str]) -> None:
    """Raise ArgumentError for the first of the names that are missing."""
    for name in names or ():
        listed = ", ".join(sorted(available)) or "none"
        raise ArgumentError(f"columns: no column named {name!r}; available: {listed}")


def _columns(
    session: orm.Session,
    keys: dict[str, Any],
    records: Sequence[LightCurveData],
    pairs: Mapping[Any, Pair],
    names: list[str] | None,
) -> tuple[dict[Pair, dict[str, _Column]], dict[Pair, set[str]]]:
    """Read columns of files, and the fluxes of other light curves, by the names in the files.

    The second value has the names of all columns.
    """
    needed = None if names is None else {*names, *(_ALSO[n] for n in names if n in _ALSO)}
    found: dict[Pair, dict[str, _Column]] = {}
    curves: dict[Pair, dict[str, Any]] = {}
    cadences: dict[Pair, npt.NDArray[np.int64]] = {}
    for target, observation, of_pair, sent in session.execute(_CURVES, keys):
        curves[target, observation] = of_pair
        cadences[target, observation] = np.frombuffer(sent, "<i8")
    known = {pair: {*of_pair} for pair, of_pair in curves.items()}
    for target, observation, name in session.execute(_NAMES, keys):
        known[target, observation].add(name)
    for of_known in known.values():
        of_known |= {also for also, name in _ALSO.items() if name in of_known}
    stored = sorted(set().union(*known.values()))
    chosen = [name for name in stored if needed is None or name in needed]
    for target, observation, name, unit, type_, sent in session.execute(
        _VALUES, keys | {"names": chosen}
    ):
        pair = (target, observation)
        values = np.frombuffer(sent, np.dtype(type_))
        found.setdefault(pair, {})[name] = _Column(unit, cadences[pair], values)
    ids = {
        ((target, observation), photometry, processing): dataset
        for target, observation, dataset, photometry, processing in session.execute(_DATASETS, keys)
    }
    of_datasets = {
        (pair, name): (ids[pair, photometry, processing], kind, unit)
        for pair, named in curves.items()
        for name, (photometry, processing, kind, unit) in named.items()
        if (needed is None or name in needed) and (pair, photometry, processing) in ids
    }
    references = {pairs[data.dataset]: data.cadence for data in records}
    arrays = Arrays()
    datasets = list(dict.fromkeys(dataset for dataset, _, _ in of_datasets.values()))
    if datasets:
        fetch(session, datasets=datasets, into=arrays)
    for (pair, name), (dataset, kind, unit) in of_datasets.items():
        flux = arrays.datasets[dataset][0 if kind == "values" else 1]
        if flux is not None and flux.size == references[pair].size:
            found.setdefault(pair, {})[name] = _Column(unit, references[pair], flux)
    for of_found in found.values():
        of_found |= {also: of_found[name] for also, name in _ALSO.items() if name in of_found}
    return found, known


def _add(lightcurve: Any, columns: Mapping[str, _Column]) -> None:
    from astropy import units

    cadence = np.asarray(lightcurve["cadenceno"], np.int64)
    for name, column in columns.items():
        if name in lightcurve.colnames:
            continue
        values = column.at(cadence)
        unit = _unit(column.unit)
        lightcurve[name] = values if unit is None else units.Quantity(values, unit, copy=False)


def _unit(written: str) -> Any:
    if not written:
        return None
    with suppress(DataError):
        return unit_of_astropy(_UNITS.get(written, written))
    return None
