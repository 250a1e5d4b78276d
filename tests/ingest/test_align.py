from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.store.align import SAME_TIME_DAYS, Placement, Sampling, agree, union

CADENCES = st.lists(st.integers(0, 60), unique=True).map(lambda n: np.array(sorted(n), np.int64))


def numbers(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


def sampling(known: dict[int, tuple[float, int]]) -> Sampling:
    """Make a sampling of time and flags by cadence number."""
    cadence = numbers(*sorted(known))
    time = np.array([known[int(c)][0] for c in cadence], float)
    flags = np.array([known[int(c)][1] for c in cadence], np.int32)
    return Sampling(cadence, time, {"tess_quality_flag": flags})


@given(CADENCES, CADENCES)
def test_a_union_holds_every_cadence_once_in_ascending_order(
    one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> None:
    assert union(one, other).tolist() == sorted({*one.tolist(), *other.tolist()})


@given(CADENCES, CADENCES)
def test_a_reference_that_already_holds_all_cadences_stays_the_same_array(
    one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> None:
    both = union(one, other)
    assert union(both, one) is both


@given(CADENCES, CADENCES, st.randoms())
def test_a_value_is_aligned_with_its_cadence_for_any_order_of_the_reference(
    cadence: npt.NDArray[np.int64], more: npt.NDArray[np.int64], random: Random
) -> None:
    shuffled = union(cadence, more).tolist()
    random.shuffle(shuffled)
    reference = numbers(*shuffled)
    place = Placement(cadence, reference)
    flux, flags = cadence + 0.5, (cadence + 1).astype(np.int32)
    of = dict(zip(cadence.tolist(), flux.tolist(), strict=True))
    assert np.array_equal(
        place(flux), [of.get(c, np.nan) for c in reference.tolist()], equal_nan=True
    )
    assert place(flags).tolist() == [c + 1 if c in of else 0 for c in reference.tolist()]
    assert place(flags).dtype == np.int32


def test_many_arrays_are_placed_at_once() -> None:
    block = np.array([[1.0, 2.0], [3.0, 4.0]])
    placed = Placement(numbers(5, 7), numbers(5, 6, 7))(block)
    assert np.array_equal(placed, [[1, np.nan, 2], [3, np.nan, 4]], equal_nan=True)


@pytest.mark.parametrize("cadence", [numbers(3), numbers(9), numbers(5, 6, 7)])
def test_a_cadence_missing_from_the_reference_is_refused_by_number(
    cadence: npt.NDArray[np.int64],
) -> None:
    with pytest.raises(ValueError, match=r"cadence (3|9|6) is not in the reference"):
        Placement(cadence, numbers(5, 7, 8))


@given(CADENCES, st.data())
def test_arrays_agree_exactly_when_they_differ_in_nan_alone(
    cadence: npt.NDArray[np.int64], data: st.DataObject
) -> None:
    values = data.draw(st_np.arrays(float, cadence.size, elements=st.sampled_from([0.5, np.nan])))
    finite = np.isfinite(values)
    assert agree(cadence, values, cadence[finite], values[finite])
    if finite.any():
        first = int(finite.argmax())
        other = values.copy()
        other[first] += 1
        assert not agree(cadence, values, cadence, other)
        assert not agree(cadence, values, np.delete(cadence, first), np.delete(values, first))


def test_an_array_that_is_missing_agrees_with_one_of_nan() -> None:
    assert agree(numbers(1, 2), None, numbers(1, 2), np.full(2, np.nan))
    assert not agree(numbers(1, 2), None, numbers(1, 2), np.array([np.nan, 0.1]))


def test_equal_values_at_different_cadences_do_not_agree() -> None:
    assert not agree(numbers(1, 2), np.ones(2), numbers(2, 3), np.ones(2))


@given(st.lists(CADENCES, min_size=1, max_size=4), st.randoms())
def test_samplings_merge_to_the_same_in_any_order(
    several: list[npt.NDArray[np.int64]], random: Random
) -> None:
    # A cadence has the same time and flags wherever it is; every third never has a time.
    parts = [
        sampling({c: (np.nan if c % 3 == 0 else c / 48, c % 5) for c in cadence.tolist()})
        for cadence in several
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part, "stored")
    random.shuffle(parts)
    again = parts[0]
    for part in parts[1:]:
        again = again.merged(part, "stored")
    assert np.array_equal(merged.cadence, again.cadence)
    assert np.array_equal(merged.time, again.time, equal_nan=True)
    assert np.array_equal(merged.quality["tess_quality_flag"], again.quality["tess_quality_flag"])
    assert merged.merged(parts[0], "stored") is merged


def test_a_time_and_its_flags_fill_a_cadence_that_had_none() -> None:
    stored = sampling({1: (0.5, 0), 2: (np.nan, 0), 3: (1.5, 0)})
    merged = stored.merged(sampling({2: (1.0, 32)}), "stored")
    assert merged.time.tolist() == [0.5, 1.0, 1.5]
    assert merged.quality["tess_quality_flag"].tolist() == [0, 32, 0]


def test_times_up_to_a_millisecond_apart_are_the_same() -> None:
    stored = sampling({1: (1325.5, 0)})
    assert stored.merged(sampling({1: (1325.5 + 0.9 * SAME_TIME_DAYS, 0)}), "stored") is stored


@pytest.mark.parametrize(
    ("contradiction", "message"),
    [
        ({1: (0.5 + 1.98 / 86_400, 0)}, r"cadence 1 has time 0\.50002\d* here and 0\.5 stored"),
        ({1: (0.5, 4)}, r"cadence 1 has tess_quality_flag 4 here and 0 stored"),
        ({2: (0.2, 0)}, r"times are not increasing after merging with those stored"),
    ],
)
def test_a_contradiction_is_refused_with_its_cadence(
    contradiction: dict[int, tuple[float, int]], message: str
) -> None:
    stored = sampling({1: (0.5, 0), 3: (1.5, 0)})
    with pytest.raises(IngestError, match=message):
        stored.merged(sampling(contradiction), "stored")
