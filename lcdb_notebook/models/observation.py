"""Observation and TargetSpecificTime: cadences, and the barycentric times of each target."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base
from lcdb_notebook.models.orm.extending import Extensible

if TYPE_CHECKING:
    from lcdb_notebook.models.dataset import DataSet
    from lcdb_notebook.models.frame import FITSFrame
    from lcdb_notebook.models.instrument import Instrument
    from lcdb_notebook.models.mission import Target
    from lcdb_notebook.models.quality import QualityFlagArray


class Observation(Extensible, Base):
    """A series of cadences observed by one instrument; missions add fields in subclasses.

    Attributes
    ----------
    id : int
        Assigned by the database.
    type : str
        The polymorphic identity of its class, "observation" here. A row whose type does not belong
        to any imported class is loaded as an Observation and keeps its type.
    cadence_reference : numpy.ndarray of int64
        Cadence numbers, of shape (cadences,). All arrays of this observation have this order.
        Fetched on first access.
    instrument, instrument_id : Instrument, uuid.UUID
        The instrument of the observation.
    fits_frames : list of FITSFrame
        Its images, deleted together with it.
    target_specific_times : list of TargetSpecificTime
        Barycentric times of its targets, deleted together with it.
    datasets : list of DataSet
        Its light curves, deleted together with it.
    quality_flag_arrays : list of QualityFlagArray
        Its quality flags, deleted together with it.
    targets : list of Target
        Targets with times in this observation, in the order of their ids. Read-only.

    Notes
    -----
    A subclass may set ``__chronology__`` to the names of columns that increase with time (TESS:
    sector, then orbit). Searches list light curves in that order.
    """

    __tablename__ = "observation"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_identity": "observation",
        "polymorphic_on": "type",
    }
    __shown__: ClassVar[tuple[str, ...]] = ("id", "type")
    __chronology__: ClassVar[tuple[str, ...]] = ()

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    type: orm.Mapped[str] = orm.mapped_column(index=True)
    cadence_reference: orm.Mapped[npt.NDArray[np.int64]] = orm.mapped_column(
        NumpyArray(np.int64), deferred=True
    )
    instrument_id: orm.Mapped[uuid.UUID] = orm.mapped_column(
        sa.ForeignKey("instrument.id"), index=True
    )

    instrument: orm.Mapped[Instrument] = orm.relationship(back_populates="observations")
    fits_frames: orm.Mapped[list[FITSFrame]] = orm.relationship(
        back_populates="observation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="FITSFrame.id",
    )
    target_specific_times: orm.Mapped[list[TargetSpecificTime]] = orm.relationship(
        back_populates="observation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="TargetSpecificTime.id",
    )
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="observation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="DataSet.id",
    )
    quality_flag_arrays: orm.Mapped[list[QualityFlagArray]] = orm.relationship(
        back_populates="observation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="QualityFlagArray.id",
    )
    targets: orm.Mapped[list[Target]] = orm.relationship(
        secondary="target_specific_time",
        back_populates="observations",
        viewonly=True,
        order_by="Target.id",
    )


class TargetSpecificTime(Base):
    """The barycentric times of one target in one observation, of which there is one row.

    Attributes
    ----------
    id : int
        Assigned by the database.
    target, target_id : Target, int
        The target for whose position the times are corrected.
    observation, observation_id : Observation, int
        The observation that the times belong to.
    barycentric_julian_dates : numpy.ndarray of float64
        Mid-times of the cadences, of shape (cadences,), in the order of the observation's
        ``cadence_reference``: BJD in TDB, days; or days since the mission's epoch (BTJD), which
        some databases store for its higher precision. NaN for missing times. Fetched on first
        access.
    """

    __tablename__ = "target_specific_time"
    __table_args__ = (sa.UniqueConstraint("target_id", "observation_id"),)
    __shown__ = ("id", "target", "observation")

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("target.id", ondelete="CASCADE"))
    observation_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("observation.id", ondelete="CASCADE"), index=True
    )
    barycentric_julian_dates: orm.Mapped[npt.NDArray[np.float64]] = orm.mapped_column(
        NumpyArray(np.float64), deferred=True
    )

    target: orm.Mapped[Target] = orm.relationship(back_populates="target_specific_times")
    observation: orm.Mapped[Observation] = orm.relationship(back_populates="target_specific_times")
