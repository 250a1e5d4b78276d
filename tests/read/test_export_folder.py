from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import (
    ArgumentError,
    ConfigurationError,
    DataError,
    ExportError,
    LightCurveNotFoundError,
)
from lcdb_notebook.models import DataSet
from lcdb_notebook.read.export.manifest import MANIFEST

TARGETS = 6


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> str:
    """A database of six stars in two sectors: 72 light curves."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, targets=TARGETS)
    return in_layout(url)


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


@pytest.fixture
def writable(empty_dsn: str) -> Iterator[lcdb.Database]:
    """A small database that only this test knows."""
    with lcdb.connect(empty_dsn, write=True) as db:
        demo.load(db.session, targets=1, sectors=[1])
        yield db


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith((".", "_"))}


@pytest.mark.parametrize("kind", ["fits", "ecsv", "csv"])
def test_each_light_curve_has_a_file_and_a_row_in_the_order_of_the_selection(
    db: lcdb.Database, tmp_path: Path, kind: Any
) -> None:
    found = db.search(3)
    report = found.export(tmp_path / "new" / "folder", format=kind)
    assert list(report["dataset"]) == found.datasets
    assert set(report["status"]) == {"written"}
    paths = [Path(file) for file in report["file"]]
    assert [path.stat().st_size for path in paths] == list(report["bytes"])
    assert visible(tmp_path / "new" / "folder") == {path.name for path in paths}
    assert len({path.name.casefold() for path in paths}) == len(found)
    for path, dataset in zip(paths, report["dataset"], strict=True):
        assert lcdb.read_lightcurve(path).meta["DATASET"] == dataset


def test_complete_files_are_kept_without_reading_their_arrays(
    db: lcdb.Database, tmp_path: Path
) -> None:
    found = db.search(3)
    before = found.export(tmp_path)
    written = {name: (tmp_path / name).stat().st_mtime_ns for name in visible(tmp_path)}
    again = found.export(tmp_path)
    assert set(again["status"]) == {"kept"}
    assert list(again["bytes"]) == list(before["bytes"])
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in written} == written


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["half", "empty", "gone"],
)
def test_a_file_that_is_not_whole_is_written_again(
    db: lcdb.Database, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    found = db.search(3)
    first = found.export(tmp_path)
    victim = Path(first["file"].iloc[3])
    whole = len(victim.read_bytes())
    damage(victim)
    again = found.export(tmp_path)
    assert list(again["status"]) == ["written" if n == 3 else "kept" for n in range(len(again))]
    assert len(victim.read_bytes()) == whole
    assert lcdb.read_lightcurve(victim).meta["DATASET"] == first["dataset"].iloc[3]


@pytest.mark.parametrize(
    "other",
    [
        {"flagged": "drop"},
        {"quality_bitmask": "hard"},
        {"time_format": "jd"},
        {"overwrite": True},
    ],
    ids=str,
)
def test_a_file_of_other_settings_is_written_again(
    db: lcdb.Database, tmp_path: Path, other: dict[str, Any]
) -> None:
    found = db.search(3, sector=1, processing="raw")
    found.export(tmp_path)
    assert set(found.export(tmp_path, **other)["status"]) == {"written"}


def test_a_file_of_another_database_is_written_again(
    db: lcdb.Database, writable: lcdb.Database, tmp_path: Path
) -> None:
    db.search(1, sector=1).export(tmp_path)
    assert set(writable.search(1, sector=1).export(tmp_path)["status"]) == {"written"}


def test_a_new_source_makes_the_file_new(writable: lcdb.Database, tmp_path: Path) -> None:
    found = writable.search(1, sector=1, processing="raw")[:2]
    found.export(tmp_path)
    first, second = writable.session.scalars(
        sa.select(DataSet).where(DataSet.id.in_(found.datasets)).order_by(DataSet.id)
    )
    second.source_datasets.append(first)
    writable.session.commit()
    report: Any = found.export(tmp_path).set_index("dataset")
    assert report.loc[[first.id, second.id], "status"].tolist() == ["kept", "written"]
    lc = lcdb.read_lightcurve(report.loc[second.id, "file"])
    assert first.photometry_source is not None
    assert lc.meta["LINEAGE"].startswith(f"{first.photometry_source.name} raw #{first.id} -> ")


def test_a_line_that_was_cut_off_costs_its_file_only(db: lcdb.Database, tmp_path: Path) -> None:
    found = db.search(3)
    found.export(tmp_path)
    manifest = tmp_path / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-20])
    again = found.export(tmp_path)
    assert list(again["status"]).count("written") == 1
    assert set(found.export(tmp_path)["status"]) == {"kept"}
    lines = manifest.read_text().splitlines()
    assert json.loads(lines[-1])["file"] == Path(again["file"].iloc[-1]).name


EXPORTING = """
import os, pathlib, signal, sys
import lcdb_notebook as lcdb
replace, replaced = pathlib.Path.replace, []
def die(self, target):
    replaced.append(target)
    if len(replaced) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = die
with lcdb.connect(sys.argv[1]) as db:
    db.search([3, 4, 5, 6]).export(sys.argv[2], format=sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.own_tables
@pytest.mark.parametrize("kind", ["fits", "ecsv", "csv"])
def test_a_killed_export_leaves_whole_files_only_and_the_next_call_completes_it(
    url: str, db: lcdb.Database, tmp_path: Path, kind: Any
) -> None:
    found = db.search([3, 4, 5, 6])
    folder = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", EXPORTING, url, str(folder), kind], check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    there = visible(folder)
    assert len(there) == 7
    assert list(folder.glob(".lcdb-*"))
    for name in there:
        if kind == "fits":
            with fits.open(folder / name, checksum=True) as hdus:
                hdus.verify("exception")
        assert np.isfinite(lcdb.read_lightcurve(folder / name).time.value).all()
    report = found.export(folder, format=kind)
    kept = [Path(f).name for f in report.loc[report["status"] == "kept", "file"]]
    # The file whose line in the list was not written any more is the one that may be new.
    assert set(kept) <= there
    assert len(kept) >= len(there) - 1
    assert visible(folder) == {Path(file).name for file in report["file"]}
    assert not list(folder.glob(".lcdb-*"))


def test_an_interrupted_export_leaves_no_part_behind(
    db: lcdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, done = Path.replace, []

    def stopped(self: Path, target: Any) -> Any:
        done.append(target)
        if len(done) == 3:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        db.search(3).export(tmp_path)
    monkeypatch.undo()
    assert len(visible(tmp_path)) == 2
    assert not list(tmp_path.glob(".lcdb-*"))
    assert list(db.search(3).export(tmp_path)["status"])[:3] == ["kept", "kept", "written"]


def test_the_parts_of_running_processes_and_other_machines_are_left_alone(
    db: lcdb.Database, tmp_path: Path
) -> None:
    from lcdb_notebook.read.export import atomic_write

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine, stale, others = (
        tmp_path / f".lcdb-{host}-{process}-0.part"
        for host, process in (
            (atomic_write._HOST, os.getppid()),
            (atomic_write._HOST, ended.pid),
            ("elsewhere", ended.pid),
        )
    )
    for part in (mine, stale, others):
        part.touch()
    db.search(3)[:1].export(tmp_path)
    assert (mine.exists(), stale.exists(), others.exists()) == (True, False, True)


@pytest.fixture
def spoilt(writable: lcdb.Database) -> tuple[lcdb.Database, Any]:
    """A database in which one light curve has too few values."""
    spoilt = writable.search(1).datasets[2]
    writable.session.execute(
        sa.text("UPDATE dataset SET values = values[1:5] WHERE id = :id"), {"id": spoilt}
    )
    writable.session.commit()
    return writable, spoilt


def test_an_error_ends_the_export_and_names_the_light_curve(
    spoilt: tuple[lcdb.Database, int], tmp_path: Path
) -> None:
    db, dataset = spoilt
    with pytest.raises(DataError, match=f"DataSet {dataset} .* array lengths differ"):
        db.search(1).export(tmp_path)
    assert len(visible(tmp_path)) == 2


def test_light_curves_that_cannot_be_read_are_skipped_with_their_reason(
    spoilt: tuple[lcdb.Database, int], tmp_path: Path
) -> None:
    db, dataset = spoilt
    with pytest.warns(UserWarning, match=rf"1 of {len(db.search(1))} light curves were skipped"):
        report: Any = db.search(1).export(tmp_path, on_error="skip").set_index("dataset")
    assert report.loc[dataset, "status"] == "skipped"
    assert "array lengths differ" in report.loc[dataset, "reason"]
    assert not Path(report.loc[dataset, "file"]).exists()
    assert set(report.drop(dataset)["status"]) == {"written"}


def test_every_cadence_is_in_the_file_unless_it_is_to_be_dropped(
    db: lcdb.Database, tmp_path: Path
) -> None:
    (record,) = db.search(3, sector=1, processing="raw")[:1].read()
    bad = lcdb.flags.mask(record.quality["tess_quality_flag"], "default", "tess_quality_flag")
    timed = np.isfinite(record.time)
    found = db.search(3, sector=1, processing="raw")[:1]
    rows = {}
    flagged: Any
    for flagged in ("keep", "mask", "drop"):
        (file,) = found.export(tmp_path / flagged, flagged=flagged)["file"]
        rows[flagged] = fits.getdata(file, 1)
    assert np.array_equal(rows["keep"]["CADENCENO"], record.cadence)
    assert np.array_equal(rows["keep"]["FLUX"], record.flux, equal_nan=True)
    assert np.array_equal(rows["keep"]["TIME"], record.time, equal_nan=True)
    assert np.array_equal(rows["mask"]["CADENCENO"], record.cadence)
    assert np.isnan(rows["mask"]["FLUX"][bad]).all()
    assert np.array_equal(rows["drop"]["CADENCENO"], record.cadence[timed & ~bad])
    assert bad.any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"format": "xls"},
            ExportError,
            "format must be 'fits'.* or 'parquet', got 'xls'",
        ),
        ({"flagged": "no"}, ArgumentError, "flagged must be"),
        ({"on_error": "ignore"}, ArgumentError, "on_error must be"),
        ({"quality_bitmask": "soft"}, ConfigurationError, "named 'soft'"),
        ({"format": "parquet", "flagged": "drop"}, ExportError, "writes every cadence"),
    ],
)
def test_invalid_arguments_are_refused(
    db: lcdb.Database,
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        db.search(3).export(tmp_path, **options)
    assert not visible(tmp_path)


def test_an_empty_export_is_reported(db: lcdb.Database, tmp_path: Path) -> None:
    with pytest.raises(LightCurveNotFoundError):
        db.search(3, sector=1)[100:].export(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_a_file_is_refused(db: lcdb.Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write to folder"):
        db.search(3).export(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_named(db: lcdb.Database, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ExportError, match="cannot be written"):
        db.search(3).export(tmp_path)


def test_few_light_curves_are_held_at_a_time_of_any_number(
    db: lcdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lcdb_notebook.read.export import folder

    monkeypatch.setattr(folder, "_CHUNK_BYTES", 2**18)
    record_table, arrays, held = folder.record_table, [], []

    def counted(data: Any, *arguments: Any) -> Any:
        arrays.append(weakref.ref(data.flux))
        if len(arrays) % 6 == 0:
            # Light curves refer to themselves, and go whenever Python looks for that.
            gc.collect()
            held.append(sum(array() is not None for array in arrays))
        return record_table(data, *arguments)

    monkeypatch.setattr(folder, "record_table", counted)
    db.search([3, 4, 5]).export(tmp_path)
    assert len(arrays) == 36
    assert max(held) <= 18


def test_the_bar_counts_light_curves(
    db: lcdb.Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = db.search(3)
    found.export(tmp_path, progress=True)
    assert f"{len(found)}/{len(found)}" in capsys.readouterr().err
    found.export(tmp_path, progress=False)
    assert not capsys.readouterr().err
