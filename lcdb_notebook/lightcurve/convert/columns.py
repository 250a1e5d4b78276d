"""What a LightCurve and a DataFrame have in common: the cadences kept, and their columns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.quality import Flagged, condemned, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData


def choose(
    data: LightCurveData, quality_bitmask: flags.Bitmask, flagged: Flagged
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say which cadences are good, and which are to be in the result.

    Returns
    -------
    tuple of two numpy.ndarray of bool
        Each of shape (cadences,). No cadence without a time is kept, whatever its flags say.

    Raises
    ------
    TypeError
        If ``flagged`` is none of its three values.
    """
    if flagged not in ("drop", "mask", "keep"):
        raise TypeError(f"flagged= is 'drop', 'mask' or 'keep', not {flagged!r}")
    good = ~condemned(data, quality_bitmask)
    finite = np.isfinite(data.time)
    return good, finite & good if flagged == "drop" else finite


def masked(
    data: LightCurveData, good: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give flux and error with NaN where a cadence is not good."""
    return np.where(good, data.flux, np.nan), np.where(good, errors(data), np.nan)


def errors(data: LightCurveData) -> npt.NDArray[np.float64]:
    """Give the errors of the flux: NaN where none are stored."""
    return np.full(data.flux.size, np.nan) if data.flux_err is None else data.flux_err


def quality_columns(data: LightCurveData) -> dict[str, npt.NDArray[np.int32]]:
    """``quality`` is the primary type, as lightkurve expects; others go by their own name."""
    primary = primary_type(data)
    if primary is None:
        return {"quality": np.zeros(data.time.size, np.int32)}
    return {
        "quality" if name == primary else name: bits.astype(np.int32)
        for name, bits in sorted(data.quality.items(), key=lambda item: item[0] != primary)
    }


def times(values: npt.NDArray[np.float64], clock: Clock, time_format: str | None) -> Any:
    """Make an astropy Time of a mission's numbers, shown in another format if one is named."""
    from astropy.time import Time

    if _counts_days(clock):
        # The same two float64s for each time as by the mission's own format, in half the time.
        time = Time(float(clock.epoch), values, format="jd", scale="tdb")
        time.format = time_format or clock.format_name
        return time
    clock.time_format()
    time = Time(values, format=clock.format_name, scale="tdb")
    if time_format is not None:
        time.format = time_format
    return time


@lru_cache
def _counts_days(clock: Clock) -> bool:
    """Whether a mission's numbers are days of TDB since an even Julian date, as TESS's are.

    astropy splits a time into whole days and a rest, and halves go to the even day: of the number
    by the mission's format, of the Julian date here. With an odd epoch these are not the same.
    """
    clock.time_format()
    return (
        clock.unit in ("d", "day", "days")
        and (clock.epoch_format.lower(), clock.epoch_scale.lower()) == ("jd", "tdb")
        and clock.epoch % 2 == 0
        and clock.format_name not in ("jd", "mjd")
    )


def time_of(values: Any, clock: Clock, time_format: str | None) -> Any:
    """Make an astropy Time of numbers, or texts, that are in any format, the mission's or not."""
    from astropy.time import Time

    clock.time_format()
    texts = values.astype(str) if values.dtype.kind == "O" else values
    return Time(texts, format=time_format or clock.format_name, scale="tdb")


def plain(quality_bitmask: flags.Bitmask) -> str | int:
    """Say it as FITS headers and JSON can hold it: a preset's name, or bits."""
    if quality_bitmask is None:
        return "none"
    if isinstance(quality_bitmask, str):
        return quality_bitmask
    if isinstance(quality_bitmask, int | np.integer):
        return int(quality_bitmask)
    return ",".join(getattr(part, "name", None) or str(part) for part in quality_bitmask)
