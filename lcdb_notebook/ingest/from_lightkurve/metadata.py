"""What a LightCurve's columns and metadata say of its target, observation and times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.ingest.readers.headers import (
    KEPLER_EXPOSURES,
    SECONDS_PER_DAY,
    TESS_EXPOSURES,
    nominal_exposure,
)
from lcdb_notebook.ingest.store.names import CATALOGS, MISSIONS
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD, Clock

Meta = Mapping[str, Any]
"""Metadata by upper-case key."""

_OBSERVATIONS = {
    "TESS": "tess_observation",
    "Kepler": "kepler_observation",
    "K2": "k2_observation",
}
_MOST_DIGITS = 100

_CATALOGS = {"TESS": "TIC", "Kepler": "KIC", "K2": "EPIC"}
_NUMBERS = {"TESS": "SECTOR", "Kepler": "QUARTER", "K2": "CAMPAIGN"}

# A light curve that is longer was stitched together. TESS: two orbits of 13.7 d, from sector 97 on
# four; Kepler Archive Manual (KDMC-10008-006), section 1: quarters of 93 d, K2 campaigns of 80 d.
_LONGEST_DAYS = {"tess_observation": 32.0, "kepler_observation": 100.0, "k2_observation": 100.0}
_LONG_SECTORS, _LONG_SECTOR_DAYS = 97, 64.0


def spacecraft(meta: Meta, class_name: str) -> str:
    """Name the mission as lightkurve does: "TESS", "Kepler" or "K2"."""
    for said in (meta.get("MISSION"), meta.get("TELESCOP")):
        for name in _OBSERVATIONS:
            if isinstance(said, str) and said.strip().lower() == name.lower():
                return name
    if class_name == "TessLightCurve":
        return "TESS"
    if class_name == "KeplerLightCurve":
        return "K2" if meta.get("CAMPAIGN") is not None else "Kepler"
    raise IngestError("its metadata (MISSION, TELESCOP) do not say the mission; give mission=")


def observation_type(craft: str) -> str:
    """Name the class of a mission's observations."""
    try:
        return _OBSERVATIONS[craft]
    except KeyError:
        raise IngestError(
            f"which class of observation mission {craft} has is not known; give observation_type="
        ) from None


def catalog_target(
    meta: Meta, target: int | None, catalog: str | None, craft: str
) -> tuple[int, str]:
    """Find the target's number and its catalog."""
    named = _named_target(meta)
    if target is None:
        numbers = [_integer(meta.get(key)) for key in ("TARGETID", "TICID", "KEPLERID")]
        told = [number for number in numbers if number is not None]
        target = told[0] if told else named[1] if named else None
    if target is None:
        raise IngestError(
            "its metadata (TARGETID, TICID, KEPLERID, LABEL) do not say the target; give target="
        )
    if catalog is None:
        catalog = named[0] if named and named[1] == target else _CATALOGS.get(craft)
    if catalog is None:
        raise IngestError(f"which catalog {target} is a number of is not known; give catalog=")
    return target, catalog


def _named_target(meta: Meta) -> tuple[str, int] | None:
    """Split a name such as "TIC 261136679" into catalog and number."""
    for said in (meta.get("LABEL"), meta.get("OBJECT")):
        match = re.fullmatch(r"(.*\S) ?(\d+)", said.strip()) if isinstance(said, str) else None
        if match and match[1] in CATALOGS:
            return match[1], int(match[2])
    return None


def _integer(value: Any) -> int | None:
    """Give an integer, or one written as text, as int; None for anything else."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        # Python reads no more than some thousand digits; a catalog number has at most nineteen.
        if len(value) > _MOST_DIGITS:
            raise IngestError(f"a number of {len(value)} digits, {value[:20]}..., is too large")
        return int(value)
    return None


def mission_clock(mission: str, clock: Clock | None) -> Clock:
    """Find the clock by which a mission's times are told."""
    if clock is not None:
        return clock
    if mission in MISSIONS:
        return MISSIONS[mission].clock
    raise IngestError(f"the clock of mission {mission!r} is not known here; add its row first")


def mission_time(time: Any, clock: Clock) -> FloatVector:
    """Give an astropy Time as numbers of a mission's format, in TDB; NaN where masked."""
    from astropy.time import Time

    if not isinstance(time, Time):
        raise IngestError(f"its time column holds {type(time).__name__} instead of dates")
    masked = np.broadcast_to(np.asarray(time.mask), time.shape)
    plain = np.asarray(getattr(time.value, "unmasked", time.value))
    if plain.dtype.kind == "f" and time.format in ("jd", clock.format_name):
        latest = np.fmax.reduce(np.where(masked, np.nan, plain), initial=-np.inf)
        # lightkurve calls plain numbers "jd": no spacecraft flew before SMALLEST_BJD.
        if time.format == "jd" and latest < SMALLEST_BJD:
            return np.where(masked, np.nan, plain)
        if time.format == clock.format_name and latest >= SMALLEST_BJD:
            return np.where(masked, np.nan, clock.from_bjd(plain))
    clock.time_format()
    numbers = time.tdb.to_value(clock.format_name)
    return np.where(masked, np.nan, np.asarray(getattr(numbers, "unmasked", numbers), dtype=float))


def cadence_numbers(lightcurve: Any) -> IntVector | None:
    """Give the cadence numbers; None where a light curve has none, as after ``bin``.

    Raises
    ------
    IngestError
        If one number is there twice.
    """
    columns = lightcurve.colnames
    if "cadenceno" not in columns or "time_bin_start" in columns:
        return None
    column = lightcurve["cadenceno"]
    numbers = np.asarray(getattr(column, "value", column))
    if np.ma.getmaskarray(column).any() or numbers.dtype.kind not in "iu":
        return None
    if numbers.size > 1 and (numbers == numbers[0]).all():
        # TGLC's second version writes zeros.
        return None
    numbers = numbers.astype(np.int64)
    unique, counts = np.unique(numbers, return_counts=True)
    if unique.size != numbers.size:
        raise IngestError(
            f"cadence number {unique[counts.argmax()]} is there {counts.max()} times; if it was "
            "appended to another light curve, add each by itself"
        )
    return numbers


def exposure_time(meta: Meta, time: FloatVector, craft: str, *, numbered: bool) -> int | None:
    """Find the nominal exposure time in seconds, as the file readers do; None if it cannot be told.

    A light curve without cadence numbers may have been binned, whatever its metadata say.
    """
    nominal = _integer(meta.get("EXPTIME"))
    if numbered and nominal is not None:
        return nominal
    known = TESS_EXPOSURES if craft == "TESS" else KEPLER_EXPOSURES
    finite = time[np.isfinite(time)]
    steps = np.diff(finite)
    seconds = float(np.median(steps)) * SECONDS_PER_DAY if steps.size else np.nan
    said = meta.get("TIMEDEL")
    if numbered and isinstance(said, int | float) and not isinstance(said, bool):
        seconds = said * SECONDS_PER_DAY
    try:
        return nominal_exposure(seconds, known, "its times")
    except IngestError:
        return round(seconds) if np.isfinite(seconds) else None


def observation_fields(
    meta: Meta, craft: str, exposure: int | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Find the values of a known mission's own columns; what is given comes first."""
    if craft not in _NUMBERS:
        return dict(given)
    key = _NUMBERS[craft]
    author = meta.get("AUTHOR")
    if author in ("Kepler", "K2", "TESS", None):
        # The mission stands for an author where there is none; K2's own, lightkurve calls Kepler.
        author = None if craft == "TESS" else craft
    fields: dict[str, Any] = {"author": author, "exptime": exposure}
    if craft == "TESS":
        mitigated = meta.get("COSMIC_RAY_MITIGATION", meta.get("CRMITEN"))
        fields |= {
            "orbit_number": _integer(meta.get("ORBIT_NUMBER")),
            "cosmic_ray_mitigation": bool(mitigated) if mitigated is not None else None,
        }
    fields |= given
    name = key.lower()
    if name not in fields:
        number = _integer(meta.get(key))
        if number is None:
            raise IngestError(
                f"its metadata ({key}) do not say the {name}; give "
                f"observation_fields={{'{name}': ...}}"
            )
        fields[name] = number
    return fields


def instrument_path(meta: Meta, craft: str) -> tuple[str, ...]:
    """Name the instrument from the root down, as the file readers do."""
    levels = {
        "TESS": (("TESS", None), ("Camera", "CAMERA"), ("CCD", "CCD")),
        "Kepler": (("Kepler", None), ("Channel", "CHANNEL")),
        "K2": (("Kepler", None), ("Channel", "CHANNEL")),
    }
    path: list[str] = []
    for name, key in levels.get(craft, ((craft, None),)):
        number = None if key is None else _integer(meta.get(key))
        if key is None:
            path.append(name)
        elif number is not None:
            path.append(f"{name} {number}")
        else:
            raise IngestError(
                f"its metadata ({key}) do not say the {name.lower()}; give "
                f"instrument=({', '.join(repr(level) for level in path)}, '{name} ...')"
            )
    return tuple(path)


def check_span(time: FloatVector, kind: str, fields: Mapping[str, Any]) -> None:
    """Refuse a light curve that is longer than one observation can be."""
    longest = _LONGEST_DAYS.get(kind, np.inf)
    if kind == "tess_observation" and fields["sector"] >= _LONG_SECTORS:
        longest = _LONG_SECTOR_DAYS
    finite = time[np.isfinite(time)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    if span > longest:
        raise IngestError(
            f"it spans {span:.0f} days, so it was stitched together from several observations; add "
            "each by itself"
        )


def flux_and_error(lightcurve: Any, origin: str) -> tuple[FloatVector, FloatVector | None]:
    """Give flux and error; no error where there is none, or only that of another flux.

    lightkurve gives QLP's raw flux the errors of the detrended one.
    """
    flux_err = _floats(lightcurve.flux_err)
    columns = lightcurve.colnames
    if np.isnan(flux_err).all():
        return _floats(lightcurve.flux), None
    if origin in columns and f"{origin}_err" not in columns:
        others = [name for name in columns if name.endswith("_flux_err")]
        if any(np.array_equal(flux_err, _floats(lightcurve[n]), equal_nan=True) for n in others):
            return _floats(lightcurve.flux), None
    return _floats(lightcurve.flux), flux_err


def _floats(column: Any) -> FloatVector:
    """Give a column as float64, NaN where masked."""
    mask = np.asarray(getattr(column, "mask", False))
    plain = getattr(column, "unmasked", column)
    values = np.ma.getdata(np.asarray(getattr(plain, "value", plain), dtype=np.float64))
    return np.where(mask, np.nan, values)


def integers(column: Any) -> npt.NDArray[np.int32] | None:
    """Give a column of flags as int32, 0 where masked; None if it holds no integers."""
    plain = getattr(column, "unmasked", column)
    values = np.ma.getdata(np.asarray(getattr(plain, "value", plain)))
    if values.dtype.kind not in "iu":
        # Averaged flags mean nothing.
        return None
    values = np.where(np.asarray(getattr(column, "mask", False)), 0, values)
    flags = values.astype(np.int32)
    if not np.array_equal(flags, values):
        raise IngestError("its quality column has flags that do not fit into 32 bits")
    return flags
