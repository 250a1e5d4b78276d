"""Read light curves of pipelines that are not in PIPELINES, with a user's description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.from_lightkurve.convert import product_from_lightcurve
from lcdb_notebook.ingest.product import FloatVector, Product
from lcdb_notebook.ingest.readers.flux_columns import column_unit
from lcdb_notebook.ingest.readers.headers import Header, text, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import SECONDS_PER_DAY, time_scale
from lcdb_notebook.lightcurve import missions

TO_FITS = "lightkurve to_fits"
"""Photometry of files written by lightkurve, which do not contain the original name."""

_TIMES = ("TIME", "BJD", "JD")
_FLUXES = ("FLUX", "SAP_FLUX", "PDCSAP_FLUX")
_CADENCES = ("CADENCENO", "CADENCE")
_QUALITIES = ("QUALITY", "SAP_QUALITY")

# Julian dates of the zero points: FITS Standard 4.0, section 9.2.2, and the BJDREF cards of Kepler
# and TESS.
_REFERENCES = (
    (0.0, ("BJDREFI", "BJDREFF", "BJDREFR")),
    (0.0, ("JDREFI", "JDREFF")),
    (0.0, ("JDREF",)),
    (2_400_000.5, ("MJDREFI", "MJDREFF")),
    (2_400_000.5, ("MJDREF",)),
)
_TIME_FORMATS = ("btjd", "bkjd", "jd", "mjd")
"""Formats that lightkurve's to_fits writes into TUNIT."""


def read_exported(path: Path) -> Product:
    """Read a file of ``write_lightcurve`` or ``Selection.export``.

    Raises
    ------
    IngestError
        If the file is damaged, or was written by another program.
    """
    from lcdb_notebook.errors import ExportError
    from lcdb_notebook.read.export.files import read_lightcurve

    try:
        lightcurve = read_lightcurve(path)
    except ExportError as error:
        raise IngestError(str(error).removeprefix(f"{path}: ")) from error
    try:
        product = product_from_lightcurve(lightcurve)
    except IngestError as error:
        label = str(lightcurve.meta.get("LABEL") or type(lightcurve).__name__)
        raise IngestError(str(error).removeprefix(f"{label}: ")) from error
    return _labelled(product, str(path))


def read_described(table: LightCurveTable, description: Mapping[str, Any]) -> Product:
    """Read one flux column of a table.

    Parameters
    ----------
    table
        A table with times in TIME and a reference in BJDREFI, JDREFI or MJDREFI. The flux is in
        FLUX, SAP_FLUX or PDCSAP_FLUX, and its errors in the column of the same name with ``_ERR``.
        Cadence numbers in CADENCENO and flags in QUALITY are optional.
    description
        Arguments of :func:`product_from_lightcurve`; ``author``; and ``quality_type``, the type of
        the flags; without it, they are not stored.

    Raises
    ------
    IngestError
        If a column, the time reference or a required argument is missing.
    """
    import lightkurve

    known = dict(description)
    author, quality_type = known.pop("author", None), known.pop("quality_type", None)
    meta = {key: value(header, key) for header in (table.primary, table.header) for key in header}
    meta |= {"AUTHOR": author or meta.get("AUTHOR"), "FLUX_ORIGIN": None, "LABEL": None}
    flux = _first(table, _FLUXES, "flux")
    time = _time(table)
    kept = np.isfinite(np.asarray(time.jd))
    columns: dict[str, Any] = {"time": time, "flux": _quantity(table, flux)}
    if f"{flux}_ERR" in table:
        columns["flux_err"] = _quantity(table, f"{flux}_ERR")
    cadence = next((name for name in _CADENCES if name in table), None)
    if cadence is not None:
        columns["cadenceno"] = table.integers(cadence)
    quality = next((name for name in _QUALITIES if name in table), None)
    if quality is not None and quality_type is not None:
        columns["quality"] = table.quality(quality)
    lightcurve = lightkurve.LightCurve({name: column[kept] for name, column in columns.items()})
    lightcurve.meta.update(meta | {"QUALITY_TYPE": quality_type})
    try:
        product = product_from_lightcurve(lightcurve, **known)
    except IngestError as error:
        raise IngestError(str(error).removeprefix("LightCurve: ")) from error
    return _labelled(product, table.label)


def written_by_lightkurve(table: LightCurveTable) -> dict[str, Any]:
    """Return the description of a file of ``to_fits``, as ``lightkurve.read`` interprets it."""
    mission = missions.named(value(table.primary, "MISSION"), value(table.primary, "TELESCOP"))
    return {"photometry": TO_FITS, "quality_type": mission.flag_type if mission else None}


def has_light_curve(table: LightCurveTable) -> bool:
    """Return whether a table has fluxes, and times with a reference."""
    return (
        any(name in table for name in _TIMES)
        and any(name in table for name in _FLUXES)
        and (_reference(table.header) is not None or _time_format(table) is not None)
    )


def _labelled(product: Product, label: str) -> Product:
    from dataclasses import replace

    return replace(product, label=label)


def _first(table: LightCurveTable, names: tuple[str, ...], what: str) -> str:
    for name in names:
        if name in table:
            return name
    raise IngestError(
        f"no {what} column ({', '.join(names)}); the table has {', '.join(table.numbers) or 'none'}"
    )


def _time(table: LightCurveTable) -> Any:
    """Read the times as an astropy Time."""
    from astropy.time import Time

    values = table.floats(_first(table, _TIMES, "time"))
    scale = time_scale(table.header)
    time_format = _time_format(table)
    if time_format is not None:
        import lightkurve.time

        return Time(values, format=time_format, scale=scale)
    zero = _reference(table.header)
    if zero is None:
        raise IngestError("no time reference (BJDREFI, JDREFI or MJDREFI in the table's header)")
    unit = text(table.header, "TIMEUNIT") or "d"
    if unit not in ("d", "s"):
        raise IngestError(f"header card TIMEUNIT must be 'd' or 's', got {unit!r}")
    days: FloatVector = values if unit == "d" else values / SECONDS_PER_DAY
    for mission_format, epoch in (("btjd", 2_457_000), ("bkjd", 2_454_833)):
        if zero == epoch:
            # Without conversion to a Julian date, which would change the last bits.
            import lightkurve.time  # noqa: F401

            return Time(days, format=mission_format, scale=scale)
    return Time(np.full(days.shape, zero), days, format="jd", scale=scale)


def _time_format(table: LightCurveTable) -> str | None:
    name = next((name for name in _TIMES if name in table), None)
    unit = "" if name is None else text(table.header, f"TUNIT{table.numbers[name]}").lower()
    return unit if unit in _TIME_FORMATS else None


def _reference(header: Header) -> float | None:
    for zero, keys in _REFERENCES:
        if value(header, keys[0]) is not None:
            return zero + float(sum(value(header, key, 0) for key in keys))
    return None


def _quantity(table: LightCurveTable, column: str) -> Any:
    from astropy import units

    return units.Quantity(table.floats(column), units.Unit(column_unit(table, column)))
