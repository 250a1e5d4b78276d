"""The arrays and descriptions that the browser needs to draw light curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.explore.figure.flag_list import Entry, entries
from lcdb_notebook.explore.figure.layouts import Compare, layouts
from lcdb_notebook.explore.view.settings import PRESETS
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.comparing import common_cadences, comparable, comparison

__all__ = ["Packed", "pack"]

_FLAGS_OF_A_PLANE = 16


@dataclass(frozen=True)
class Packed:
    """Light curves as the browser receives them.

    Parameters
    ----------
    records : list of LightCurveData
        The light curves, each with increasing times; cadences without a time come last.
    orders : list of numpy.ndarray
        For each light curve given, the indices that put it into that order.
    curves, panels, flags : list
        Descriptions, as JSON.
    presets : dict of str to list of int
        For each preset, the indices of its flags.
    entries : list of Entry
        The flags.
    buffers : list of numpy.ndarray
        Times (float64), fluxes (float32), and sixteen flags in each further array (uint16).
    errors : numpy.ndarray
        float32; NaN for missing errors.
    """

    records: list[LightCurveData]
    orders: list[npt.NDArray[np.intp]]
    curves: list[dict[str, Any]]
    panels: list[list[dict[str, Any]]]
    flags: list[dict[str, Any]]
    presets: dict[str, list[int]]
    entries: list[Entry]
    buffers: list[npt.NDArray[Any]]
    errors: npt.NDArray[np.float32]


def pack(
    records: Sequence[LightCurveData],
    compare: Compare = None,
    *,
    listed: Sequence[LightCurveData] | None = None,
    binned: bool = False,
    phase: str = "",
    medians: Sequence[float] | None = None,
) -> Packed:
    """Prepare light curves for the browser.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    compare : {"ratio", "difference"}, optional
        Add a panel with the ratio, or the difference, of the two light curves.
    listed : sequence of LightCurveData, optional
        The light curves whose flags are listed, if those drawn were made of them.
    binned : bool, optional
        Whether the points are bins, which have no cadence numbers.
    phase : str, optional
        The label of the x axis, if the times are phases.
    medians : sequence of float, optional
        For each light curve, the flux to divide by to normalize it, if flagged cadences were
        removed before processing; by default the median of its good cadences.

    Returns
    -------
    Packed

    Raises
    ------
    DataError
        If ``compare`` is given and there are not two light curves, or if they have no cadence in
        common.
    """
    if compare is not None:
        if len(records) != 2:
            raise DataError(f"compare={compare!r} needs two light curves, got {len(records)}")
        records = comparable(records[0], records[1], "default")
    orders = [np.argsort(data.time, kind="stable") for data in records]
    drawn = [_sorted(data, order) for data, order in zip(records, orders, strict=True)]
    found = entries(drawn if listed is None else listed)
    slots = {(e.flag_type, e.bits): k for k, e in enumerate(e for e in found if e.cadences)}
    every = [*drawn, *_compared(drawn, compare)]
    starts = np.cumsum([0, *(data.time.size for data in every)]).tolist()
    samplings = _samplings(drawn, every)
    separate, together = layouts(drawn, compare, every)
    if phase:
        separate = together
    curves = [
        {
            "start": start,
            "stop": stop,
            "panel": [separate.panel[k], together.panel[k]],
            "colour": [separate.colour[k], together.colour[k]],
            "label": [separate.label[k], together.label[k]],
            "sampling": samplings[k],
            "runs": [] if binned else _runs(data.cadence, start),
            "magnitudes": data.unit.strip() == "mag",
            "clock": [] if phase else _utc(data),
            "day": _seconds(data),
            "median": None if medians is None else medians[k],
        }
        for k, (data, start, stop) in enumerate(zip(every, starts[:-1], starts[1:], strict=True))
    ]
    for panel in together.panels if phase else ():
        panel |= {"xlabel": phase, "time": "phase"}
    return Packed(
        records=drawn,
        orders=orders,
        curves=curves,
        panels=[separate.panels, together.panels],
        flags=[
            {
                "name": entry.name,
                "slot": slots.get((entry.flag_type, entry.bits), -1),
                "cadences": entry.cadences,
                "meaning": entry.meaning,
                "own": entry.own,
            }
            for entry in found
        ],
        presets={name: [k for k, e in enumerate(found) if _in_preset(name, e)] for name in PRESETS},
        entries=found,
        buffers=[
            np.concatenate([np.empty(0), *(_filled_times(data.time) for data in every)]),
            np.concatenate([np.empty(0, np.float32), *map(_fluxes, every)]),
            *_planes(every, slots),
        ],
        errors=np.concatenate([np.empty(0, np.float32), *map(_errors, every)]),
    )


def _in_preset(name: str, entry: Entry) -> bool:
    if entry.flag_type not in flags.types():
        return False
    return bool(flags.bitmask(name, entry.flag_type) & entry.bits)


def _sorted(data: LightCurveData, order: npt.NDArray[np.intp]) -> LightCurveData:
    if np.array_equal(order, np.arange(order.size)):
        return data
    return replace(
        data,
        cadence=data.cadence[order],
        time=data.time[order],
        flux=data.flux[order],
        flux_err=None if data.flux_err is None else data.flux_err[order],
        quality={kind: bits[order] for kind, bits in data.quality.items()},
    )


def _compared(drawn: Sequence[LightCurveData], compare: Compare) -> list[LightCurveData]:
    """Return the ratio or difference of two light curves, with the flags of both."""
    if compare is None:
        return []
    first, second = drawn
    how = comparison(second, compare, "default")
    one, other = common_cadences(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = (
            first.flux[one] / second.flux[other]
            if how == "ratio"
            else (first.flux[one] - second.flux[other])
        )
    quality = {
        kind: reduce(
            or_,
            (
                data.quality[kind][at]
                for data, at in ((first, one), (second, other))
                if kind in data.quality
            ),
        )
        for kind in {**first.quality, **second.quality}
    }
    return [
        replace(
            first,
            cadence=first.cadence[one],
            time=first.time[one],
            flux=np.where(np.isfinite(flux), flux, np.nan),
            flux_err=None,
            quality=quality,
            unit="" if how == "ratio" else first.unit,
        )
    ]


def _samplings(drawn: Sequence[LightCurveData], every: Sequence[LightCurveData]) -> list[int]:
    """Return a number for each light curve, the same if they share cadences; -1 for comparisons."""
    numbers: dict[Any, int] = {}
    found = []
    for data in every[: len(drawn)]:
        key = (data.catalog, data.target, data.observation.id, data.time.size)
        found.append(numbers.setdefault(key, len(numbers)))
    return found + [-1] * (len(every) - len(drawn))


def _runs(cadence: npt.NDArray[np.int64], start: int) -> list[list[int]]:
    """Return index and number of the first cadence of each run of consecutive numbers."""
    if cadence.size == 0:
        return [[start, 0]]
    first = np.concatenate([[0], np.flatnonzero(np.diff(cadence) != 1) + 1])
    return [[int(k) + start, int(cadence[k])] for k in first]


def _seconds(data: LightCurveData) -> float:
    """Return the length of the mission's unit of time in seconds."""
    from astropy import units

    return float(units.Unit(data.clock.unit).to(units.s))


def _utc(data: LightCurveData) -> list[list[float]]:
    """Return times with their Unix times: the first, and those of leap seconds in between.

    A time within the light curve is then converted by counting seconds from the last of them.
    """
    from astropy.time import Time

    known = data.time[np.isfinite(data.time)]
    if known.size == 0:
        return []
    name = data.clock.time_format().name
    ends = known[[0, -1]]
    unix = Time(ends, format=name, scale="tdb").utc.unix
    found = [[float(ends[0]), float(unix[0])]]
    leaps = round((ends[1] - ends[0]) * _seconds(data) - (unix[1] - unix[0]))
    if leaps:
        from astropy.utils.iers import LeapSeconds

        table = LeapSeconds.auto_open()
        for year, month in zip(table["year"], table["month"], strict=True):
            leap = Time(f"{int(year)}-{int(month):02}-01", scale="utc")
            when = float(getattr(leap.tdb, name))
            if known[0] < when <= known[-1]:
                found.append([when, float(leap.unix)])
    return found


def _filled_times(time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the times with missing ones, which come last, replaced by the last."""
    known = np.isfinite(time)
    filled = time.copy()
    filled[~known] = time[known][-1] if known.any() else 0.0
    return filled


def _fluxes(data: LightCurveData) -> npt.NDArray[np.float32]:
    flux = np.where(np.isfinite(data.time) & np.isfinite(data.flux), data.flux, np.nan)
    return flux.astype(np.float32)


def _errors(data: LightCurveData) -> npt.NDArray[np.float32]:
    if data.flux_err is None:
        return np.full(data.time.size, np.nan, np.float32)
    return np.asarray(data.flux_err, np.float32)


def _planes(
    every: Sequence[LightCurveData], slots: dict[tuple[str, int], int]
) -> list[npt.NDArray[np.uint16]]:
    cadences = sum(data.time.size for data in every)
    planes = [np.zeros(cadences, np.uint16) for _ in range(-(-len(slots) // _FLAGS_OF_A_PLANE))]
    start = 0
    for data in every:
        stop = start + data.time.size
        for (kind, bit), slot in slots.items():
            if kind in data.quality:
                plane, shift = divmod(slot, _FLAGS_OF_A_PLANE)
                which = ((data.quality[kind] & np.int64(bit)) != 0).astype(np.uint16)
                planes[plane][start:stop] |= which << np.uint16(shift)
        start = stop
    return planes
