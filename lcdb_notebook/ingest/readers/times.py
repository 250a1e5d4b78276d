"""Check the times of a file and its time reference, and find its exposure time."""

from __future__ import annotations

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.ingest.readers.dates import check_dates
from lcdb_notebook.ingest.readers.headers import Header, text, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.lightcurve.missions import KnownMission

SECONDS_PER_DAY = 86_400

# Larger numbers are full Julian dates, regardless of the reference in the header.
_LARGEST_TIME = 1e6


def check_clock(header: Header, mission: KnownMission, *, strict: bool = True) -> None:
    """Check that times are days of TDB since the mission's reference BJD.

    The cards are those of FITS Standard 4.0, section 9, with BJD instead of JD. The fraction is
    BJDREFF in files of SPOC and Kepler, and BJDREFR in files of QLP and TGLC.

    Without ``strict``, TIMESYS and TIMEUNIT may be missing.

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
        if text(header, key) != expected and (strict or text(header, key)):
            raise IngestError(f"header card {key} must be {expected!r}, got {text(header, key)!r}")


def time_scale(header: Header) -> str:
    """Return the time scale of TIMESYS as astropy names it; "tdb" without the card.

    Raises
    ------
    IngestError
        If it is not a time scale.
    """
    from astropy.time import Time

    scale = (text(header, "TIMESYS") or "TDB").lower()
    if scale not in Time.SCALES:
        raise IngestError(f"header card TIMESYS must be a time scale, got {scale.upper()!r}")
    return scale


def unreferenced_times(table: LightCurveTable, column: str, mission: KnownMission) -> FloatVector:
    """Read times in the mission's format from a file that may have no reference for them.

    Raises
    ------
    IngestError
        If there is a reference, and it is another one; or if the times are impossible.
    """
    if value(table.header, "BJDREFI") is not None:
        check_clock(table.header, mission, strict=False)
    time = table.floats(column)
    check_dates(time, mission)
    return time


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
            f"cadences are {seconds:.6g} s apart (from {origin}), which matches no exposure time "
            f"of {mission.name} ({known} s)"
        )
    return mission.exposures[nearest]


def exposure_of_steps(time: FloatVector, mission: KnownMission) -> int:
    """Return the mission's nominal exposure time nearest to the median step of the times.

    Raises
    ------
    IngestError
        If there are fewer than two finite times, or no exposure time within 1 per cent.
    """
    steps = np.diff(time[np.isfinite(time)])
    if steps.size == 0:
        raise IngestError("too few finite times to compute the exposure time")
    step = float(np.median(steps)) * SECONDS_PER_DAY
    return nominal_exposure(step, mission, "the median step of time")


def check_times(cadence: IntVector, time: FloatVector, mission: KnownMission) -> None:
    """Check that times are possible, and increase with the cadence numbers; some may be NaN.

    Raises
    ------
    IngestError
        If times are not increasing, are impossible for the mission, or are all NaN.
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
    check_dates(time, mission)
