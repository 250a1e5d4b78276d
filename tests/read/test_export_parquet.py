"""Parquet of many light curves: whole, by observation, and readable by those who read Parquet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import nested_pandas
import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import DataError, ExportError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.read.export import parquet

TARGETS = 5


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        sky = list(demo.products(TARGETS, cadences=70))
        own = {**sky[0].quality, "tglc_quality_flag": np.arange(70, dtype=np.int32) % 3}
        sky[0] = replace(sky[0], quality=own)
        store(db.session.connection(), sky)
        db.session.commit()
    return in_layout(url)


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


def test_every_number_is_as_the_database_has_it(db: lcdb.Database, tmp_path: Path) -> None:
    found = db.search()
    report = found.export(tmp_path, format="parquet")
    assert set(report["status"]) == {"written"}
    read = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table()
    rows = {row["dataset"]: row for row in read.to_pylist()}
    assert len(rows) == read.num_rows == len(found)
    for data in found:
        row = rows[data.dataset]
        inside = row["lightcurve"]
        assert row["observation"] == data.observation.id
        assert row["sector"] == data.observation.fields["sector"]
        assert (row["target"], row["catalog"], row["mission"]) == (data.target, "DEMO", "TESS")
        assert (row["processing"], row["unit"]) == (data.processing or "raw", data.unit)
        assert row["lineage"].endswith(f"#{data.dataset}")
        np.testing.assert_array_equal(inside["time"], data.time)
        np.testing.assert_array_equal(inside["flux"], data.flux)
        np.testing.assert_array_equal(inside["flux_err"], data.flux_err)
        np.testing.assert_array_equal(inside["cadenceno"], data.cadence)
        np.testing.assert_array_equal(inside["quality"], data.quality["tess_quality_flag"])
        assert row["flag_type"] == "tess_quality_flag"
        further = data.quality.get("tglc_quality_flag", np.zeros(data.time.size))
        np.testing.assert_array_equal(inside["tglc_quality_flag"], further)


def test_the_schema_has_units_and_descriptions(db: lcdb.Database, tmp_path: Path) -> None:
    db.search(processing="raw").export(tmp_path, format="parquet")
    path = next(tmp_path.rglob("*.parquet"))
    assert path.parent.name.startswith("observation=")
    schema = pq.read_schema(path)
    about = json.loads(schema.metadata[b"lcdb"])
    assert about["missions"]["TESS"]["format_name"] == "btjd"
    assert Decimal(about["missions"]["TESS"]["epoch"]) == 2457000
    inside = schema.field("lightcurve").type
    assert inside.field("time").metadata[b"unit"] == b"d"
    assert inside.field("flux").metadata[b"unit"] == b"electron / s"


def test_nested_pandas_reads_it(db: lcdb.Database, tmp_path: Path) -> None:
    found = db.search(3)
    found.export(tmp_path, format="parquet")
    frame = nested_pandas.read_parquet(str(tmp_path))
    means = {str(data.dataset): float(np.nanmean(data.flux)) for data in found}
    for row in range(len(frame)):
        inside = frame["lightcurve"].iloc[row]
        assert np.nanmean(inside["flux"].to_numpy(float)) == pytest.approx(
            means[str(frame["dataset"].iloc[row])]
        )


def test_duckdb_reads_it(db: lcdb.Database, tmp_path: Path) -> None:
    found = db.search(3, sector=1)
    found.export(tmp_path, format="parquet")
    query = (
        "SELECT dataset, observation, len(lightcurve.flux), "
        "list_max([t FOR t IN lightcurve.time IF NOT isnan(t)]) "
        f"FROM read_parquet('{tmp_path}/*/*.parquet', hive_partitioning=true) ORDER BY dataset"
    )
    expected = sorted(
        (data.dataset, data.observation.id, data.time.size, np.nanmax(data.time)) for data in found
    )
    assert duckdb.connect().execute(query).fetchall() == expected


def test_existing_files_are_not_written_again(db: lcdb.Database, tmp_path: Path) -> None:
    db.search([1, 2]).export(tmp_path, format="parquet")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    everything = db.search()
    report = everything.export(tmp_path, format="parquet")
    assert report["dataset"].tolist() == everything.datasets
    assert report.groupby("target")["status"].unique().str[0].to_dict() == {
        1: "kept",
        2: "kept",
        **dict.fromkeys(range(3, TARGETS + 1), "written"),
    }
    assert {path: path.stat().st_mtime_ns for path in before} == before
    there = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table(columns=["dataset"])
    assert sorted(there["dataset"].to_pylist()) == sorted(everything.datasets)
    again = everything.export(tmp_path, format="parquet", overwrite=True)
    assert set(again["status"]) == {"written"}
    there = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table(columns=["dataset"])
    assert sorted(there["dataset"].to_pylist()) == sorted(everything.datasets)


def test_overwriting_loses_no_light_curves_of_others(db: lcdb.Database, tmp_path: Path) -> None:
    db.search([1, 2]).export(tmp_path, format="parquet")
    with pytest.raises(ExportError, match="that are not in this selection and would be lost"):
        db.search(1).export(tmp_path, format="parquet", overwrite=True)


def test_many_are_spread_over_files_and_row_groups(
    db: lcdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 5_000)
    monkeypatch.setattr(parquet, "FILE_BYTES", 20_000)
    found = db.search()
    found.export(tmp_path, format="parquet")
    paths = list(tmp_path.rglob("*.parquet"))
    assert len(paths) > len(list(tmp_path.iterdir()))
    assert max(pq.ParquetFile(path).num_row_groups for path in paths) > 1
    there = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table(columns=["dataset"])
    assert sorted(there["dataset"].to_pylist()) == sorted(found.datasets)


PROGRAM = """
import os, signal
import lcdb_notebook as lcdb
from lcdb_notebook.read.export import layout, parquet
parquet.GROUP_BYTES, parquet.FILE_BYTES = 5_000, 20_000
make, made = layout.ParquetLayout.table, []
def die(self, group):
    made.append(group)
    if len(made) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return make(self, group)
layout.ParquetLayout.table = die
lcdb.connect({url!r}).search().export({folder!r}, format="parquet")
"""


@pytest.mark.own_tables
def test_an_export_that_was_killed_is_continued(
    db: lcdb.Database, url: str, tmp_path: Path
) -> None:
    program = PROGRAM.format(url=url, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".part")]
    found = db.search()
    whole = pyarrow.dataset.dataset(tmp_path, partitioning="hive").count_rows()
    report = found.export(tmp_path, format="parquet")
    assert 0 < whole == (report["status"] == "kept").sum() < len(found)
    assert pyarrow.dataset.dataset(tmp_path, partitioning="hive").count_rows() == len(found)
    names = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert all(name.endswith(".parquet") for name in names)


def test_a_damaged_light_curve_is_raised_or_skipped_and_named(
    new_tables: Callable[[], str], tmp_path: Path
) -> None:
    with lcdb.connect(new_tables(), write=True) as db:
        store(db.session.connection(), list(demo.products(2, cadences=30)))
        db.session.execute(sa.text("UPDATE dataset SET values = values[1:9] WHERE id = 5"))
        db.session.commit()
        found = db.search()
        with pytest.raises(DataError, match="DataSet 5"):
            found.export(tmp_path / "one", format="parquet")
        with pytest.warns(UserWarning, match="1 of 24 light curves were skipped: DataSet 5"):
            report = found.export(tmp_path / "two", format="parquet", on_error="skip")
    skipped = report.set_index("dataset").loc[5]
    assert skipped["status"] == "skipped"
    assert "array lengths differ" in skipped["reason"]
    read = pyarrow.dataset.dataset(tmp_path / "two", partitioning="hive")
    assert read.count_rows() == 23


@pytest.mark.own_tables
def test_files_of_another_database_or_kind_are_not_mixed_in(
    db: lcdb.Database, new_tables: Callable[[], str], tmp_path: Path
) -> None:
    db.search().export(tmp_path, format="parquet")
    with lcdb.connect(new_tables(), write=True) as other:
        sky = list(demo.products(3, cadences=30, apertures=1))
        sky[0] = replace(
            sky[0], quality={**sky[0].quality, "tglc_quality_flag": np.zeros(30, np.int32)}
        )
        store(other.session.connection(), sky[::-1])
        other.session.commit()
        with pytest.raises(ExportError, match="was exported from another database"):
            other.search().export(tmp_path, format="parquet")
        with pytest.raises(ExportError, match=r"differ from .* selection \(lightcurve\)"):
            other.search(3).export(tmp_path, format="parquet")
    path = next(tmp_path.rglob("*.parquet"))
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(ExportError, match="not a Parquet file or is damaged"):
        db.search().export(tmp_path, format="parquet")
