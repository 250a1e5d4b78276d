"""Every real file, through the database and back: exactly what lightkurve reads from it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.readers.dispatch import read_product

DATA = Path(os.environ.get("LCDB_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
# A foreign file without a time reference, which lightkurve cannot read either.
UNREADABLE = "hlsp_twirlfs_tess_ffi_s0057-0000001400694779_tess_v01_llc.fits.gz"
FILES = [path for path in sorted(DATA.rglob("*.fits.gz")) if path.name != UNREADABLE]
PRESETS = ("none", "default", "hard", "hardest")

# Of each pipeline and mission, the others repeat with other numbers what the shortest proves.
SHORTEST = {
    (path.parent.name, path.name[:4]): path
    for path in sorted(FILES, key=lambda path: path.stat().st_size, reverse=True)
}.values()

every_file = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.name[:70], marks=[] if path in SHORTEST else pytest.mark.slow)
        for path in FILES
    ],
)
pytestmark = [
    pytest.mark.skipif(not FILES, reason=f"no real light curves in {DATA} (LCDB_TEST_DATA)"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightkurve"),
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning"),
]

FLUX_COLUMNS = {
    ("TGLC PSF", None): "psf_flux",
    ("TGLC PSF", "TGLC CAL"): "cal_psf_flux",
    ("TGLC aperture", None): "aperture_flux",
    ("TGLC aperture", "TGLC CAL"): "cal_aper_flux",
}
"""lightkurve's names of the columns where they are not the names of the processing."""


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str]) -> Iterator[lcdb.Database]:
    """A database of all the real files."""
    with lcdb.connect(new_tables(), write=True) as db:
        report = db.ingest(FILES, on_error="raise", progress=False)
        assert {outcome.status for outcome in report.files} == {"added"}
        yield db


def criteria(product: Product) -> dict[str, Any]:
    """What a person would type to find one file's light curves."""
    names = ("sector", "quarter", "campaign", "author", "exptime")
    found = {name: product.observation_fields.get(name) for name in names}
    return {
        "catalog": product.catalog,
        **{name: value for name, value in found.items() if value is not None},
    }


def methods(curve: Curve) -> tuple[str, str | None]:
    return curve.photometry.name, curve.processing.name if curve.processing else None


def flux_column(curve: Curve) -> str:
    if methods(curve) in FLUX_COLUMNS:
        return FLUX_COLUMNS[methods(curve)]
    name = curve.processing.name if curve.processing else "SAP"
    stem, _, size = name.partition("_SML") if "_SML" in name else name.partition("_LAG")
    return f"{stem}_flux{size or name[len(stem) :]}".lower()


def plain(column: Any) -> npt.NDArray[np.float64]:
    """A column of lightkurve as plain float64, NaN where it is masked."""
    values = getattr(column, "value", column)
    filled: npt.NDArray[np.float64] = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    return filled


def bits(values: Any) -> list[int]:
    """Bit patterns, every NaN with the same one."""
    found = plain(values)
    return list(np.where(np.isnan(found), np.nan, found).view(np.int64))


def theirs(path: Path, preset: str) -> Any:
    import lightkurve

    # TGLC's flags are int16, and lightkurve hands numpy 65535 for these: all that int16 can hold.
    hardest_of_int16 = "_tglc_" in path.name and preset == "hardest"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.read(str(path), quality_bitmask=2**15 - 1 if hardest_of_int16 else preset)


@every_file
@pytest.mark.parametrize("preset", PRESETS)
def test_a_light_curve_has_exactly_the_cadences_that_lightkurve_reads(
    db: lcdb.Database, path: Path, preset: str
) -> None:
    product = read_product(path)
    read = theirs(path, preset)
    for curve in product.curves:
        photometry, processing = methods(curve)
        ours = db.lightcurve(
            product.target,
            photometry=photometry,
            processing=processing or "raw",
            quality_bitmask=preset,
            **criteria(product),
        )
        assert isinstance(ours, type(read))
        assert bits(ours.time.value) == bits(read.time.value)
        assert (ours.time.format, ours.time.scale) == (read.time.format, read.time.scale)
        assert bits(ours.flux) == bits(read[flux_column(curve)])
        assert list(ours["quality"]) == list(read["quality"])
        if product.numbered:
            assert list(ours["cadenceno"]) == list(read["cadenceno"])
        assert np.array_equal(ours.meta["QUALITY_MASK"], read.meta["QUALITY_MASK"])
        assert ours.meta["TARGETID"] == read.meta["TARGETID"]


@every_file
def test_the_errors_are_those_of_the_file(db: lcdb.Database, path: Path) -> None:
    product = read_product(path)
    kept = ~np.isnan(product.time)
    for curve in product.curves:
        photometry, processing = methods(curve)
        found = db.lightcurve(
            product.target,
            photometry=photometry,
            processing=processing or "raw",
            flagged="keep",
            **criteria(product),
        )
        if curve.flux_err is None:
            assert np.isnan(found.flux_err.value).all()
        else:
            assert bits(found.flux_err) == bits(curve.flux_err[kept])


@every_file
def test_every_finite_time_is_kept_with_any_flags(db: lcdb.Database, path: Path) -> None:
    product = read_product(path)
    collection = db.lightcurves(product.target, flagged="keep", **criteria(product))
    finite = int(np.isfinite(product.time).sum())
    assert {len(lc) for lc in collection} == {finite}
    assert all(np.isfinite(lc.time.value).all() for lc in collection)


@every_file
def test_a_dataframe_has_the_numbers_of_the_light_curves(db: lcdb.Database, path: Path) -> None:
    product = read_product(path)
    frame = db.dataframe(product.target, **criteria(product))
    lightcurves = {
        lc.meta["DATASET"]: lc for lc in db.lightcurves(product.target, **criteria(product))
    }
    assert set(frame["dataset"]) == set(lightcurves)
    for dataset, rows in frame.groupby("dataset"):
        lc = lightcurves[dataset]
        assert bits(rows["time"].to_numpy()) == bits(lc.time.value)
        assert bits(rows["flux"].to_numpy()) == bits(lc.flux)
        assert list(rows["quality"]) == list(lc["quality"])
        assert list(rows["cadenceno"]) == list(lc["cadenceno"])


def test_pi_mensae_is_read_bit_for_bit(db: lcdb.Database) -> None:
    path = next(path for path in FILES if "0000000261136679" in path.name)
    lc = db.lightcurve(261136679, sector=1, processing="PDCSAP", flagged="keep")
    with fits.open(path) as hdus:
        data = hdus[1].data
        finite = ~np.isnan(data["TIME"])
        assert len(data) == 20_076
        assert len(lc) == 20_076 - 815
        assert bits(lc.time.value) == bits(data["TIME"][finite])
        assert bits(lc.flux) == bits(data["PDCSAP_FLUX"][finite])
        assert bits(lc.flux_err) == bits(data["PDCSAP_FLUX_ERR"][finite])
        assert list(lc["cadenceno"]) == data["CADENCENO"][finite].tolist()
        assert list(lc["quality"]) == data["QUALITY"][finite].tolist()
    assert str(lc.flux.unit) == "electron / s"


def test_box_least_squares_finds_wasp_4_b(db: lcdb.Database) -> None:
    lc = db.lightcurve(402026209, sector=2, processing="PDCSAP")
    flat = (
        lc.remove_nans().flatten(window_length=901).remove_outliers(sigma_upper=4, sigma_lower=20)
    )
    found = flat.to_periodogram(method="bls", period=np.arange(0.8, 3, 0.001), duration=0.1)
    assert found.period_at_max_power.value == pytest.approx(1.338, rel=0.005)


def test_nan_times_are_dropped_even_without_a_flag(db: lcdb.Database) -> None:
    # TIC 22876651 in sector 18 has cadences of QUALITY 0 and no time.
    path = next(path for path in FILES if "0000000022876651-s0018" in path.name)
    product = read_product(path)
    unflagged = product.quality["tess_quality_flag"] == 0
    assert (np.isnan(product.time) & unflagged).sum() == 13
    lc = db.lightcurve(22876651, sector=18, processing="raw")
    assert len(lc) == (np.isfinite(product.time) & ~flagged(product)).sum()


def flagged(product: Product) -> npt.NDArray[np.bool_]:
    return lcdb.flags.mask(product.quality["tess_quality_flag"], "default")


def test_the_same_star_and_sector_from_three_pipelines_is_three_observations(
    db: lcdb.Database,
) -> None:
    table = db.search(188589164, sector=24).table
    assert set(table["author"]) == {"SPOC", "TESS-SPOC", "QLP"}
    assert table.groupby("author")["observation"].nunique().tolist() == [1, 1, 1]
    assert table["observation"].nunique() == 3
