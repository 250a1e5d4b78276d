"""LightCurveData to lightkurve LightCurves, and the order in which they follow each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.convert.columns import (
    choose,
    errors,
    masked,
    plain,
    quality_columns,
    times,
)
from lcdb_notebook.lightcurve.quality import Flagged, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData

if TYPE_CHECKING:
    import lightkurve

_CATALOG_KEYS = {"TIC": "TICID", "KIC": "KEPLERID", "EPIC": "KEPLERID"}


def to_lightcurve(
    data: LightCurveData,
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    history: str = "",
) -> lightkurve.LightCurve:
    """Make a lightkurve LightCurve.

    Parameters
    ----------
    data
        One light curve.
    quality_bitmask
        Which flags condemn a cadence: see :func:`lcdb_notebook.flags.bitmask`.
    flagged
        "drop" takes condemned cadences out, "mask" makes their flux NaN, "keep" leaves them.
    time_format
        Name of an astropy time format; None is the mission's own.
    as_flux
        Turn magnitudes into relative flux, ``10 ** (-0.4 * (m - median))``, because lightkurve
        divides and never subtracts (Pogson 1856). False leaves them.
    history
        What it was derived from, for ``meta["LINEAGE"]``: see
        :func:`lcdb_notebook.search.lineage.histories`.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        By mission; of subclasses whose ``to_fits`` writes LINEAGE, too. Columns ``time, flux,
        flux_err, cadenceno, quality``, and one more for each further flag type. Cadences whose time
        is NaN are never in it, whatever ``flagged`` says: astropy's Time cannot hold them.

    Raises
    ------
    DataError
        If the unit of the DataSet is none that astropy knows.
    """
    good, kept = choose(data, quality_bitmask, flagged)
    flux, flux_err = masked(data, good) if flagged == "mask" else (data.flux, errors(data))
    flux, flux_err = flux[kept], flux_err[kept]
    unit = _unit(data.unit)
    if as_flux and is_magnitude(data.unit):
        flux, flux_err = relative_flux(flux, flux_err, middle(data.flux, good))
        unit = _unit("")
    columns = {
        "time": times(data.time[kept], data.clock, time_format),
        "flux": _quantity(flux, unit),
        "flux_err": _quantity(flux_err, unit),
        "cadenceno": data.cadence[kept].astype(np.int32),
        **{name: bits[kept] for name, bits in quality_columns(data).items()},
    }
    meta = _metadata(data)
    if history:
        meta["LINEAGE"] = history
    meta["NORMALIZED"] = unit == _unit("")
    meta["QUALITY_BITMASK"] = plain(quality_bitmask)
    meta["QUALITY_TYPE"] = primary_type(data) or ""
    meta["QUALITY_MASK"] = good[np.isfinite(data.time)]
    lightcurve: lightkurve.LightCurve = _lightcurve_class(data.mission).of(columns)
    lightcurve.meta.update(meta)
    return lightcurve


def by_start(records: Sequence[LightCurveData]) -> list[LightCurveData]:
    """Order light curves by their first time, whatever clocks their missions have.

    Those that begin together stay in their order; those without any time come last.
    """
    one_clock = len({data.clock for data in records}) < 2

    def start(data: LightCurveData) -> float:
        first = float(np.fmin.reduce(data.time, initial=np.inf))
        if one_clock or not np.isfinite(first):
            return first
        return float(times(np.array(first), data.clock, None).jd)

    return sorted(records, key=start)


def relative_flux(
    magnitude: npt.NDArray[np.float64], error: npt.NDArray[np.float64], median: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pogson's relation, and its derivative for the errors."""
    flux = 10 ** (-0.4 * (magnitude - median))
    return flux, 0.4 * np.log(10) * flux * error


def middle(magnitude: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float:
    """Give the median magnitude of the good cadences, or of all if none is good."""
    for chosen in (magnitude[good], magnitude):
        measured = chosen[np.isfinite(chosen)]
        if measured.size:
            return float(np.median(measured))
    return float("nan")


def _metadata(data: LightCurveData) -> dict[str, Any]:
    observation = data.observation
    name = f"{data.catalog} {data.target}"
    meta: dict[str, Any] = {
        "LABEL": name,
        "OBJECT": name,
        "TARGETID": data.target,
        "MISSION": "K2" if data.catalog == "EPIC" else data.mission,
        "TELESCOP": data.mission,
        "FLUX_ORIGIN": _flux_origin(data),
        "PROCESSING": data.processing or "raw",
        "DATASET": data.dataset,
        "OBSERVATION": observation.id,
    }
    if data.photometry is not None:
        meta["PHOTOMETRY"] = data.photometry
    if data.catalog in _CATALOG_KEYS:
        meta[_CATALOG_KEYS[data.catalog]] = data.target
    for field, value in observation.fields.items():
        if value is not None:
            meta.setdefault(field.upper(), plain_field(value))
    for part in observation.instrument:
        # "Camera 4" says CAMERA = 4, in the words of the mission's own headers.
        match = re.fullmatch(r"(?:.* )?(Camera|CCD|Channel) (\d+)", part)
        if match:
            meta[match[1].upper()] = int(match[2])
    meta.setdefault("AUTHOR", data.mission)
    if data.mission == "Kepler":
        # KeplerLightCurve.to_fits() fails where these are missing, and writes nothing for None.
        for unknown in ("RA", "DEC", "CHANNEL"):
            meta.setdefault(unknown, None)
    return meta


def plain_field(value: Any) -> str | int | float:
    """Say a value of an observation's field as FITS headers and JSON can hold it."""
    if isinstance(value, str | int | float):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)


def _flux_origin(data: LightCurveData) -> str:
    """Name the flux as lightkurve names columns: "sap_flux", "pdcsap_flux"."""
    words = data.processing or (data.photometry or "flux").split()[-1]
    origin = re.sub(r"\W+", "_", words.strip().lower())
    return origin if origin.endswith("flux") else f"{origin}_flux"


@lru_cache
def _unit(unit: str) -> Any:
    from astropy import units

    try:
        return units.Unit(unit.strip())
    except ValueError as error:
        raise DataError(
            f"the unit {unit!r} at the head of a description is none that astropy knows"
        ) from error


def is_magnitude(unit: str) -> bool:
    """Whether numbers of this unit are magnitudes, of which a LightCurve makes relative flux."""
    return unit.strip() == "mag"


def _quantity(values: npt.NDArray[np.float64], unit: Any) -> Any:
    from astropy.units import Quantity

    return Quantity(values, unit, copy=False)


@lru_cache
def _lightcurve_class(mission: str) -> Any:
    from lcdb_notebook.lightcurve.convert import lightkurve_classes

    classes = {
        "TESS": lightkurve_classes.TessLightCurve,
        "Kepler": lightkurve_classes.KeplerLightCurve,
    }
    return classes.get(mission, lightkurve_classes.LightCurve)
