"""A model's repr: it names the row, prints no array, and sends no statement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from lcdb_notebook import models
from lcdb_notebook.models import (
    Base,
    DataSet,
    DataSetHierarchy,
    FITSFrame,
    Instrument,
    Target,
    TESSObservation,
)

from .conftest import Sky

MODELS = sorted(
    # Other tests may have mapped classes in this process.
    (m.class_ for m in Base.registry.mappers if m.class_.__module__.startswith("lcdb_notebook.")),
    key=lambda model: model.__name__,
)


def every_row(sky: Sky) -> Iterator[Base]:
    """One stored row of every table."""
    sky.session.expunge_all()
    for model in {sa.inspect(model).base_mapper.class_ for model in MODELS}:
        yield sky.session.scalars(sa.select(model).limit(1)).one()


def test_the_schemas_twelve_models_are_exported() -> None:
    named = """Mission MissionCatalog Target Instrument Observation FITSFrame TargetSpecificTime
    PhotometricSource ProcessingMethod DataSet DataSetHierarchy QualityFlagArray"""
    assert {*named.split(), "TESSObservation"} <= set(models.__all__)
    assert all(issubclass(getattr(models, name), Base) for name in named.split())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_documents_its_attributes(model: type[Base]) -> None:
    documentation = model.__doc__ or ""
    for parent in model.__mro__:
        documentation += parent.__doc__ or "" if parent is not Base else ""
    undocumented = [name for name in sa.inspect(model).attrs.keys() if name not in documentation]  # noqa: SIM118
    assert "Attributes\n" in (model.__doc__ or "")
    assert not undocumented


def test_a_repr_names_what_identifies_the_row(sky: Sky) -> None:
    for row in (sky.observation, sky.target, sky.aperture, sky.detrending, sky.catalog):
        sky.session.refresh(row)
    sky.session.refresh(sky.detrended)
    for relationship in ("target", "observation", "photometry_source", "processing_method"):
        assert getattr(sky.detrended, relationship)
    assert repr(sky.detrended) == (
        f"<DataSet id={sky.detrended.id} target=12345678 observation={sky.observation.id} "
        "photometry_source='SAP' processing_method='PDC'>"
    )
    assert repr(sky.target) == (
        f"<Target id={sky.target.id} catalog_id={sky.catalog.id} name=12345678>"
    )


def test_a_repr_of_an_unsaved_row_has_no_id() -> None:
    assert repr(DataSet()) == "<DataSet new>"
    assert repr(Target(name=5)) == "<Target new name=5>"
    assert repr(Instrument(name="CCD 1", parent=Instrument())) == "<Instrument new name='CCD 1'>"
    assert repr(DataSet(target=Target(name=5))) == "<DataSet new target=5>"
    assert repr(DataSet(target=Target())) == "<DataSet new target=new>"
    tess = TESSObservation(sector=3)
    assert repr(tess) == "<TESSObservation new type='tess_observation' sector=3>"


def test_no_repr_starts_a_query_or_shows_an_array(sky: Sky, statements: list[str]) -> None:
    for row in every_row(sky):
        for column in sa.inspect(row).mapper.columns.keys():  # noqa: SIM118
            getattr(row, column)
        statements.clear()
        text = repr(row)
        assert not statements
        assert text.startswith(f"<{type(row).__name__} ")
        assert "array" not in text
        identity = sa.inspect(row).identity
        assert identity is not None
        assert str(identity[0]) in text or "name=" in text


@pytest.mark.parametrize("state", ["expired", "detached", "expired and detached", "deleted"])
def test_a_repr_names_the_row_in_every_state(sky: Sky, statements: list[str], state: str) -> None:
    row = sky.session.scalars(sa.select(DataSetHierarchy)).one()
    id_ = row.id
    if "expired" in state:
        sky.session.expire(row)
    if "detached" in state:
        sky.session.expunge(row)
    if state == "deleted":
        sky.session.delete(row)
        sky.session.flush()
    statements.clear()
    assert f"id={id_}" in repr(row)
    assert not statements


def test_an_expired_uuid_is_shown(sky: Sky) -> None:
    id_ = sky.camera.id
    sky.session.expire(sky.camera)
    assert repr(sky.camera) == f"<Instrument id={id_!r}>"


def test_a_file_path_is_a_path(sky: Sky) -> None:
    assert sky.frame.file_path is None
    sky.frame.file_path = Path("/pdo/ffi/tess2018.fits")
    sky.session.commit()
    assert sky.frame.file_path == Path("/pdo/ffi/tess2018.fits")
    found = sky.session.scalars(sa.select(FITSFrame).filter_by(file_path="/pdo/ffi/tess2018.fits"))
    assert found.one() is sky.frame


def test_defaults_of_a_frame_are_those_of_fits(sky: Sky) -> None:
    frame = sky.frame
    assert (frame.type, frame.simple, frame.extended) == ("basefits", True, False)
    assert (frame.bscale, frame.bzero) == (1.0, 0.0)


def test_a_light_curve_names_no_method_when_raw() -> None:
    raw = DataSet(processing_method=None, values=np.ones(2))
    assert repr(raw) == "<DataSet new processing_method=None>"


def test_lists_of_related_rows_have_an_order() -> None:
    relationships = [one for model in MODELS for one in sa.inspect(model).relationships]
    lists = [one for one in relationships if one.uselist]
    assert lists
    assert [str(one) for one in lists if not one.order_by] == []
