"""Nested columns: one row a DataSet, its cadences in it, cut out of long arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.convert.nested import nest


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> Iterator[lcdb.Database]:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), list(demo.products(4, cadences=80)))
        db.session.commit()
    with lcdb.connect(in_layout(url)) as db:
        yield db


def test_a_row_has_what_the_light_curve_has(db: lcdb.Database) -> None:
    found = db.search()
    nested = found.to_nested(flagged="mask")
    frame = found.to_pandas(flagged="mask")
    assert nested["dataset"].tolist() == found.table["dataset"].tolist()
    assert nested["unit"].astype(str).tolist() == found.table["unit"].tolist()
    assert list(nested["lightcurve"].iloc[0].columns) == [
        *("time", "flux", "flux_err", "cadenceno", "quality")
    ]
    for row in (0, 7, len(nested) - 1):
        inside = nested["lightcurve"].iloc[row]
        flat = frame[frame["dataset"] == nested["dataset"].iloc[row]]
        for name in inside.columns:
            np.testing.assert_array_equal(inside[name].to_numpy(), flat[name].to_numpy())
    assert nested.attrs == frame.attrs


def test_a_light_curve_without_a_cadence_left_is_an_empty_one(db: lcdb.Database) -> None:
    records = list(db.search(1))
    bad = records[1].quality["tess_quality_flag"].copy()
    bad[:] = 128
    records[1] = convert_quality(records[1], bad)
    nested = convert.to_nested(records)
    assert [len(one) for one in nested["lightcurve"]][:3] == [
        len(convert.to_pandas([records[0]])),
        0,
        len(convert.to_pandas([records[2]])),
    ]


def convert_quality(
    record: lcdb.LightCurveData, bits: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> lcdb.LightCurveData:
    from dataclasses import replace

    return replace(record, quality={"tess_quality_flag": bits})


def test_an_empty_selection_is_a_frame_without_rows() -> None:
    nested = convert.to_nested([])
    assert len(nested) == 0
    assert "lightcurve" in nested


def test_floats_are_cut_without_being_copied() -> None:
    values = np.arange(6.0)
    cut = nest({"flux": values}, [1, 0, 5])
    inside = cut.field("flux").values.to_numpy(zero_copy_only=True)
    assert np.shares_memory(inside, values)
    assert [len(one["flux"]) for one in cut.to_pylist()] == [1, 0, 5]
