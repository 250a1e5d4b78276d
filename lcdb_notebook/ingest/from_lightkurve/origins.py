"""Find names for the photometry, processing and flags of a LightCurve, like the file readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcdb_notebook import flags
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Named
from lcdb_notebook.ingest.readers.headers import qlp_flag_type
from lcdb_notebook.lightcurve.missions import MISSIONS, TESS

_RAW = {
    "SPOC SAP": "[electron / s] Simple aperture photometry",
    "TESS-SPOC SAP": "[electron / s] Simple aperture photometry",
    "Kepler SAP": "[electron / s] Simple aperture photometry",
    "K2 SAP": "[electron / s] Simple aperture photometry",
    "QLP SAP": "[] Aperture photometry of difference images, relative flux",
    "TGLC PSF": "[electron / s] PSF photometry, neighbouring Gaia stars removed (TGLC)",
    "TGLC aperture": "[electron / s] Aperture photometry, neighbouring Gaia stars removed (TGLC)",
}
"""Photometric sources of the file readers, for light curves that are added before any file."""

_TGLC = {
    "psf_flux": ("TGLC PSF", None),
    "cal_psf_flux": ("TGLC PSF", "TGLC CAL"),
    "aperture_flux": ("TGLC aperture", None),
    "cal_aper_flux": ("TGLC aperture", "TGLC CAL"),
}

_FLAG_TYPES = {mission.observation_type: mission.flag_type for mission in MISSIONS.values()}

_APERTURE = ("SPOC", "TESS-SPOC", "Kepler", "K2")


def methods(
    meta: Mapping[str, Any],
    author: str,
    unit: str,
    photometry: str | None,
    processing: str | None,
) -> tuple[Named, Named | None]:
    """Find the photometric source and the processing of a LightCurve's flux.

    Parameters
    ----------
    meta
        Metadata by upper-case key.
    author
        The pipeline.
    unit
        Unit of the flux.
    photometry, processing
        Names from the user, which take precedence; the processing "raw" means none.

    Raises
    ------
    IngestError
        If the photometry is unknown.
    """
    origin = str(meta.get("FLUX_ORIGIN") or "")
    known = _by_origin(origin, author)
    photometry = photometry or meta.get("PHOTOMETRY") or known[0]
    if processing is None:
        processing = meta.get("PROCESSING") or known[1]
    if not photometry:
        raise IngestError(
            f"the photometry is unknown (no PHOTOMETRY, AUTHOR {author!r}, FLUX_ORIGIN "
            f"{origin!r}); pass photometry="
        )
    how = f"of a lightkurve LightCurve ({author} {origin})".replace("( ", "(").replace(" )", ")")
    how = how.removesuffix(" ()")
    if processing is None or processing.lower() == "raw":
        return Named(photometry, _described(photometry, unit, f"Flux {how}")), None
    return (
        # The unit of the source may differ from that of the derived light curve, so it is omitted.
        Named(photometry, _RAW.get(photometry, f"Source {how}")),
        Named(processing, f"[{unit}] {processing} {how}"),
    )


def quality_types(
    columns: Sequence[str],
    author: str,
    fields: Mapping[str, Any],
    observation_type: str,
    flag_type: str = "",
) -> dict[str, str]:
    """Find the column of each flag type.

    ``quality`` has the flags of the mission or, for QLP, of the pipeline, unless ``flag_type`` is
    given, as for light curves that were read from a database. TGLC has two columns for two types,
    and lightkurve puts their sum into ``quality``. Other columns are recognized by the names of
    flag types.
    """
    found = {name: name for name in flags.types() if name in columns}
    if author == "TGLC" and "tess_flags" in columns:
        return found | {TESS.flag_type: "tess_flags", "tglc_quality_flag": "tglc_flags"}
    if "quality" in columns:
        primary = _FLAG_TYPES.get(observation_type, "base_quality_flag")
        if flag_type:
            primary = flag_type
        elif author == "QLP":
            primary = qlp_flag_type(fields.get(TESS.field, 1))
        found.setdefault(primary, "quality")
    return found


def _by_origin(origin: str, author: str) -> tuple[str | None, str | None]:
    """Find photometry and processing by the column from which lightkurve took the flux."""
    column = origin.lower()
    if author == "TGLC":
        return _TGLC.get(column, (None, None))
    words = column.upper().split("_")
    if "FLUX" not in words or author not in (*_APERTURE, "QLP"):
        return None, None
    words.remove("FLUX")
    name = "_".join(words)
    if author in _APERTURE and name not in ("SAP", "PDCSAP"):
        return None, None
    return f"{author} SAP", None if name == "SAP" else name


def _described(photometry: str, unit: str, otherwise: str) -> str:
    known = _RAW.get(photometry, "")
    return known if known.startswith(f"[{unit}]") else f"[{unit}] {otherwise}"
