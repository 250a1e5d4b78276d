"""Reject times that are impossible for a mission."""

from __future__ import annotations

import time as system_time

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector
from lcdb_notebook.lightcurve.missions import KnownMission

_SECONDS_PER_DAY = 86_400

_UNIX_EPOCH, _YEAR = 2_440_587.5, 365.25

# Times that users often pass without a format: days per unit, the Julian date of 0, and the remedy.
# Modified Julian dates cannot be distinguished from JD - 2400000.
_OTHER_TIMES = (
    (1, 0.0, "full Julian dates", "pass them as astropy.time.Time(..., format='jd', scale='tdb')"),
    (
        1,
        2_400_000.5,
        "modified Julian dates",
        "pass them as astropy.time.Time(..., format='mjd', scale='tdb'); or JD - 2400000: add "
        "2400000",
    ),
    (1, 2_450_000.0, "JD - 2450000", "add 2450000"),
    (1, 2_440_000.0, "JD - 2440000", "add 2440000"),
    (
        1 / _SECONDS_PER_DAY,
        _UNIX_EPOCH,
        "seconds since 1970",
        "pass them as astropy.time.Time(..., format='unix', scale='tdb')",
    ),
    (
        1e-3 / _SECONDS_PER_DAY,
        _UNIX_EPOCH,
        "milliseconds since 1970",
        "divide them by 1000, and pass them as astropy.time.Time(..., format='unix', scale='tdb')",
    ),
)


def check_dates(time: FloatVector, mission: KnownMission) -> None:
    """Reject times before the mission, after its end, or more than a year in the future.

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
    epoch = float(mission.clock.epoch)
    now = system_time.time() / _SECONDS_PER_DAY + _UNIX_EPOCH
    latest = now + _YEAR if mission.end is None else mission.end

    def possible(unit: float, zero: float) -> bool:
        return mission.start <= first * unit + zero and last * unit + zero <= latest

    if possible(1, epoch):
        return
    name = mission.clock.format_name.upper()
    seconds = (1 / _SECONDS_PER_DAY, epoch, f"{name} in seconds", "divide them by 86400")
    looks = next(
        (
            f". They look like {what}: {cure}"
            for unit, zero, what, cure in (*_OTHER_TIMES, seconds)
            if possible(unit, zero)
        ),
        "",
    )
    end = "a year from now" if mission.end is None else "its end"
    raise IngestError(
        f"times must be {name} (BJD - {epoch:.0f}) between the start of {mission.name}, "
        f"{mission.start - epoch:.0f}, and {end}, {latest - epoch:.0f}; "
        f"got {first:.10g} to {last:.10g}{looks}"
    )
