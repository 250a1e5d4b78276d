"""Light curves of SPOC and TESS-SPOC."""

from __future__ import annotations

from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.fits_product import (
    aperture_columns,
    build_product,
    target_number,
)
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, read_curves
from lcdb_notebook.ingest.readers.headers import Header, tess_observation, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import nominal_exposure, time_step
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]

COLUMNS: dict[str, tuple[FluxColumn, ...]] = {
    author: aperture_columns(author) for author in ("SPOC", "TESS-SPOC")
}
FLAGS = {TESS.flag_type: "quality"}


def recognizes(primary: Header, header: Header) -> bool:
    """Return whether a file with these headers is a light curve of SPOC or TESS-SPOC."""
    # lightkurve.io.detect is similar, but accepts every creator with "lightcurve" in its name,
    # including lightkurve's to_fits().
    return (
        text(primary, "TELESCOP").upper() == "TESS"
        and text(primary, "ORIGIN") == "NASA/Ames"
        and "LightCurveExporter" in text(primary, "CREATOR")
        and text(header, "EXTNAME") == "LIGHTCURVE"
    )


def read(table: LightCurveTable) -> Product:
    """Read the light curves of SPOC and TESS-SPOC, whose headers differ only in the cadence."""
    exposure = nominal_exposure(time_step(table.header), TESS, "TIMEDEL")
    # Target pixels are read every 20 s or 120 s (SPOC), full-frame images less often (TESS-SPOC).
    author = "SPOC" if exposure < 150 else "TESS-SPOC"
    table = table.sorted_by("CADENCENO")
    return build_product(
        table,
        **tess_observation(table.primary, author, exposure),
        catalog=TESS.catalog,
        target=target_number(table, TESS),
        quality={TESS.flag_type: table.quality(TESS.quality_column)},
        curves=read_curves(table, COLUMNS[author]),
    )
