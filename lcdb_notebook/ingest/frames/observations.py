"""Find the observations to which the frames of a CCD belong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import Instrument, Observation
from lcdb_notebook.search import layout

Place = tuple[int, int, int]
"""Sector, camera and CCD."""


def tess_observations(session: orm.Session, places: Set[Place]) -> dict[Place, list[int]]:
    """Find the ids of the observations of CCDs in sectors, in one statement."""
    if not places:
        return {}
    part, whole = orm.aliased(Instrument), orm.aliased(Instrument)
    # In other programs' tables the sector may be beside an observation of any type.
    column = Observation.__table__.c.sector
    statement = (
        sa.select(Observation.id, column, whole.name, part.name)
        .join(part, part.id == Observation.instrument_id)
        .join(whole, whole.id == part.parent_id)
        .where(column.in_({sector for sector, _, _ in places}))
        .order_by(Observation.id)
    )
    rows = session.execute(layout.present(session, statement))
    named = {(s, f"Camera {camera}", f"CCD {ccd}"): (s, camera, ccd) for s, camera, ccd in places}
    found: dict[Place, list[int]] = {}
    for id_, sector, camera_name, ccd_name in rows:
        place = named.get((sector, camera_name, ccd_name))
        if place is not None:
            found.setdefault(place, []).append(id_)
    return found


def cadence_references(session: orm.Session, ids: Sequence[int]) -> Mapping[int, Any]:
    """Read the cadence numbers of observations, by id."""
    if not ids:
        return {}
    rows = session.execute(
        sa.select(Observation.id, Observation.cadence_reference).where(Observation.id.in_(ids))
    )
    return {row.id: row.cadence_reference for row in rows}
