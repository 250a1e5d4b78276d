"""The missions that ship with the package, as ``schema.rst`` says to add one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import orm

from lcdb_notebook.models.observation import Observation


class TESSObservation(Observation):
    """TESS: a sector, or one of its orbits, as one pipeline reduced it.

    Attributes
    ----------
    sector
        From 1; the observation cannot be stored without it.
    orbit_number
        None where the product spans the whole sector.
    spacecraft_quaternion
        Pointing, where known; any JSON.
    cosmic_ray_mitigation
        Whether cosmic rays were clipped on board; None where the product does not say.
    author, exptime
        The pipeline ("SPOC", "QLP") and its exposure time in seconds, named as
        ``lightkurve.search_lightcurve`` names them. Pipelines count and time cadences
        differently, so the same sector by two authors is two observations.
    """

    __mapper_args__ = {"polymorphic_identity": "tess_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "sector", "orbit_number", "author", "exptime")
    __chronology__ = ("sector", "orbit_number")

    sector: orm.Mapped[int] = orm.mapped_column(index=True)
    orbit_number: orm.Mapped[int | None]
    spacecraft_quaternion: orm.Mapped[dict[str, Any] | None] = orm.mapped_column(deferred=True)
    cosmic_ray_mitigation: orm.Mapped[bool | None]
    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)


class KeplerObservation(Observation):
    """Kepler: a quarter on one channel, in long (1800 s) or short (60 s) cadence.

    Attributes
    ----------
    quarter
        From 0; the observation cannot be stored without it.
    author, exptime
        As for :class:`TESSObservation`.
    """

    __mapper_args__ = {"polymorphic_identity": "kepler_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "quarter", "author", "exptime")
    __chronology__ = ("quarter",)

    quarter: orm.Mapped[int]
    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)


class K2Observation(Observation):
    """K2: a campaign on one channel.

    Attributes
    ----------
    campaign
        From 0; the observation cannot be stored without it.
    author, exptime
        As for :class:`TESSObservation`.
    """

    __mapper_args__ = {"polymorphic_identity": "k2_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "campaign", "author", "exptime")
    __chronology__ = ("campaign",)

    campaign: orm.Mapped[int]
    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)
