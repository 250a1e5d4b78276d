"""Convert LightCurveData to lightkurve LightCurves, and order them by time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.lightcurve.convert.columns import (
    bitmask_text,
    choose,
    compact,
    errors,
    masked,
    quality_columns,
    times,
)
from lcdb_notebook.lightcurve.quality import Flagged, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, processing_label
from lcdb_notebook.lightcurve.units import is_magnitude, unit_of_astropy

if TYPE_CHECKING:
    import lightkurve

# Names of instruments: "Camera 4" becomes CAMERA = 4 in ``meta``.
_NUMBERED = re.compile(r"(?:.* )?(Camera|CCD|Channel) (\d+)")

_NO_LETTERS = re.compile(r"\W+")


def to_lightcurve(
    data: LightCurveData,
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    history: str = "",
) -> lightkurve.LightCurve:
    """Convert one record to a lightkurve LightCurve.

    Parameters
    ----------
    data : LightCurveData
        One light curve.
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"drop", "mask", "keep"}, optional
        What happens to flagged cadences: "drop" removes them, "mask" sets their flux to NaN,
        "keep" leaves them unchanged.
    time_format : str, optional
        Name of the astropy time format of the result, such as "jd"; None is the mission's own
        ("btjd" for TESS). The time scale is TDB.
    as_flux : bool, optional
        Convert magnitudes to relative flux, ``10 ** (-0.4 * (m - median))`` with the median of
        the cadences that are not flagged (Pogson 1856), because lightkurve divides by the
        median. False keeps magnitudes.
    history : str, optional
        Its sources, for ``meta["LINEAGE"]``.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        The class depends on the mission; its ``to_fits`` also writes LINEAGE. The columns are
        ``time, flux, flux_err, cadenceno, quality``, and one for each further flag type. Cadences
        without a time are left out, because astropy's Time cannot contain NaN.

    Raises
    ------
    DataError
        If astropy does not know the unit.
    ArgumentError
        If an argument has an invalid value; the message names the argument.
    """
    good, kept = choose(data, quality_bitmask, flagged)
    flux, flux_err = masked(data, good) if flagged == "mask" else (data.flux, errors(data))
    flux, flux_err = flux[kept], flux_err[kept]
    unit = _unit_of(data)
    if as_flux and is_magnitude(data.unit):
        flux, flux_err = relative_flux(flux, flux_err, middle(data.flux, good))
        unit = _unit("")
    columns = {
        "time": times(data.time[kept], data.clock, time_format),
        "flux": _quantity(flux, unit),
        "flux_err": _quantity(flux_err, unit),
        "cadenceno": compact(data.cadence[kept]),
        **{name: bits[kept] for name, bits in quality_columns(data).items()},
        **{name: _quantity(pixels[kept], _unit("pix")) for name, pixels in data.positions.items()},
    }
    meta = _metadata(data)
    if history:
        meta["LINEAGE"] = history
    meta["NORMALIZED"] = unit == _unit("")
    if data.unit_inferred:
        meta["UNIT_INFERRED"] = data.unit
    meta["QUALITY_BITMASK"] = bitmask_text(quality_bitmask)
    meta["QUALITY_TYPE"] = primary_type(data) or ""
    meta["QUALITY_MASK"] = good[np.isfinite(data.time)]
    lightcurve: lightkurve.LightCurve = _lightcurve_class(data.mission).of(columns)
    lightcurve.meta.update(meta)
    return lightcurve


def by_start(records: Sequence[LightCurveData]) -> list[LightCurveData]:
    """Return light curves ordered by their first time, even if their time formats differ.

    Light curves with the same first time keep their order; those without times come last.
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
    """Convert magnitudes to flux relative to a median (Pogson 1856), with first-order errors."""
    flux = 10 ** (-0.4 * (magnitude - median))
    return flux, 0.4 * np.log(10) * flux * error


def middle(magnitude: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float:
    """Return the median magnitude of the good cadences, or of all if no cadence is good."""
    for chosen in (magnitude[good], magnitude):
        measured = chosen[np.isfinite(chosen)]
        if measured.size:
            return float(np.median(measured))
    return float("nan")


def _metadata(data: LightCurveData) -> dict[str, Any]:
    observation = data.observation
    known = missions.by_telescope(data.mission, data.catalog)
    name = f"{data.catalog} {data.target}"
    meta: dict[str, Any] = {
        "LABEL": name,
        "OBJECT": name,
        "TARGETID": data.target,
        "MISSION": data.mission if known is None else known.name,
        "TELESCOP": data.mission,
        "FLUX_ORIGIN": _flux_origin(data),
        "PROCESSING": processing_label(data.processing),
        "DATASET": data.dataset,
        "OBSERVATION": observation.id,
    }
    if data.photometry is not None:
        meta["PHOTOMETRY"] = data.photometry
    key = missions.catalog_key(data.catalog)
    if key is not None:
        meta[key] = data.target
    for field, value in observation.fields.items():
        if value is not None:
            meta.setdefault(field.upper(), plain_field(value))
    for part in observation.instrument:
        match = _NUMBERED.fullmatch(part)
        if match:
            meta[match[1].upper()] = int(match[2])
    meta |= _parameters(data, meta)
    meta.setdefault("AUTHOR", data.mission)
    if data.mission == missions.KEPLER.telescope:
        # KeplerLightCurve.to_fits() fails if these are missing, and writes nothing for None.
        for unknown in ("RA", "DEC", "CHANNEL"):
            meta.setdefault(unknown, None)
    return meta


def _parameters(data: LightCurveData, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries for the parameters of the star, each with its unit and errors."""
    meta: dict[str, Any] = {}
    for name, one in data.parameters.items():
        key = _NO_LETTERS.sub("_", name.strip()).upper()
        if key in taken:
            continue
        numbers = {
            key: one.value,
            f"{key}_UPPER_ERROR": one.upper_error,
            f"{key}_LOWER_ERROR": one.lower_error,
        }
        meta |= {word: number for word, number in numbers.items() if number is not None}
        if one.unit:
            meta[f"{key}_UNIT"] = one.unit
    return meta


def plain_field(value: Any) -> str | int | float:
    """Return the value of an observation's field in a form for FITS headers and JSON."""
    if isinstance(value, str | int | float):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)


def _flux_origin(data: LightCurveData) -> str:
    """Return the name of the flux in lightkurve's style, such as "pdcsap_flux"."""
    words = data.processing or (data.photometry or "flux").split()[-1]
    origin = re.sub(r"\W+", "_", words.strip().lower())
    return origin if origin.endswith("flux") else f"{origin}_flux"


def check_unit(data: LightCurveData) -> None:
    """Check that a LightCurve can have the unit of a record.

    Raises
    ------
    DataError
        If astropy does not know the unit, or the unit is logarithmic but not a magnitude.
    """
    _unit_of(data)


def _unit_of(data: LightCurveData) -> Any:
    try:
        return _unit(data.unit)
    except DataError as error:
        raise DataError(
            f"DataSet {data.dataset} ({data.catalog} {data.target}, observation "
            f"{data.observation.id}): {error}"
        ) from None


def _unit(unit: str) -> Any:
    try:
        return unit_of_astropy(unit.strip())
    except DataError as error:
        raise DataError(
            f"flux cannot have the unit {unit!r}, which is in brackets in the description of its "
            "processing method or photometric source; correct it, for example to [mag] or "
            "[electron / s]"
        ) from error


def _quantity(values: npt.NDArray[np.float64], unit: Any) -> Any:
    from astropy.units import Quantity

    return Quantity(values, unit, copy=False)


@lru_cache
def _lightcurve_class(mission: str) -> Any:
    from lcdb_notebook.lightcurve.convert import lightkurve_classes

    classes = {
        missions.TESS.telescope: lightkurve_classes.TessLightCurve,
        missions.KEPLER.telescope: lightkurve_classes.KeplerLightCurve,
    }
    return classes.get(mission, lightkurve_classes.LightCurve)
