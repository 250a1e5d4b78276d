"""Files of lightkurve, of write_lightcurve, and of pipelines that the package does not know."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError, IngestError
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.models import DataSet, Observation

SPOC = "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz"
QLP = "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz"
KEPLER = "kepler/kplr011446443-2009131105131_llc.fits.gz"
K2 = "kepler/ktwo211117077-c04_llc.fits.gz"


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    with engine.connect() as connection, connection.begin() as transaction:
        with orm.Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def opened(path: Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.read(path, **options)


@pytest.mark.parametrize("name", [SPOC, QLP, KEPLER, K2])
def test_ingest_of_what_to_fits_wrote(
    session: orm.Session, data_folder: Path, tmp_path: Path, name: str
) -> None:
    lc = opened(data_folder / name, quality_bitmask="none")
    file = read_product(data_folder / name)
    lc.to_fits(tmp_path / "lc.fits")
    assert ingest(session, tmp_path / "lc.fits", progress=False).added == 1
    assert ingest(session, tmp_path / "lc.fits", progress=False).unchanged == 1
    observation = session.scalars(sa.select(Observation)).one()
    assert observation.type == file.observation_type
    assert observation.cadence_reference.tolist() == lc["cadenceno"].tolist()
    (dataset,) = session.scalars(sa.select(DataSet)).all()
    assert dataset.target.name == file.target
    assert dataset.target.catalog.name == file.catalog
    assert dataset.photometry_source is not None
    assert dataset.photometry_source.name == "lightkurve to_fits"
    assert np.array_equal(dataset.values, np.asarray(lc.flux.value, np.float32), equal_nan=True)
    (times,) = observation.target_specific_times
    assert np.array_equal(times.barycentric_julian_dates, lc.time.value)


def test_ingest_of_to_fits_joins_the_file_by_author_and_photometry(
    session: orm.Session, data_folder: Path, tmp_path: Path
) -> None:
    ingest(session, data_folder / SPOC, progress=False)
    flat = opened(data_folder / SPOC).remove_nans().flatten()
    flat.to_fits(tmp_path / "flat.fits")
    report = ingest(
        session,
        tmp_path / "flat.fits",
        author="SPOC",
        photometry="SPOC SAP",
        processing="flat",
        # to_fits does not keep it.
        observation_fields={"cosmic_ray_mitigation": True},
        progress=False,
    )
    assert report.light_curves == 1
    assert len(session.scalars(sa.select(Observation)).all()) == 1


@pytest.mark.parametrize(
    "ending", ["fits", "fits.gz", pytest.param("ecsv", marks=pytest.mark.slow), "csv", "parquet"]
)
def test_ingest_of_what_write_lightcurve_wrote_changes_nothing(
    session: orm.Session, data_folder: Path, tmp_path: Path, ending: str
) -> None:
    (stored,) = ingest(session, data_folder / SPOC, progress=False).files
    lc = opened(data_folder / SPOC, quality_bitmask="none")
    path = lcdb.write_lightcurve(lc, tmp_path / f"lc.{ending}")
    (again,) = ingest(session, path, progress=False).files
    assert (again.status, again.reason) == ("unchanged", "")
    assert set(again.datasets) <= set(stored.datasets)
    assert again.label == str(path)


def test_ingest_of_what_write_lightcurve_wrote_of_a_new_processing(
    session: orm.Session, data_folder: Path, tmp_path: Path
) -> None:
    ingest(session, data_folder / SPOC, progress=False)
    flat = opened(data_folder / SPOC).remove_nans().flatten()
    flat.meta["PROCESSING"] = "flat"
    path = lcdb.write_lightcurve(flat, tmp_path / "flat.fits")
    assert ingest(session, path, progress=False).light_curves == 1
    assert len(session.scalars(sa.select(Observation)).all()) == 1


def foreign(path: Path, **changes: Any) -> Path:
    """Write a file of a custom pipeline; changes are header cards of its table or columns."""
    time = 1325.5 + np.arange(50) / 720
    columns = {"TIME": time, "SAP_FLUX": 100 + np.sin(time), "SAP_FLUX_ERR": np.full(50, 0.5)}
    columns |= {"CADENCENO": np.arange(70, 120), "QUALITY": np.arange(50) % 4}
    columns |= {key: found for key, found in changes.items() if isinstance(found, np.ndarray)}
    made = []
    for name, array in columns.items():
        if changes.get(name, array) is None:
            continue
        unit = changes.get("unit", "e-/s") if "FLUX" in name else None
        made.append(fits.Column(name, "K" if array.dtype.kind == "i" else "D", unit, array=array))
    table = fits.BinTableHDU.from_columns(made, name="MINE")
    cards = {"BJDREFI": 2457000, "TIMESYS": "TDB", "TIMEUNIT": "d"} | {
        key: found for key, found in changes.items() if not isinstance(found, np.ndarray)
    }
    for key, found in cards.items():
        if found is not None and key not in (*columns, "unit"):
            table.header[key] = found
    primary = fits.PrimaryHDU()
    for key, found in {"TELESCOP": "TESS", "TICID": 7, "SECTOR": 1, "CAMERA": 1, "CCD": 2}.items():
        primary.header[key] = found
    fits.HDUList([primary, table]).writeto(path)
    return path


def test_ingest_of_an_unknown_pipeline_names_the_arguments_to_pass(
    session: orm.Session, tmp_path: Path
) -> None:
    (outcome,) = ingest(session, foreign(tmp_path / "mine.fits"), progress=False).files
    assert outcome.status == "skipped"
    assert "unknown pipeline" in outcome.reason
    assert outcome.reason.endswith('; pass author="..." and photometry="..." to ingest it anyway')
    (outcome,) = ingest(
        session, foreign(tmp_path / "other.fits", BJDREFI=None), progress=False
    ).files
    assert "to ingest it anyway" not in outcome.reason


@pytest.mark.parametrize(
    ("changes", "offset"),
    [
        ({}, 0.0),
        ({"BJDREFI": 2457000, "BJDREFF": 0.5}, 0.5),
        ({"BJDREFI": None, "MJDREF": 56999.5}, 0.0),
        ({"BJDREFI": None, "JDREFI": 2457000}, 0.0),
        ({"TIMEUNIT": "s", "TIME": 86400 * (1325.5 + np.arange(50) / 720)}, 0.0),
        ({"BJDREFI": 0, "TIME": 2458325.5 + np.arange(50) / 720}, 0.0),
    ],
    ids=["BTJD", "a fraction", "MJD", "JD", "seconds", "full BJD"],
)
def test_ingest_of_an_unknown_pipeline_with_author_and_photometry(
    session: orm.Session, tmp_path: Path, changes: dict[str, Any], offset: float
) -> None:
    path = foreign(tmp_path / "mine.fits", **changes)
    report = ingest(session, path, author="me", photometry="Mine", progress=False)
    assert report.light_curves == 1
    (dataset,) = session.scalars(sa.select(DataSet)).all()
    observation = dataset.observation
    assert (observation.author, observation.sector, observation.exptime) == ("me", 1, 120)  # type: ignore[attr-defined]
    assert observation.cadence_reference.tolist() == list(range(70, 120))
    assert dataset.photometry_source is not None
    assert dataset.photometry_source.name == "Mine"
    assert dataset.photometry_source.description.startswith("[electron / s] ")
    time = 1325.5 + np.arange(50) / 720
    assert np.array_equal(dataset.values, 100 + np.sin(time))
    assert dataset.errors is not None
    assert np.array_equal(dataset.errors, np.full(50, 0.5))
    (times,) = observation.target_specific_times
    assert times.barycentric_julian_dates == pytest.approx(time + offset, abs=1e-8)
    assert observation.quality_flag_arrays == []


def test_ingest_stores_the_flags_of_an_unknown_pipeline_with_a_flag_type(
    session: orm.Session, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "mine.fits")
    ingest(
        session,
        path,
        author="me",
        photometry="Mine",
        quality_type="tess_quality_flag",
        progress=False,
    )
    (flags,) = session.scalars(sa.select(Observation)).one().quality_flag_arrays
    assert flags.type == "tess_quality_flag"
    assert flags.quality_flags.tolist() == (np.arange(50) % 4).tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"BJDREFI": None}, "no time reference"),
        ({"TIMEUNIT": "h"}, "TIMEUNIT must be 'd' or 's', got 'h'"),
        ({"TIMESYS": "LOCAL TIME"}, "TIMESYS must be a time scale"),
        ({"TIME": None}, "no time column"),
        ({"SAP_FLUX": None}, "no flux column"),
        ({"unit": "parsnips"}, "unit of column SAP_FLUX, 'parsnips', is unknown"),
    ],
)
def test_ingest_of_an_unknown_pipeline_names_what_is_wrong(
    session: orm.Session, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = foreign(tmp_path / "mine.fits", **changes)
    with pytest.raises(IngestError, match=message):
        ingest(session, path, author="me", photometry="M", on_error="raise", progress=False)


def test_ingest_names_an_unknown_argument(session: orm.Session) -> None:
    with pytest.raises(ArgumentError, match=r"no argument 'autor'; did you mean author="):
        ingest(session, "a.fits", autor="me")
