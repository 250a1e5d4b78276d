"""Build a Product from the table of a FITS light curve: functions that pipelines share."""

from __future__ import annotations

from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, Named, Product
from lcdb_notebook.ingest.readers.contents import contents_of
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived
from lcdb_notebook.ingest.readers.headers import catalog_number, release, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import check_clock, check_times
from lcdb_notebook.lightcurve.missions import KnownMission

__all__ = ["ELECTRONS", "aperture_columns", "build_product", "target_number"]

ELECTRONS = "electron / s"

_PDCSAP = (
    f"[{ELECTRONS}] Presearch data conditioning of simple aperture photometry: systematics that a "
    "CCD's stars share are removed, and dilution by neighbours is corrected"
)


def build_product(
    table: LightCurveTable,
    *,
    mission: KnownMission,
    time: FloatVector | None = None,
    cadence_column: str | None = "CADENCENO",
    **fields: Any,
) -> Product:
    """Build the Product of a sorted table, and check its times and cadence numbers.

    Parameters
    ----------
    table
        Rows sorted by cadence number.
    mission
        The mission.
    time
        Times in the mission's format, if the file has them in another one, or without a reference;
        by default the column TIME, whose reference is checked.
    cadence_column
        Column of the cadence numbers; None if there is none.
    **fields
        The other fields of the Product.
    """
    if cadence_column is None:
        cadence = np.arange(len(table), dtype=np.int64)
    else:
        cadence = table.whole_numbers(cadence_column)
        if cadence[0] < 0:
            raise IngestError(f"cadence number {cadence[0]} is negative")
    if time is None:
        check_clock(table.header, mission)
        time = table.floats("TIME")
    check_times(cadence, time, mission)
    return Product(
        **{
            "label": table.label,
            "mission": mission.telescope,
            "observation_type": mission.observation_type,
            "cadence": cadence,
            "time": time,
            "numbered": cadence_column is not None,
            "release": release(table.primary),
            "contents": contents_of(table),
            **fields,
        }
    )


def target_number(table: LightCurveTable, mission: KnownMission) -> int:
    """Return the target's number in the catalog of its mission."""
    return catalog_number(value(table.primary, mission.catalog_key), mission.catalog_key)


def aperture_columns(author: str) -> tuple[FluxColumn, ...]:
    """Return the SAP and PDCSAP columns, as written by the pipelines of Kepler and TESS."""
    aperture = Named(f"{author} SAP", f"[{ELECTRONS}] Simple aperture photometry")
    raw = FluxColumn("SAP_FLUX", aperture, error="SAP_FLUX_ERR")
    return raw, derived("PDCSAP_FLUX", raw, "PDCSAP", _PDCSAP, "PDCSAP_FLUX_ERR")
