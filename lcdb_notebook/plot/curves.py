"""Convert light curves of all supported types to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import AmbiguousError, ArgumentError, LightCurveNotFoundError
from lcdb_notebook.flags.masking import bits_of
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.missions import MISSIONS
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData

__all__ = ["LightCurves", "filled", "one_of", "originals", "record_of", "records_of"]

LightCurves: TypeAlias = Any
"""A LightCurveData, a lightkurve LightCurve, or an iterable of these such as a Selection."""

# The time formats of the missions, and the two of astropy that count days.
_CLOCKS = {
    **{mission.clock.format_name: mission.clock for mission in MISSIONS.values()},
    "jd": Clock("jd", "d", Decimal(0), "jd", "tdb"),
    "mjd": Clock("mjd", "d", Decimal("2400000.5"), "jd", "tdb"),
}
_UNITS = {1.0: "d", 1 / 24: "h", 1 / 86400: "s"}
_CHRONOLOGY = ("sector", "orbit_number", "quarter", "campaign")
_FLAGS_OF = {mission.name: mission.flag_type for mission in MISSIONS.values()}


def records_of(light_curves: LightCurves) -> list[LightCurveData]:
    """Return light curves as records.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, or iterable of these
        The light curves.

    Returns
    -------
    list of LightCurveData

    Raises
    ------
    ArgumentError
        If an object is not a light curve, or is already folded.
    LightCurveNotFoundError
        If there are no light curves.
    """
    return [record_of(one) for one in originals(light_curves)]


def originals(light_curves: LightCurves) -> list[Any]:
    """Return the individual light curves, without conversion.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, or iterable of these
        The light curves.

    Returns
    -------
    list of LightCurveData and lightkurve.LightCurve

    Raises
    ------
    ArgumentError
        If an object is not a light curve.
    LightCurveNotFoundError
        If there are no light curves.
    """
    found = list(_flat(light_curves))
    if not found:
        raise LightCurveNotFoundError(
            "there are no light curves to draw; .table lists what was found"
        )
    return found


def record_of(light_curve: Any) -> LightCurveData:
    """Return a light curve as a record.

    Parameters
    ----------
    light_curve : LightCurveData or lightkurve.LightCurve
        The light curve.

    Returns
    -------
    LightCurveData

    Raises
    ------
    ArgumentError
        If it is already folded.
    """
    return light_curve if isinstance(light_curve, LightCurveData) else _record(light_curve)


def one_of(light_curves: LightCurves, what: str) -> LightCurveData:
    """Return exactly one light curve.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, or iterable of these
        One light curve.
    what : str
        The name of the argument, for the error message.

    Returns
    -------
    LightCurveData

    Raises
    ------
    AmbiguousError
        If there are several.
    LightCurveNotFoundError
        If there are none.
    """
    records = records_of(light_curves)
    if len(records) > 1:
        raise AmbiguousError(
            f"{what} must be one light curve, got {len(records)}: {records[0]!r}, "
            f"{records[1]!r}{', ...' if len(records) > 2 else ''}"
        )
    return records[0]


def _flat(given: LightCurves) -> Iterator[Any]:
    if isinstance(given, LightCurveData) or (hasattr(given, "flux") and hasattr(given, "meta")):
        yield given
    # LightCurveCollection has only __getitem__, not __iter__.
    elif isinstance(given, Iterable) or hasattr(given, "__getitem__"):
        if isinstance(given, str | bytes | dict):
            raise _not_drawn(given)
        for one in given:
            yield from _flat(one)
    else:
        raise _not_drawn(given)


def _not_drawn(given: object) -> ArgumentError:
    return ArgumentError(
        "light_curves must be a LightCurveData, a lightkurve LightCurve, a Selection, or a list of "
        f"these, got {given!r} ({type(given).__name__})"
    )


def _record(lc: Any) -> LightCurveData:
    """Convert a lightkurve LightCurve to a record."""
    from astropy.time import Time

    if not isinstance(lc.time, Time):
        raise ArgumentError(
            f"this {type(lc).__name__} is already folded; pass the light curve before folding, and "
            "the period, to lcdb.plot.fold()"
        )
    meta = lc.meta
    clock, time = _time(lc.time)
    flux = getattr(lc.flux, "value", lc.flux)
    unit = getattr(lc.flux, "unit", None)
    catalog, target = _star(meta)
    fields = {name: meta.get(name.upper()) for name in (*_CHRONOLOGY, "author", "exptime")}
    # Observations are distinguished by id, which light curves from files do not have.
    unnumbered = -abs(hash(tuple(map(str, fields.values()))))
    processing = str(meta.get("PROCESSING") or meta.get("FLUX_ORIGIN") or "raw")
    photometry = meta.get("PHOTOMETRY")
    numbered = "cadenceno" in lc.colnames
    return LightCurveData(
        dataset=int(meta.get("DATASET") or 0),
        target=target,
        catalog=catalog,
        mission=str(meta.get("MISSION") or ""),
        clock=clock,
        observation=ObservationData(
            int(meta.get("OBSERVATION") or unnumbered),
            "lightkurve",
            fields,
            (),
            tuple(name for name in _CHRONOLOGY if fields[name] is not None),
        ),
        photometry=None if photometry is None else str(photometry),
        processing=None if processing == "raw" else processing,
        unit="" if unit is None else str(unit),
        cadence=filled(lc["cadenceno"] if numbered else np.arange(len(lc))).astype(np.int64),
        time=time,
        flux=filled(flux),
        flux_err=None,
        quality=_quality(lc),
        stored_time="mission",
    )


def _time(time: Any) -> tuple[Clock, npt.NDArray[np.float64]]:
    if time.format in _CLOCKS:
        return _CLOCKS[time.format], filled(time.value)
    form = type(time).FORMATS[time.format]
    unit = _UNITS.get(getattr(form, "unit", 0.0))
    epoch = getattr(form, "epoch_val", None)
    if unit is None or not isinstance(epoch, int | float):
        # Dates and times of day cannot be drawn as numbers.
        return _CLOCKS["jd"], filled(time.jd)
    exactly = Decimal(repr(epoch)) + Decimal(repr(form.epoch_val2 or 0))
    clock = Clock(time.format, unit, exactly, form.epoch_format, form.epoch_scale)
    return clock, filled(time.value)


def _star(meta: Any) -> tuple[str, int]:
    """Return catalog and number from ``LABEL``; the number is -1 if it is another name."""
    label = str(meta.get("LABEL") or meta.get("OBJECT") or "").strip()
    catalog, _, number = label.rpartition(" ")
    return (catalog, int(number)) if catalog and number.isdecimal() else (label, -1)


def _quality(lc: Any) -> dict[str, npt.NDArray[np.int64]]:
    """Return the flags by type, except for a binned light curve, whose flags are averaged."""
    if "time_bin_size" in lc.colnames:
        return {}
    own = lc.meta.get("QUALITY_TYPE") or _FLAGS_OF.get(str(lc.meta.get("MISSION")), "")
    found = {}
    for column in lc.colnames:
        flag_type = own if column == "quality" else column
        if flag_type in flags.types() and np.asarray(lc[column]).dtype.kind in "iu":
            found[flag_type] = bits_of(np.ma.filled(lc[column], 0))
    return found


def filled(values: Any) -> npt.NDArray[np.float64]:
    """Return float64 without a unit, NaN where masked."""
    plain = np.ma.asarray(getattr(values, "value", values), np.float64)
    found: npt.NDArray[np.float64] = np.ma.filled(plain, np.nan)
    return np.atleast_1d(found)
