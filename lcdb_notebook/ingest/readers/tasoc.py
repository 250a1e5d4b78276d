"""Light curves of TASOC."""

from __future__ import annotations

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import ELECTRONS, build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, tess_observation, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import nominal_exposure, time_step
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes", "variant"]

_RAW = FluxColumn(
    "FLUX_RAW", Named("TASOC", f"[{ELECTRONS}] Photometry of TASOC"), error="FLUX_RAW_ERR"
)
COLUMNS = {
    "TASOC": (
        _RAW,
        derived("FLUX_CORR", _RAW, "TASOC", "[ppm] Systematics removed (TASOC)", "FLUX_CORR_ERR"),
    )
}
FLAGS = {"tasoc_quality_flag": "quality", "tasoc_pixel_quality_flag": "pixel_quality"}


def recognizes(primary: Header, header: Header) -> bool:
    """Return whether a file with these headers is a light curve of TASOC."""
    return text(primary, "ORIGIN") == "TASOC/Aarhus" and text(header, "EXTNAME") == "LIGHTCURVE"


def variant(header: Header, _file_name: str) -> str:
    """Return the method of the correction ("cbv", "ensemble"), of which a star has several."""
    return text(header, "CORRMET")


def read(table: LightCurveTable) -> Product:
    """Read the light curves of TASOC: raw flux, and relative flux in ppm after correction.

    Source: github.com/tasoc/photometry (``BasePhotometry.save_lightcurve``).
    """
    exposure = nominal_exposure(time_step(table.header), TESS, "TIMEDEL")
    table = table.sorted_by("CADENCENO")
    return build_product(
        table,
        **tess_observation(table.primary, "TASOC", exposure),
        catalog=TESS.catalog,
        target=target_number(table, TESS),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS["TASOC"], variant(table.header, "")),
    )
