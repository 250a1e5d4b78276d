"""What a LightCurve's metadata call its flux and its flags, in the words of the file readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcdb_notebook import flags
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Named

_RAW = {
    "SPOC SAP": "[electron / s] Simple aperture photometry",
    "TESS-SPOC SAP": "[electron / s] Simple aperture photometry",
    "Kepler SAP": "[electron / s] Simple aperture photometry",
    "K2 SAP": "[electron / s] Simple aperture photometry",
    "QLP SAP": "[] Aperture photometry of difference images, relative flux",
    "TGLC PSF": "[electron / s] PSF photometry, neighbouring Gaia stars removed (TGLC)",
    "TGLC aperture": "[electron / s] Aperture photometry, neighbouring Gaia stars removed (TGLC)",
}
"""Photometric sources of the file readers, in case a light curve comes before the first file."""

_TGLC = {
    "psf_flux": ("TGLC PSF", None),
    "cal_psf_flux": ("TGLC PSF", "TGLC CAL"),
    "aperture_flux": ("TGLC aperture", None),
    "cal_aper_flux": ("TGLC aperture", "TGLC CAL"),
}

_APERTURE = ("SPOC", "TESS-SPOC", "Kepler", "K2")


def methods(
    meta: Mapping[str, Any],
    author: str,
    unit: str,
    photometry: str | None,
    processing: str | None,
) -> tuple[Named, Named | None]:
    """Name how a LightCurve's flux was extracted, and what was done to it.

    Parameters
    ----------
    meta
        Metadata by upper-case key.
    author
        The pipeline.
    unit
        Unit of the flux.
    photometry, processing
        What the user says, which comes first; the processing "raw" is none.

    Raises
    ------
    IngestError
        If neither says it.
    """
    origin = str(meta.get("FLUX_ORIGIN") or "")
    known = _by_origin(origin, author)
    photometry = photometry or meta.get("PHOTOMETRY") or known[0]
    if processing is None:
        processing = meta.get("PROCESSING") or known[1]
    if not photometry:
        raise IngestError(
            f"its metadata (PHOTOMETRY, AUTHOR, FLUX_ORIGIN {origin!r}) do not say how the light "
            "was extracted; give photometry= a name"
        )
    how = f"of a lightkurve LightCurve ({author} {origin})".replace("( ", "(").replace(" )", ")")
    how = how.removesuffix(" ()")
    if processing is None or processing.lower() == "raw":
        return Named(photometry, _described(photometry, unit, f"Flux {how}")), None
    return (
        # Its own unit is not that of what was derived from it, and stays unsaid if unknown.
        Named(photometry, _RAW.get(photometry, f"Source {how}")),
        Named(processing, f"[{unit}] {processing} {how}"),
    )


def quality_types(
    columns: Sequence[str],
    author: str,
    fields: Mapping[str, Any],
    observation_type: str,
    said: str = "",
) -> dict[str, str]:
    """Say which columns hold flags: for each flag type the column's name.

    ``quality`` holds the mission's or, for QLP, the pipeline's flags; TGLC has two columns for the
    two types, whose sum lightkurve puts into ``quality``; any further column that is named as a
    flag type is that type. A light curve that was read from a database has ``said`` itself.
    """
    found = {name: name for name in flags.types() if name in columns}
    if author == "TGLC" and "tess_flags" in columns:
        return found | {"tess_quality_flag": "tess_flags", "tglc_quality_flag": "tglc_flags"}
    if "quality" in columns:
        primary = "base_quality_flag"
        if said:
            primary = said
        elif observation_type in ("kepler_observation", "k2_observation"):
            primary = "kepler_quality_flag"
        elif author == "QLP":
            # QLP's own bits moved with sector 56: https://archive.stsci.edu/hlsp/qlp.
            primary = f"qlp_quality_flag_v{1 if fields.get('sector', 0) <= 55 else 2}"
        elif observation_type == "tess_observation":
            primary = "tess_quality_flag"
        found.setdefault(primary, "quality")
    return found


def _by_origin(origin: str, author: str) -> tuple[str | None, str | None]:
    """Name photometry and processing by the column that lightkurve took the flux from."""
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
