"""Mission, MissionCatalog and Target: who observed, under which numbers, what."""

from __future__ import annotations

import decimal
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.models.orm.base import Base

if TYPE_CHECKING:
    from astropy.time.formats import TimeFormat

    from lcdb_notebook.models.dataset import DataSet
    from lcdb_notebook.models.observation import Observation, TargetSpecificTime
    from lcdb_notebook.models.quality import QualityFlagArray


class Mission(Base):
    """A space mission, and the clock by which it tells time.

    One that has catalogs cannot be deleted.

    Attributes
    ----------
    id
        Made when the row is stored.
    name
        Unique: "TESS".
    description
        In a few words.
    time_unit
        Unit in which the mission counts, as astropy spells it; "d" unless given.
    time_epoch
        The instant it counts from, as a number in ``time_epoch_format`` on ``time_epoch_scale``:
        2457000 for TESS. A Decimal keeps all its digits.
    time_epoch_format
        A numeric format of ``astropy.time.Time``; "jd" unless given.
    time_epoch_scale
        Its time scale; "tdb" unless given.
    time_format_name
        Unique name of the astropy ``Time`` format so defined: "btjd".
    catalogs
        The mission's catalogs of targets.

    Examples
    --------
    >>> tess = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    """

    __tablename__ = "mission"
    __shown__ = ("name", "time_format_name")

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str] = orm.mapped_column(default="")
    time_unit: orm.Mapped[str] = orm.mapped_column(default="d")
    time_epoch: orm.Mapped[decimal.Decimal]
    time_epoch_scale: orm.Mapped[str] = orm.mapped_column(default="tdb")
    time_epoch_format: orm.Mapped[str] = orm.mapped_column(default="jd")
    time_format_name: orm.Mapped[str] = orm.mapped_column(unique=True)

    catalogs: orm.Mapped[list[MissionCatalog]] = orm.relationship(
        back_populates="host_mission", passive_deletes="all"
    )

    @property
    def clock(self) -> Clock:
        """The clock these columns describe; what was left out of a new row counts as stored."""
        return Clock(
            self.time_format_name,
            self.time_unit or "d",
            self.time_epoch,
            self.time_epoch_format or "jd",
            self.time_epoch_scale or "tdb",
        )

    def time_format(self) -> type[TimeFormat]:
        """Give astropy's ``Time`` format of this mission: see :meth:`Clock.time_format`."""
        return self.clock.time_format()


class MissionCatalog(Base):
    """A mission's catalog of targets, such as the TESS Input Catalog.

    One that has targets cannot be deleted.

    Attributes
    ----------
    id
        Chosen by the database.
    host_mission, host_mission_id
        The mission whose catalog it is, and whose clock its targets' times are told by.
    name
        Unique: "TIC".
    description
        In a few words; may be None.
    targets
        All of them, which may be millions: query for some instead.
    """

    __tablename__ = "mission_catalog"
    __shown__ = ("id", "name")

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    host_mission_id: orm.Mapped[uuid.UUID] = orm.mapped_column(
        sa.ForeignKey("mission.id"), index=True
    )
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    description: orm.Mapped[str | None]

    host_mission: orm.Mapped[Mission] = orm.relationship(back_populates="catalogs")
    targets: orm.Mapped[list[Target]] = orm.relationship(
        back_populates="catalog", passive_deletes="all"
    )


class Target(Base):
    """A star by its number in one catalog.

    Attributes
    ----------
    id
        Chosen by the database; not the catalog number.
    catalog, catalog_id
        The catalog that numbers it.
    name
        Its catalog number, such as a TIC ID; unique within the catalog.
    datasets
        Its light curves, deleted with it.
    target_specific_times
        Its barycentric times, one array an observation, deleted with it.
    quality_flag_arrays
        The quality flags of its own, deleted with it.
    observations
        In which it was seen, by id: those that have times for it. Read-only.
    """

    __tablename__ = "target"
    __table_args__ = (sa.UniqueConstraint("catalog_id", "name"),)
    __shown__ = ("id", "catalog", "name")

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    catalog_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("mission_catalog.id"))
    # A number is looked up without naming its catalog, which the unique key cannot serve.
    name: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, index=True)

    catalog: orm.Mapped[MissionCatalog] = orm.relationship(back_populates="targets")
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="target", cascade="all, delete-orphan", passive_deletes=True
    )
    target_specific_times: orm.Mapped[list[TargetSpecificTime]] = orm.relationship(
        back_populates="target", cascade="all, delete-orphan", passive_deletes=True
    )
    # No delete-orphan: flags whose target is set to None hold for the whole observation.
    quality_flag_arrays: orm.Mapped[list[QualityFlagArray]] = orm.relationship(
        back_populates="target", cascade="all", passive_deletes=True
    )
    observations: orm.Mapped[list[Observation]] = orm.relationship(
        secondary="target_specific_time",
        back_populates="targets",
        viewonly=True,
        order_by="Observation.id",
    )
