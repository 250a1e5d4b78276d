"""Reprocessed files replace those that were stored before."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook.cli import main
from lcdb_notebook.errors import ArgumentError, ConnectionFailedError, IngestError, LCDBError
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.product import Release
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.models import DataSet, Observation, QualityFlagArray, TargetSpecificTime
from lcdb_notebook.models.tables import schema

FILE = "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz"
QLP = "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz"
KEPLER = "kepler/kplr011446443-2009131105131_llc.fits.gz"


@pytest.fixture
def db(empty_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(empty_dsn, write=True) as db:
        yield db


@pytest.fixture
def release(data_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write the file of one star as another data release has it."""

    def release(number: int | None, date: str = "2020-06-11", target: int = 188589164) -> Path:
        path = tmp_path / f"release-{number}-{date}-{target}.fits"
        with fits.open(data_folder / FILE) as hdus:
            primary, table = hdus[0].header, hdus[1]
            primary["TICID"] = target
            for key, found in (("DATA_REL", number), ("DATE", date)):
                primary.pop(key, None)
                if found is not None:
                    primary[key] = found
            for hdu in hdus:
                for key in ("CHECKSUM", "DATASUM"):
                    hdu.header.pop(key, None)
            scale = number or 1
            for column in ("SAP_FLUX", "PDCSAP_FLUX"):
                table.data[column] *= 1 + 0.01 * scale
            table.data["TIME"] += 1e-6 * scale
            table.data["QUALITY"][5] = scale
            # A release may know fewer cadences than another.
            table.data = table.data[scale % 3 :]
            hdus.writeto(path, overwrite=True)
        return path

    return release


def content(db: lcdb.Database) -> dict[tuple[Any, ...], list[str]]:
    """Read all light curves with their times and flags, by names."""
    db.session.expire_all()
    found: dict[tuple[Any, ...], list[str]] = {}
    for dataset in db.session.scalars(sa.select(DataSet)):
        observation = dataset.observation
        pair = {"target_id": dataset.target_id, "observation_id": dataset.observation_id}
        times = db.session.scalars(sa.select(TargetSpecificTime).filter_by(**pair)).one()
        of_pair = sa.select(QualityFlagArray).filter_by(**pair)
        flags = db.session.scalars(of_pair.order_by(QualityFlagArray.type)).all()
        known = np.isfinite(times.barycentric_julian_dates)
        assert dataset.photometry_source is not None
        name = (dataset.target.name, dataset.photometry_source.name)
        found[*name, getattr(dataset.processing_method, "name", None)] = [
            str(observation.cadence_reference[known].tolist()),
            str(times.barycentric_julian_dates[known].tolist()),
            str(dataset.values[known].tolist()),
            *(f"{f.type} {f.quality_flags[known].tolist()}" for f in flags),
        ]
    db.session.rollback()
    return found


def tables(db: lcdb.Database, but: str = "") -> dict[str, list[str]]:
    """Read all rows of all tables without ids and dates of creation, except rows of an author."""
    found = {}
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    for name in db.session.scalars(sa.text(names)).all():
        row = "to_jsonb(one) - 'id' - 'created_on'"
        columns = db.session.scalars(
            sa.text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass)"),
            {"name": name},
        ).all()
        for column in columns:
            row += f" - '{column}'" if column.endswith("_id") else ""
        others = ""
        if but and "observation_id" in columns:
            others = f" WHERE observation_id NOT IN (SELECT id FROM observation WHERE {but})"
        elif but and name == "observation":
            others = f" WHERE NOT {but}"
        rows = db.session.scalars(sa.text(f"SELECT ({row})::text FROM {name} AS one{others}"))
        found[name] = sorted(rows)
    db.session.rollback()
    return found


def ids(db: lcdb.Database) -> list[int]:
    found = sorted(db.session.scalars(sa.select(DataSet.id)))
    db.session.rollback()
    return found


def reason(db: lcdb.Database, path: Path, **options: Any) -> str:
    (outcome,) = db.ingest(path, progress=False, **options).files
    assert outcome.status == "skipped"
    return outcome.reason


def test_ingest_names_the_newer_release_and_the_argument_to_pass(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    old, new = release(35), release(60, "2021-10-19")
    db.ingest(old, progress=False)
    before = content(db)
    assert reason(db, new).endswith(
        "This file is newer (data release 60, 2021-10-19, spoc-4.0.36-20200520; the other is data "
        "release 35, 2020-06-11, spoc-4.0.36-20200520); "
        'pass replace="newer" to replace it'
    )
    db.ingest(new, replace=True, progress=False)
    assert "This file is older (data release 35, " in reason(db, old)
    assert reason(db, old).endswith("pass replace=True to replace the newer one")
    db.ingest(old, replace=True, progress=False)
    assert content(db) == before


@pytest.mark.parametrize("calls", ["one", "each"])
def test_ingest_of_two_releases_in_both_orders_ends_in_the_same_database(
    new_tables: Callable[[], str], release: Callable[..., Path], calls: str
) -> None:
    old, new = release(35), release(60, "2021-10-19")
    found = []
    for order, statuses in (
        ([old, new], ["added", "replaced"]),
        ([new, old], ["added", "unchanged"]),
    ):
        with lcdb.connect(new_tables(), write=True) as db:
            batches: list[Any] = [order] if calls == "one" else list(order)
            reports = [db.ingest(paths, replace="newer", progress=False) for paths in batches]
            assert [o.status for report in reports for o in report.files] == statuses
            assert "1 replaced" in repr(reports[-1]) or "unchanged" in repr(reports[-1])
            found.append(content(db))
            assert len(ids(db)) == 2
    assert found[0] == found[1]
    with lcdb.connect(new_tables(), write=True) as db:
        db.ingest(new, progress=False)
        assert content(db) == found[0]


def test_ingest_keeps_the_datasets_of_what_it_replaces(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    (before,) = db.ingest(release(35), progress=False).files
    (after,) = db.ingest(release(60), replace="newer", progress=False).files
    assert (after.status, after.datasets, after.light_curves) == ("replaced", before.datasets, 0)
    raw, pdcsap = after.datasets
    assert [s.id for s in db.session.get_one(DataSet, pdcsap).source_datasets] == [raw]
    product = read_product(release(60))
    lc = db.lightcurve(188589164, processing="PDCSAP", quality_bitmask="none")
    kept = np.isfinite(product.time)
    assert np.array_equal(lc.time.value, product.time[kept])
    assert np.array_equal(lc.flux.value, product.curves[1].flux[kept], equal_nan=True)
    assert np.array_equal(lc["quality"], product.quality["tess_quality_flag"][kept])


def test_ingest_replaces_nothing_of_other_pipelines_and_targets(
    db: lcdb.Database, release: Callable[..., Path], data_folder: Path
) -> None:
    others = [data_folder / QLP, release(35, target=7)]
    db.ingest([*others, release(35)], progress=False)
    before = content(db)
    assert db.ingest(release(60), replace=True, progress=False).replaced == 1
    after = content(db)
    changed = {name for name in before if before[name] != after[name]}
    assert {name[:2] for name in changed} == {(188589164, "TESS-SPOC SAP")}
    assert len(changed) == 2
    assert before.keys() == after.keys()


def test_ingest_refuses_to_replace_the_source_of_others_without_an_argument(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    db.ingest(release(35), progress=False)
    lc = db.lightcurve(188589164, processing="PDCSAP")
    (added,) = db.add(lc.flatten(), derived_from=lc, processing="flat").files
    (flat,) = added.datasets
    before = content(db)
    message = reason(db, release(60), replace="newer")
    assert f"DataSets {flat} were derived from the stored light curve or share its times" in message
    assert message.endswith("pass replace=True to replace it and keep them")
    assert content(db) == before
    assert db.ingest(release(60), replace=True, progress=False).replaced == 1
    sources = db.session.get_one(DataSet, flat).source_datasets
    assert [source.id for source in sources] == [lc.meta["DATASET"]]


@pytest.mark.parametrize(
    ("dates", "status"),
    [(("2020-06-11", "2021-01-01"), "replaced"), (("2021-01-01", "2020-06-11"), "unchanged")],
)
def test_ingest_compares_dates_of_files_without_a_data_release(
    db: lcdb.Database, release: Callable[..., Path], dates: tuple[str, str], status: str
) -> None:
    first, second = (release(None, date) for date in dates)
    with fits.open(second, "update") as hdus:
        hdus[1].data["SAP_FLUX"] *= 1.5
    db.ingest(first, progress=False)
    (outcome,) = db.ingest(second, replace="newer", progress=False).files
    assert outcome.status == status


def test_ingest_replaces_a_file_of_unknown_release_only_with_an_argument(
    blank_dsn: str, release: Callable[..., Path]
) -> None:
    # Tables that another program made: nothing is added to them.
    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    ingest(engine, release(35), progress=False)
    for replace in (False, "newer"):
        (outcome,) = ingest(engine, release(60), replace=replace, progress=False).files
        assert "It is unknown which is newer (data release 60, 2020-06-11" in outcome.reason
        assert outcome.reason.endswith("; the other is unknown); pass replace=True to replace it")
    assert ingest(engine, release(60), replace=True, progress=False).replaced == 1
    assert not sa.inspect(engine).has_table("lcdb_notebook_release")
    engine.dispose()


def test_ingest_of_a_role_that_cannot_create_tables_stores_no_release(
    empty_dsn: str, release: Callable[..., Path]
) -> None:
    with lcdb.connect(empty_dsn, write=True):
        pass
    engine = sa.create_engine(empty_dsn)
    role = f"ingesting_{os.getpid()}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        grant = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
        connection.exec_driver_sql(f"GRANT {grant} TO {role}")
        connection.exec_driver_sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    sa.event.listen(
        engine, "connect", lambda driver, _: driver.cursor().execute(f"SET ROLE {role}")
    )
    engine.dispose()
    try:
        assert ingest(engine, release(35), progress=False).added == 1
        assert not sa.inspect(engine).has_table("lcdb_notebook_release")
        assert "unknown" in ingest(engine, release(60), progress=False).files[0].reason
    finally:
        engine.dispose()
        with sa.create_engine(empty_dsn, poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_releases_are_kept_by_backup_and_restore(
    new_database: Callable[[], str], release: Callable[..., Path], tmp_path: Path
) -> None:
    url, other, dump = new_database(), new_database(), str(tmp_path / "lcdb.dump")
    with lcdb.connect(url, write=True, create=True) as db:
        db.ingest(release(35), progress=False)
    assert main(["backup", dump, "--url", url]) == 0
    assert main(["restore", dump, "--url", other]) == 0
    with lcdb.connect(other, write=True) as db:
        assert db.ingest(release(60), replace="newer", progress=False).replaced == 1


def test_ingest_replaces_light_curves_without_times(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    db.ingest(release(35), progress=False)
    with db.session.begin():
        db.session.execute(sa.delete(TargetSpecificTime))
        db.session.execute(sa.delete(QualityFlagArray))
    assert db.ingest(release(60), replace="newer", progress=False).replaced == 1
    product = read_product(release(60))
    (times,) = db.session.scalars(sa.select(TargetSpecificTime.barycentric_julian_dates)).all()
    assert np.array_equal(times[np.isfinite(times)], product.time[np.isfinite(product.time)])
    db.session.rollback()


def test_ingest_replaces_all_of_a_file_or_nothing(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    db.ingest(release(35), progress=False)
    before = content(db)
    with db.session.begin():
        db.session.execute(
            sa.text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'no changes today'; END $$"
            )
        )
        db.session.execute(
            sa.text("CREATE TRIGGER refuse BEFORE UPDATE ON dataset EXECUTE FUNCTION refuse()")
        )
    assert "no changes today" in reason(db, release(60), replace="newer")
    assert content(db) == before
    assert "is newer" in reason(db, release(60))


def test_ingest_replaces_one_month_of_a_quarter(
    db: lcdb.Database, data_folder: Path, tmp_path: Path
) -> None:
    def month(number: int, release: int, factor: float = 1.0) -> Path:
        path = tmp_path / f"month{number}-{release}.fits"
        with fits.open(data_folder / KEPLER) as hdus:
            rows = len(hdus[1].data)
            hdus[0].header["DATA_REL"] = release
            hdus[1].header["TIMEDEL"] = 58.85 / 86400
            for hdu in hdus:
                for key in ("CHECKSUM", "DATASUM"):
                    hdu.header.pop(key, None)
            hdus[1].data = hdus[1].data[number * rows // 3 : (number + 1) * rows // 3]
            hdus[1].data["SAP_FLUX"] *= factor
            hdus.writeto(path, overwrite=True)
        return path

    db.ingest([month(0, 25), month(1, 25), month(2, 25)], progress=False)
    assert db.ingest(month(1, 26, 2.0), replace="newer", progress=False).replaced == 1
    raw = db.session.scalars(sa.select(DataSet).order_by(DataSet.id)).first()
    assert raw is not None
    parts = [month(0, 27), month(1, 27, 2.0), month(2, 27)]
    expected = np.concatenate([read_product(path).curves[0].flux for path in parts])
    assert np.array_equal(raw.values, expected, equal_nan=True)
    whole = read_product(data_folder / KEPLER)
    observation = db.session.scalars(sa.select(Observation)).one()
    (times,) = observation.target_specific_times
    assert np.array_equal(times.barycentric_julian_dates, whole.time, equal_nan=True)
    db.session.rollback()


ADDED = {
    "SPOC": "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "QLP": QLP,
    "TESS-SPOC": FILE,
    "Kepler": KEPLER,
}


@pytest.mark.parametrize(
    ("author", "part"),
    [
        ("SPOC", "default"),
        ("QLP", "rows"),
        *(
            pytest.param(author, part, marks=pytest.mark.slow)
            for author in ADDED
            for part in ("default", "hardest", "rows", "none")
        ),
    ],
)
def test_ingest_completes_a_light_curve_that_was_added_without_some_cadences(
    db: lcdb.Database,
    new_tables: Callable[[], str],
    data_folder: Path,
    author: str,
    part: str,
) -> None:
    path = data_folder / ADDED[author]
    bitmask = "none" if part == "rows" else part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lc = lightkurve.read(path, quality_bitmask=bitmask)
    (added,) = db.add(lc[100:300] if part == "rows" else lc).files
    (outcome,) = db.ingest(path, progress=False).files
    assert outcome.status == "added"
    assert {*added.datasets} < {*outcome.datasets}
    with lcdb.connect(new_tables(), write=True) as other:
        other.ingest(path, progress=False)
        expected = content(other)
        of_file = tables(other)
        # In the other order, nothing is missing except flagged cadences.
        if part != "rows":
            (again,) = other.add(lc).files
            assert again.status == "unchanged"
            assert content(other) == expected
    assert content(db) == expected
    found = tables(db)
    for name in ("lcdb_notebook_header", "lcdb_notebook_column"):
        assert found[name] == of_file[name]


def test_add_refuses_a_stored_light_curve_without_cadences_that_are_not_flagged(
    db: lcdb.Database, data_folder: Path
) -> None:
    db.ingest(data_folder / FILE, progress=False)
    lc = db.lightcurve(188589164, processing="PDCSAP")
    before = content(db)
    assert db.add(lc).files[0].status == "unchanged"
    good = np.flatnonzero((lc["quality"] == 0) & np.isfinite(lc.flux.value))[40]
    with pytest.raises(IngestError, match="differs from the stored one"):
        db.add(lc[np.arange(len(lc)) != good])
    lc.flux[good] *= 1.01
    with pytest.raises(IngestError, match="differs from the stored one"):
        db.add(lc)
    assert content(db) == before


def test_ingest_completes_nothing_of_another_release(
    db: lcdb.Database, release: Callable[..., Path]
) -> None:
    db.ingest(release(35), progress=False)
    path = release(36)
    with fits.open(release(35)) as hdus:
        hdus[0].header["DATA_REL"] = 36
        hdus[1].data["PDCSAP_FLUX"][7] = np.nan
        hdus.writeto(path, overwrite=True)
    assert "This file is newer" in reason(db, path)
    assert db.ingest(path, replace="newer", progress=False).replaced == 1
    assert "This file is older" in reason(db, release(35))


@pytest.fixture
def pi_men(data_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two releases of the file of pi Mensae; fluxes, times, flags, cards and columns differ."""
    paths = []
    for number, date in ((1, "2018-09-27"), (40, "2021-05-01")):
        path = tmp_path / f"release-{number}.fits"
        with fits.open(data_folder / ADDED["SPOC"]) as hdus:
            hdus[0].header.update({"DATA_REL": number, "DATE": date, "TEFF": 6000.0 + number})
            for hdu in hdus:
                for key in ("CHECKSUM", "DATASUM"):
                    hdu.header.pop(key, None)
            for column in ("SAP_FLUX", "PDCSAP_FLUX", "SAP_BKG", "POS_CORR1"):
                hdus[1].data[column] *= 1 + 1e-4 * number
            hdus[1].data["TIME"] += 1e-7 * number
            hdus[1].data["QUALITY"][7] = number
            hdus.writeto(path)
        paths.append(path)
    return paths[0], paths[1]


def test_ingest_of_both_releases_of_pi_mensae_ends_in_the_same_tables(
    new_tables: Callable[[], str], pi_men: tuple[Path, Path], data_folder: Path
) -> None:
    old, new = pi_men
    found = []
    for order in ((old, new), (new, old)):
        with lcdb.connect(new_tables(), write=True) as db:
            db.ingest([data_folder / QLP, data_folder / FILE], progress=False)
            before = tables(db)
            for path in order:
                assert db.ingest(path, replace="newer", progress=False).skipped == 0
            found.append(tables(db))
            others = tables(db, but="author = 'SPOC'")
            assert all(others[name] == before[name] for name in ("dataset", "observation"))
            assert others["lcdb_notebook_column"] == before["lcdb_notebook_column"]
            assert others["target_specific_time"] == before["target_specific_time"]
    assert found[0] == found[1]
    assert {len(found[0][name]) for name in ("dataset", "lcdb_notebook_release")} == {8, 2}


def test_ingest_that_is_killed_while_it_replaces_changes_nothing(
    db: lcdb.Database, pi_men: tuple[Path, Path]
) -> None:
    old, new = pi_men
    db.ingest(old, progress=False)
    before = tables(db)
    url = db.session.get_bind().engine.url
    other = sa.create_engine(url, isolation_level="READ COMMITTED", poolclass=sa.NullPool)
    waiting = sa.text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
    )
    outcome: list[Any] = []

    def replace() -> None:
        try:
            outcome.append(db.ingest(new, replace="newer", progress=False))
        except LCDBError as error:
            outcome.append(error)

    # In a transaction, pg_stat_activity would show the same rows again.
    alone = other.execution_options(isolation_level="AUTOCOMMIT")
    with other.connect() as holder, alone.connect() as watcher:
        # The light curves, times and flags are written before the columns.
        holder.exec_driver_sql("LOCK TABLE lcdb_notebook_column IN EXCLUSIVE MODE")
        thread = threading.Thread(target=replace)
        thread.start()
        pid = None
        while pid is None and thread.is_alive():
            pid = watcher.scalar(waiting)
        watcher.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        thread.join()
        holder.rollback()
    other.dispose()
    assert isinstance(outcome[0], ConnectionFailedError)
    assert tables(db) == before
    assert db.ingest(new, replace="newer", progress=False).replaced == 1


def test_ingest_names_a_wrong_replace(db: lcdb.Database) -> None:
    with pytest.raises(ArgumentError, match="replace must be True, False or 'newer', got 'older'"):
        db.ingest("a.fits", replace="older")  # type: ignore[arg-type]


def test_release_without_a_number_or_date_is_neither_newer_nor_older() -> None:
    assert Release(2, "2020-01-01", "").is_newer(Release(2, "2020-01-01", "v2")) is None
    assert Release(2, "", "").is_newer(None) is None
    assert Release(2, "2020-01-01", "").is_newer(Release(2, "2019-12-31", "")) is True
    assert str(Release(None, "2020-01-01", "spoc-1")) == "2020-01-01, spoc-1"
