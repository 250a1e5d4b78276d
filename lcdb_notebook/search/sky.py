"""Find targets by position, among those whose files had one."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, SchemaError, TargetNotFoundError
from lcdb_notebook.models.tables.contents import HEADERS
from lcdb_notebook.search import layout

__all__ = ["is_position", "targets_near"]

# The haversine formula (Sinnott 1984, Sky & Telescope 68, 159) is exact for small angles. The band
# of declination uses the index.
_NEAR = sa.text(
    f"""
SELECT DISTINCT target_id FROM {HEADERS},
    unnest(CAST(:ra AS float8[]), CAST(:declination AS float8[])) AS centre (a, d)
WHERE declination BETWEEN d - :radius AND d + :radius
    AND power(sind((declination - d) / 2), 2)
        + cosd(d) * cosd(declination) * power(sind((ra - a) / 2), 2)
        <= power(sind(:radius / 2), 2)
ORDER BY target_id
"""
)


def is_position(target: Any) -> bool:
    """Return whether this is an astropy SkyCoord, without importing astropy."""
    return any(cls.__name__ == "SkyCoord" for cls in type(target).__mro__)


def targets_near(session: orm.Session, position: Any, radius: Any) -> tuple[int, ...]:
    """Return the ids of targets within a radius of one or more positions.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    position : astropy.coordinates.SkyCoord
        In any frame; the positions of files are ICRS, at the epoch of their catalog.
    radius : astropy.units.Quantity or float
        An angle; a number is in arcseconds, as for lightkurve.

    Raises
    ------
    ArgumentError
        If the radius is not an angle from 0 to 180 degrees.
    SchemaError
        If the database has no positions.
    TargetNotFoundError
        If there is no target.
    """
    from astropy import units

    try:
        angle = units.Quantity(radius, units.arcsec).to_value(units.deg)
    except (TypeError, units.UnitConversionError):
        angle = np.nan
    if np.ndim(angle) or not 0 <= angle <= 180:
        raise ArgumentError(f"radius must be an angle, such as 10 * u.arcsec, got {radius!r}")
    if not layout.of(session).has_contents:
        raise SchemaError(
            "this database has no positions of targets, which only databases created by this "
            "package have; search by catalog number"
        )
    icrs = position.icrs
    centre = {"ra": np.ravel(icrs.ra.deg).tolist(), "declination": np.ravel(icrs.dec.deg).tolist()}
    found = session.scalars(_NEAR, centre | {"radius": float(angle)}).all()
    if not found:
        raise TargetNotFoundError(
            f"no target within {angle * 3600:g} arcsec of {position.to_string('hmsdms')}; pass a "
            "larger radius="
        )
    return tuple(found)
