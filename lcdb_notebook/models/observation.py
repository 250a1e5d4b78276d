"""Observation and TargetSpecificTime: which cadences were taken, and when light reached whom."""

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
    """A run of cadences taken by one instrument; missions extend it with fields of their own.

    Attributes
    ----------
    id
        Chosen by the database.
    type
        The polymorphic identity of its class, "observation" here. A row whose type no imported
        class claims loads as an Observation, and keeps its type.
    cadence_reference
        int64 of shape (cadences,): the cadence numbers, in the order of every array that belongs
        to this observation. Fetched when first looked at.
    instrument, instrument_id
        What took it.
    fits_frames, target_specific_times, datasets, quality_flag_arrays
        What belongs to it, and is deleted with it.
    targets
        Those that have times in it, by id. Read-only.

    Notes
    -----
    A subclass may set ``__chronology__`` to names of its columns that grow with time (TESS:
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
        back_populates="observation", cascade="all, delete-orphan", passive_deletes=True
    )
    target_specific_times: orm.Mapped[list[TargetSpecificTime]] = orm.relationship(
        back_populates="observation", cascade="all, delete-orphan", passive_deletes=True
    )
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(
        back_populates="observation", cascade="all, delete-orphan", passive_deletes=True
    )
    quality_flag_arrays: orm.Mapped[list[QualityFlagArray]] = orm.relationship(
        back_populates="observation", cascade="all, delete-orphan", passive_deletes=True
    )
    targets: orm.Mapped[list[Target]] = orm.relationship(
        secondary="target_specific_time",
        back_populates="observations",
        viewonly=True,
        order_by="Target.id",
    )


class TargetSpecificTime(Base):
    """The barycentric times of one target in one observation.

    Attributes
    ----------
    id
        Chosen by the database.
    target, target_id
        For whom light was timed.
    observation, observation_id
        The observation whose cadences were timed.
    barycentric_julian_dates
        float64 of shape (cadences,), in the order of the observation's ``cadence_reference``: BJD
        in TDB, days; or, in databases that keep full float64 precision, days since the mission's
        epoch (BTJD). NaN where there is no time. Fetched when first looked at.
    """

    __tablename__ = "target_specific_time"
    __table_args__ = (sa.Index(None, "target_id", "observation_id"),)
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
