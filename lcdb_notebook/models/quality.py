"""QualityFlagArray: the quality bits of each cadence; its ``type`` defines their meaning."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models.orm.array import NumpyArray
from lcdb_notebook.models.orm.base import Base
from lcdb_notebook.models.orm.extending import Extensible

if TYPE_CHECKING:
    from lcdb_notebook.models.mission import Target
    from lcdb_notebook.models.observation import Observation


def _has_nulls_not_distinct(*_: Any, dialect: sa.Dialect, **__: Any) -> bool:
    """Return whether the server supports NULLS NOT DISTINCT: PostgreSQL 15 and later."""
    return (dialect.server_version_info or (15,)) >= (15,)


class QualityFlagArray(Extensible, Base):
    """Quality bits of an observation, or of one target in it.

    Missions can extend it with subclasses. There is at most one row per type, observation and
    target, and at most one without a target per type and observation.

    Attributes
    ----------
    id : int
        Assigned by the database.
    type : str
        The polymorphic identity of its class, "base_quality_flag" here. It selects the definition
        in :mod:`lcdb_notebook.flags` that decodes the bits.
    observation, observation_id : Observation, int
        The observation whose cadences are flagged.
    target, target_id : Target or None, int or None
        The target that the flags apply to; None for every target of the observation.
    quality_flags : numpy.ndarray of int32
        Quality bits of shape (cadences,), in the order of the observation's
        ``cadence_reference``; 0 for a cadence without any flag. Fetched on first access.
    created_on : datetime.datetime
        When the row was stored, with time zone.
    """

    __tablename__ = "quality_flag_array"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_identity": "base_quality_flag",
        "polymorphic_on": "type",
    }
    __table_args__ = (
        sa.UniqueConstraint(
            "type", "observation_id", "target_id", postgresql_nulls_not_distinct=True
        ).ddl_if(callable_=_has_nulls_not_distinct),
        sa.Index(
            "uq_quality_flag_array_type_observation_id_target_id",
            "type",
            "observation_id",
            sa.func.coalesce(sa.text("target_id"), -1),
            unique=True,
        ).ddl_if(callable_=lambda *args, **kw: not _has_nulls_not_distinct(*args, **kw)),
        sa.Index(None, "observation_id", "target_id"),
    )
    __shown__ = ("id", "type", "observation", "target")

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    type: orm.Mapped[str]
    observation_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("observation.id", ondelete="CASCADE")
    )
    target_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("target.id", ondelete="CASCADE"), index=True
    )
    quality_flags: orm.Mapped[npt.NDArray[np.int32]] = orm.mapped_column(
        NumpyArray(np.int32), deferred=True
    )
    created_on: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )

    observation: orm.Mapped[Observation] = orm.relationship(back_populates="quality_flag_arrays")
    target: orm.Mapped[Target | None] = orm.relationship(back_populates="quality_flag_arrays")
