"""Light curves of K2SFF."""

from __future__ import annotations

from pathlib import Path

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, k2_observation, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps, unreferenced_times
from lcdb_notebook.lightcurve.missions import K2

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]

_RAW = FluxColumn("FRAW", Named("K2SFF", "[] Aperture photometry, relative flux (K2SFF)"))
COLUMNS = {
    "K2SFF": (
        _RAW,
        derived("FCOR", _RAW, "K2SFF", "[] Drift along the roll of the spacecraft removed (K2SFF)"),
    )
}
FLAGS = {"k2sff_quality_flag": "moving"}


def recognizes(_primary: Header, header: Header) -> bool:
    """Return whether a table has the layout of K2SFF, whose headers do not name it."""
    return text(header, "EXTNAME") == "BESTAPER" and text(header, "TTYPE4") == "ARCLENGTH"


def read(table: LightCurveTable) -> Product:
    """Read the light curves of K2SFF in the best aperture, which is the first table.

    Source: https://archive.stsci.edu/hlsp/k2sff, and lightkurve.io.k2sff.
    """
    table = table.sorted_by("CADENCENO")
    time = unreferenced_times(table, "T", K2)
    return build_product(
        table,
        **k2_observation(
            table.primary, "K2SFF", exposure_of_steps(time, K2), Path(table.label).name
        ),
        time=time,
        catalog=K2.catalog,
        target=target_number(table, K2),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS["K2SFF"]),
    )
