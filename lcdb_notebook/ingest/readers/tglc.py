"""FITS light curves of TGLC."""

from __future__ import annotations

import re

import numpy as np

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import ELECTRONS, build_product
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import (
    Header,
    catalog_number,
    tess_observation,
    text,
    value,
)
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]


def _columns(name: str, raw: str, calibrated: str, how: str) -> tuple[FluxColumn, ...]:
    description = f"[{ELECTRONS}] {how} with neighbouring Gaia stars removed (TGLC)"
    source = FluxColumn(raw, Named(name, description))
    removed = "[] Slow trends removed, median scaled to one (TGLC)"
    return source, derived(calibrated, source, "TGLC CAL", removed)


COLUMNS = {
    "TGLC": (
        *_columns("TGLC PSF", "psf_flux", "cal_psf_flux", "PSF photometry"),
        *_columns("TGLC aperture", "aperture_flux", "cal_aper_flux", "Aperture photometry"),
    )
}
FLAGS = {TESS.flag_type: "tess_flags", "tglc_quality_flag": "tglc_flags"}


def recognizes(primary: Header, header: Header) -> bool:
    """Return whether a file with these headers is a light curve of TGLC."""
    return text(primary, "ORIGIN") == "UCSB/TGLC" and text(header, "EXTNAME") == "LIGHTCURVE"


def read(table: LightCurveTable) -> Product:
    """Read the light curves of TGLC; in its second version all cadence numbers are zero.

    Source: https://archive.stsci.edu/hlsp/tglc; units as in lightkurve.io.tglc.
    """
    numbered = bool(np.any(table.integers("cadence_num")))
    if numbered:
        table = table.sorted_by("cadence_num")
    # TIMEDEL is wrong in these files: it is 0.02236 d, but the rows are 0.02083 d apart.
    exposure = exposure_of_steps(table.floats("time"), TESS)
    ticid = text(table.primary, "TICID")
    if re.fullmatch(r"[+-]?[0-9]+", ticid):
        catalog, target = TESS.catalog, catalog_number(int(ticid), "TICID")
    else:
        catalog = "Gaia DR3"
        target = catalog_number(value(table.primary, "GAIADR3"), "GAIADR3")
    return build_product(
        table,
        **tess_observation(table.primary, "TGLC", exposure),
        catalog=catalog,
        target=target,
        quality={flag_type: table.quality(column) for flag_type, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS["TGLC"]),
        cadence_column="cadence_num" if numbered else None,
    )
