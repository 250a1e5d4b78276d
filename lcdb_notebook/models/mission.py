"""Mission, MissionCatalog and Target: missions, their catalogs, and stars in the catalogs."""

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
    """A space mission and its time format.

    A mission that has catalogs cannot be deleted.

    Attributes
    ----------
    id : uuid.UUID
        Generated when the row is stored.
    name : str
        Unique name, such as "TESS".
    description : str
        Short description.
    time_unit : str
        Unit of the mission's times in astropy's notation; "d" (days) by default.
    time_epoch : decimal.Decimal
        Zero point of the mission's times, in ``time_epoch_format`` and ``time_epoch_scale``:
        2457000 for TESS. A Decimal keeps all digits.
    time_epoch_format : str
        A numeric format of ``astropy.time.Time``; "jd" by default.
    time_epoch_scale : str
        Time scale of the epoch; "tdb" by default.
    time_format_name : str
        Unique name of the astropy ``Time`` format that these columns define, such as "btjd".
    catalogs : list of MissionCatalog
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
        back_populates="host_mission", passive_deletes="all", order_by="MissionCatalog.id"
    )

    @property
    def clock(self) -> Clock:
        """The clock that these columns define, with defaults for missing values of a new row."""
        return Clock(
            self.time_format_name,
            self.time_unit or "d",
            self.time_epoch,
            self.time_epoch_format or "jd",
            self.time_epoch_scale or "tdb",
        )

    def time_format(self) -> type[TimeFormat]:
        """Return the class of this mission's ``Time`` format, and register it if necessary.

        Returns
        -------
        subclass of astropy.time.TimeFormat
            The class. Its name is ``time_format_name``, which ``astropy.time.Time(...,
            format=...)`` then accepts.

        Raises
        ------
        TimeFormatError
            If the columns do not define a time format, or astropy has another one of this name.
        """
        return self.clock.time_format()


class MissionCatalog(Base):
    """A mission's catalog of targets, such as the TESS Input Catalog.

    A catalog that has targets cannot be deleted.

    Attributes
    ----------
    id : int
        Assigned by the database.
    host_mission, host_mission_id : Mission, uuid.UUID
        The mission of the catalog, whose time format applies to the times of its targets.
    name : str
        Unique name, such as "TIC".
    description : str or None
        Short description.
    targets : list of Target
        All targets of the catalog, possibly millions: query for the ones you need instead.
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
        back_populates="catalog", passive_deletes="all", order_by="Target.id"
    )


class Target(Base):
    """A star, identified by its number in one catalog.

    Attributes
    ----------
    id : int
        Assigned by the database; not the catalog number.
    catalog, catalog_id : MissionCatalog, int
        The catalog of the number.
    name : int
        Catalog number, such as a TIC ID; unique within the catalog.
    datasets : list of DataSet
        Light curves of the target, deleted together with it.
    target_specific_times : list of TargetSpecificTime
        Barycentric times of the target, one array per observation, deleted together with it.
    quality_flag_arrays : list of QualityFlagArray
        Quality flags of this target alone, deleted together with it.
    observations : list of Observation
        Observations that have times for the target, in the order of their ids. Read-only.
    """

    __tablename__ = "target"
    __table_args__ = (sa.UniqueConstraint("catalog_id", "name"),)
    __shown__ = ("id", "catalog", "name")

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    catalog_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("mission_catalog.id"))
    # Searches by number alone cannot use the unique key, which begins with the catalog.
    name: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, index=True)

    catalog: orm.Mapped[MissionCatalog] = orm.relationship(back_populates="targets")
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="target",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="DataSet.id",
    )
    target_specific_times: orm.Mapped[list[TargetSpecificTime]] = orm.relationship(
        back_populates="target",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="TargetSpecificTime.id",
    )
    # No delete-orphan, because flags whose target is set to None apply to the whole observation.
    quality_flag_arrays: orm.Mapped[list[QualityFlagArray]] = orm.relationship(
        back_populates="target", cascade="all", passive_deletes=True, order_by="QualityFlagArray.id"
    )
    observations: orm.Mapped[list[Observation]] = orm.relationship(
        secondary="target_specific_time",
        back_populates="targets",
        viewonly=True,
        order_by="Observation.id",
    )
