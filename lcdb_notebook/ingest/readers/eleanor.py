"""Light curves of eleanor and GSFC-ELEANOR-LITE."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lcdb_notebook.ingest.product import Curve, Named, Product
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
from lcdb_notebook.ingest.readers.times import exposure_of_steps, unreferenced_times
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]

_CODE = "https://github.com/afeinstein20/eleanor"


def _columns(author: str) -> tuple[FluxColumn, ...]:
    aperture = Named(f"{author} aperture", f"[{ELECTRONS}] Aperture photometry (eleanor)")
    raw = FluxColumn("RAW_FLUX", aperture, error="FLUX_ERR")
    removed = f"[{ELECTRONS}] Systematics removed (eleanor)"
    components = f"[{ELECTRONS}] Principal components of the CCD removed (eleanor)"
    psf = Named(f"{author} PSF", f"[{ELECTRONS}] PSF photometry (eleanor)")
    return (
        raw,
        derived("CORR_FLUX", raw, "ELEANOR CORR", removed),
        replace(derived("PCA_FLUX", raw, "ELEANOR PCA", components), optional=True),
        FluxColumn("PSF_FLUX", psf, optional=True),
    )


COLUMNS = {author: _columns(author) for author in ("ELEANOR", "GSFC-ELEANOR-LITE")}
FLAGS = {"eleanor_quality_flag": "quality"}


def recognizes(primary: Header, _header: Header) -> bool:
    """Return whether a file with these headers is a light curve of eleanor."""
    return value(primary, "LITE") is not None and value(primary, "PCORIGIN") is not None


def read(table: LightCurveTable) -> Product:
    """Read the light curves of eleanor; FLUX_ERR is the error of RAW_FLUX only.

    Source: github.com/afeinstein20/eleanor (``TargetData.save``), and lightkurve.io.eleanor for the
    author and the errors of the other columns.
    """
    lite = value(table.primary, "TVERSION") is not None and text(table.primary, "GITHUB") == _CODE
    author = "GSFC-ELEANOR-LITE" if lite else "ELEANOR"
    table = table.sorted_by("FFIINDEX", floats=True)
    time = unreferenced_times(table, "TIME", TESS)
    return build_product(
        table,
        **tess_observation(
            table.primary, author, exposure_of_steps(time, TESS), Path(table.label).name
        ),
        time=time,
        catalog=TESS.catalog,
        target=catalog_number(value(table.primary, "TIC_ID"), "TIC_ID"),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=_with_errors(read_curves(table, COLUMNS[author])),
        cadence_column="FFIINDEX",
    )


def _with_errors(curves: tuple[Curve, ...]) -> tuple[Curve, ...]:
    """Scale the errors of the raw flux to the other fluxes, as lightkurve.io.eleanor does."""
    raw, *others = curves
    assert raw.flux_err is not None
    with np.errstate(all="ignore"):
        return (
            raw,
            *(replace(c, flux_err=c.flux * raw.flux_err / raw.flux) for c in others),
        )
