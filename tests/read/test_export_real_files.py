"""Every real file, through the database into files of each kind and back, against the original."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightkurve
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

import lcdb_notebook as lcdb
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.read.selection import Selection

DATA = Path(os.environ.get("LCDB_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
# A foreign file without a time reference, which lightkurve cannot read either.
UNREADABLE = "hlsp_twirlfs_tess_ffi_s0057-0000001400694779_tess_v01_llc.fits.gz"
FILES = [
    path
    for ending in ("*.fits.gz", "*.h5.gz")
    for path in sorted(DATA.rglob(ending))
    if path.name != UNREADABLE
]
PRESETS = ("none", "default", "hard", "hardest")
# Always "pdcsap_flux" or similar: the argument of the reader, not the result.
OF_THE_READER = ("FLUX_ORIGIN",)
# What the exported file states of itself, not of the file that was ingested.
OF_THE_FILE = ("DATE", "ORIGIN", "CREATOR", "PROCVER", "CHECKSUM", "DATASUM")


# Of each pipeline and mission, the others repeat with other numbers what the shortest proves.
SHORTEST = {
    (path.parent.name, path.name[:4] if path.suffixes[0] == ".fits" else ""): path
    for path in sorted(FILES, key=lambda path: path.stat().st_size, reverse=True)
}.values()


def parameters(files: list[Path], *, slow: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "path",
        [
            pytest.param(
                path,
                id="/".join(path.parts[-3:])[-70:],
                marks=[] if path in SHORTEST and path.parent.name != slow else pytest.mark.slow,
            )
            for path in files
        ],
    )


every_file = parameters(FILES)
# lightkurve reads no HDF5.
every_fits_file = parameters([path for path in FILES if path.name.endswith(".fits.gz")])
pytestmark = [
    pytest.mark.skipif(not FILES, reason=f"no real light curves in {DATA} (LCDB_TEST_DATA)"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightkurve"),
]

# Metadata that lightkurve.read cannot return, even if the file has them.
ALWAYS_SAID: dict[str, dict[str, Any]] = {
    "TGLC": {"NORMALIZED": True},  # also of electrons per second
    "K2": {"AUTHOR": "Kepler"},
}


class Stored(NamedTuple):
    """A light curve of a file, in the database and in exported files."""

    product: Product
    curve: Curve
    selection: Selection
    files: dict[str, Path]

    def ours(self, **options: Any) -> Any:
        return self.selection.lightcurve(**options)


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    with lcdb.connect(new_tables(), write=True) as db:
        yield db


@pytest.fixture(scope="module")
def stored(
    db: lcdb.Database, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], list[Stored]]:
    """Return everything of a file, exported once."""
    report = db.ingest(FILES, on_error="raise", progress=False)
    found = db.search()
    folder = tmp_path_factory.mktemp("exported")
    place = {dataset: number for number, dataset in enumerate(found.datasets)}
    datasets = {outcome.label: outcome.datasets for outcome in report.files}

    def exported(selection: Selection, kind: Any) -> Path:
        done = selection.export(folder / kind, format=kind, progress=False)
        # Two files may have the same light curve, which is then exported already.
        assert set(done["status"]) <= {"written", "kept"}
        return Path(done["file"].iloc[0])

    @functools.cache
    def of(path: Path) -> list[Stored]:
        product = read_product(path)
        each = [found[place[dataset]] for dataset in datasets[str(path)]]
        return [
            Stored(product, curve, one, {k: exported(one, k) for k in ("fits", "ecsv", "csv")})
            for curve, one in zip(product.curves, each, strict=True)
        ]

    return of


def plain(column: Any) -> npt.NDArray[Any]:
    """Make an array of any column, NaN where it is masked."""
    bare = getattr(column, "unmasked", column)
    values = np.ma.getdata(np.asarray(getattr(bare, "value", bare)))
    mask = np.asarray(getattr(column, "mask", False))
    return np.where(mask, np.nan, values) if values.dtype.kind == "f" else values


def same_bits(one: Any, other: Any) -> bool:
    """Whether floats are the same to the last bit, every NaN like the other."""
    a, b = plain(one).astype(np.float64), plain(other).astype(np.float64)
    first, second = (np.where(np.isnan(x), np.nan, x).view(np.int64) for x in (a, b))
    return np.array_equal(first, second)


def check_same(ours: Any, theirs: Any, *, units: bool = True) -> None:
    """Compare all columns of a light curve with those of one that was read from a file."""
    assert ours.time.format == theirs.time.format
    assert ours.time.scale == theirs.time.scale
    assert same_bits(ours.time.value, theirs.time.value)
    for name in ours.colnames[1:]:
        assert same_bits(ours[name], theirs[name]), name
        if units:
            assert getattr(ours[name], "unit", None) == getattr(theirs[name], "unit", None), name


def rows_of(product: Product, cadence: Any) -> Any:
    """Return the rows of the database that a file has, in the order of the file."""
    return np.isin(cadence, product.cadence) if product.numbered else slice(None)


FLOATS = ("time", "flux", "flux_err")


def check_product(one: Stored, columns: dict[str, Any]) -> None:
    """Compare columns of an exported file with those of the original, cadence by cadence."""
    product, curve = one.product, one.curve
    rows = rows_of(product, columns["cadenceno"])
    if product.numbered:
        assert np.array_equal(columns["cadenceno"][rows], product.cadence)
    assert same_bits(columns["time"][rows], product.time)
    lightcurve = one.ours(flagged="keep")
    if unit_of(curve) == "[mag":
        # Magnitudes become relative flux, of which only the database knows the middle.
        finite = np.isfinite(columns["time"])
        assert same_bits(columns["flux"][finite], lightcurve.flux)
    else:
        assert same_bits(columns["flux"][rows], curve.flux)
        errors = np.full(product.time.size, np.nan) if curve.flux_err is None else curve.flux_err
        assert same_bits(columns["flux_err"][rows], errors)
    flags = product.quality.get(lightcurve.meta["QUALITY_TYPE"])
    if flags is not None:
        assert np.array_equal(columns["quality"][rows] & flags, flags)


def unit_of(curve: Curve) -> str:
    described = (curve.processing or curve.photometry).description
    return described.partition("]")[0]


# The file in LC-qsp has 15 light curves, each of which is read four times.
@parameters(FILES, slow="LC-qsp")
def test_lightkurve_reads_the_light_curve_of_the_database_from_fits(
    stored: Callable[[Path], list[Stored]], path: Path
) -> None:
    for one in stored(path):
        for preset in PRESETS:
            ours = one.ours(quality_bitmask=preset)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                theirs = lightkurve.read(str(one.files["fits"]), quality_bitmask=preset)
            assert isinstance(ours, type(theirs))
            if unit_of(one.curve) == "[mag" and preset != "default":
                # Relative to the median of what was good when they were exported.
                ratio = plain(theirs.flux) / plain(ours.flux)
                assert np.nanmax(ratio) == pytest.approx(np.nanmin(ratio), rel=1e-12)
                ours["flux"], ours["flux_err"] = theirs.flux, theirs.flux_err
            # Neither FITS nor lightkurve has this unit: unrecognized.
            check_same(ours, theirs, units=str(ours.flux.unit) != "electron")
            assert str(theirs.flux.unit) == str(ours.flux.unit)
            assert np.array_equal(ours.meta["QUALITY_MASK"], theirs.meta["QUALITY_MASK"])
            author = ours.meta["AUTHOR"]
            metadata = {k: v for k, v in ours.meta.items() if not isinstance(v, np.ndarray)}
            for key, value in (metadata | ALWAYS_SAID.get(author, {})).items():
                if key not in OF_THE_READER and key not in OF_THE_FILE:
                    assert theirs.meta[key] == value, key


@every_fits_file
def test_lightkurve_reads_from_fits_what_it_reads_from_the_original(
    stored: Callable[[Path], list[Stored]], path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = lightkurve.read(str(path))
    for one in stored(path):
        exported = lightkurve.read(str(one.files["fits"]))
        assert type(exported) is type(original)
        assert same_bits(exported.time.value, original.time.value)
        assert np.array_equal(plain(exported["quality"]), plain(original["quality"]))
        keys = ("AUTHOR", "MISSION", "TARGETID", "SECTOR", "QUARTER", "CAMPAIGN", "CAMERA", "CCD")
        for key in keys:
            assert exported.meta.get(key) == original.meta.get(key), key


@every_file
def test_a_fits_file_has_every_cadence_of_the_original_and_its_sums_are_right(
    stored: Callable[[Path], list[Stored]], path: Path
) -> None:
    for one in stored(path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(one.files["fits"], checksum=True) as hdus:
                hdus.verify("exception")
                header, data = hdus[1].header, hdus[1].data
                assert all({"CHECKSUM", "DATASUM"} <= {*hdu.header} for hdu in hdus)
                names = {"time": "TIME", "flux": "FLUX", "flux_err": "FLUX_ERR"}
                names |= {"cadenceno": "CADENCENO"}
                columns = {name: np.asarray(data[column]) for name, column in names.items()}
        columns["quality"] = one.ours(flagged="keep", quality_bitmask="none")["quality"]
        if len(columns["quality"]) != len(columns["time"]):
            flags = "SAP_QUALITY" if "SAP_QUALITY" in data.names else "QUALITY"
            columns["quality"] = np.asarray(data[flags])
        check_product(one, columns)
        assert data["TIME"].dtype.itemsize == 8
        assert header["EXTNAME"] == "LIGHTCURVE"
        assert (header["TIMESYS"], header["TIMEUNIT"], header["BJDREFF"]) == ("TDB", "d", 0.0)
        assert header["BJDREFI"] == (2454833 if one.product.mission == "Kepler" else 2457000)


@every_file
@pytest.mark.parametrize("kind", ["fits", "ecsv", "csv", "parquet"])
def test_read_lightcurve_returns_the_light_curve_of_the_database(
    stored: Callable[[Path], list[Stored]], path: Path, kind: str, tmp_path: Path
) -> None:
    for one in stored(path):
        ours = one.ours(flagged="keep")
        file = one.files.get(kind) or lcdb.write_lightcurve(ours, tmp_path / "one.parquet")
        again = lcdb.read_lightcurve(file)
        file.unlink() if kind == "parquet" else None
        assert type(again) is type(ours)
        assert again.colnames == ours.colnames
        check_same(ours, again)
        assert [type(again[name]) for name in again.colnames] == [
            type(ours[name]) for name in ours.colnames
        ]
        for key, value in ours.meta.items():
            if key != "QUALITY_MASK":
                assert again.meta[key] == value, key
            elif kind != "fits":
                assert np.array_equal(again.meta[key], value)


@every_file
@pytest.mark.parametrize("kind", ["ecsv", "csv"])
def test_tables_read_without_this_package_have_every_cadence_of_the_original(
    stored: Callable[[Path], list[Stored]], path: Path, kind: str
) -> None:
    for one in stored(path):
        file = one.files[kind]
        columns: dict[str, Any]
        if kind == "ecsv":
            table = Table.read(file, format="ascii.ecsv")
            columns = {name: np.asarray(table[name]) for name in table.colnames}
            assert table["flux"].unit == one.ours().flux.unit
            assert table.meta["LINEAGE"] == one.ours().meta["LINEAGE"]
        else:
            frame = pd.read_csv(file, comment="#", dtype=dict.fromkeys(FLOATS, str))
            columns = {str(name): frame[name].to_numpy() for name in frame}
            # pandas before 3.1 rounds floats by default; NumPy converts them exactly.
            columns |= {name: columns[name].astype(float) for name in FLOATS}
        check_product(one, columns)


def test_ingest_of_exported_files_changes_nothing(
    db: lcdb.Database, stored: Callable[[Path], list[Stored]]
) -> None:
    # Their headers call them QLP's, and they have one of the columns of QLP's files.
    (path,) = (path for path in FILES if "s0056-0000000267574918" in path.name)
    one = stored(path)[0]
    (outcome,) = db.ingest(one.files["fits"], progress=False).files
    assert (outcome.status, outcome.datasets) == ("unchanged", (one.ours().meta["DATASET"],))
    again = db.add(lcdb.read_lightcurve(one.files["fits"]))
    assert (again.unchanged, again.files[0].datasets) == (1, (one.ours().meta["DATASET"],))


@pytest.mark.parametrize(
    ("target", "search", "window", "period"),
    [
        # Gillon et al. 2009; Vanderburg et al. 2020.
        pytest.param(
            *(402026209, {"sector": 2, "processing": "PDCSAP"}, (1.0, 1.7), 1.33823),
            id="WASP-4 b",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(267574918, {"sector": 56, "processing": "DET_SML"}, (1.2, 1.6), 1.40794),
            id="WD 1856 b",
        ),
    ],
)
def test_box_least_squares_finds_the_planets_in_exported_files(
    db: lcdb.Database,
    stored: Callable[[Path], list[Stored]],  # noqa: ARG001 - fills the database
    tmp_path: Path,
    target: int,
    search: dict[str, Any],
    window: tuple[float, float],
    period: float,
) -> None:
    (file,) = db.search(target, **search).export(tmp_path)["file"]
    lc = lightkurve.read(file).remove_nans()
    flat = lc.flatten(window_length=901).remove_outliers(sigma_upper=4, sigma_lower=np.inf)
    duration = 0.1 if target == 402026209 else 0.005
    found = flat.to_periodogram(method="bls", period=np.arange(*window, 0.00005), duration=duration)
    assert found.period_at_max_power.value == pytest.approx(period, rel=0.001)
