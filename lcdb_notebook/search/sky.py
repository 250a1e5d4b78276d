"""Find targets by position, among those whose files had one."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, SchemaError, TargetNotFoundError
from lcdb_notebook.models.tables.contents import HEADERS
from lcdb_notebook.search import layout
from lcdb_notebook.search.arguments import warn_of_gaps

__all__ = ["targets_near"]

_RADIUS = 10.0

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


def targets_near(session: orm.Session, position: Any, radius: Any = None) -> tuple[int, ...]:
    """Return the ids of targets within a radius of one or more positions.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    position : astropy.coordinates.SkyCoord, or list of these
        In any frame; the positions of files are ICRS, at the epoch of their catalog. Missing ones
        (NaN) are skipped with a warning.
    radius : astropy.units.Quantity or float, optional
        An angle; a number is in arcseconds, as for lightkurve. By default 10 arcseconds.

    Raises
    ------
    ArgumentError
        If the radius is not an angle from 0 to 180 degrees, or there is no position.
    SchemaError
        If the database has no positions.
    TargetNotFoundError
        If there is no target.
    """
    from astropy import units
    from astropy.coordinates import SkyCoord

    radius = _RADIUS if radius is None else radius
    try:
        angle = units.Quantity(radius, units.arcsec).to_value(units.deg)
    except (TypeError, units.UnitConversionError):
        angle = np.nan
    if np.ndim(angle) or not 0 <= angle <= 180:
        raise ArgumentError(
            f"radius must be an angle from 0 to 180 deg, such as 10 * u.arcsec, got {radius!r}"
        )
    icrs = SkyCoord(position).icrs
    ra, declination = np.ravel(icrs.ra.deg), np.ravel(icrs.dec.deg)
    present = np.isfinite(ra) & np.isfinite(declination)
    if not present.any():
        raise ArgumentError(f"target must be a position, got {position!r}")
    if not present.all():
        warn_of_gaps(int((~present).sum()), present.size)
    if not layout.of(session).has_contents:
        raise SchemaError(
            "this database has no positions of targets, which only databases created by this "
            "package have; search by catalog number"
        )
    centre = {"ra": ra[present].tolist(), "declination": declination[present].tolist()}
    found = session.scalars(_NEAR, centre | {"radius": float(angle)}).all()
    if not found:
        some = SkyCoord(ra[present], declination[present], unit="deg").to_string("hmsdms")
        shown = ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
        raise TargetNotFoundError(
            f"no target within {angle * 3600:g} arcsec of {shown}; pass a larger radius="
        )
    return tuple(found)
