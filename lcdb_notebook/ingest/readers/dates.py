"""Reject times that are impossible for a mission."""

from __future__ import annotations

import time as system_time

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector
from lcdb_notebook.lightcurve.missions import KnownMission

_SECONDS_PER_DAY = 86_400

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
    latest = system_time.time() / _SECONDS_PER_DAY + _UNIX_EPOCH + _YEAR

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
