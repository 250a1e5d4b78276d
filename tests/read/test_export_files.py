from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.utils.masked import Masked

from lcdb_notebook import read_lightcurve, write_lightcurve
from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve.clock import Clock

ENDINGS = ("fits", "fits.gz", "ecsv", "ecsv.gz", "csv", "csv.gz", "parquet")
every_ending = pytest.mark.parametrize("ending", ENDINGS)
FLUX = [3.0000000000000004, 2.1, np.nan, 0.1] * units.electron / units.s


def tess(**changes: Any) -> Any:
    """Make a small LightCurve; capitals go into its metadata, None removes."""
    columns: dict[str, Any] = {
        "time": Time([1325.1, 1325.2000000000003, 1325.3, 1325.4], format="btjd", scale="tdb"),
        "flux": FLUX,
        "flux_err": FLUX / 7,
        "cadenceno": np.array([10, 11, 13, 14], np.int32),
        "quality": np.array([0, 32, 0, 4096], np.int32),
    }
    meta: dict[str, Any] = {
        "LABEL": "TIC 7",
        "OBJECT": "TIC 7",
        "TARGETID": 7,
        "TICID": 7,
        "MISSION": "TESS",
        "TELESCOP": "TESS",
        "SECTOR": 1,
        "AUTHOR": "SPOC",
        "EXPTIME": 120,
        "NORMALIZED": False,
        "QUALITY_TYPE": "tess_quality_flag",
        "PHOTOMETRY": "SPOC SAP",
    }
    for name, value in changes.items():
        (meta if name.isupper() else columns)[name] = value
    return lightkurve.TessLightCurve(
        data={name: column for name, column in columns.items() if column is not None},
        meta={name: value for name, value in meta.items() if value is not None},
    )


def there_and_back(lightcurve: Any, folder: Path, ending: str) -> Any:
    return read_lightcurve(write_lightcurve(lightcurve, folder / f"star.{ending}"))


def bits(column: Any) -> list[int]:
    values = np.asarray(getattr(column, "value", column), np.float64)
    return list(np.where(np.isnan(values), np.nan, values).view(np.int64))


@every_ending
def test_a_light_curve_is_read_to_the_last_bit(tmp_path: Path, ending: str) -> None:
    lc = tess()
    again = there_and_back(lc, tmp_path, ending)
    assert isinstance(again, lightkurve.TessLightCurve)
    assert again.colnames == lc.colnames
    assert (again.time.format, again.time.scale) == ("btjd", "tdb")
    assert bits(again.time) == bits(lc.time)
    for name in ("flux", "flux_err"):
        assert bits(again[name]) == bits(lc[name])
        assert again[name].unit == lc[name].unit
    for name in ("cadenceno", "quality"):
        assert again[name].dtype == lc[name].dtype
        assert list(again[name]) == list(lc[name])
    assert {key: again.meta[key] for key in lc.meta} == dict(lc.meta)


@every_ending
@pytest.mark.parametrize(
    "meta",
    [
        {"OBSERVER": "Vera Rubin"},
        {"OBSERVER": "Henrietta Swan Leavitt, " * 8},
        {"OBSERVER": "Bengt Strömgren's & Co '' &"},
        {"A_LONGER_KEY": "x" * 90},
        {"A_LONGER_KEY": 1e-300, "SMALL": 0.1 + 0.2, "BIG": 2**62, "YES": True, "NO": False},
        {"lower case": "Key with a blank", "EMPTY": "", "BLANKS": "  both ends  "},
        {"NOTHING": None, "NOT_A_NUMBER_AT_ALL": float("inf")},
        {"ORIGIN": "NASA/Ames", "CREATOR": "somebody", "DATE": "2018-08-20", "NAXIS": 3},
        {"RA": 84.29, "DEC": -80.46, "RA_OBJ": 1.0},
        {"LABEL": "pi Men", "OBJECT": "TIC 261136679"},
        {"LINEAGE": "SPOC SAP raw #11 -> PDCSAP #12 -> " * 9},
    ],
    ids=lambda meta: ",".join(meta),
)
def test_metadata_come_back(tmp_path: Path, ending: str, meta: dict[str, Any]) -> None:
    lc = tess()
    lc.meta.update(meta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = there_and_back(lc, tmp_path, ending)
    assert {key: again.meta[key] for key in meta} == meta
    assert [type(again.meta[key]) for key in meta] == [type(value) for value in meta.values()]


@every_ending
def test_masks_come_back(tmp_path: Path, ending: str) -> None:
    flux = Masked([3.0, 2.0, 1.0, 0.5] * units.mag, mask=[False, True, False, False])
    lc = tess(flux=flux, flux_err=flux / 10)
    again = there_and_back(lc, tmp_path, ending)
    assert isinstance(again.flux, Masked)
    assert again.flux.mask.tolist() == [False, True, False, False]
    assert again.flux.unmasked.value[[0, 2, 3]].tolist() == [3.0, 1.0, 0.5]
    assert again.flux.unit == units.mag


@every_ending
def test_masks_of_integers_come_back_of_all_columns_but_the_flags_of_fits(
    tmp_path: Path, ending: str
) -> None:
    masked = np.ma.MaskedArray([1, 2, 3, 4], mask=[False, False, True, False])
    again = there_and_back(tess(cadenceno=masked, quality=masked), tmp_path, ending)
    assert again["cadenceno"].mask.tolist() == [False, False, True, False]
    flags = [False] * 4 if ending.startswith("fits") else [False, False, True, False]
    assert again["quality"].mask.tolist() == flags
    assert again["quality"][~masked.mask].tolist() == [1, 2, 4]


@pytest.mark.parametrize("ending", ["ecsv", "csv", "parquet"])
def test_boolean_arrays_among_the_metadata_come_back(tmp_path: Path, ending: str) -> None:
    for mask in ([True, True, False], [False, True], [], [False], [True]):
        lc = tess(QUALITY_MASK=np.array(mask, bool))
        again = read_lightcurve(write_lightcurve(lc, tmp_path / f"x.{ending}", overwrite=True))
        assert again.meta["QUALITY_MASK"].tolist() == mask
        assert again.meta["QUALITY_MASK"].dtype == bool


def test_fits_alone_leaves_arrays_of_the_metadata_out(tmp_path: Path) -> None:
    lc = tess(QUALITY_MASK=np.array([True, False]))
    assert "QUALITY_MASK" not in there_and_back(lc, tmp_path, "fits").meta


@every_ending
@pytest.mark.parametrize(
    "dtype", ["i1", "i2", "i8", "u1", "u2", "u4", "f4", ">f8", ">i4", "bool", "U5"]
)
def test_columns_of_every_kind_come_back(tmp_path: Path, ending: str, dtype: str) -> None:
    values = np.array([0, 1, 0, 1]).astype(dtype)
    lc = tess(mine=values)
    again = there_and_back(lc, tmp_path, ending)["mine"]
    assert [str(value) for value in again] == [str(value) for value in values]


@every_ending
@pytest.mark.parametrize(("name", "scale"), [("jd", "tdb"), ("mjd", "utc"), ("isot", "tdb")])
def test_the_time_format_comes_back(tmp_path: Path, ending: str, name: str, scale: str) -> None:
    time = getattr(tess().time, scale)
    time.format = name
    lc = tess(time=time)
    assert (lc.time.format, lc.time.scale) == (name, scale)
    again = there_and_back(lc, tmp_path, ending)
    assert again.time.format == name
    # FITS files of TESS count TDB, as their readers expect.
    assert again.time.scale == ("tdb" if ending.startswith("fits") else scale)
    assert np.abs((again.time - time).to_value("s")).max() < 1e-4


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
@every_ending
def test_the_clock_of_a_custom_mission_is_restored(tmp_path: Path, ending: str) -> None:
    Clock("export_hours", "h", Decimal("2458836.25"), "jd", "tdb").time_format()
    time = Time([1.1, 2.2, 3.3, 4.4], format="export_hours", scale="tdb")
    lc = tess(time=time, MISSION="CHEOPS", TELESCOP="CHEOPS", AUTHOR="DRP")
    path = write_lightcurve(lc, tmp_path / f"star.{ending}")
    again = read_lightcurve(path)
    assert (again.time.format, bits(again.time)) == ("export_hours", bits(time))
    if ending == "fits":
        header = fits.getheader(path, 1)
        assert (header["BJDREFI"], header["BJDREFF"]) == (2458836, 0.25)
        assert header["TIMEUNIT"] == "h"
        with pytest.raises(lightkurve.utils.LightkurveError, match="Not recognized"):
            lightkurve.read(str(path))
        assert Table.read(path)["FLUX"].unit is not None


@every_ending
def test_a_binned_light_curve_comes_back(tmp_path: Path, ending: str) -> None:
    binned = tess(quality=None).bin(0.2)
    again = there_and_back(binned, tmp_path, ending)
    assert again.colnames == binned.colnames
    assert bits(again["time_bin_start"].value) == bits(binned["time_bin_start"].value)
    assert again["time_bin_size"].unit == units.day
    assert bits(again.flux) == bits(binned.flux)


def test_cadences_without_a_time_are_in_the_file_and_not_in_the_light_curve(
    tmp_path: Path,
) -> None:
    path = write_lightcurve(tess(), tmp_path / "star.ecsv")
    lines = path.read_text().splitlines()
    lines[-2] = "nan " + lines[-2].partition(" ")[2]
    path.write_text("\n".join(lines))
    assert read_lightcurve(path)["cadenceno"].tolist() == [10, 11, 14]


@pytest.mark.parametrize(
    ("meta", "path", "author"),
    [
        ({}, "star.fits", "SPOC"),
        ({"AUTHOR": "TESS-SPOC"}, "hlsp_tess-spoc_star.fits", "TESS-SPOC"),
        ({"AUTHOR": "QLP"}, "star.fits", "QLP"),
        ({"AUTHOR": "QLP", "SECTOR": 56}, "star.fits.gz", "QLP"),
        ({"AUTHOR": "TGLC"}, "star.fits", "TGLC"),
        # There is no reader for these two, and none by that name in the path.
        ({"AUTHOR": "MINE"}, "star.fits", "SPOC"),
        ({"AUTHOR": "TESS-SPOC"}, "star.fits", "SPOC"),
    ],
    ids=str,
)
def test_lightkurve_detects_the_author_by_header_and_path(
    tmp_path: Path, meta: dict[str, Any], path: str, author: str
) -> None:
    lc = tess(**meta)
    file = write_lightcurve(lc, tmp_path / path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = lightkurve.read(str(file), quality_bitmask="none")
    assert read.meta["AUTHOR"] == author
    assert read_lightcurve(file).meta["AUTHOR"] == lc.meta["AUTHOR"]
    assert fits.getheader(file)["AUTHOR"] == lc.meta["AUTHOR"]
    assert bits(read.time) == bits(lc.time)
    assert bits(np.ma.filled(np.ma.asarray(read.flux_err.filled(np.nan)), np.nan)) == bits(
        lc.flux_err
    )


def test_flux_errors_have_the_column_name_that_the_reader_of_qlp_expects(tmp_path: Path) -> None:
    lc = tess(AUTHOR="QLP", kspsap_flux_err=FLUX)
    path = write_lightcurve(lc, tmp_path / "star.fits")
    assert bits(lightkurve.read(str(path), quality_bitmask="none").flux_err.filled(np.nan)) == bits(
        lc.flux_err
    )
    again = read_lightcurve(path)
    assert again.colnames == lc.colnames
    assert bits(again["kspsap_flux_err"]) == bits(FLUX)


def test_flags_that_lightkurve_would_misread_have_a_separate_column(tmp_path: Path) -> None:
    lc = tess(QUALITY_TYPE="tglc_quality_flag", AUTHOR="TGLC")
    path = write_lightcurve(lc, tmp_path / "star.fits")
    read = lightkurve.read(str(path))
    assert len(read) == len(lc)
    assert read["tglc_quality_flag"].tolist() == [0, 32, 0, 4096]
    assert read_lightcurve(path)["quality"].tolist() == [0, 32, 0, 4096]


def test_numbers_of_another_catalog_are_not_called_tic(tmp_path: Path) -> None:
    lc = tess(LABEL="Gaia DR3 7", OBJECT="Gaia DR3 7", TICID=None)
    path = write_lightcurve(lc, tmp_path / "star.fits")
    assert "TICID" not in fits.getheader(path)
    assert lightkurve.read(str(path)).meta["TARGETID"] is None
    assert read_lightcurve(path).meta["TARGETID"] == 7


def test_other_readers_find_units_and_metadata(tmp_path: Path) -> None:
    lc = tess(LINEAGE="SPOC SAP raw #1")
    table = QTable.read(write_lightcurve(lc, tmp_path / "star.ecsv"))
    assert table["flux"].unit == lc.flux.unit
    assert table["time"].unit == units.day
    assert table.meta["LINEAGE"] == "SPOC SAP raw #1"
    frame = pd.read_parquet(write_lightcurve(lc, tmp_path / "star.parquet"))
    assert bits(frame["time"]) == bits(lc.time)
    text = write_lightcurve(lc, tmp_path / "star.csv")
    # pandas before 3.1 rounds floats by default; NumPy converts them exactly.
    frame = pd.read_csv(text, comment="#", dtype={"flux": str})
    assert list(frame) == lc.colnames
    assert bits(frame["flux"].astype(float)) == bits(lc.flux)
    assert "# unit of flux: electron / s" in text.read_text().splitlines()


@every_ending
def test_a_file_that_is_there_is_replaced_only_on_request(tmp_path: Path, ending: str) -> None:
    path = write_lightcurve(tess(), tmp_path / f"star.{ending}")
    with pytest.raises(ExportError, match="already exists; pass overwrite=True"):
        write_lightcurve(tess(SECTOR=2), path)
    assert read_lightcurve(path).meta["SECTOR"] == 1
    write_lightcurve(tess(SECTOR=2), path, overwrite=True)
    assert read_lightcurve(path).meta["SECTOR"] == 2
    assert list(tmp_path.iterdir()) == [path]


@every_ending
@pytest.mark.parametrize("length", [0, 10, 1000])
def test_half_a_file_is_refused_by_name(tmp_path: Path, ending: str, length: int) -> None:
    path = write_lightcurve(tess(), tmp_path / f"star.{ending}")
    path.write_bytes(path.read_bytes()[: min(length, path.stat().st_size // 2)])
    with warnings.catch_warnings():
        # astropy warns of truncated files before it fails.
        warnings.simplefilter("ignore")
        with pytest.raises(ExportError, match=rf"star\.{ending}"):
            read_lightcurve(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("star", r"must end in \.fits, \.ecsv"),
        ("star.h5", r"must end in"),
        ("star.parquet.gz", r"must end in"),
    ],
)
def test_other_endings_are_refused(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        write_lightcurve(tess(), tmp_path / path)
    with pytest.raises(ExportError, match=message):
        read_lightcurve(tmp_path / path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: tess().fold(1.0), "with phases"),
        (lambda: np.ones(3), "must be a lightkurve LightCurve, got a ndarray"),
        (lambda: tess(pixels=np.ones((4, 2))), r"column 'pixels' must have .* shape \(4, 2\)"),
    ],
)
def test_values_that_no_file_can_hold_are_refused(tmp_path: Path, made: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        write_lightcurve(made(), tmp_path / "star.fits")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file or directory"):
        write_lightcurve(tess(), tmp_path / "none" / "star.fits")
    with pytest.raises(ExportError, match="does not exist"):
        read_lightcurve(tmp_path / "star.fits")


def test_files_of_others_are_refused_with_the_missing_parts(tmp_path: Path) -> None:
    table = Table({"time": [1.0], "flux": [2.0]})
    for ending, layout in (
        ("fits", "fits"),
        ("ecsv", "ascii.ecsv"),
        ("csv", "ascii.csv"),
        ("parquet", "parquet"),
    ):
        path = tmp_path / f"other.{ending}"
        table.write(path, format=layout)
        with pytest.raises(ExportError, match=rf"other\.{ending}"):
            read_lightcurve(path)
