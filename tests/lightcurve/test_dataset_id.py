"""Ids of DataSets: integers, and the keys of LightcurveDB 3 as text."""

from __future__ import annotations

import numpy as np
import pytest

from lcdb_notebook.lightcurve.dataset_id import DataSetKey, dataset_id, in_order


def test_dataset_key_reads_what_it_writes() -> None:
    key = DataSetKey(5, 2**40, 2, 0)
    assert str(key) == f"5:{2**40}:2:0"
    assert DataSetKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "5", "5:1:2", "5:1:2:x", "5:1:2:-1", "5:1:2:0:0", "5:1::0"])
def test_dataset_key_refuses_other_text(text: str) -> None:
    with pytest.raises(ValueError, match="observation:target:photometry:processing"):
        DataSetKey.parse(text)


def test_dataset_id_accepts_ids_keys_and_their_text() -> None:
    assert dataset_id(np.int64(12)) == dataset_id("12") == dataset_id(12) == 12
    assert type(dataset_id(np.int64(12))) is int
    assert dataset_id(" 05:1:2:0 ") == dataset_id(DataSetKey(5, 1, 2, 0)) == "5:1:2:0"


@pytest.mark.parametrize("value", [1.0, None, True, [1]])
def test_dataset_id_refuses_other_types(value: object) -> None:
    with pytest.raises(TypeError, match="must be an int or the text of a key"):
        dataset_id(value)


def test_in_order_sorts_keys_by_their_numbers() -> None:
    assert sorted(["10:1:0:0", "9:1:0:0"], key=in_order) == ["9:1:0:0", "10:1:0:0"]
    assert sorted([10, 9], key=in_order) == [9, 10]
