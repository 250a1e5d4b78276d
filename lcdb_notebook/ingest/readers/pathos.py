"""Light curves of PATHOS."""

from __future__ import annotations

from pathlib import Path

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, column_names, tess_observation
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps, unreferenced_times
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes"]


def _columns(name: str, column: str, how: str) -> tuple[FluxColumn, ...]:
    # The unit is that of the file, since PATHOS does not document it.
    described = Named(f"PATHOS {name}", f"{how}, neighbours subtracted (PATHOS)")
    raw = FluxColumn(f"{column}_FLUX_RAW", described)
    corrected = "Systematic trends removed (PATHOS)"
    return raw, derived(f"{column}_FLUX_COR", raw, "PATHOS COR", corrected)


COLUMNS = {
    "PATHOS": (
        *_columns("PSF", "PSF", "PSF photometry"),
        *(
            column
            for radius in range(1, 5)
            for column in _columns(
                f"aperture {radius}px", f"AP{radius}", f"Photometry in a radius of {radius} pixels"
            )
        ),
    )
}
FLAGS = {"pathos_quality_flag": "dquality"}


def recognizes(_primary: Header, header: Header) -> bool:
    """Return whether a table has the columns of PATHOS, whose headers do not name it."""
    required = {"PSF_FLUX_RAW", "PSF_FLUX_COR", "AP4_FLUX_RAW", "AP4_FLUX_COR", "SKY_LOCAL"}
    return required <= column_names(header)


def read(table: LightCurveTable) -> Product:
    """Read the light curves of PATHOS: PSF photometry and four apertures, raw and corrected.

    Source: https://archive.stsci.edu/hlsp/pathos, and lightkurve.io.pathos.
    """
    numbered = "CADENCENO" in table
    table = table.sorted_by("CADENCENO") if numbered else table.with_finite("TIME")
    time = unreferenced_times(table, "TIME", TESS)
    return build_product(
        table,
        **tess_observation(
            table.primary, "PATHOS", exposure_of_steps(time, TESS), Path(table.label).name
        ),
        time=time,
        catalog=TESS.catalog,
        target=target_number(table, TESS),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS["PATHOS"]),
        cadence_column="CADENCENO" if numbered else None,
    )
