"""DataFrames that remember: the same LightCurves come out of them again."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import DataError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightkurve")


def others() -> Iterator[Product]:
    """Return a star in magnitudes with two types of flags, and one of Kepler without errors."""
    (made,) = demo.products(1, sectors=[3], cadences=50, apertures=1, steps=0)
    flux = np.linspace(10, 11, made.cadence.size)
    flux[5] = 99
    bits = np.zeros(made.cadence.size, np.int32)
    bits[5] = 128
    yield replace(
        made,
        label="magnitudes",
        target=800,
        quality={"tess_quality_flag": bits, "tglc_quality_flag": bits * 0 + 2},
        curves=(Curve(Named("mag", "[mag] bright"), None, None, flux, flux / 1000),),
    )
    yield replace(
        made,
        label="kepler",
        mission="Kepler",
        catalog="KIC",
        target=900,
        observation_type="observation",
        observation_fields={},
        instrument=("Kepler", "Channel 3"),
        quality={},
        curves=(Curve(Named("SAP", "[electron / s] one"), None, None, flux, None),),
    )


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> Iterator[lcdb.Database]:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        store(db.session.connection(), [*demo.products(4, cadences=80), *others()])
        db.session.commit()
    with lcdb.connect(in_layout(url)) as db:
        yield db


def assert_equal(found: Any, expected: Any) -> None:
    """Compare collections of LightCurves, times to the last bit."""
    assert type(found) is type(expected)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        assert one.colnames == other.colnames
        assert (one.time.format, one.time.scale) == (other.time.format, other.time.scale)
        np.testing.assert_array_equal(one.time.jd1, other.time.jd1)
        np.testing.assert_array_equal(one.time.jd2, other.time.jd2)
        for name in one.colnames[1:]:
            assert one[name].dtype == other[name].dtype
            assert getattr(one[name], "unit", None) == getattr(other[name], "unit", None)
            np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]))
        assert list(one.meta) == list(other.meta)
        for key, value in other.meta.items():
            assert type(one.meta[key]) is type(value), key
            np.testing.assert_array_equal(one.meta[key], value)


@pytest.mark.parametrize("flagged", ["drop", "mask", "keep"])
@pytest.mark.parametrize("quality_bitmask", ["none", "default", "hardest", 128])
def test_the_light_curves_come_back_as_they_would_from_the_database(
    db: lcdb.Database, flagged: Any, quality_bitmask: Any
) -> None:
    how = {"flagged": flagged, "quality_bitmask": quality_bitmask}
    found = db.search(catalog="DEMO")
    assert_equal(lcdb.from_pandas(found.to_pandas(**how)), found.lightcurves(**how))


@pytest.mark.parametrize("as_flux", [True, False])
def test_magnitudes_become_relative_flux_by_the_same_median(
    db: lcdb.Database, as_flux: bool
) -> None:
    found = db.search(800)
    again = lcdb.from_pandas(found.to_pandas(), as_flux=as_flux)
    assert_equal(again, found.lightcurves(as_flux=as_flux))


def test_kepler_counts_by_its_own_clock_and_has_no_errors(db: lcdb.Database) -> None:
    found = db.search(900)
    again = lcdb.from_pandas(found.to_pandas())
    assert_equal(again, found.lightcurves())
    assert np.isnan(again[0].flux_err.value).all()


@pytest.mark.parametrize("time_format", ["jd", "mjd", "iso"])
def test_other_formats_of_time_are_as_good_as_their_column(
    db: lcdb.Database, time_format: str
) -> None:
    found = db.search([1, 900])
    again = lcdb.from_pandas(found.to_pandas(time_format=time_format))
    for one, other in zip(again, found.lightcurves(time_format=time_format), strict=True):
        assert one.time.format == other.time.format == time_format
        assert abs((one.time - other.time).to_value("s")).max() < 1e-3
        assert one.meta["DATASET"] == other.meta["DATASET"]


def through_parquet(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    frame.to_parquet(folder / "frame.parquet")
    return pd.read_parquet(folder / "frame.parquet")


@pytest.mark.parametrize(
    "step",
    [
        lambda frame, _: frame.copy(),
        lambda frame, _: frame.reset_index(drop=True),
        lambda frame, _: frame.sort_values("time", kind="stable"),
        lambda frame, _: frame.assign(twice=2 * frame["flux"]),
        lambda frame, _: frame.query("flux == flux or flux != flux"),
        lambda frame, _: frame[frame["target"] > 0],
        lambda frame, _: frame.convert_dtypes(),
        lambda frame, _: pd.concat([frame.iloc[:99], frame.iloc[99:]]),
        lambda frame, _: pickle.loads(pickle.dumps(frame)),
        through_parquet,
    ],
    ids=[
        *("copy", "reset_index", "sort_values", "assign", "query", "rows", "convert_dtypes"),
        *("concat", "pickle", "parquet"),
    ],
)
def test_attrs_survive_operations_of_pandas(
    db: lcdb.Database, step: Callable[[pd.DataFrame, Path], pd.DataFrame], tmp_path: Path
) -> None:
    found = db.search([1, 2])
    changed = step(found.to_pandas(flagged="mask"), tmp_path)
    assert_equal(lcdb.from_pandas(changed), found.lightcurves(flagged="mask"))


def test_rows_that_were_taken_out_and_values_that_were_changed_stay_so(db: lcdb.Database) -> None:
    frame = db.search([1, 2]).to_pandas()
    frame["flux"] *= 2
    some = frame[(frame["target"] == 2) & (frame["cadenceno"] % 2 == 0)]
    again = lcdb.from_pandas(some)
    assert {lc.meta["TARGETID"] for lc in again} == {2}
    for lc in again:
        rows = some[some["dataset"] == lc.meta["DATASET"]]
        assert lc.flux.value.tolist() == rows["flux"].tolist()
        assert lc.cadenceno.tolist() == rows["cadenceno"].tolist()


def test_attrs_are_plain_values_with_units_and_clock(db: lcdb.Database) -> None:
    attrs = db.search(1).to_pandas().attrs
    assert json.loads(json.dumps(attrs)) == attrs
    assert attrs["mission"] == "TESS"
    assert attrs["time_format"] == "btjd"
    assert attrs["unit"] == ["", "electron / s"]
    assert attrs["flag_type"] == "tess_quality_flag"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns=["cadenceno"]), "no column 'cadenceno'"),
        (lambda frame: frame.assign(dataset=10**6), "DataSet 1000000 of column 'dataset'"),
        (
            lambda frame: frame.assign(quality=0.5),
            "column 'quality' of this DataFrame must have integer",
        ),
        (lambda frame: frame.assign(flux="x"), "column 'flux' .* must have numbers"),
        (lambda frame: pd.concat([frame, frame["flux"]], axis=1), "several columns named 'flux'"),
    ],
)
def test_a_changed_column_is_reported(
    db: lcdb.Database, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    frame = db.search(1, sector=1).to_pandas()
    spoilt = spoil(frame)
    spoilt.attrs = frame.attrs
    with pytest.raises(DataError, match=message):
        lcdb.from_pandas(spoilt)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no attrs\['light_curves'\].*new.attrs = old.attrs"),
        ("{", "was modified after to_pandas"),
        ('{"version": 2}', "was modified after to_pandas"),
        ('{"version": 99}', "must have version 2, got 99"),
        ("[]", "was modified after to_pandas"),
    ],
)
def test_lost_or_changed_attributes_are_reported(
    db: lcdb.Database, text: str | None, message: str
) -> None:
    frame = db.search(1, sector=1).to_pandas()
    if text is None:
        frame.attrs = {}
    else:
        frame.attrs["light_curves"] = text
    with pytest.raises(DataError, match=message):
        lcdb.from_pandas(frame)
