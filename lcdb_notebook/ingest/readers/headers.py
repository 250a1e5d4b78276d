"""Header cards that all pipelines share: time reference, exposure, instrument and target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.lightcurve.missions import TESS, KnownMission

Header = Mapping[str, Any]
"""The interface used of an ``astropy.io.fits.Header``."""

SECONDS_PER_DAY = 86_400


def value(header: Header, key: str, default: object = None) -> Any:
    """Return the value of a card; ``default`` if it is missing or empty."""
    from astropy.io import fits

    found = header.get(key, default)
    return default if isinstance(found, fits.card.Undefined) else found


def text(header: Header, key: str) -> str:
    """Return the value of a card as a stripped str; "" if it is missing or empty."""
    return str(value(header, key, "")).strip()


def integer(header: Header, key: str, low: int, high: int) -> int:
    """Return the integer of a card.

    Raises
    ------
    IngestError
        If the card is missing, not an integer, or outside ``low`` to ``high``.

    Examples
    --------
    >>> integer({"CAMERA": 4}, "CAMERA", 1, 4)
    4
    """
    found = value(header, key)
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise IngestError(
            f"header card {key} must be an integer from {low} to {high}, "
            f"{'but is missing' if found is None else f'got {found!r}'}"
        )
    return found


def check_clock(header: Header, mission: KnownMission) -> None:
    """Check that times are days of TDB since the mission's reference BJD.

    The cards are those of FITS Standard 4.0, section 9, with BJD for JD; SPOC and Kepler write the
    fraction as BJDREFF, QLP and TGLC as BJDREFR.

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
    """Return the time between two cadences by the header, in seconds."""
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
        The mission whose exposure times are compared.
    origin
        Where ``seconds`` comes from, for the message.

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


def instrument_path(primary: Header, mission: KnownMission, highest: int) -> tuple[str, ...]:
    """Return the names of the instrument from the root down, numbered from 1 to ``highest``."""
    return tuple(
        name if key is None else f"{name} {integer(primary, key, 1, highest)}"
        for name, key in mission.instrument
    )


def tess_observation(primary: Header, author: str, exposure: int) -> dict[str, Any]:
    """Return mission, observation and instrument of a TESS light curve, by names in Product."""
    telescope = text(primary, "TELESCOP")
    if telescope.upper() != TESS.telescope:
        raise IngestError(f"header card TELESCOP must be TESS, got {telescope!r}")
    mitigated = value(primary, "CRMITEN")
    return {
        "mission": TESS,
        "observation_fields": {
            TESS.field: integer(primary, TESS.field_key, *TESS.field_range),
            "orbit_number": None,
            "cosmic_ray_mitigation": mitigated if isinstance(mitigated, bool) else None,
            "author": author,
            "exptime": exposure,
        },
        "instrument": instrument_path(primary, TESS, 4),
    }


def catalog_number(number: object, key: str) -> int:
    """Return a catalog number, which has to fit into a bigint."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**63:
        raise IngestError(f"header card {key} must be a catalog number, got {number!r}")
    return number
