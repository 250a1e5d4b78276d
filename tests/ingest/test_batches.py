from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits
from sqlalchemy import orm

from lcdb_notebook.errors import ConfigurationError, IngestError
from lcdb_notebook.ingest import batches
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    KeplerObservation,
    Observation,
    Target,
    TargetSpecificTime,
)
from lcdb_notebook.models.tables.contents import HEADERS

SECTOR_24 = "hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz"


@pytest.fixture
def own_engine(empty_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(empty_dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def qlp(data_folder: Path) -> Path:
    return data_folder / "qlp" / SECTOR_24


@pytest.fixture
def star_files(qlp: Path, tmp_path: Path) -> list[Path]:
    """Six QLP files of one observation, each with some of its cadences."""
    files = []
    with fits.open(qlp) as original:
        for star in range(6):
            path = tmp_path / f"star{star}.fits"
            hdus = fits.HDUList([hdu.copy() for hdu in original])
            hdus[0].header["TICID"] = 1000 + star
            table = hdus[1].data
            hdus[1].data = table[np.arange(star, len(table), 3)]
            hdus.writeto(path)
            files.append(path)
    return files


def count(engine: sa.Engine, model: type) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(model)) or 0


@pytest.fixture
def months(data_folder: Path, tmp_path: Path) -> list[Path]:
    """A Kepler file in short cadence, split into three as the archive splits a quarter."""
    files = []
    with fits.open(data_folder / "kepler/kplr011446443-2009131105131_llc.fits.gz") as original:
        rows = len(original[1].data)
        for month in range(3):
            hdus = fits.HDUList([hdu.copy() for hdu in original])
            hdus[1].data = hdus[1].data[month * rows // 3 : (month + 1) * rows // 3]
            hdus[1].header["TIMEDEL"] = 58.85 / 86400
            hdus[1].header.update(TSTART=120.5 + month, TSTOP=121.25 + month, EXPOSURE=0.5)
            hdus[1].header["DATE-OBS"] = f"2009-05-0{month + 1}"
            hdus[1].header["DATE-END"] = f"2009-05-0{month + 2}"
            path = tmp_path / f"kplr011446443-month{month}_slc.fits"
            hdus.writeto(path, checksum=True)
            files.append(path)
    return files


@pytest.mark.parametrize("at_once", [True, False])
def test_ingest_joins_the_monthly_files_of_a_kepler_quarter(
    own_engine: sa.Engine, data_folder: Path, months: list[Path], at_once: bool
) -> None:
    backwards = months[::-1]
    calls = [backwards] if at_once else [[path] for path in backwards]
    reports = [ingest(own_engine, paths, progress=False) for paths in calls]
    assert sum(report.added for report in reports) == 3
    whole = read_product(data_folder / "kepler/kplr011446443-2009131105131_llc.fits.gz")
    with orm.Session(own_engine) as session:
        (observation,) = session.scalars(sa.select(KeplerObservation)).all()
        assert (observation.quarter, observation.exptime) == (0, 60)
        assert np.array_equal(observation.cadence_reference, whole.cadence)
        (times,) = observation.target_specific_times
        assert np.array_equal(times.barycentric_julian_dates, whole.time, equal_nan=True)
        (flags,) = observation.quality_flag_arrays
        assert np.array_equal(flags.quality_flags, whole.quality["kepler_quality_flag"])
        raw, pdcsap = session.scalars(sa.select(DataSet).order_by(DataSet.id)).all()
        assert pdcsap.source_datasets == [raw]
        for dataset, curve in zip((raw, pdcsap), whole.curves, strict=True):
            assert curve.flux_err is not None
            assert dataset.errors is not None
            assert np.array_equal(dataset.values, curve.flux, equal_nan=True)
            assert np.array_equal(dataset.errors, curve.flux_err, equal_nan=True)
    assert ingest(own_engine, months, progress=False).unchanged == 3
    with own_engine.connect() as connection:
        (cards,) = connection.scalars(sa.text(f"SELECT cards FROM {HEADERS}"))
    numbers = {"TSTART": 120.5, "TSTOP": 123.25, "TELAPSE": 2.75, "EXPOSURE": 1.5}
    of_quarter = {**numbers, "DATE-OBS": "2009-05-01", "DATE-END": "2009-05-04", "QUARTER": 0}
    assert {key: cards[key][0] for key in of_quarter} == of_quarter


def test_real_files_of_every_pipeline_are_stored_and_a_foreign_one_is_not(
    own_engine: sa.Engine, data_folder: Path
) -> None:
    report = ingest(own_engine, data_folder, progress=False)
    assert (report.added, report.unchanged, report.skipped) == (23, 0, 1)
    (bad,) = [outcome for outcome in report.files if outcome.status == "skipped"]
    assert "hlsp_twirlfs" in bad.label
    assert "unknown pipeline" in bad.reason
    assert report.light_curves == count(own_engine, DataSet) == 77
    again = ingest(own_engine, data_folder, progress=False)
    assert (again.added, again.unchanged, again.skipped) == (0, 23, 1)
    assert count(own_engine, DataSet) == 77
    assert [o.datasets for o in again.files] == [o.datasets for o in report.files]


def test_a_real_file_is_read_bit_for_bit(own_engine: sa.Engine, qlp: Path) -> None:
    (outcome,) = ingest(own_engine, qlp).files
    product = read_product(qlp)
    with orm.Session(own_engine) as session:
        for id_, curve in zip(outcome.datasets, product.curves, strict=True):
            dataset = session.get_one(DataSet, id_)
            assert dataset.values.tobytes() == curve.flux.tobytes()
            assert (dataset.errors is None) == (curve.flux_err is None)
            assert np.array_equal(dataset.observation.cadence_reference, product.cadence)


def test_pipelines_of_one_sector_are_different_observations(
    own_engine: sa.Engine, data_folder: Path
) -> None:
    files = list(data_folder.glob("*/*188589164*"))
    assert len(files) == 3
    assert ingest(own_engine, files).added == 3
    assert count(own_engine, Observation) == 3
    assert count(own_engine, Target) == 1


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_files_of_one_observation_share_its_cadences_across_batches(
    own_engine: sa.Engine, star_files: list[Path], monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(batches, "BATCH_FILES", batch)
    report = ingest(own_engine, star_files)
    assert (report.added, report.light_curves) == (6, 24)
    everything = np.unique(np.concatenate([read_product(path).cadence for path in star_files]))
    with orm.Session(own_engine) as session:
        observation = session.scalars(sa.select(Observation)).one()
        assert np.array_equal(observation.cadence_reference, everything)
        for path, outcome in zip(star_files, report.files, strict=True):
            product = read_product(path)
            values = session.get_one(DataSet, outcome.datasets[0]).values
            own = np.isin(everything, product.cadence)
            assert np.array_equal(values[own], product.curves[0].flux, equal_nan=True)
            assert np.isnan(values[~own]).all()


def test_a_batch_ends_where_its_bytes_do(
    own_engine: sa.Engine,
    star_files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    statements: list[str],
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)
    ingest(own_engine, star_files)
    assert sum("pg_advisory_xact_lock" in statement for statement in statements) == 6


def bad_files(folder: Path, qlp: Path) -> dict[str, str]:
    """Write files that cannot be ingested; return the reason for each."""
    (folder / "b_empty.fits").write_bytes(b"")
    (folder / "c_text.fits").write_text("not a light curve")
    shutil.copy(qlp, folder / "d_short.fits.gz")
    os.truncate(folder / "d_short.fits.gz", 20_000)
    return {
        "b_empty": "not a FITS file",
        "c_text": "not a FITS file",
        "d_short": "truncated gzip file",
    }


def test_bad_files_are_skipped_by_name_and_the_others_are_stored(
    own_engine: sa.Engine, qlp: Path, tmp_path: Path
) -> None:
    reasons = bad_files(tmp_path, qlp)
    shutil.copy(qlp, tmp_path / "a_good.fits.gz")
    report = ingest(own_engine, [tmp_path, tmp_path / "nothing.fits"])
    assert (report.added, report.skipped) == (1, 4)
    for name, reason in reasons.items():
        (outcome,) = [o for o in report.files if name in o.label]
        assert (outcome.status, outcome.light_curves) == ("skipped", 0)
        assert reason in outcome.reason
    assert count(own_engine, DataSet) == 4


def test_on_error_raise_stops_at_the_first_bad_file(
    own_engine: sa.Engine, qlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_FILES", 1)
    bad_files(tmp_path, qlp)
    shutil.copy(qlp, tmp_path / "a_good.fits.gz")
    shutil.copy(qlp, tmp_path / "z_never_reached.fits.gz")
    with pytest.raises(IngestError, match="b_empty"):
        ingest(own_engine, tmp_path, on_error="raise")
    assert count(own_engine, DataSet) == 4


def test_on_error_raise_includes_a_light_curve_that_contradicts_stored_data(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    ingest(own_engine, star_files[0])
    with fits.open(star_files[1], mode="update") as hdus:
        hdus[0].header["TICID"] = 1000
    with pytest.raises(IngestError, match=r"star1\.fits: QLP SAP, raw of TIC 1000 differs"):
        ingest(own_engine, star_files[1:3], on_error="raise")
    assert count(own_engine, Target) == 1
    report = ingest(own_engine, star_files[1:3])
    assert [outcome.status for outcome in report.files] == ["skipped", "added"]


@pytest.mark.parametrize("on_error", ["Skip", None, True])
def test_another_on_error_is_refused(own_engine: sa.Engine, on_error: str) -> None:
    with pytest.raises(ConfigurationError, match="'skip' or 'raise'"):
        ingest(own_engine, "x.fits", on_error=on_error)  # type: ignore[arg-type]


def test_a_file_that_the_database_refuses_does_not_keep_the_others_out(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    with own_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE target ADD CHECK (name <> 1002)")
    report = ingest(own_engine, star_files)
    assert [o.status for o in report.files] == ["added"] * 2 + ["skipped"] + ["added"] * 3
    assert "violates check constraint" in report.files[2].reason
    assert count(own_engine, Target) == 5


def test_a_database_that_cannot_be_written_is_not_reported_as_bad_files(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    with own_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE quality_flag_array RENAME TO elsewhere")
    with pytest.raises(sa.exc.ProgrammingError):
        ingest(own_engine, star_files)
    assert count(own_engine, Target) == 0


def test_a_read_only_database_is_not_reported_as_bad_files(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    engine = own_engine.execution_options(postgresql_readonly=True)
    with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
        ingest(engine, star_files)


def test_a_session_keeps_its_own_uncommitted_work(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    with orm.Session(own_engine) as session:
        session.add(Instrument(name="Mine"))
        session.flush()
        assert ingest(session, star_files).added == 6
        session.rollback()
        assert session.scalars(sa.select(Instrument).filter_by(name="Mine")).all() == []
        assert session.scalar(sa.select(sa.func.count(DataSet.id))) == 24


def test_a_session_on_a_connection_decides_by_itself(
    session: orm.Session, engine: sa.Engine, star_files: list[Path]
) -> None:
    assert ingest(session, star_files).added == 6
    assert session.scalar(sa.select(sa.func.count(DataSet.id))) == 24
    assert count(engine, DataSet) == 0


@contextmanager
def once_one_waits(engine: sa.Engine, kind: str, act: Callable[[], object]) -> Iterator[None]:
    """Call a function in another thread once a connection waits for a lock of this kind."""
    waiting = sa.text(
        "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted "
        "AND locktype = :kind AND datname = current_database()"
    )

    def watch() -> None:
        with engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            deadline = time.monotonic() + 60
            while connection.scalar(waiting, {"kind": kind}) is None:
                if ended.is_set():
                    return
                if time.monotonic() > deadline:
                    break
        act()

    ended = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def test_an_interrupt_ends_an_ingest_that_waits_for_another_writer(
    own_engine: sa.Engine, star_files: list[Path]
) -> None:
    other = own_engine.connect()
    other.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.store'))")
    with (
        once_one_waits(own_engine, "advisory", lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        ingest(own_engine, star_files)
    other.close()
    assert count(own_engine, Target) == 0
    assert ingest(own_engine, star_files).added == 6


@pytest.mark.parametrize("how", ["ingest", "add"])
def test_times_stored_by_another_program_during_ingest_are_found_in_a_second_attempt(
    own_engine: sa.Engine, qlp: Path, how: str
) -> None:
    ingest(own_engine, qlp)
    with own_engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT * FROM target_specific_time")).mappings().all()
        connection.exec_driver_sql("DELETE FROM target_specific_time; DELETE FROM dataset")
    other = own_engine.connect()
    # Not committed: other transactions do not see it, but the unique key waits for it.
    other.execute(sa.insert(TargetSpecificTime), [dict(row) for row in rows])
    with once_one_waits(own_engine, "transactionid", other.commit):
        if how == "ingest":
            report = ingest(own_engine, qlp, on_error="raise")
        else:
            report = add(own_engine, lightkurve.read(qlp))
    other.close()
    assert report.added == 1
    assert count(own_engine, TargetSpecificTime) == 1


def test_statistics_are_brought_up_to_date_after_a_big_ingest(
    own_engine: sa.Engine, star_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzed = sa.text("SELECT reltuples FROM pg_class WHERE relname = 'dataset'")

    def rows() -> float:
        with own_engine.connect() as connection:
            return float(connection.scalar(analyzed) or 0)

    ingest(own_engine, star_files[:1])
    assert rows() == -1
    monkeypatch.setattr(batches, "ANALYZE_FROM", 20)
    ingest(own_engine, star_files[1:])
    assert rows() == 24


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_a_progress_bar_is_shown_on_request_or_during_long_work(
    own_engine: sa.Engine,
    star_files: list[Path],
    capsys: pytest.CaptureFixture[str],
    progress: bool | None,
    shown: bool,
) -> None:
    ingest(own_engine, star_files, progress=progress)
    assert ("6/6" in capsys.readouterr().err) == shown


REPORT = Report(
    (
        Outcome("a.fits", "added", 34, tuple(range(34))),
        Outcome("b.fits", "unchanged", 0, (7,)),
        Outcome("c.fits", "skipped", error=IngestError("c.fits: not <a> FITS file")),
    )
)


def test_a_report_has_the_number_of_files_and_the_reasons_for_failures() -> None:
    assert repr(REPORT) == (
        "3 files: 1 added (34 light curves), 1 unchanged, 1 skipped:\n  c.fits: not <a> FITS file"
    )


def test_a_report_without_trouble_is_one_line() -> None:
    report = Report(REPORT.files[:1])
    assert repr(report) == "1 file: 1 added (34 light curves), 0 unchanged, 0 skipped"


def test_a_long_list_of_reasons_is_cut() -> None:
    report = Report([REPORT.files[2]] * 25)
    assert repr(report).endswith("  and 5 more; .to_pandas() has all")
    assert report._repr_html_().count("<tr>") == 21


def test_a_report_in_a_notebook_escapes_what_it_shows() -> None:
    assert "<td>c.fits</td><td>not &lt;a&gt; FITS file</td>" in REPORT._repr_html_()


def test_a_report_becomes_a_table() -> None:
    table = REPORT.to_pandas()
    assert table["path"].tolist() == ["a.fits", "b.fits", "c.fits"]
    assert table["status"].tolist() == ["added", "unchanged", "skipped"]
    assert table["light_curves"].tolist() == [34, 0, 0]
    assert table["reason"].tolist() == ["", "", "not <a> FITS file"]
