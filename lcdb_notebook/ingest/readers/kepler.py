"""Light curves of Kepler and K2."""

from __future__ import annotations

from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.fits_product import (
    aperture_columns,
    build_product,
    target_number,
)
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, read_curves
from lcdb_notebook.ingest.readers.headers import Header, instrument_path, integer, text, value
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import nominal_exposure, time_step
from lcdb_notebook.lightcurve.missions import K2, KEPLER, KnownMission

__all__ = ["COLUMNS", "FLAGS", "in_parts", "read", "recognizes"]

COLUMNS: dict[str, tuple[FluxColumn, ...]] = {
    mission.name: aperture_columns(mission.name) for mission in (KEPLER, K2)
}
FLAGS = {KEPLER.flag_type: "quality"}


def recognizes(primary: Header, header: Header) -> bool:
    """Return whether a file with these headers is a light curve of Kepler or K2."""
    creator = text(primary, "CREATOR")
    return (
        text(primary, "TELESCOP").upper() == "KEPLER"
        and text(primary, "ORIGIN") == "NASA/Ames"
        and ("FluxExporter" in creator or "LightCurveExporter" in creator)
        and text(header, "EXTNAME") == "LIGHTCURVE"
    )


def read(table: LightCurveTable) -> Product:
    """Read the light curves of Kepler (KIC, by quarter) and K2 (EPIC, by campaign)."""
    mission = _kepler_or_k2(table.primary)
    fields: dict[str, Any] = {
        mission.field: integer(table.primary, mission.field_key, *mission.field_range),
        "author": mission.name,
        "exptime": nominal_exposure(time_step(table.header), mission, "TIMEDEL"),
    }
    table = table.sorted_by("CADENCENO")
    return build_product(
        table,
        mission=mission,
        observation_fields=fields,
        instrument=instrument_path(table.primary, mission, 84),
        catalog=mission.catalog,
        target=target_number(table, mission),
        quality={mission.flag_type: table.quality(mission.quality_column)},
        curves=read_curves(table, COLUMNS[mission.name]),
        part=in_parts(mission, fields["exptime"]),
    )


def in_parts(mission: KnownMission, exposure: int | None) -> bool:
    """Return whether observations have several files: Kepler's short cadence, one per month.

    Kepler Archive Manual (KDMC-10008-006), section 2.1.
    """
    return mission is KEPLER and exposure == 60


def _kepler_or_k2(primary: Header) -> KnownMission:
    name = text(primary, "MISSION")
    found = {"Kepler": KEPLER, "K2": K2}.get(name)
    if not name and value(primary, KEPLER.field_key) is not None:
        # Files from before K2 have no MISSION.
        found = KEPLER
    if found is None:
        raise IngestError(f"header card MISSION must be Kepler or K2, got {name!r}")
    return found
