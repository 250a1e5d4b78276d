"""FITS light curves of TGLC."""

from __future__ import annotations

import re

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.readers.fits_product import ELECTRONS, RELATIVE, build_product
from lcdb_notebook.ingest.readers.headers import (
    Header,
    catalog_number,
    tess_observation,
    text,
    value,
)
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import SECONDS_PER_DAY, nominal_exposure
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["read", "recognizes"]


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
    time = table.floats("time")
    steps = np.diff(time[np.isfinite(time)])
    if steps.size == 0:
        raise IngestError("too few finite times to compute the exposure time")
    step = float(np.median(steps)) * SECONDS_PER_DAY
    exposure = nominal_exposure(step, TESS, "the median step of time")
    ticid = text(table.primary, "TICID")
    if re.fullmatch(r"[+-]?[0-9]+", ticid):
        catalog, target = TESS.catalog, catalog_number(int(ticid), "TICID")
    else:
        catalog = "Gaia DR3"
        target = catalog_number(value(table.primary, "GAIADR3"), "GAIADR3")
    calibrated = Named("TGLC CAL", "[] Slow trends removed, median scaled to one (TGLC)")
    curves: list[Curve] = []
    for name, raw, derived, how in (
        ("TGLC PSF", "psf_flux", "cal_psf_flux", "PSF photometry"),
        ("TGLC aperture", "aperture_flux", "cal_aper_flux", "Aperture photometry"),
    ):
        photometry = Named(name, f"[{ELECTRONS}] {how} with neighbouring Gaia stars removed (TGLC)")
        curves.append(Curve(photometry, None, None, table.floats(raw, ELECTRONS)))
        curves.append(
            Curve(photometry, calibrated, len(curves) - 1, table.floats(derived, RELATIVE))
        )
    return build_product(
        table,
        **tess_observation(table.primary, "TGLC", exposure),
        catalog=catalog,
        target=target,
        quality={
            TESS.flag_type: table.quality("TESS_flags"),
            "tglc_quality_flag": table.quality("TGLC_flags"),
        },
        curves=tuple(curves),
        cadence_column="cadence_num" if numbered else None,
    )
