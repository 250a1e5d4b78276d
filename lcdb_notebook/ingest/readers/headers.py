"""Header cards that all pipelines share: values, instrument, observation and target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Release
from lcdb_notebook.lightcurve.missions import K2, TESS, KnownMission

Header = Mapping[str, Any]
"""The methods of ``astropy.io.fits.Header`` that are used."""


def value(header: Header, key: str, default: object = None) -> Any:
    """Return the value of a card; ``default`` if it is missing or empty."""
    found = header.get(key)
    return default if found is None else found


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


def instrument_path(
    primary: Header, mission: KnownMission, highest: int, *, partial: bool = False
) -> tuple[str, ...]:
    """Return the names of the instrument from the root, numbered from 1 to ``highest``.

    With ``partial``, the path ends before the first level whose card is missing.
    """
    path: list[str] = []
    for name, key in mission.instrument:
        if partial and key is not None and value(primary, key) is None:
            break
        path.append(name if key is None else f"{name} {integer(primary, key, 1, highest)}")
    return tuple(path)


def run_in_name(mission: KnownMission, file_name: str) -> int | None:
    """Return the sector or campaign in the name of a high-level science product.

    Source: https://outerspace.stsci.edu/display/MASTDOCS/File+Naming+Convention.

    Examples
    --------
    >>> run_in_name(TESS, "hlsp_pathos_tess_lightcurve_tic-0093270923-s0008_tess_v1_llc.fits")
    8
    >>> run_in_name(K2, "hlsp_everest_k2_llc_201367065-c01_kepler_v2.0_lc.fits")
    1
    """
    digits = {TESS.name: r"s(\d{4})", K2.name: r"c(\d{2,3})"}.get(mission.name, "(?!)()")
    found = re.search(rf"[-_]{digits}(?!\d)", file_name)
    return int(found[1]) if found else None


def run_number(primary: Header, mission: KnownMission, file_name: str) -> int:
    """Return the sector or campaign from its header card, or else from the name of the file.

    Raises
    ------
    IngestError
        If it is in neither.
    """
    named = run_in_name(mission, file_name)
    if value(primary, mission.field_key) is None and named is not None:
        return named
    return integer(primary, mission.field_key, *mission.field_range)


def tess_observation(
    primary: Header, author: str, exposure: int, file_name: str | None = None
) -> dict[str, Any]:
    """Return mission, observation and instrument of a TESS light curve, by field of Product.

    With the name of the file, TELESCOP, SECTOR, CAMERA and CCD may be missing.
    """
    telescope, partial = text(primary, "TELESCOP"), file_name is not None
    if telescope.upper() != TESS.telescope and (telescope or not partial):
        raise IngestError(f"header card TELESCOP must be TESS, got {telescope!r}")
    mitigated = value(primary, "CRMITEN")
    return {
        "mission": TESS,
        "observation_fields": {
            TESS.field: run_number(primary, TESS, file_name or ""),
            "orbit_number": None,
            "cosmic_ray_mitigation": mitigated if isinstance(mitigated, bool) else None,
            "author": author,
            "exptime": exposure,
        },
        "instrument": instrument_path(primary, TESS, 4, partial=partial),
    }


def k2_observation(primary: Header, author: str, exposure: int, file_name: str) -> dict[str, Any]:
    """Return mission, observation and instrument of a K2 product, by field of Product."""
    return {
        "mission": K2,
        "observation_fields": {
            K2.field: run_number(primary, K2, file_name),
            "author": author,
            "exptime": exposure,
        },
        "instrument": instrument_path(primary, K2, 84, partial=True),
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


def column_names(header: Header) -> frozenset[str]:
    """Return the names of the columns of a table, in upper case."""
    count = value(header, "TFIELDS", 0)
    numbers = range(1, count + 1) if isinstance(count, int) and count <= 999 else ()
    return frozenset(text(header, f"TTYPE{number}").upper() for number in numbers)


def catalog_number(number: object, key: str) -> int:
    """Return a catalog number, an integer or a string of digits, which must fit into a bigint."""
    if isinstance(number, str) and re.fullmatch(r"[0-9]{1,19}", number.strip()):
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**63:
        raise IngestError(f"header card {key} must be a catalog number, got {number!r}")
    return number
