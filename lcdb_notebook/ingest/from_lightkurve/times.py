"""Convert a LightCurve's times to those of its mission, check them, and find its exposure time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.from_lightkurve.metadata import Meta, as_integer
from lcdb_notebook.ingest.product import FloatVector
from lcdb_notebook.ingest.readers.times import SECONDS_PER_DAY, nominal_exposure
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD, Clock
from lcdb_notebook.lightcurve.missions import KEPLER, TESS, KnownMission

# From this sector on, sectors have four orbits instead of two.
_LONG_SECTORS, _LONG_SECTOR_DAYS = 97, 64.0


def mission_time(time: Any, clock: Clock) -> FloatVector:
    """Convert an astropy Time to the mission's format in TDB, with NaN where it is masked."""
    from astropy.time import Time

    if not isinstance(time, Time):
        raise IngestError(f"the time column must be an astropy Time, got {type(time).__name__}")
    masked = np.broadcast_to(np.asarray(time.mask), time.shape)
    plain = np.asarray(getattr(time.value, "unmasked", time.value))
    if plain.dtype.kind == "f" and time.format in ("jd", clock.format_name):
        latest = np.fmax.reduce(np.where(masked, np.nan, plain), initial=-np.inf)
        # lightkurve labels plain numbers "jd", but no spacecraft flew before SMALLEST_BJD.
        if time.format == "jd" and latest < SMALLEST_BJD:
            return np.where(masked, np.nan, plain)
        if time.format == clock.format_name and latest >= SMALLEST_BJD:
            return np.where(masked, np.nan, clock.from_bjd(plain))
    clock.time_format()
    numbers = time.tdb.to_value(clock.format_name)
    return np.where(masked, np.nan, np.asarray(getattr(numbers, "unmasked", numbers), dtype=float))


def exposure_time(
    meta: Meta, time: FloatVector, known: KnownMission | None, *, numbered: bool
) -> int | None:
    """Find the nominal exposure time in seconds, like the file readers; None if it is unknown.

    Without cadence numbers, the metadata are ignored, because the light curve may be binned.
    """
    nominal = as_integer(meta.get("EXPTIME"))
    if numbered and nominal is not None:
        return nominal
    finite = time[np.isfinite(time)]
    steps = np.diff(finite)
    step = float(np.median(steps)) * SECONDS_PER_DAY if steps.size else np.nan
    found = [step]
    days = meta.get("TIMEDEL")
    if numbered and isinstance(days, int | float) and not isinstance(days, bool):
        found.insert(0, days * SECONDS_PER_DAY)
    for seconds in found:
        with suppress(IngestError):
            return nominal_exposure(seconds, known or KEPLER, "its times")
    return round(found[0]) if np.isfinite(found[0]) else None


def check_span(time: FloatVector, known: KnownMission | None, fields: Mapping[str, Any]) -> None:
    """Reject a light curve that is longer than one observation of the mission."""
    if known is None or known.field not in fields:
        return
    longest = known.longest_days
    if known is TESS and fields[known.field] >= _LONG_SECTORS:
        longest = _LONG_SECTOR_DAYS
    finite = time[np.isfinite(time)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    if span > longest:
        raise IngestError(
            f"it spans {span:.0f} days, so it was stitched from several observations; add each of "
            "them separately"
        )
