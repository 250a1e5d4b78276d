"""DataSet: values known at some cadences are placed on the observation's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcdb_notebook.errors import DataError
from lcdb_notebook.models import DataSet, Observation

from .conftest import Sky


def dataset(reference: Any, values: Any, errors: Any = None) -> DataSet:
    observation = Observation(cadence_reference=reference)
    return DataSet(observation=observation, values=values, errors=errors)


def test_values_and_errors_go_to_their_cadences_and_nan_everywhere_else() -> None:
    known = dataset([6, 7, 8, 9, 10], values=[0.5, np.nan, 1.5], errors=[1, 2, 3])
    known.align_to_observation([7, 8, 10])
    assert np.array_equal(known.values, [np.nan, 0.5, np.nan, np.nan, 1.5], equal_nan=True)
    assert known.errors is not None
    assert np.array_equal(known.errors, [np.nan, 1, 2, np.nan, 3], equal_nan=True)


def test_errors_may_be_unknown() -> None:
    known = dataset([6, 7], values=[1.0])
    known.align_to_observation([7])
    assert known.errors is None


def test_alignment_is_stored(sky: Sky) -> None:
    new = sky.dataset()
    new.values = np.array([5.0])
    new.align_to_observation(np.array([12], ">i4"))
    sky.session.add(new)
    sky.session.commit()
    assert np.array_equal(new.values, [np.nan, np.nan, 5], equal_nan=True)


def test_a_stored_light_curve_can_be_aligned(sky: Sky) -> None:
    sky.session.expire_all()
    sky.raw.align_to_observation(sky.observation.cadence_reference)
    assert np.array_equal(sky.raw.values, [1, np.nan, 3], equal_nan=True)


@given(st.data())
def test_every_value_is_found_at_its_own_cadence(data: st.DataObject) -> None:
    reference = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=20))
    some = sorted(c for c in reference if data.draw(st.booleans()))
    known = dataset(reference, values=[float(i) for i in range(len(some))])
    known.align_to_observation(np.array(some, np.int64))
    at = dict(zip(reference, known.values.tolist(), strict=True))
    assert [at[cadence] for cadence in some] == list(range(len(some)))
    assert all(np.isnan(value) for cadence, value in at.items() if cadence not in some)


@pytest.mark.parametrize(
    ("cadences", "reason"),
    [
        ([7, 7, 8], "repeated cadence numbers: 7"),
        ([8, 7, 9], "must be increasing, but 7 follow larger"),
        ([7, 8, 11], "not in the observation's cadence_reference: 11"),
        ([5, 7, 8], "not in the observation's cadence_reference: 5"),
        ([7, 8], "3 values for 2 cadences"),
        ([7, 8, 8.5], "cannot represent all of these values exactly"),
        ([[7, 8, 9]], "must be one-dimensional"),
        ([], "3 values for 0 cadences"),
    ],
)
def test_cadences_that_leave_a_doubt_are_refused(cadences: Any, reason: str) -> None:
    known = dataset([6, 7, 8, 9], values=[1, 2, 3], errors=[1, 2, 3])
    with pytest.raises(DataError, match=reason):
        known.align_to_observation(cadences)
    assert known.values.tolist() == [1, 2, 3]


def test_errors_of_another_length_are_refused_before_anything_changes() -> None:
    known = dataset([6, 7, 8], values=[1, 2], errors=[1])
    with pytest.raises(DataError, match="1 errors for 2 cadences"):
        known.align_to_observation([6, 7])
    assert known.values.size == 2


def test_a_reference_with_a_cadence_twice_is_refused() -> None:
    with pytest.raises(DataError, match="cadence_reference contains 7 more than once"):
        dataset([7, 8, 7], values=[1]).align_to_observation([8])


@pytest.mark.parametrize("incomplete", [DataSet(), DataSet(values=[1]), dataset([1], None)])
def test_alignment_needs_an_observation_and_values(incomplete: DataSet) -> None:
    with pytest.raises(DataError, match="needs an observation and values"):
        incomplete.align_to_observation([1])


def test_a_long_list_of_wrong_cadences_is_cut_short() -> None:
    with pytest.raises(DataError, match=r"100, 101, 102, 103, 104 and 15 more$"):
        dataset([1], values=np.ones(20)).align_to_observation(np.arange(100, 120))
