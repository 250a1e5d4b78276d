"""LightcurveDB's tables as plain SQLAlchemy maps them: arrays are lists of Python floats."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy import orm


class Plain(orm.DeclarativeBase):
    """Classes beside those of ``lcdb_notebook.models``, on the same tables."""


class Target(Plain):
    __tablename__ = "target"

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    catalog_id: orm.Mapped[int]
    name: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class Observation(Plain):
    __tablename__ = "observation"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    type: orm.Mapped[str]
    instrument_id: orm.Mapped[uuid.UUID]
    sector: orm.Mapped[int]
    cadence_reference: orm.Mapped[list[int]] = orm.mapped_column(
        sa.ARRAY(sa.BigInteger, dimensions=1)
    )


class TargetSpecificTime(Plain):
    __tablename__ = "target_specific_time"

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("target.id"))
    observation_id: orm.Mapped[int]
    barycentric_julian_dates: orm.Mapped[list[float]] = orm.mapped_column(
        sa.ARRAY(sa.Float, dimensions=1)
    )

    target: orm.Mapped[Target] = orm.relationship()


class QualityFlagArray(Plain):
    __tablename__ = "quality_flag_array"

    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    type: orm.Mapped[str]
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("target.id"))
    observation_id: orm.Mapped[int]
    quality_flags: orm.Mapped[list[int]] = orm.mapped_column(sa.ARRAY(sa.Integer, dimensions=1))

    target: orm.Mapped[Target] = orm.relationship()


class DataSet(Plain):
    __tablename__ = "dataset"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("target.id"))
    observation_id: orm.Mapped[int]
    photometric_method_id: orm.Mapped[int | None]
    processing_method_id: orm.Mapped[int | None]
    values: orm.Mapped[list[float]] = orm.mapped_column(sa.ARRAY(sa.Float, dimensions=1))
    errors: orm.Mapped[list[float] | None] = orm.mapped_column(sa.ARRAY(sa.Float, dimensions=1))

    target: orm.Mapped[Target] = orm.relationship()
