"""Light curves of KEPSEISMIC."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lcdb_notebook.ingest.product import FloatVector, Named, Product
from lcdb_notebook.ingest.readers.dates import check_dates
from lcdb_notebook.ingest.readers.fits_product import build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, read_curves
from lcdb_notebook.ingest.readers.headers import Header, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps, time_scale
from lcdb_notebook.lightcurve.missions import ALL_QUARTERS, KEPLER

__all__ = ["COLUMNS", "FLAGS", "read", "recognizes", "variant"]

COLUMNS = {
    "KEPSEISMIC": (
        FluxColumn(
            "FLUX",
            Named("KEPSEISMIC", "Aperture photometry in a large mask (KEPSEISMIC)"),
            Named("KEPSEISMIC", "Corrected, filtered, gaps filled (KEPSEISMIC)"),
        ),
    )
}
FLAGS: dict[str, str] = {}


def recognizes(primary: Header, _header: Header) -> bool:
    """Return whether a file with these headers is a light curve of KEPSEISMIC."""
    return text(primary, "ORIGIN") == "CEA & SSI"


def variant(_header: Header, file_name: str) -> str:
    """Return the filter by the name of the file ("20d"), since a star has three files.

    Examples
    --------
    >>> variant({}, "hlsp_kepseismic_kepler_phot_kplr001435467-20d_kepler_v1_cor-filt-inp.fits")
    '20d'
    """
    found = re.search(r"[-_](\d+d)[-_]", file_name)
    return found[1] if found else ""


def read(table: LightCurveTable) -> Product:
    """Read the light curves of KEPSEISMIC, which span all quarters and have MJD as times.

    Source: https://archive.stsci.edu/prepds/kepseismic, and lightkurve.io.kepseismic.
    """
    table = table.with_finite("TIME")
    time = _times(table)
    return build_product(
        table,
        mission=KEPLER,
        observation_type=ALL_QUARTERS,
        observation_fields={"author": "KEPSEISMIC", "exptime": exposure_of_steps(time, KEPLER)},
        instrument=("Kepler",),
        time=time,
        catalog=KEPLER.catalog,
        target=target_number(table, KEPLER),
        quality={},
        curves=read_curves(
            table, COLUMNS["KEPSEISMIC"], variant(table.header, Path(table.label).name)
        ),
        cadence_column=None,
    )


def _times(table: LightCurveTable) -> FloatVector:
    from astropy.time import Time

    KEPLER.clock.time_format()
    dates = Time(table.floats("TIME"), format="mjd", scale=time_scale(table.header))
    time: FloatVector = np.asarray(dates.tdb.to_value(KEPLER.clock.format_name), dtype=float)
    check_dates(time, KEPLER)
    return time
