"""No DataSet can descend from itself, with any rows loaded and by any way of linking."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from lcdb_notebook.errors import LineageError
from lcdb_notebook.models import DataSet, DataSetHierarchy

from .conftest import Sky


def chain(sky: Sky, length: int) -> list[DataSet]:
    """Store light curves, each derived from the one before; forget them, and load them again."""
    made = [sky.dataset()]
    for _ in range(length - 1):
        made.append(sky.dataset(made[-1]))
    sky.session.add_all(made)
    sky.session.commit()
    ids = [dataset.id for dataset in made]
    sky.session.expunge_all()
    return [sky.session.get_one(DataSet, id_) for id_ in ids]


def links(sky: Sky) -> int:
    return sky.session.scalar(sa.select(sa.func.count(DataSetHierarchy.id))) or 0


def hierarchy(source: DataSet, child: DataSet) -> DataSetHierarchy:
    return DataSetHierarchy(source_dataset_id=source.id, child_dataset_id=child.id)


@pytest.mark.parametrize("direction", ["source_datasets", "derived_datasets"])
def test_a_light_curve_is_not_derived_from_itself(sky: Sky, direction: str) -> None:
    for dataset in (sky.raw, DataSet()):
        with pytest.raises(LineageError, match="the same DataSet"):
            getattr(dataset, direction).append(dataset)
        assert dataset not in getattr(dataset, direction)


@pytest.mark.parametrize("stored", [True, False])
def test_a_light_curve_is_not_derived_from_its_descendant(sky: Sky, stored: bool) -> None:
    first, second, third = sky.dataset(), sky.dataset(), sky.dataset()
    second.source_datasets.append(first)
    second.derived_datasets.append(third)
    if stored:
        sky.session.add_all([first, second, third])
        sky.session.flush()
    with pytest.raises(LineageError, match="is derived from it"):
        first.source_datasets.append(third)
    with pytest.raises(LineageError, match="is derived from it"):
        third.derived_datasets.append(first)
    with pytest.raises(LineageError, match="is derived from it"):
        first.source_datasets = [third]
    assert not first.source_datasets
    assert not third.derived_datasets


@pytest.mark.parametrize("length", [2, 3, 30])
def test_a_circle_through_links_that_are_not_loaded_is_refused_when_flushed(
    sky: Sky, length: int
) -> None:
    first, *_, last = chain(sky, length)
    before = links(sky)
    sky.session.add(hierarchy(last, first))
    with pytest.raises(LineageError, match=f"^DataSet {first.id} cannot be derived from {last.id}"):
        sky.session.flush()
    sky.session.rollback()
    assert links(sky) == before


def test_a_circle_is_shown_link_by_link(sky: Sky) -> None:
    first, second, third = chain(sky, 3)
    sky.session.add(hierarchy(third, first))
    with pytest.raises(LineageError, match=f": {first.id} -> {second.id} -> {third.id};"):
        sky.session.flush()


def test_a_circle_closed_by_two_links_at_once_is_refused(sky: Sky) -> None:
    one, two = sky.dataset(), sky.dataset()
    sky.session.add_all([one, two])
    sky.session.flush()
    sky.session.add_all([hierarchy(one, two), hierarchy(two, one)])
    with pytest.raises(LineageError, match="cannot be derived"):
        sky.session.flush()


def test_a_circle_through_a_new_light_curve_and_stored_links_is_refused(sky: Sky) -> None:
    first, _, last = chain(sky, 3)
    new = DataSet(target_id=first.target_id, observation_id=first.observation_id, values=[1.0])
    new.source_datasets.append(last)
    # Neither collection of the first one is loaded, so only the database knows.
    sky.session.expire(last)
    sky.session.add(new)
    with sky.session.no_autoflush:
        first.source_datasets.append(new)
    with pytest.raises(LineageError, match=f"DataSet {first.id} cannot be derived|new"):
        sky.session.flush()


def test_a_link_to_itself_is_refused_as_a_row_too(sky: Sky) -> None:
    sky.session.add(hierarchy(sky.raw, sky.raw))
    with pytest.raises(LineageError, match="cannot be derived from"):
        sky.session.flush()


def test_a_row_changed_into_a_circle_is_refused(sky: Sky) -> None:
    first, second, third = chain(sky, 3)
    row = sky.session.scalars(
        sa.select(DataSetHierarchy).filter_by(source_dataset_id=second.id)
    ).one()
    assert row.child_dataset_id == third.id
    row.child_dataset_id = first.id
    with pytest.raises(LineageError):
        sky.session.flush()


def test_a_step_can_be_turned_round(sky: Sky) -> None:
    first, second = chain(sky, 2)
    row = sky.session.scalars(
        sa.select(DataSetHierarchy).filter_by(source_dataset_id=first.id)
    ).one()
    row.source_dataset_id, row.child_dataset_id = second.id, first.id
    sky.session.commit()
    assert first.source_datasets == [second]


@pytest.mark.parametrize("how", ["collection", "row", "light curve"])
def test_links_removed_in_the_same_flush_close_no_circle(sky: Sky, how: str) -> None:
    first, second, third = chain(sky, 3)
    if how == "collection":
        second.source_datasets.remove(first)
    elif how == "row":
        step = sa.select(DataSetHierarchy).filter_by(child_dataset_id=second.id)
        sky.session.delete(sky.session.scalars(step).one())
    else:
        sky.session.delete(second)
    sky.session.add(hierarchy(third, first))
    sky.session.commit()
    assert first.source_datasets == [third]


def test_a_circle_that_was_there_before_does_not_stop_other_work(sky: Sky) -> None:
    first, second, third = chain(sky, 3)
    sky.session.execute(
        sa.insert(DataSetHierarchy),
        [{"source_dataset_id": second.id, "child_dataset_id": first.id}],
    )
    outsider = sky.dataset()
    outsider.target_id, outsider.observation_id = third.target_id, third.observation_id
    sky.session.add(sky.raw)
    sky.session.flush()
    sky.session.add(hierarchy(sky.raw, first))
    sky.session.flush()
    assert sky.raw in first.source_datasets


def test_branches_that_join_again_are_accepted(sky: Sky) -> None:
    (top,) = chain(sky, 1)
    sky.session.add_all([sky.target, sky.observation])
    left, right = sky.dataset(top), sky.dataset(top)
    bottom = sky.dataset(left, right, top)
    sky.session.add(bottom)
    sky.session.commit()
    assert {left, right, top} == set(bottom.source_datasets)


@pytest.mark.parametrize("new", [True, False])
def test_links_cost_one_query_or_none(sky: Sky, statements: list[str], new: bool) -> None:
    first, *_, last = chain(sky, 5)
    other = DataSet(target_id=first.target_id, observation_id=first.observation_id, values=[1.0])
    if not new:
        sky.session.add(other)
        sky.session.flush()
    other.source_datasets.extend([first, last])
    sky.session.add(other)
    statements.clear()
    sky.session.flush()
    assert len([sql for sql in statements if "RECURSIVE" in sql]) == (0 if new else 1)


def test_saving_other_rows_sends_no_statement_about_lineage(
    sky: Sky, statements: list[str]
) -> None:
    sky.session.expire_all()
    sky.raw.values = [1.0, 2.0, 3.0]  # type: ignore[assignment]
    statements.clear()
    sky.session.flush()
    assert not [sql for sql in statements if "datasethierarchy" in sql]
