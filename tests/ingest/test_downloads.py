"""Search results and addresses, with lightkurve and astroquery as clients of a local server."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import pytest
from astroquery.mast import Observations  # type: ignore[import-untyped]

import lcdb_notebook as lcdb
from lcdb_notebook.cli import main
from lcdb_notebook.errors import IngestError

from .archive import Archive

PI_MEN = "tess2018206045859-s0001-0000000261136679-0120-s_lc.fits"
TOI_2013 = "tess2020106103520-s0024-0000000188589164-0180-s_lc.fits"


@pytest.fixture(scope="module", autouse=True)
def put(served: Archive, data_folder: Path) -> None:
    for name, target, sector in ((PI_MEN, "261136679", 1), (TOI_2013, "188589164", 24)):
        content = gzip.decompress((data_folder / "spoc" / f"{name}.gz").read_bytes())
        served.put(name, content, target_name=target, sequence_number=sector)


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str]) -> Iterator[Any]:
    with lcdb.connect(new_tables(), write=True) as db:
        yield db


def search(target: str = "TIC 261136679", **criteria: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.search_lightcurve(target, **criteria)


def test_ingest_of_a_search_result_downloads_each_file_once(db: Any, archive: Archive) -> None:
    result = search(author="SPOC", sector=1)
    assert len(result) == 1
    report = db.ingest(result, progress=False)
    assert (report.added, report.skipped) == (1, 0)
    assert archive.downloads == {PI_MEN: 1}
    assert db.ingest(result, progress=False).unchanged == 1
    # lightkurve finds the file in its cache, and we find what it downloads.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = result.download()
    assert archive.downloads == {PI_MEN: 1}
    ours = db.lightcurve(261136679, sector=1, processing="PDCSAP")
    assert (ours.time.value == theirs.time.value).all()


def test_ingest_accepts_addresses_search_results_and_files_together(
    db: Any, archive: Archive, data_folder: Path
) -> None:
    kepler = data_folder / "kepler" / "kplr011446443-2009131105131_llc.fits.gz"
    web = f"{archive.address}/api/v0.1/Download/file?uri=mast:TESS/product/{TOI_2013}"
    given = [search(sector=1), web, f"mast:TESS/product/{PI_MEN}", kepler]
    report = db.ingest(given, progress=False)
    assert report.skipped == 0
    assert archive.downloads == {PI_MEN: 2, TOI_2013: 1}
    assert db.ingest([web, kepler], progress=False).unchanged == 2
    assert archive.downloads == {PI_MEN: 2, TOI_2013: 1}
    assert len(db.search(188589164)) == 2


@pytest.mark.parametrize("how", ["half", "broken", "refused", "slow"])
@pytest.mark.parametrize("kind", ["mast", "web"])
def test_ingest_downloads_a_damaged_file_once_more(
    db: Any, archive: Archive, how: str, kind: str
) -> None:
    archive.spoilt[PI_MEN] = [how]
    address = f"mast:TESS/product/{PI_MEN}"
    if kind == "web":
        address = f"{archive.address}/files/{PI_MEN}"
    report = db.ingest(address, progress=False)
    assert report.skipped == 0
    assert archive.downloads == {PI_MEN: 1 if how == "slow" else 2}


def test_ingest_reports_a_file_that_cannot_be_downloaded(db: Any, archive: Archive) -> None:
    archive.spoilt[PI_MEN] = ["refused", "half"]
    address = f"mast:TESS/product/{PI_MEN}"
    (outcome,) = db.ingest(address, progress=False).files
    assert (outcome.label, outcome.status) == (address, "skipped")
    assert outcome.reason.startswith("cannot be downloaded (")
    with pytest.raises(IngestError, match=r"absent.fits: cannot be downloaded \(.*404"):
        db.ingest("mast:TESS/product/absent.fits", on_error="raise", progress=False)


def test_ingest_replaces_a_damaged_file_in_the_cache(
    db: Any, archive: Archive, tmp_path: Path
) -> None:
    result = search(sector=1)
    db.ingest(result, progress=False)
    (cached,) = (tmp_path / "cache").rglob("*_lc.fits")
    cached.write_bytes(archive.files[PI_MEN][:100_000])
    assert db.ingest(result, progress=False).skipped == 0
    assert archive.downloads == {PI_MEN: 2}
    assert cached.read_bytes() == archive.files[PI_MEN]


def test_ingest_of_a_collection_adds_its_light_curves(db: Any, data_folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lc = lightkurve.read(data_folder / "kepler" / "ktwo211117077-c04_llc.fits.gz")
    collection = lightkurve.LightCurveCollection([lc, lc.fold(1.0)])
    report = db.ingest(collection, progress=False)
    assert (report.added, report.skipped) == (1, 1)
    assert "folded" in report.files[1].reason
    assert len(db.search("EPIC 211117077")) == 1


def test_fetch_searches_downloads_and_ingests(
    archive: Archive,
    empty_dsn: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ["fetch", "TIC 261136679", "--sector", "1", "--author", "SPOC", "--url", empty_dsn]
    assert main(given) == 0
    assert "1 file: 1 added (2 light curves)" in capsys.readouterr().out
    assert main(given) == 0
    assert archive.downloads == {PI_MEN: 1}
    portal = Observations._portal_api_connection
    monkeypatch.setattr(portal, "MAST_REQUEST_URL", f"{archive.address}/absent")
    # lightkurve remembers the results of searches.
    assert main([*given, "--limit", "7"]) == 2
    assert "lcdb-notebook: the search at MAST failed: " in capsys.readouterr().err


def test_fetch_finds_a_star_by_its_name(
    archive: Archive, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.stars = {"pi men": (84.29, -80.47)}
    given = ["fetch", "pi Men", "--sector", "1", "--author", "SPOC", "--url", empty_dsn]
    for number, how in enumerate(("half", "broken", "refused")):
        archive.spoilt["pi Men"] = [how]
        # lightkurve remembers the results of searches.
        assert main([*given, "--limit", str(5 + number)]) == 2
        assert "lcdb-notebook: the search at MAST failed: " in capsys.readouterr().err
    archive.spoilt["pi Men"] = ["slow"]
    assert main(given) == 0
    assert "1 file: 1 added (2 light curves)" in capsys.readouterr().out


def test_demo_with_a_real_star_falls_back_to_synthetic_ones_without_a_network(
    archive: Archive,
    blank_dsn: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["demo", "--real", "--targets", "1", "--url", blank_dsn]
    given += ["--plot", str(tmp_path / "star.png")]
    archive.spoilt[PI_MEN] = ["refused", "refused"]
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert "No real star, but synthetic ones are loaded: mast:TESS/product/" in shown
    assert "db.search(1, sector=1)" in shown
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert "Loaded pi Mensae: 2 new light curves." in shown
    assert "db.search(261136679, sector=1)" in shown
    assert (tmp_path / "star.png").read_bytes().startswith(b"\x89PNG")
