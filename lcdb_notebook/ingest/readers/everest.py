"""Light curves of EVEREST."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import ELECTRONS, build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, k2_observation
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps, unreferenced_times
from lcdb_notebook.lightcurve.missions import K2

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]

_RAW = FluxColumn(
    "FRAW",
    Named("EVEREST SAP", f"[{ELECTRONS}] Simple aperture photometry (EVEREST)"),
    error="FRAW_ERR",
)
_DETRENDED = derived(
    "FLUX", _RAW, "EVEREST", f"[{ELECTRONS}] Systematics removed by pixel-level decorrelation"
)
_COTRENDED = derived(
    "FCOR", _DETRENDED, "EVEREST CBV", f"[{ELECTRONS}] Cotrending basis vectors removed (EVEREST)"
)
COLUMNS = {"EVEREST": (_RAW, _DETRENDED, replace(_COTRENDED, optional=True))}
FLAGS = {"everest_quality_flag": "quality"}


def recognizes(primary: Header, _header: Header) -> bool:
    """Return whether a file with these headers is a light curve of EVEREST."""
    return "EVEREST" in str(primary.get("COMMENT", ""))


def read(table: LightCurveTable) -> Product:
    """Read the light curves of EVEREST, whose cadence numbers are floating-point numbers.

    Source: https://luger.dev/everest/fitsfiles.html.
    """
    table = table.sorted_by("CADN", floats=True)
    time = unreferenced_times(table, "TIME", K2)
    return build_product(
        table,
        **k2_observation(
            table.primary, "EVEREST", exposure_of_steps(time, K2), Path(table.label).name
        ),
        time=time,
        catalog=K2.catalog,
        target=target_number(table, K2),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS["EVEREST"]),
        cadence_column="CADN",
    )
