"""Arrays into ORM objects: all in one statement, without overwriting changes."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import WireError
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    Target,
    TESSObservation,
)
from lcdb_notebook.read.orm_arrays import load

COUNT = 50


@pytest.fixture
def datasets(session: orm.Session) -> list[DataSet]:
    """Fifty stored DataSets, every other one with errors, none of which has its arrays here."""
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    catalog = MissionCatalog(name="TIC", host_mission=mission)
    observation = TESSObservation(
        sector=1, cadence_reference=np.arange(3), instrument=Instrument(name="TESS")
    )
    for number in range(COUNT):
        session.add(
            DataSet(
                target=Target(catalog=catalog, name=number),
                observation=observation,
                values=np.array([number, np.nan, -np.inf]),
                errors=np.full(3, number / 10) if number % 2 else None,
            )
        )
    session.commit()
    session.expunge_all()
    return list(session.scalars(sa.select(DataSet).order_by(DataSet.id)))


def copies(caplog: pytest.LogCaptureFixture) -> int:
    return len([message for message in caplog.messages if message.startswith("COPY")])


@pytest.mark.parametrize("many", [1, COUNT])
def test_arrays_come_in_one_statement(
    session: orm.Session,
    datasets: list[DataSet],
    statements: list[str],
    caplog: pytest.LogCaptureFixture,
    many: int,
) -> None:
    statements.clear()
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        load(session, datasets[:many])
    for number, dataset in enumerate(datasets[:many]):
        assert np.array_equal(dataset.values, [number, np.nan, -np.inf], equal_nan=True)
        assert dataset.values.dtype == np.float64
        if number % 2:
            assert dataset.errors is not None
            assert np.array_equal(dataset.errors, np.full(3, number / 10))
        else:
            assert dataset.errors is None
    assert statements == []
    assert copies(caplog) == 1


def test_without_load_each_array_is_a_query(datasets: list[DataSet], statements: list[str]) -> None:
    statements.clear()
    assert [dataset.values[0] for dataset in datasets] == list(range(COUNT))
    assert len(statements) >= COUNT


def test_objects_do_not_become_dirty(session: orm.Session, datasets: list[DataSet]) -> None:
    load(session, datasets)
    assert not session.dirty
    assert not any(session.is_modified(dataset) for dataset in datasets)


def test_arrays_that_were_changed_and_not_flushed_stay(
    session: orm.Session, datasets: list[DataSet]
) -> None:
    changed, untouched, *_ = datasets[1::2]
    changed.values = np.zeros(3)
    load(session, datasets)
    assert np.array_equal(changed.values, np.zeros(3))
    assert changed.errors is not None
    assert np.array_equal(changed.errors, np.full(3, 0.1))
    assert untouched.values[0] == 3
    assert list(session.dirty) == [changed]
    session.flush()
    session.expire(changed)
    assert np.array_equal(changed.values, np.zeros(3))


def test_another_change_does_not_keep_arrays_away(
    session: orm.Session, datasets: list[DataSet], statements: list[str]
) -> None:
    datasets[0].target_id = datasets[1].target_id
    load(session, datasets)
    statements.clear()
    assert datasets[0].values[0] == 0
    assert statements == []
    assert list(session.dirty) == [datasets[0]]


def test_objects_that_are_not_stored_yet_are_left_alone(
    session: orm.Session, datasets: list[DataSet]
) -> None:
    new = DataSet(target=datasets[0].target, observation=datasets[0].observation, values=np.ones(3))
    transient = DataSet(values=np.zeros(3))
    load(session, [new, transient, datasets[5]])
    assert np.array_equal(new.values, np.ones(3))
    assert np.array_equal(transient.values, np.zeros(3))
    assert datasets[5].values[0] == 5


def test_expired_objects_are_filled_without_being_refreshed_one_by_one(
    session: orm.Session, datasets: list[DataSet], statements: list[str]
) -> None:
    session.expire_all()
    statements.clear()
    load(session, datasets)
    assert statements == []


def test_an_object_may_come_twice(session: orm.Session, datasets: list[DataSet]) -> None:
    load(session, [datasets[3], datasets[3]])
    assert datasets[3].values[0] == 3


def test_a_row_that_is_gone_is_left_alone(session: orm.Session, datasets: list[DataSet]) -> None:
    session.execute(sa.text("DELETE FROM dataset WHERE id = :id"), {"id": datasets[0].id})
    load(session, datasets)
    assert datasets[1].values[0] == 1


def test_nothing_to_load_sends_no_statement(
    session: orm.Session, statements: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        load(session, [])
        load(session, [DataSet(values=np.ones(1))])
    assert statements == []
    assert copies(caplog) == 0


def test_an_array_of_two_dimensions_is_refused(
    session: orm.Session, datasets: list[DataSet]
) -> None:
    session.execute(
        sa.text("UPDATE dataset SET values = ARRAY[ARRAY[1.0], ARRAY[2.0]] WHERE id = :id"),
        {"id": datasets[7].id},
    )
    with pytest.raises(WireError, match="dimension"):
        load(session, datasets)
    load(session, datasets[:7])
    assert datasets[6].values[0] == 6
