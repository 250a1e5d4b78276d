"""Build a Product from the table of a FITS light curve: functions that pipelines share."""

from __future__ import annotations

from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, FloatVector, Named, Product
from lcdb_notebook.ingest.readers.headers import catalog_number, release, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import check_clock, check_times
from lcdb_notebook.lightcurve.missions import KnownMission

__all__ = ["ELECTRONS", "RELATIVE", "aperture_curves", "build_product", "target_number"]

ELECTRONS = "electron / s"
RELATIVE = ""

_PDCSAP = Named(
    "PDCSAP",
    f"[{ELECTRONS}] Presearch data conditioning of simple aperture photometry: systematics that a "
    "CCD's stars share are removed, and dilution by neighbours is corrected",
)


def build_product(
    table: LightCurveTable,
    *,
    mission: KnownMission,
    cadence_column: str | None = "CADENCENO",
    **fields: Any,
) -> Product:
    """Build the Product of a sorted table, and check its times and cadence numbers."""
    if cadence_column is None:
        cadence = np.arange(len(table), dtype=np.int64)
    else:
        cadence = table.integers(cadence_column)
        if cadence[0] < 0:
            raise IngestError(f"cadence number {cadence[0]} is negative")
    check_clock(table.header, mission)
    time = table.floats("TIME")
    check_times(cadence, time, mission)
    return Product(
        label=table.label,
        mission=mission.telescope,
        observation_type=mission.observation_type,
        cadence=cadence,
        time=time,
        numbered=cadence_column is not None,
        release=release(table.primary),
        **fields,
    )


def target_number(table: LightCurveTable, mission: KnownMission) -> int:
    """Return the target's number in the catalog of its mission."""
    return catalog_number(value(table.primary, mission.catalog_key), mission.catalog_key)


def aperture_curves(table: LightCurveTable, author: str) -> tuple[Curve, ...]:
    """Read SAP and PDCSAP fluxes, as written by the pipelines of Kepler and TESS."""

    def column(name: str) -> FloatVector:
        return table.floats(name, ELECTRONS)

    aperture = Named(f"{author} SAP", f"[{ELECTRONS}] Simple aperture photometry")
    return (
        Curve(aperture, None, None, column("SAP_FLUX"), column("SAP_FLUX_ERR")),
        Curve(aperture, _PDCSAP, 0, column("PDCSAP_FLUX"), column("PDCSAP_FLUX_ERR")),
    )
