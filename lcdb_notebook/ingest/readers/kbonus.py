"""Light curves of KBONUS-BKG."""

from __future__ import annotations

from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import ELECTRONS, build_product
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, catalog_number, text, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps, unreferenced_times
from lcdb_notebook.lightcurve.missions import ALL_QUARTERS, KEPLER

__all__ = ["AUTHOR", "COLUMNS", "FLAGS", "read", "recognizes"]

AUTHOR = "KBONUS-BKG"
_PSF = FluxColumn(
    "FLUX",
    Named("KBONUS-BKG PSF", f"[{ELECTRONS}] PSF photometry, neighbours deblended (KBONUS-BKG)"),
    error="FLUX_ERR",
)
COLUMNS = {
    AUTHOR: (
        _PSF,
        derived(
            "PSF_FLAT_FLUX",
            _PSF,
            "KBONUS-BKG FLAT",
            f"[{ELECTRONS}] Slow trends removed (KBONUS-BKG)",
            "PSF_FLAT_FLUX_ERR",
        ),
        FluxColumn(
            "SAP_FLUX",
            Named("KBONUS-BKG SAP", f"[{ELECTRONS}] Simple aperture photometry (KBONUS-BKG)"),
            error="SAP_FLUX_ERR",
        ),
    )
}
FLAGS = {KEPLER.flag_type: "sap_quality", "kbonus_flatten_flag": "flatten_mask"}


def recognizes(primary: Header, _header: Header) -> bool:
    """Return whether a file with these headers is a light curve of KBONUS-BKG."""
    # The file was written with lightkurve, so CREATOR names only that.
    return text(primary, "HLSPID") == AUTHOR


def read(table: LightCurveTable) -> Product:
    """Read the light curves of KBONUS-BKG, stitched from all quarters.

    Source: https://archive.stsci.edu/hlsp/kbonus-bkg (README).
    """
    table = table.sorted_by("CADENCENO")
    time = unreferenced_times(table, "TIME", KEPLER)
    catalog, key = KEPLER.catalog, "KEPLERID"
    number = value(table.primary, "KEPLERID")
    if not isinstance(number, int) or number <= 0:
        # Most background sources have no KIC number.
        catalog, key = "Gaia DR3", "GAIAID"
        number = text(table.primary, "GAIAID").rpartition(" ")[2]
    return build_product(
        table,
        mission=KEPLER,
        observation_type=ALL_QUARTERS,
        observation_fields={"author": AUTHOR, "exptime": exposure_of_steps(time, KEPLER)},
        instrument=("Kepler",),
        time=time,
        catalog=catalog,
        target=catalog_number(number, key),
        quality={name: table.quality(column) for name, column in FLAGS.items()},
        curves=read_curves(table, COLUMNS[AUTHOR]),
    )
