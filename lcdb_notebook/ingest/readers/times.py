"""Check the times of a file and its time reference, and find its exposure time."""

from __future__ import annotations

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.ingest.readers.headers import Header, text, value
from lcdb_notebook.lightcurve.missions import KnownMission

SECONDS_PER_DAY = 86_400

# Larger numbers are full Julian dates, regardless of the reference in the header.
_LARGEST_TIME = 1e6


def check_clock(header: Header, mission: KnownMission) -> None:
    """Check that times are days of TDB since the mission's reference BJD.

    The cards are those of FITS Standard 4.0, section 9, with BJD instead of JD. The fraction is
    BJDREFF in files of SPOC and Kepler, and BJDREFR in files of QLP and TGLC.

    Raises
    ------
    IngestError
        If they are not.
    """
    zero = value(header, "BJDREFI")
    if zero is None:
        raise IngestError("the table's header has no time reference (BJDREFI)")
    for fraction in ("BJDREFF", "BJDREFR"):
        zero = zero + value(header, fraction, 0)
    if zero != mission.clock.epoch:
        raise IngestError(
            f"times must count from BJD {mission.clock.epoch} "
            f"({mission.clock.format_name.upper()}), got a reference of {zero}"
        )
    for key, expected in (("TIMESYS", "TDB"), ("TIMEUNIT", "d")):
        if text(header, key) != expected:
            raise IngestError(f"header card {key} must be {expected!r}, got {text(header, key)!r}")


def time_step(header: Header) -> float:
    """Return the time between two cadences from the header, in seconds."""
    days = value(header, "TIMEDEL")
    if isinstance(days, bool) or not isinstance(days, int | float):
        raise IngestError(f"header card TIMEDEL must be a number of days, got {days!r}")
    return days * SECONDS_PER_DAY


def nominal_exposure(seconds: float, mission: KnownMission, origin: str) -> int:
    """Return the mission's nominal exposure time within 1 per cent of the time between cadences.

    Parameters
    ----------
    seconds
        Time between two cadences.
    mission
        The mission.
    origin
        Origin of ``seconds``, for the message.

    Raises
    ------
    IngestError
        If there is none.
    """
    nearest = min(mission.exposures, key=lambda exposure: abs(exposure - seconds))
    if not abs(seconds - nearest) <= 0.01 * nearest:
        known = ", ".join(str(exposure) for exposure in mission.exposures.values())
        raise IngestError(
            f"the time between cadences is {seconds:.6g} s by {origin}; "
            f"{mission.name} has {known} s"
        )
    return mission.exposures[nearest]


def check_times(cadence: IntVector, time: FloatVector, mission: KnownMission) -> None:
    """Check that times increase with the cadence numbers and are not full BJD; some may be NaN.

    Raises
    ------
    IngestError
        If times are not increasing, are full BJD, or are all NaN.
    """
    finite = np.isfinite(time)
    if np.isnan(time).all():
        raise IngestError(f"all {time.size} times are NaN")
    wrong = np.abs(time) >= _LARGEST_TIME  # infinite ones too
    if wrong.any():
        at = int(wrong.argmax())
        raise IngestError(
            f"the time of cadence {cadence[at]} is {time[at]}, which cannot be days since "
            f"{mission.clock.epoch}"
        )
    backwards = np.diff(time[finite]) < 0
    if backwards.any():
        at = int(cadence[finite][1:][backwards][0])
        raise IngestError(f"times are not increasing at cadence {at}")
