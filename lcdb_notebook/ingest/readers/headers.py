"""Header cards that all pipelines share: values, instrument, observation and target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Release
from lcdb_notebook.lightcurve.missions import TESS, KnownMission

Header = Mapping[str, Any]
"""The methods of ``astropy.io.fits.Header`` that are used."""


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


def release(primary: Header) -> Release | None:
    """Return the data release, date and pipeline version of a file; None if it has none."""
    number, date = value(primary, "DATA_REL"), text(primary, "DATE")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**31:
        number = None
    if re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", date) is None:
        date = ""
    if number is None and not date:
        return None
    return Release(number, date[:10], text(primary, "PROCVER")[:100])


def instrument_path(primary: Header, mission: KnownMission, highest: int) -> tuple[str, ...]:
    """Return the names of the instrument from the root, numbered from 1 to ``highest``."""
    return tuple(
        name if key is None else f"{name} {integer(primary, key, 1, highest)}"
        for name, key in mission.instrument
    )


def tess_observation(primary: Header, author: str, exposure: int) -> dict[str, Any]:
    """Return mission, observation and instrument of a TESS light curve, by field of Product."""
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


def qlp_flag_type(sector: int) -> str:
    """Return the type of QLP's flags, whose bits changed with sector 56.

    Source: https://archive.stsci.edu/hlsp/qlp.

    Examples
    --------
    >>> qlp_flag_type(55), qlp_flag_type(56)
    ('qlp_quality_flag_v1', 'qlp_quality_flag_v2')
    """
    return f"qlp_quality_flag_v{1 if sector <= 55 else 2}"


def catalog_number(number: object, key: str) -> int:
    """Return a catalog number, which must fit into a bigint."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**63:
        raise IngestError(f"header card {key} must be a catalog number, got {number!r}")
    return number
