"""Convert a LightCurve's times to those of its mission, check them, and find its exposure time."""

from __future__ import annotations

import time as system_time
from collections.abc import Mapping
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.from_lightkurve.metadata import Meta, as_integer
from lcdb_notebook.ingest.product import FloatVector
from lcdb_notebook.ingest.readers.times import SECONDS_PER_DAY, nominal_exposure
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD, Clock
from lcdb_notebook.lightcurve.missions import KEPLER, TESS, KnownMission

# From this sector on, sectors have four orbits instead of two.
_LONG_SECTORS, _LONG_SECTOR_DAYS = 97, 64.0

# Times that users often pass without a format: the offset to JD, and the remedy.
_OTHER_TIMES = (
    (0.0, "full Julian dates", "pass them as astropy.time.Time(..., format='jd', scale='tdb')"),
    (
        2_400_000.5,
        "modified Julian dates",
        "pass them as astropy.time.Time(..., format='mjd', scale='tdb')",
    ),
    (2_450_000.0, "JD - 2450000", "add 2450000"),
    (2_440_000.0, "JD - 2440000", "add 2440000"),
)
_UNIX_EPOCH, _YEAR = 2_440_587.5, 365.25


def mission_time(time: Any, clock: Clock) -> FloatVector:
    """Convert an astropy Time to the mission's format in TDB, with NaN where it is masked."""
    from astropy.time import Time

    if not isinstance(time, Time):
        raise IngestError(f"the time column must be an astropy Time, got {type(time).__name__}")
    masked = np.broadcast_to(np.asarray(time.mask), time.shape)
    plain = np.asarray(getattr(time.value, "unmasked", time.value))
    if plain.dtype.kind == "f" and time.format in ("jd", clock.format_name):
        latest = np.fmax.reduce(np.where(masked, np.nan, plain), initial=-np.inf)
        # lightkurve labels plain numbers "jd", but no spacecraft flew before SMALLEST_BJD.
        if time.format == "jd" and latest < SMALLEST_BJD:
            return np.where(masked, np.nan, plain)
        if time.format == clock.format_name and latest >= SMALLEST_BJD:
            return np.where(masked, np.nan, clock.from_bjd(plain))
    clock.time_format()
    numbers = time.tdb.to_value(clock.format_name)
    return np.where(masked, np.nan, np.asarray(getattr(numbers, "unmasked", numbers), dtype=float))


def check_dates(time: FloatVector, mission: KnownMission) -> None:
    """Reject times before the mission's launch, or more than a year in the future.

    Parameters
    ----------
    time
        float64 of shape (cadences,), in the mission's format; may have NaN.
    mission
        The mission.

    Raises
    ------
    IngestError
        If there are such times. The message suggests the format that they may have.
    """
    finite = time[np.isfinite(time)]
    if finite.size == 0:
        return
    first, last = float(finite.min()), float(finite.max())
    latest = system_time.time() / SECONDS_PER_DAY + _UNIX_EPOCH + _YEAR

    def possible(zero: float) -> bool:
        return mission.launch <= first + zero and last + zero <= latest

    epoch = float(mission.clock.epoch)
    if possible(epoch):
        return
    name = mission.clock.format_name.upper()
    looks = next(
        (f". They look like {what}: {cure}" for zero, what, cure in _OTHER_TIMES if possible(zero)),
        "",
    )
    raise IngestError(
        f"times must be {name} (BJD - {epoch:.0f}) between the launch of {mission.telescope}, "
        f"{mission.launch - epoch:.0f}, and a year from now, {latest - epoch:.0f}; "
        f"got {first:.10g} to {last:.10g}{looks}"
    )


def exposure_time(
    meta: Meta, time: FloatVector, known: KnownMission | None, *, numbered: bool
) -> int | None:
    """Find the nominal exposure time in seconds, like the file readers; None if it is unknown.

    Without cadence numbers, the metadata are ignored, because the light curve may be binned.
    """
    nominal = as_integer(meta.get("EXPTIME"))
    if numbered and nominal is not None:
        return nominal
    finite = time[np.isfinite(time)]
    steps = np.diff(finite)
    seconds = float(np.median(steps)) * SECONDS_PER_DAY if steps.size else np.nan
    days = meta.get("TIMEDEL")
    if numbered and isinstance(days, int | float) and not isinstance(days, bool):
        seconds = days * SECONDS_PER_DAY
    try:
        return nominal_exposure(seconds, known or KEPLER, "its times")
    except IngestError:
        return round(seconds) if np.isfinite(seconds) else None


def check_span(time: FloatVector, known: KnownMission | None, fields: Mapping[str, Any]) -> None:
    """Reject a light curve that is longer than one observation of the mission."""
    if known is None:
        return
    longest = known.longest_days
    if known is TESS and fields[known.field] >= _LONG_SECTORS:
        longest = _LONG_SECTOR_DAYS
    finite = time[np.isfinite(time)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    if span > longest:
        raise IngestError(
            f"it spans {span:.0f} days, so it was stitched from several observations; add each of "
            "them separately"
        )
