"""Observation classes of TESS, Kepler and K2, as specified in ``schema.rst``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import orm

from lcdb_notebook.models.observation import Observation


class TESSObservation(Observation):
    """A TESS sector, or one orbit of a sector, as reduced by one pipeline.

    Attributes
    ----------
    sector : int
        Sector number, from 1; required.
    orbit_number : int or None
        Orbit number; None if the product covers the whole sector.
    spacecraft_quaternion : dict or None
        Spacecraft pointing as JSON, if known.
    cosmic_ray_mitigation : bool or None
        Whether cosmic rays were removed on board; None if the product does not record it.
    author, exptime : str or None, int or None
        The pipeline ("SPOC", "QLP") and its exposure time in seconds, named as in
        ``lightkurve.search_lightcurve``. Pipelines differ in the numbers and times of cadences, so
        a sector has a separate observation for each author.
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
    """A Kepler quarter on one channel, in long (1800 s) or short (60 s) cadence.

    Attributes
    ----------
    quarter : int
        Quarter number, from 0; required.
    author, exptime : str or None, int or None
        The pipeline ("Kepler") and its exposure time in seconds, named as in
        ``lightkurve.search_lightcurve``.
    """

    __mapper_args__ = {"polymorphic_identity": "kepler_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "quarter", "author", "exptime")
    __chronology__ = ("quarter",)

    quarter: orm.Mapped[int]
    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)


class KeplerMissionObservation(Observation):
    """Several Kepler quarters, which a pipeline stitched to one light curve per target.

    Attributes
    ----------
    author, exptime : str or None, int or None
        The pipeline ("KBONUS-BKG", "KEPSEISMIC") and its exposure time in seconds, named as in
        ``lightkurve.search_lightcurve``.
    """

    __mapper_args__ = {"polymorphic_identity": "kepler_mission_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "author", "exptime")

    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)


class K2Observation(Observation):
    """A K2 campaign on one channel.

    Attributes
    ----------
    campaign : int
        Campaign number, from 0; required.
    author, exptime : str or None, int or None
        The pipeline ("K2") and its exposure time in seconds, named as in
        ``lightkurve.search_lightcurve``.
    """

    __mapper_args__ = {"polymorphic_identity": "k2_observation"}  # noqa: RUF012
    __shown__ = ("id", "type", "campaign", "author", "exptime")
    __chronology__ = ("campaign",)

    campaign: orm.Mapped[int]
    author: orm.Mapped[str | None] = orm.mapped_column(use_existing_column=True)
    exptime: orm.Mapped[int | None] = orm.mapped_column(use_existing_column=True)
