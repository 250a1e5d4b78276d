"""What headers say in the same way for every pipeline: clock, exposure, instrument and target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lcdb_notebook.errors import IngestError

Header = Mapping[str, Any]
"""What is used of an ``astropy.io.fits.Header``."""

SECONDS_PER_DAY = 86_400

# TESS samples at 20 s and 120 s (target pixels) and 200 s, 600 s and 1800 s (full-frame images):
# TESS Archive Manual, https://outerspace.stsci.edu/display/TESS.
TESS_EXPOSURES = {20.0: 20, 120.0: 120, 200.0: 200, 600.0: 600, 1800.0: 1800}
# Kepler's 58.85 s and 29.424 min (Kepler Archive Manual, KDMC-10008-006) are called
# 60 s and 1800 s by MAST and hence by lightkurve (lightkurve.search, `exptime`).
KEPLER_EXPOSURES = {58.85: 60, 1765.46: 1800}


def value(header: Header, key: str, default: object = None) -> Any:
    """Return the value of a card; ``default`` where it is absent or has no value."""
    from astropy.io import fits

    found = header.get(key, default)
    return default if isinstance(found, fits.card.Undefined) else found


def text(header: Header, key: str) -> str:
    """Return the value of a card as text without outer blanks; empty where it has none."""
    return str(value(header, key, "")).strip()


def integer(header: Header, key: str, low: int, high: int) -> int:
    """Return the integer of a card.

    Raises
    ------
    IngestError
        If the card is missing, no integer, or outside ``low`` to ``high``.

    Examples
    --------
    >>> integer({"CAMERA": 4}, "CAMERA", 1, 4)
    4
    """
    found = value(header, key)
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        said = "is missing" if found is None else f"is {found!r}"
        raise IngestError(f"header card {key} {said}; an integer from {low} to {high} is needed")
    return found


def check_clock(header: Header, reference: int) -> None:
    """Refuse times that are not days of TDB since the mission's reference BJD.

    The cards are those of FITS Standard 4.0, section 9, with BJD for JD; where SPOC and Kepler
    write the fraction as BJDREFF, QLP and TGLC write BJDREFR.
    """
    zero = value(header, "BJDREFI")
    if zero is None:
        raise IngestError("the table has no time reference (header card BJDREFI)")
    for fraction in ("BJDREFF", "BJDREFR"):
        zero = zero + value(header, fraction, 0)
    if zero != reference:
        raise IngestError(
            f"times count from BJD {zero}, where this mission's format has {reference}"
        )
    for key, expected in (("TIMESYS", "TDB"), ("TIMEUNIT", "d")):
        if text(header, key) != expected:
            raise IngestError(f"header card {key} is {text(header, key)!r}, not {expected!r}")


def time_step(header: Header) -> float:
    """Seconds from cadence to cadence by the header."""
    days = value(header, "TIMEDEL")
    if isinstance(days, bool) or not isinstance(days, int | float):
        raise IngestError(f"header card TIMEDEL should be a number of days; found {days!r}")
    return days * SECONDS_PER_DAY


def nominal_exposure(seconds: float, known: Mapping[float, int], origin: str) -> int:
    """Nominal exposure time, in seconds, within 1 per cent of the one found."""
    nearest = min(known, key=lambda exposure: abs(exposure - seconds))
    if not abs(seconds - nearest) <= 0.01 * nearest:
        names = ", ".join(str(exposure) for exposure in known.values())
        raise IngestError(f"by {origin} cadences come every {seconds:.6g} s; known are {names} s")
    return known[nearest]


def tess_observation(primary: Header, author: str, exposure: int) -> dict[str, Any]:
    """Mission, observation and instrument of a TESS light curve."""
    telescope = text(primary, "TELESCOP")
    if telescope.upper() != "TESS":
        raise IngestError(f"header card TELESCOP is {telescope!r}, not TESS")
    mitigated = value(primary, "CRMITEN")
    camera, ccd = (integer(primary, key, 1, 4) for key in ("CAMERA", "CCD"))
    return {
        "mission": "TESS",
        "reference": 2_457_000,
        "observation_type": "tess_observation",
        "observation_fields": {
            "sector": integer(primary, "SECTOR", 1, 9999),
            "orbit_number": None,
            "cosmic_ray_mitigation": mitigated if isinstance(mitigated, bool) else None,
            "author": author,
            "exptime": exposure,
        },
        "instrument": ("TESS", f"Camera {camera}", f"CCD {ccd}"),
    }


def catalog_number(number: object, key: str) -> int:
    """Return a target's number if it can be one and fits into a bigint."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**63:
        raise IngestError(f"header card {key} is {number!r}, which is no catalog number")
    return number
