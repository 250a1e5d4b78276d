"""The constraints of the schema, each tried in SQL and through the ORM."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    Base,
    DataSet,
    DataSetHierarchy,
    FITSFrame,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    QualityFlagArray,
    Target,
    TargetSpecificTime,
)

from .conftest import Sky

NUMBERS = itertools.count()
TABLES = {model.__tablename__: model for model in Base.__subclasses__()}


def count(session: orm.Session, model: type[Base]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def copied(session: orm.Session, model: type[Base], **changes: Any) -> None:
    """Store a copy of the first row of a table by SQL alone, under a new id."""
    table = model.__table__
    assert isinstance(table, sa.Table)
    row = dict(session.execute(sa.select(table).limit(1)).one()._mapping) | changes
    row["id"] = uuid.uuid4() if isinstance(table.c.id.type, sa.Uuid) else 10**6 + next(NUMBERS)
    names, values = (", ".join(f"{mark}{name}" for name in row) for mark in ("", ":"))
    binds = [sa.bindparam(name, type_=table.c[name].type) for name in row]
    # A column may be called "values", which SQL takes for its own word.
    names = names.replace(" values", ' "values"')
    statement = sa.text(f"INSERT INTO {table.name} ({names}) VALUES ({values})").bindparams(*binds)
    with session.begin_nested():
        session.execute(statement, row)


# Unique constraints

UNIQUE: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "Mission.name must be unique": (Mission, {"time_format_name": "other"}),
    "Mission.time_format_name must be unique": (Mission, {"name": "other"}),
    "MissionCatalog.name must be unique": (MissionCatalog, {}),
    "Target: (catalog_id, name) combination must be unique": (Target, {}),
    "PhotometricSource.name must be unique": (PhotometricSource, {}),
    "ProcessingMethod.name must be unique": (ProcessingMethod, {}),
    "FITSFrame: (type, cadence) combination must be unique": (FITSFrame, {}),
    "QualityFlagArray: (type, observation_id, target_id) must be unique": (QualityFlagArray, {}),
    "TargetSpecificTime: (target_id, observation_id) must be unique": (TargetSpecificTime, {}),
}


@pytest.mark.parametrize(("model", "changes"), UNIQUE.values(), ids=UNIQUE.keys())
def test_a_second_row_is_refused_in_sql(
    sky: Sky, model: type[Base], changes: dict[str, Any]
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match='unique constraint "uq_'):
        copied(sky.session, model, **changes)


@pytest.mark.parametrize(
    "second",
    [
        lambda _: Mission(name="TESS", time_epoch=1, time_format_name="other"),
        lambda _: Mission(name="other", time_epoch=1, time_format_name="btjd"),
        lambda sky: MissionCatalog(name="TIC", host_mission=sky.mission),
        lambda sky: Target(name=12345678, catalog=sky.catalog),
        lambda _: PhotometricSource(name="SAP"),
        lambda _: ProcessingMethod(name="PDC"),
        lambda sky: FITSFrame(
            cadence=11, bitpix=8, naxis=0, naxis_values=[], observation=sky.observation
        ),
        lambda sky: QualityFlagArray(
            target=sky.target, observation=sky.observation, quality_flags=[1]
        ),
        lambda sky: TargetSpecificTime(
            target=sky.target, observation=sky.observation, barycentric_julian_dates=[1.0]
        ),
    ],
    ids=UNIQUE.keys(),
)
def test_a_second_row_is_refused_in_the_orm(sky: Sky, second: Callable[[Sky], Base]) -> None:
    sky.session.add(second(sky))
    with pytest.raises(sa.exc.IntegrityError, match='unique constraint "uq_'):
        sky.session.flush()


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (Target, {"name": 2}),
        (FITSFrame, {"cadence": 2}),
        (FITSFrame, {"type": "dark"}),
        (QualityFlagArray, {"type": "spoc"}),
        (QualityFlagArray, {"target_id": None}),
        (Instrument, {}),
        (DataSet, {}),
    ],
)
def test_a_row_that_differs_in_part_of_the_key_is_welcome(
    sky: Sky, model: type[Base], changes: dict[str, Any]
) -> None:
    before = count(sky.session, model)
    copied(sky.session, model, **changes)
    assert count(sky.session, model) == before + 1


def test_one_number_is_accepted_in_two_catalogs(sky: Sky) -> None:
    other = MissionCatalog(name="Gaia DR3", host_mission=sky.mission)
    sky.session.add_all([other, Target(name=12345678, catalog=other)])
    sky.session.flush()


def test_flags_of_a_whole_observation_are_one_row_a_type(sky: Sky) -> None:
    # In SQL, NULLs are distinct by default.
    copied(sky.session, QualityFlagArray, target_id=None)
    with pytest.raises(sa.exc.IntegrityError, match='unique constraint "uq_'):
        copied(sky.session, QualityFlagArray, target_id=None)
    copied(sky.session, QualityFlagArray, target_id=None, type="spoc")
    sky.session.add(QualityFlagArray(observation=sky.observation, quality_flags=[0, 0, 0]))
    with pytest.raises(sa.exc.IntegrityError, match='unique constraint "uq_'):
        sky.session.flush()


# Cascades

CASCADES: dict[type[Base], list[type[Base]]] = {
    Observation: [
        FITSFrame,
        TargetSpecificTime,
        DataSet,
        QualityFlagArray,
        DataSetHierarchy,
    ],
    PhotometricSource: [DataSet, DataSetHierarchy],
    ProcessingMethod: [DataSet, DataSetHierarchy],
    Target: [DataSet, TargetSpecificTime, QualityFlagArray, DataSetHierarchy],
    DataSet: [DataSetHierarchy],
}
"""Rows that are deleted together with a row."""

STAYING = {
    Observation: [Target, Instrument, PhotometricSource, ProcessingMethod, Mission],
    PhotometricSource: [Target, Observation, ProcessingMethod],
    ProcessingMethod: [Target, Observation, PhotometricSource],
    Target: [Observation, MissionCatalog, PhotometricSource, ProcessingMethod, FITSFrame],
    DataSet: [Target, Observation, PhotometricSource, ProcessingMethod, TargetSpecificTime],
}


def row_of(sky: Sky, model: type[Base]) -> Base:
    rows = {
        Observation: sky.observation,
        PhotometricSource: sky.aperture,
        ProcessingMethod: sky.detrending,
        Target: sky.target,
        DataSet: sky.raw,
    }
    return rows[model]


def load_everything(session: orm.Session) -> None:
    """Load all rows, and every relationship between them."""
    for model in TABLES.values():
        for row in session.scalars(sa.select(model)).all():
            for relationship in sa.inspect(row).mapper.relationships:
                getattr(row, relationship.key)


@pytest.mark.parametrize("how", ["SQL", "ORM, loaded", "ORM, unloaded"])
@pytest.mark.parametrize("model", CASCADES, ids=lambda model: model.__name__)
def test_deleting_a_row_takes_along_what_cannot_be_without_it(
    sky: Sky, model: type[Base], how: str
) -> None:
    row: Any = row_of(sky, model)
    id_ = row.id
    if how == "SQL":
        table = model.__table__
        assert isinstance(table, sa.Table)
        sky.session.execute(sa.delete(table).where(table.c.id == id_))
    else:
        sky.session.expunge_all()
        if how == "ORM, loaded":
            load_everything(sky.session)
        sky.session.delete(sky.session.get_one(model, id_))
        sky.session.flush()
    for gone in CASCADES[model]:
        # The raw light curve has no processing method.
        left = 1 if (model, gone) == (ProcessingMethod, DataSet) else 0
        assert count(sky.session, gone) == left
    for staying in STAYING[model]:
        assert count(sky.session, staying) > 0
    sky.session.commit()
    load_everything(sky.session)


def test_deleting_one_light_curve_leaves_the_other(sky: Sky) -> None:
    assert sky.raw.derived_datasets == [sky.detrended]
    sky.session.delete(sky.raw)
    sky.session.commit()
    assert sky.detrended.source_datasets == []


def test_deleting_both_ends_of_a_step_works(sky: Sky) -> None:
    assert sky.raw.derived_datasets == sky.target.datasets[1:]
    assert sky.detrended.source_datasets == [sky.raw]
    sky.session.delete(sky.raw)
    sky.session.delete(sky.detrended)
    sky.session.commit()
    assert count(sky.session, DataSetHierarchy) == 0


@pytest.mark.parametrize("loaded", [True, False])
def test_deleting_costs_no_look_at_children_that_are_not_loaded(
    sky: Sky, statements: list[str], loaded: bool
) -> None:
    id_ = sky.observation.id
    sky.session.expunge_all()
    observation = sky.session.get_one(Observation, id_)
    if loaded:
        assert len(observation.datasets) == 2
    statements.clear()
    sky.session.delete(observation)
    sky.session.flush()
    assert any("DELETE FROM dataset" in sql for sql in statements) is loaded
    assert any(sql.startswith("SELECT") and "values" in sql for sql in statements) is False


# Taking away what a row refers to


@pytest.mark.parametrize("collection", ["datasets", "target_specific_times"])
def test_rows_removed_from_a_target_are_deleted_if_they_need_one(sky: Sky, collection: str) -> None:
    children = getattr(sky.target, collection)
    model = type(children[0])
    before = count(sky.session, model)
    children.pop()
    sky.session.commit()
    assert count(sky.session, model) == before - 1


def test_a_light_curve_outlives_the_loss_of_its_methods(sky: Sky) -> None:
    # A raw light curve is not an orphan.
    assert sky.detrended in sky.detrending.datasets
    assert sky.detrended in sky.aperture.datasets
    sky.detrended.processing_method = None
    sky.detrended.photometry_source = None
    sky.session.commit()
    assert count(sky.session, DataSet) == 2
    assert sky.detrended.processing_method_id is None
    assert sky.detrending.datasets == []
    sky.aperture.datasets.remove(sky.raw)
    sky.session.commit()
    assert count(sky.session, DataSet) == 2


def test_flags_outlive_their_target_set_to_none(sky: Sky) -> None:
    assert sky.target.quality_flag_arrays == [sky.flags]
    sky.flags.target = None
    sky.session.commit()
    assert sky.flags.target_id is None


def test_a_light_curve_changes_its_method(sky: Sky) -> None:
    other = ProcessingMethod(name="KSPSAP")
    sky.detrended.processing_method = other
    sky.session.commit()
    assert other.datasets == [sky.detrended]


# Referential integrity

KEYS = [
    (table.name, column.name)
    for table in Base.metadata.sorted_tables
    for column in table.c
    if column.foreign_keys
]


def test_the_foreign_keys_are_those_of_the_schema() -> None:
    assert sorted(KEYS) == [
        ("dataset", "observation_id"),
        ("dataset", "photometric_method_id"),
        ("dataset", "processing_method_id"),
        ("dataset", "target_id"),
        ("datasethierarchy", "child_dataset_id"),
        ("datasethierarchy", "source_dataset_id"),
        ("fits_frame", "observation_id"),
        ("instrument", "parent_id"),
        ("mission_catalog", "host_mission_id"),
        ("observation", "instrument_id"),
        ("quality_flag_array", "observation_id"),
        ("quality_flag_array", "target_id"),
        ("target", "catalog_id"),
        ("target_specific_time", "observation_id"),
        ("target_specific_time", "target_id"),
    ]


@pytest.mark.parametrize(("table", "column"), KEYS)
def test_a_foreign_key_refers_to_a_row_that_is_there(sky: Sky, table: str, column: str) -> None:
    kind = Base.metadata.tables[table].c[column].type
    nowhere = "gen_random_uuid()" if isinstance(kind, sa.Uuid) else "-1"
    with pytest.raises(sa.exc.IntegrityError, match="violates foreign key constraint"):
        sky.session.execute(sa.text(f"UPDATE {table} SET {column} = {nowhere}"))


@pytest.mark.parametrize(("table", "column"), KEYS)
def test_a_foreign_key_is_nullable_only_if_the_schema_allows_it(
    sky: Sky, table: str, column: str
) -> None:
    optional = {"photometric_method_id", "processing_method_id", "parent_id"}
    if column in optional or (table, column) == ("quality_flag_array", "target_id"):
        sky.session.execute(sa.text(f"UPDATE {table} SET {column} = NULL"))
        return
    with pytest.raises(sa.exc.IntegrityError, match="violates not-null constraint"):
        sky.session.execute(sa.text(f"UPDATE {table} SET {column} = NULL"))


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("parent", ["mission", "catalog", "camera", "ccd"])
def test_a_row_that_others_refer_to_is_not_deleted(sky: Sky, parent: str, loaded: bool) -> None:
    row = getattr(sky, parent)
    sky.session.expire_all()
    if loaded:
        load_everything(sky.session)
    sky.session.delete(row)
    with pytest.raises(sa.exc.IntegrityError, match="violates foreign key constraint"):
        sky.session.flush()
    sky.session.rollback()
    with pytest.raises(sa.exc.IntegrityError, match="violates foreign key constraint"):
        sky.session.execute(sa.text(f"DELETE FROM {row.__tablename__} WHERE id = '{row.id}'"))


@pytest.mark.parametrize(
    "orphan",
    [
        lambda: DataSet(values=[1.0]),
        lambda: TargetSpecificTime(barycentric_julian_dates=[1.0]),
        lambda: QualityFlagArray(quality_flags=[1]),
        lambda: Observation(cadence_reference=[1]),
        lambda: FITSFrame(cadence=1, bitpix=8, naxis=0, naxis_values=[]),
        lambda: Target(name=1),
        lambda: MissionCatalog(name="TIC"),
        lambda: DataSetHierarchy(),
    ],
)
def test_an_orphan_is_not_stored(session: orm.Session, orphan: Callable[[], Base]) -> None:
    session.add(orphan())
    with pytest.raises(sa.exc.IntegrityError, match="violates not-null constraint"):
        session.flush()


def test_the_keys_have_the_types_of_the_schema() -> None:
    big = {"target", "target_specific_time", "quality_flag_array"}
    for name, table in Base.metadata.tables.items():
        kind = table.c.id.type
        if name in ("mission", "instrument"):
            assert isinstance(kind, sa.Uuid)
        else:
            assert isinstance(kind, sa.BigInteger) is (name in big)
