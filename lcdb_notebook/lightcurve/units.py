"""Units of flux: magnitudes, units of known sources and methods, and inferred units."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError

__all__ = [
    "KNOWN_UNITS",
    "POSITIONS",
    "infer_unit",
    "is_magnitude",
    "known_unit",
    "may_be_magnitude",
    "unit_of_astropy",
]

POSITIONS: Mapping[str, str] = MappingProxyType(
    {"FFI X Position": "centroid_col", "FFI Y Position": "centroid_row"}
)
"""Processing methods of QLP for pixel positions of the star, with lightkurve's column names."""

KNOWN_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "QSPIntermediateMagnitude": "mag",
        "QSPMagnitude": "mag",
        **dict.fromkeys(POSITIONS, "pix"),
    }
)
"""Units of processing methods and photometric sources, by name, if their descriptions have none."""

# Stars that TESS and Kepler observe; relative fluxes are near 1 and electrons above 25.
_BRIGHTEST, _FAINTEST = 2.0, 25.0


def is_magnitude(unit: str) -> bool:
    """Return whether a unit is a magnitude, which is converted to relative flux in a LightCurve.

    Examples
    --------
    >>> is_magnitude("mag"), is_magnitude("electron / s")
    (True, False)
    """
    return unit.strip() == "mag"


def known_unit(unit: str, photometry: str | None, processing: str | None) -> str:
    """Return the unit of a DataSet from its description, else from a known name, else "".

    Examples
    --------
    >>> known_unit("", "TGLC Aperture Small", "QSPMagnitude")
    'mag'
    >>> known_unit("electron / s", "SPOC SAP", None)
    'electron / s'
    """
    if unit:
        return unit
    return KNOWN_UNITS.get(processing or "") or KNOWN_UNITS.get(photometry or "") or ""


def unit_of_astropy(written: str) -> Any:
    """Return the unit that astropy knows by this name now, also one that the user has enabled.

    Raises
    ------
    DataError
        If it knows none, or it is not a plain unit. The message is usually that of astropy, which
        may name similar units.

    Examples
    --------
    >>> unit_of_astropy("electron / s")
    Unit("electron / s")
    """
    from astropy import units

    found, message = _parsed(written, units.get_current_unit_registry())
    if found is None:
        raise DataError(message)
    return found


# astropy takes 10 ms to look for similar names. Enabling units creates another registry.
@lru_cache(maxsize=32)
def _parsed(written: str, _registry: Any) -> tuple[Any, str]:
    from astropy import units

    try:
        found = units.Unit(written)
    except (ValueError, TypeError) as error:
        return None, str(error)
    return (found, "") if isinstance(found, units.UnitBase) else (None, "It is not a plain unit.")


def may_be_magnitude(photometry: str | None, processing: str | None) -> bool:
    """Return whether a name suggests magnitudes, which the values then decide.

    Examples
    --------
    >>> may_be_magnitude("TGLC", "MyMagnitude"), may_be_magnitude("TGLC", None)
    (True, False)
    """
    return "magnitude" in f"{photometry} {processing}".lower()


def infer_unit(
    flux: npt.NDArray[np.float64], photometry: str | None, processing: str | None
) -> str:
    """Infer the unit of a DataSet whose unit is unknown.

    Returns
    -------
    str
        "mag" if a name contains "Magnitude" and the median is between 2 and 25; else "".

    Examples
    --------
    >>> infer_unit(np.array([11.9, 12.0, 12.2]), None, "MyMagnitude")
    'mag'
    >>> infer_unit(np.array([1.0, 1.1]), None, "MyMagnitude")
    ''
    """
    if not may_be_magnitude(photometry, processing):
        return ""
    finite = flux[np.isfinite(flux)]
    median = float(np.median(finite)) if finite.size else np.nan
    return "mag" if _BRIGHTEST <= median <= _FAINTEST else ""
