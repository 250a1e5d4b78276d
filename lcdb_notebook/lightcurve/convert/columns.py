"""Columns and cadences of the LightCurves and DataFrames that records are converted to."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.flags.masking import bits_of
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.quality import FLAGGED, Flagged, flagged_mask, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData


def choose(
    data: LightCurveData, quality_bitmask: flags.Bitmask, flagged: Flagged
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which cadences are good, and which are part of the result.

    Returns
    -------
    tuple of two numpy.ndarray of bool
        Each of shape (cadences,). Cadences without a time are never part of the result.

    Raises
    ------
    ArgumentError
        If ``flagged`` is not one of its three values.
    """
    check_choice("flagged", flagged, FLAGGED)
    good = ~flagged_mask(data, quality_bitmask)
    finite = np.isfinite(data.time)
    return good, finite & good if flagged == "drop" else finite


def masked(
    data: LightCurveData, good: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return flux and error, with NaN for bad cadences."""
    return np.where(good, data.flux, np.nan), np.where(good, errors(data), np.nan)


def errors(data: LightCurveData) -> npt.NDArray[np.float64]:
    """Return the errors of the flux; NaN if none are stored."""
    return np.full(data.flux.size, np.nan) if data.flux_err is None else data.flux_err


def compact(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32 | np.int64]:
    """Return integers as int32, like lightkurve, or as int64 if some do not fit.

    Examples
    --------
    >>> compact(np.array([1, 2])).dtype, compact(np.array([1, 2**40])).dtype
    (dtype('int32'), dtype('int64'))
    """
    small = values.astype(np.int32)
    return small if (small == values).all() else values.astype(np.int64)


def quality_columns(data: LightCurveData) -> dict[str, npt.NDArray[np.int32 | np.int64]]:
    """Return flags by column: ``quality`` for the primary type, the type's name for others."""
    primary = primary_type(data)
    if primary is None:
        return {"quality": np.zeros(data.time.size, np.int32)}
    return {
        "quality" if name == primary else name: _flags(bits)
        for name, bits in sorted(data.quality.items(), key=lambda item: item[0] != primary)
    }


def _flags(bits: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32 | np.int64]:
    # All bits together show whether any number is negative or large, which takes one reduction.
    if 0 <= np.bitwise_or.reduce(bits) < 2**31:
        return bits.astype(np.int32)
    return compact(bits_of(bits))


def times(values: npt.NDArray[np.float64], clock: Clock, time_format: str | None) -> Any:
    """Convert a mission's times to an astropy Time, optionally in another format."""
    from astropy.time import Time

    from lcdb_notebook.lightcurve.convert.fast_columns import days_since

    # NaN and infinity are left to astropy, which refuses them with a message.
    if _counts_days(clock) and np.isfinite(values).all():
        # Same values as with the mission's own format, but several times as fast.
        time = days_since(float(clock.epoch), values)
        _set_format(time, time_format or clock.format_name)
        return time
    clock.time_format()
    time = Time(values, format=clock.format_name, scale="tdb")
    if time_format is not None:
        _set_format(time, time_format)
    return time


def _set_format(time: Any, time_format: str) -> None:
    try:
        time.format = time_format
    except (ValueError, TypeError):
        known = sorted(time.FORMATS)
        near = get_close_matches(str(time_format), known, 3) or known
        raise ArgumentError(
            f"time_format must be the name of an astropy time format, got {time_format!r}; did you "
            f"mean {', '.join(near)}?"
        ) from None


@lru_cache
def _counts_days(clock: Clock) -> bool:
    """Return whether times are days of TDB since an even Julian date, like those of TESS.

    astropy splits a time into whole days and a remainder, and rounds halves to the even day. With
    an odd epoch, the even day of the mission's format is not the even Julian date.
    """
    clock.time_format()
    return (
        clock.unit in ("d", "day", "days")
        and (clock.epoch_format.lower(), clock.epoch_scale.lower()) == ("jd", "tdb")
        and clock.epoch % 2 == 0
        and clock.format_name not in ("jd", "mjd")
    )


def time_of(values: Any, clock: Clock, time_format: str | None) -> Any:
    """Convert numbers or strings in any time format to an astropy Time."""
    from astropy.time import Time

    clock.time_format()
    texts = values.astype(str) if values.dtype.kind == "O" else values
    return Time(texts, format=time_format or clock.format_name, scale="tdb")


def bitmask_text(quality_bitmask: flags.Bitmask) -> str | int:
    """Return a bitmask in a form for FITS headers and JSON: the name of a preset, or bits."""
    if quality_bitmask is None:
        return "none"
    if isinstance(quality_bitmask, str):
        return quality_bitmask
    if isinstance(quality_bitmask, int | np.integer):
        return int(quality_bitmask)
    return ",".join(getattr(part, "name", None) or str(part) for part in quality_bitmask)
