"""Exported tables with the light curves of a star side by side, in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from astropy.table import Table
from pandas.testing import assert_frame_equal

import lcdb_notebook as lcdb
from lcdb_notebook.errors import DataError, ExportError
from lcdb_notebook.lightcurve.units import POSITIONS

STAR = 1_000_000_007 * 3

every_format = pytest.mark.parametrize("written", ["fits", "ecsv", "csv", "parquet", "hdf5"])
with_layouts = pytest.mark.parametrize("layout", ["own", "3.1"], indirect=True)


@pytest.fixture
def db(layout_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(layout_dsn) as db:
        yield db


def read(file: str) -> pd.DataFrame:
    path = Path(file)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    formats = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".hdf5": "hdf5"}
    options = {"comment": "#"} if path.suffix == ".csv" else {}
    table = Table.read(path, format=formats[path.suffix], **options)
    table.convert_bytestring_to_unicode()
    frame: pd.DataFrame = table.to_pandas()
    return frame


@with_layouts
@every_format
def test_export_wide_is_to_pandas_wide(db: lcdb.Database, written: Any, tmp_path: Path) -> None:
    found = db.search(STAR, sector=[1, 2])
    report = found.export(tmp_path, format=written, wide=True)
    assert report["dataset"].tolist() == found.datasets
    assert report["status"].unique().tolist() == ["written"]
    files = report["file"].drop_duplicates().tolist()
    assert len(files) == 3, "one for each orbit"
    expected = found.to_pandas(wide=True, flagged="keep")
    assert "TGLC Aperture Small QSPMagnitude" in expected
    assert set(POSITIONS.values()) & set(expected)
    again = pd.concat([read(file) for file in files], ignore_index=True)
    assert_frame_equal(again, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("layout", ["3.1"], indirect=True)
@every_format
def test_export_wide_takes_the_arguments_of_to_pandas(
    db: lcdb.Database, written: Any, tmp_path: Path
) -> None:
    found = db.search(STAR, orbit_number=9, photometry="TGLC Aperture Small")
    given: dict[str, Any] = {"flagged": "mask", "quality_bitmask": "hard", "time_format": "isot"}
    (file,) = found.export(tmp_path, format=written, wide=True, **given)["file"].unique()
    assert_frame_equal(
        read(file), found.to_pandas(wide=True, **given), check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize("layout", ["3.1"], indirect=True)
def test_export_wide_has_units_and_time_format(db: lcdb.Database, tmp_path: Path) -> None:
    found = db.search(STAR, orbit_number=9, processing="QSPMagnitude")
    for written in ("fits", "ecsv", "hdf5"):
        (file,) = found.export(tmp_path, format=written, wide=True)["file"].unique()
        table = Table.read(file, format="ascii.ecsv" if written == "ecsv" else written)
        assert str(table["TGLC Aperture Small QSPMagnitude"].unit) == "mag"
        assert str(table["centroid_col"].unit) == "pix"
        assert table.meta["TIMEFORM"] == "btjd"
        assert table.meta["TIMESYS"] == "TDB"
    (file,) = found.export(tmp_path, format="csv", wide=True)["file"].unique()
    assert "# unit of TGLC Aperture Small QSPMagnitude: mag\n" in Path(file).read_text()
    (file,) = found.export(tmp_path, format="parquet", wide=True)["file"].unique()
    assert pd.read_parquet(file).attrs["units"]["centroid_col"] == ["pix"]


@pytest.mark.parametrize("layout", ["3.1"], indirect=True)
def test_export_wide_continues_and_writes_again_what_changed(
    db: lcdb.Database, tmp_path: Path
) -> None:
    found = db.search(STAR, sector=1)
    first = found.export(tmp_path, wide=True)
    assert found.export(tmp_path, wide=True)["status"].unique().tolist() == ["kept"]
    Path(first["file"][0]).write_bytes(b"half")
    again = found.export(tmp_path, wide=True)
    written = again["file"] == first["file"][0]
    assert again["status"].tolist() == np.where(written, "written", "kept").tolist()
    fewer = db.search(STAR, sector=1, processing="raw").export(tmp_path, wide=True)
    assert fewer["status"].unique().tolist() == ["written"]
    # Other exports into the same folder have other names.
    assert not set(found.export(tmp_path)["file"]) & set(first["file"])


@pytest.mark.parametrize("layout", ["own"], indirect=True)
def test_export_wide_skips_light_curves_that_cannot_be_read(
    layout_copy: str, tmp_path: Path
) -> None:
    with sa.create_engine(layout_copy, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(
            "UPDATE dataset SET values = '{1, 2}' WHERE observation_id = 1 "
            "AND photometric_method_id = 1 AND processing_method_id IS NULL"
        )
    with lcdb.connect(layout_copy) as db:
        found = db.search(STAR, orbit_number=9)
        with pytest.raises(DataError, match="refusing to align"):
            found.export(tmp_path, wide=True)
        with pytest.warns(UserWarning, match="1 of 9 light curves were skipped"):
            report = found.export(tmp_path, wide=True, on_error="skip")
        assert report["status"].value_counts().to_dict() == {"written": 8, "skipped": 1}
        (file,) = set(report["file"])
        assert "TGLC Aperture Small raw" not in read(file)
        assert "TGLC Aperture Small QSPMagnitude" in read(file)


@pytest.mark.parametrize("layout", ["own"], indirect=True)
def test_export_refuses_formats_by_name(db: lcdb.Database, tmp_path: Path) -> None:
    found: Callable[..., Any] = db.search(STAR, orbit_number=9).export
    with pytest.raises(ExportError, match="needs wide=True"):
        found(tmp_path, format="hdf5")
    with pytest.raises(ExportError, match="'parquet' or 'hdf5', got 'xls'"):
        found(tmp_path, format="xls", wide=True)
