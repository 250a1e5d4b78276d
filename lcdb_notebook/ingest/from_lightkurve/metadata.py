"""Find a LightCurve's target, observation, cadences and flags in its columns and metadata."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.from_lightkurve.origins import author_of
from lcdb_notebook.ingest.product import FloatVector, IntVector, as_flags
from lcdb_notebook.ingest.readers.cdips import letter_flags
from lcdb_notebook.ingest.readers.headers import run_in_name
from lcdb_notebook.ingest.readers.pipelines import by_author
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.lightcurve.missions import K2, KEPLER, TESS, KnownMission

Meta = Mapping[str, Any]
"""Metadata by upper-case key."""

TARGET_KEYS = ("TARGETID", *dict.fromkeys(m.catalog_key for m in missions.MISSIONS.values()))
_MOST_DIGITS = 100


def known_mission(meta: Meta, class_name: str) -> KnownMission:
    """Find the mission in MISSION, TELESCOP or the name of lightkurve's class.

    Raises
    ------
    IngestError
        If all of them are unknown.
    """
    pipeline = by_author(author_of(meta) or "")
    if pipeline is not None and pipeline.mission is not None:
        return pipeline.mission
    known = missions.named(meta.get("MISSION"), meta.get("TELESCOP"))
    if known is not None:
        return known
    if class_name == "TessLightCurve":
        return TESS
    if class_name == "KeplerLightCurve":
        return K2 if meta.get(K2.field_key) is not None else KEPLER
    raise IngestError("the mission is unknown (no MISSION, TELESCOP); pass mission=")


def catalog_target(
    meta: Meta, target: int | None, catalog: str | None, known: KnownMission | None
) -> tuple[int, str]:
    """Find the target's number and its catalog."""
    named = _named_target(meta)
    if target is None:
        numbers = [as_integer(meta.get(key)) for key in TARGET_KEYS]
        found = [number for number in numbers if number is not None]
        target = found[0] if found else named[1] if named else None
    if target is None:
        raise IngestError(
            f"the target is unknown (no {', '.join(TARGET_KEYS)}, LABEL); pass target="
        )
    if catalog is None:
        if named and named[1] == target:
            catalog = named[0]
        elif known is not None:
            catalog = known.catalog
        else:
            raise IngestError(f"the catalog of target {target} is unknown; pass catalog=")
    return target, catalog


def _named_target(meta: Meta) -> tuple[str, int] | None:
    """Split a name such as "TIC 261136679" into catalog and number."""
    for name in (meta.get("LABEL"), meta.get("OBJECT")):
        match = re.fullmatch(r"(.*\S) ?(\d+)", name.strip()) if isinstance(name, str) else None
        if match and match[1] in missions.CATALOGS:
            return match[1], int(match[2])
    return None


def as_integer(value: Any) -> int | None:
    """Return an integer, or a string of digits, as int; None for other values."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        # Python refuses to convert thousands of digits; catalog numbers have up to 19.
        if len(value) > _MOST_DIGITS:
            raise IngestError(f"a number of {len(value)} digits, {value[:20]}..., is too large")
        return int(value)
    return None


def cadence_numbers(lightcurve: Any) -> IntVector | None:
    """Return the cadence numbers; None if the light curve has none, for example after ``bin``.

    Raises
    ------
    IngestError
        If a number is duplicated, or does not fit into 64 bits.
    """
    columns = lightcurve.colnames
    if "cadenceno" not in columns or "time_bin_start" in columns:
        return None
    column = lightcurve["cadenceno"]
    numbers = np.asarray(getattr(column, "value", column))
    if np.ma.getmaskarray(column).any():
        return None
    if numbers.dtype.kind == "f" and np.all(numbers % 1 == 0):
        # EVEREST writes them as floating-point numbers.
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu":
        return None
    if numbers.size > 1 and (numbers == numbers[0]).all():
        # TGLC's second version has zeros.
        return None
    if numbers.dtype.kind == "u" and numbers.size and numbers.max() >= 2**63:
        raise IngestError(f"cadence number {numbers.max()} does not fit into 63 bits")
    numbers = numbers.astype(np.int64)
    unique, counts = np.unique(numbers, return_counts=True)
    if unique.size != numbers.size:
        raise IngestError(
            f"cadence number {unique[counts.argmax()]} is in {counts.max()} rows; if light curves "
            "were stitched or appended, add each of them separately"
        )
    return numbers


def check_not_stitched(lightcurve: Any) -> None:
    """Reject a light curve of several observations, which has columns that ``stitch`` adds.

    Pipelines that stitch all quarters are accepted.

    Raises
    ------
    IngestError
        If it was stitched.
    """
    fields = dict.fromkeys(m.field for m in missions.MISSIONS.values())
    whole = by_author(author_of(lightcurve.meta) or "")
    if whole is not None and whole.observation_type is not None:
        return
    for name in (*fields, "orbit_number", "dataset"):
        if name not in lightcurve.colnames:
            continue
        column = lightcurve[name]
        values = np.unique(np.ma.compressed(np.ma.asarray(getattr(column, "value", column))))
        if values.size > 1:
            some = ", ".join(map(str, values[:5]))
            raise IngestError(
                f"it was stitched from {values.size} light curves ({name} {some}"
                f"{', ...' if values.size > 5 else ''}); add each of them separately"
            )


def observation_fields(
    meta: Meta,
    known: KnownMission | None,
    exposure: int | None,
    given: Mapping[str, Any],
    kind: str,
) -> dict[str, Any]:
    """Find the values of the columns of an observation of the type ``kind`` of a known mission.

    Values from the user take precedence.
    """
    if known is None:
        return dict(given)
    author = author_of(meta)
    if author in (*missions.MISSIONS, None):
        # Missions are not pipelines, except Kepler and K2; lightkurve calls K2's author Kepler.
        author = None if known is TESS else known.name
    fields: dict[str, Any] = {"author": author, "exptime": exposure}
    if known is TESS:
        mitigated = meta.get("COSMIC_RAY_MITIGATION", meta.get("CRMITEN"))
        fields |= {
            "orbit_number": as_integer(meta.get("ORBIT_NUMBER")),
            "cosmic_ray_mitigation": bool(mitigated) if mitigated is not None else None,
        }
    fields |= given
    if known.field not in fields and kind == known.observation_type:
        number = as_integer(meta.get(known.field_key))
        pipeline = by_author(str(author))
        if number is None and pipeline is not None and pipeline.sparse_headers:
            number = run_in_name(known, os.path.basename(str(meta.get("FILENAME") or "")))  # noqa: PTH119
        if number is None:
            raise IngestError(
                f"the {known.field} is unknown (no {known.field_key}); pass "
                f"observation_fields={{'{known.field}': ...}}"
            )
        fields[known.field] = number
    return fields


def instrument_path(meta: Meta, known: KnownMission | None, mission: str) -> tuple[str, ...]:
    """Return the names of the instrument from the root, like the file readers."""
    pipeline = by_author(author_of(meta) or "")
    path: list[str] = []
    for name, key in known.instrument if known else ((mission, None),):
        number = None if key is None else as_integer(meta.get(key))
        if key is None:
            path.append(name)
        elif number is not None:
            path.append(f"{name} {number}")
        elif pipeline is not None and pipeline.sparse_headers:
            break
        else:
            raise IngestError(
                f"the {name.lower()} is unknown (no {key}); pass "
                f"instrument=({', '.join(repr(level) for level in path)}, '{name} ...')"
            )
    return tuple(path)


def flux_and_error(
    lightcurve: Any, origin: str, error: str = ""
) -> tuple[FloatVector, FloatVector | None]:
    """Return flux and error; None for the error if it is missing or belongs to another flux.

    lightkurve assigns the errors of QLP's detrended flux to the raw flux, and ignores those of
    CDIPS, which are in the column ``error``.
    """
    flux_err = _floats(lightcurve.flux_err)
    columns = lightcurve.colnames
    if np.isnan(flux_err).all():
        flux = _floats(lightcurve.flux)
        unchanged = {origin, error} <= {*columns} and np.array_equal(
            flux, _floats(lightcurve[origin]), equal_nan=True
        )
        return flux, _floats(lightcurve[error]) if unchanged else None
    if origin in columns and f"{origin}_err" not in columns:
        others = [name for name in columns if name.endswith("_flux_err")]
        if any(np.array_equal(flux_err, _floats(lightcurve[n]), equal_nan=True) for n in others):
            return _floats(lightcurve.flux), None
    return _floats(lightcurve.flux), flux_err


def quality_bits(lightcurve: Any, columns: str | tuple[str, ...]) -> Any:
    """Return the flags of a column, or of several columns of letters, as int32; or None."""
    if isinstance(columns, str):
        return flag_bits(lightcurve[columns])
    return letter_flags([np.ma.filled(np.ma.asarray(lightcurve[name]), "") for name in columns])


def _floats(column: Any) -> FloatVector:
    """Return a column as float64, with NaN where it is masked."""
    mask = np.asarray(getattr(column, "mask", False))
    plain = getattr(column, "unmasked", column)
    values = np.ma.getdata(np.asarray(getattr(plain, "value", plain), dtype=np.float64))
    return np.where(mask, np.nan, values)


def flag_bits(column: Any) -> npt.NDArray[np.int32] | None:
    """Return a column of flags as int32, with 0 where it is masked; None if not integers."""
    plain = getattr(column, "unmasked", column)
    values = np.ma.getdata(np.asarray(getattr(plain, "value", plain)))
    if values.dtype.kind not in "iu":
        # Averaged flags have no meaning.
        return None
    values = np.where(np.asarray(getattr(column, "mask", False)), 0, values)
    return as_flags(values, "the quality column")
