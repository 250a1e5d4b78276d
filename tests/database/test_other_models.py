"""db.session with mapped classes of another program, as LightcurveDB 3 has them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import ARRAY

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ReadOnlyError

STAR = 1_000_000_007 * 3

pytestmark = pytest.mark.parametrize("layout", ["3.1", "3.3"], indirect=True)


class Base(orm.DeclarativeBase):
    """A registry beside that of this package, with classes of the same names."""


class Target(Base):
    __tablename__ = "target"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    catalog_id: orm.Mapped[int]
    name: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)
    datasets: orm.Mapped[list[DataSet]] = orm.relationship(back_populates="target")


class Orbit(Base):
    __tablename__ = "orbit"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    sector: orm.Mapped[int]
    orbit_number: orm.Mapped[int]


class Observation(Base):
    __tablename__ = "observation"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_on": "type",
        "polymorphic_identity": "observation",
    }
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    type: orm.Mapped[str]
    cadence_reference: orm.Mapped[list[int]] = orm.mapped_column(ARRAY(sa.BigInteger))
    instrument_id: orm.Mapped[uuid.UUID]


class OrbitObservation(Observation):
    __tablename__ = "tess_orbit_observation"
    __mapper_args__ = {"polymorphic_identity": "tess_orbit_observation"}  # noqa: RUF012
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Observation.id), primary_key=True)
    orbit_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Orbit.id))
    orbit: orm.Mapped[Orbit] = orm.relationship()


class ProcessingMethod(Base):
    __tablename__ = "processing_method"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    description: orm.Mapped[str]


class DataSet(Base):
    __tablename__ = "dataset"
    observation_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey(Observation.id), primary_key=True
    )
    target_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Target.id), primary_key=True)
    photometric_method_id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    processing_method_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey(ProcessingMethod.id), primary_key=True
    )
    values: orm.Mapped[list[float]] = orm.mapped_column(ARRAY(sa.Double))
    errors: orm.Mapped[list[float] | None] = orm.mapped_column(ARRAY(sa.Double))
    target: orm.Mapped[Target] = orm.relationship(back_populates="datasets")
    observation: orm.Mapped[Observation] = orm.relationship()
    processing_method: orm.Mapped[ProcessingMethod] = orm.relationship()


@pytest.fixture
def db(layout_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(layout_dsn) as db:
        yield db


def test_session_queries_mapped_classes_of_lightcurvedb(db: lcdb.Database, sky: Any) -> None:
    (dataset,) = db.session.scalars(
        sa.select(DataSet)
        .join(DataSet.target)
        .join(DataSet.processing_method)
        .join(OrbitObservation, OrbitObservation.id == DataSet.observation_id)
        .join(OrbitObservation.orbit)
        .where(Target.name == STAR, ProcessingMethod.name == "QSPMagnitude")
        .where(Orbit.orbit_number == 9, DataSet.photometric_method_id == 1)
    )
    values, errors = sky.light_curves[STAR, 9, "TGLC Aperture Small", "QSPMagnitude"]
    assert np.array_equal(dataset.values, values)
    assert np.array_equal(np.array(dataset.errors, float), errors, equal_nan=True)
    assert isinstance(dataset.observation, OrbitObservation)
    assert (dataset.observation.orbit.sector, dataset.target.name) == (1, STAR)
    key = sa.inspect(dataset).identity
    assert key is not None
    assert db.session.get(DataSet, key) is dataset
    assert len(dataset.target.datasets) == sum(name[0] == STAR for name in sky.light_curves)
    # The id that this package has for it is made of the same key.
    (id_,) = db.search(
        STAR, orbit_number=9, photometry="TGLC Aperture Small", processing="QSPMagnitude"
    ).datasets
    assert id_ == ":".join(map(str, key))
    db.session.rollback()


def test_session_refuses_changes_of_mapped_classes_where_it_reads(db: lcdb.Database) -> None:
    db.session.add(ProcessingMethod(id=9, name="mine", description=""))
    with pytest.raises(ReadOnlyError, match="write=True"):
        db.session.flush()
    db.session.rollback()


def test_session_writes_what_search_then_finds(layout_copy: str) -> None:
    with lcdb.connect(layout_copy, write=True) as db:
        before = db.search(STAR, orbit_number=9, photometry="TGLC Aperture Small")
        raw = next(before.read())
        method = ProcessingMethod(id=9, name="Flattened", description="[electron / s]")
        db.session.add(method)
        db.session.flush()
        db.session.add(
            DataSet(
                observation_id=raw.observation.id,
                target_id=db.session.scalar(sa.select(Target.id).where(Target.name == STAR)),
                photometric_method_id=1,
                processing_method=method,
                values=[2.5] * raw.time.size,
            )
        )
        # Rows that are not committed are found, too.
        (found,) = db.search(STAR, orbit_number=9, processing="Flattened")
        assert (found.flux == 2.5).all()
        assert found.unit == "electron / s"
        db.session.rollback()
        assert (
            not db.search(STAR, orbit_number=9, processing=["raw", "Flattened"])
            .table["processing"]
            .eq("Flattened")
            .any()
        )
