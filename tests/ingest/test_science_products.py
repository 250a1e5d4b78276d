"""High-level science products: read and added as ``lightkurve.read`` reads them.

The files are written here after the documentation of each author, which the readers cite.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.from_lightkurve.convert import product_from_lightcurve
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.models import DataSet, ProcessingMethod

ROOT = Path(__file__).parents[2]
ROWS = 64
PRESETS = ("none", "default", "hard", "hardest")
TESS = {"TELESCOP": "TESS", "CAMERA": 2, "CCD": 3, "SECTOR": 6}
K2 = {"TELESCOP": "Kepler", "MISSION": "K2", "CAMPAIGN": 1, "CHANNEL": 48}
BTJD = {"BJDREFI": 2457000, "BJDREFF": 0.0, "TIMESYS": "TDB", "TIMEUNIT": "d"}

random = np.random.default_rng(20261129)
FLUX = 1000 + random.normal(size=ROWS)
ERROR = random.uniform(0.5, 1, ROWS)
# Every bit once, and the rows without flags.
BITS = np.array([1 << bit for bit in range(31)] + [0] * (ROWS - 31), np.int32)
TESS_TIME = 1468.3 + np.arange(ROWS) / 48
KEPLER_TIME = 1977.5 + np.arange(ROWS) * 1765.46 / 86400
# As in real files, nothing was measured without a time.
TESS_TIME[40] = KEPLER_TIME[40] = FLUX[40] = ERROR[40] = np.nan

Columns = dict[str, tuple[str, str | None, Any]]
"""Format, unit and values of each column."""


def written(
    path: Path, name: str, primary: dict[str, Any], header: dict[str, Any], columns: Columns
) -> Path:
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(column, form, unit, array=array)
            for column, (form, unit, array) in columns.items()
        ]
    )
    table.header.update(header)
    first = fits.PrimaryHDU()
    for key, value in primary.items():
        if key == "COMMENT":
            first.header.add_comment(value)
        else:
            first.header[key] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList([first, table]).writeto(path / name)
    return path / name


def cdips(path: Path) -> Path:
    quality = np.array(["G"] * ROWS)
    quality[[3, 5]], quality[7] = "X", "0"
    columns: Columns = {"RSTFC": ("48A", "unitless", ["tess-frame"] * ROWS)}
    for k in (1, 2, 3):
        columns |= {
            f"IFL{k}": ("D", "ADU", FLUX + k),
            f"IFE{k}": ("D", "ADU", ERROR),
            f"IRM{k}": ("D", "mag", 10 + FLUX / 1e3 + k),
            f"IRE{k}": ("D", "mag", ERROR / 1e3),
            f"IRQ{k}": ("1A", "unitless", quality),
            f"TFA{k}": ("D", "mag", 11 + FLUX / 1e3),
            f"PCA{k}": ("D", "mag", 12 + FLUX / 1e3),
        }
    columns |= {"TMID_BJD": ("D", "day", TESS_TIME + 2457000)}
    columns |= {"CCDTEMP": ("D", "degcelcius", FLUX), "NTEMPS": ("J", "unitless", BITS)}
    primary: dict[str, Any] = TESS | {
        "ORIGIN": "Bouma&Hartman|CDIPS",
        "TICID": "93270923",
        "TIMESYS": "TDB",
    }
    primary |= {"TIMEUNIT": "d", "BJDREFI": 0, "BJDREFF": 0, "OBJECT": "3064530810048196352"}
    primary |= {"Gaia-ID": "3064530810048196352"}
    name = "hlsp_cdips_tess_ffi_gaiatwo0003064530810048196352-0006-cam2-ccd3_tess_v01_llc.fits"
    return written(path, name, primary, {}, columns)


def eleanor(path: Path, lite: bool = False) -> Path:
    columns: Columns = {"TIME": ("D", None, TESS_TIME), "BARYCORR": ("D", None, FLUX)}
    if not lite:
        columns |= {"TPF": ("9D", None, np.ones((ROWS, 9)))}
    columns |= {
        "RAW_FLUX": ("D", None, FLUX),
        "CORR_FLUX": ("D", None, FLUX * 1.01),
        "FLUX_ERR": ("D", None, ERROR),
        "QUALITY": ("K", None, BITS),
        "X_CENTROID": ("D", None, FLUX),
        "Y_CENTROID": ("D", None, FLUX),
        "X_COM": ("D", None, FLUX),
        "Y_COM": ("D", None, FLUX),
        "FLUX_BKG": ("D", None, FLUX / 9),
        # eleanor writes floating-point numbers, GSFC-ELEANOR-LITE integers.
        "FFIINDEX": ("K" if lite else "D", None, 11354 + np.arange(ROWS)),
        "PCA_FLUX": ("D", None, FLUX * 1.02),
    }
    primary = TESS | {"LITE": lite, "PCORIGIN": "MAST", "TIC_ID": 38846515, "TMAG": 10.3}
    # The cards are those of a full-frame image, its checksum included.
    primary |= {"ORIGIN": "NASA/Ames", "CHECKSUM": "7aoAEZl57dlA7Zl5"}
    if lite:
        primary |= {"TVERSION": "1", "GITHUB": "https://github.com/afeinstein20/eleanor"}
    name = "hlsp_gsfc-eleanor-lite_tess_ffi_s0006-0000000038846515_tess_v1.0_lc.fits"
    return written(path, name, primary, {"EXTNAME": "PIXELS"}, columns)


def eleanor_lite(path: Path) -> Path:
    return eleanor(path, lite=True)


def pathos(path: Path) -> Path:
    columns: Columns = {"TIME": ("D", None, TESS_TIME), "TIMECORR": ("D", None, FLUX)}
    for k, name in enumerate(("PSF", "AP1", "AP2", "AP3", "AP4")):
        columns |= {
            f"{name}_FLUX_RAW": ("D", None, FLUX + k),
            f"{name}_FLUX_COR": ("D", None, 1 + FLUX / 1e4 + k),
        }
    columns |= {"SKY_LOCAL": ("D", None, FLUX), "XPOS": ("D", None, FLUX)}
    columns |= {"DQUALITY": ("J", None, BITS)}
    name = "hlsp_pathos_tess_lightcurve_tic-0093270923-s0006_tess_v1_llc.fits"
    return written(path, name, {"TELESCOP": "TESS", "TICID": 93270923}, {}, columns)


def tasoc(path: Path) -> Path:
    columns: Columns = {
        "TIME": ("D", "BJD - 2457000, days", TESS_TIME),
        "TIMECORR": ("E", "d", FLUX / 1e6),
        "CADENCENO": ("J", None, 8000 + np.arange(ROWS)),
        "FLUX_RAW": ("D", "e-/s", FLUX),
        "FLUX_RAW_ERR": ("D", "e-/s", ERROR),
        "FLUX_BKG": ("D", "e-/s", FLUX / 7),
        "FLUX_CORR": ("D", "ppm", FLUX - 1000),
        "FLUX_CORR_ERR": ("D", "ppm", ERROR / 2),
        "QUALITY": ("J", None, BITS % 512),
        "PIXEL_QUALITY": ("J", None, BITS),
        "MOM_CENTR1": ("D", "pixels", FLUX),
        "MOM_CENTR2": ("D", "pixels", FLUX),
    }
    primary = TESS | {"ORIGIN": "TASOC/Aarhus", "TICID": 62483237, "CRMITEN": True}
    primary |= {"OBJECT": "TIC 62483237", "DATA_REL": 9, "DATE": "2020-03-18", "PROCVER": "5.0"}
    header = BTJD | {"EXTNAME": "LIGHTCURVE", "TIMEDEL": 1 / 48, "CORRMET": "cbv"}
    name = "hlsp_tasoc_tess_ffi_tic00062483237-s0006-cam2-ccd3-c1800_tess_v05_cbv-lc.fits"
    return written(path, name, primary, header, columns)


def k2sff(path: Path) -> Path:
    columns: Columns = {
        "T": ("D", "BJD - 2454833", KEPLER_TIME),
        "FRAW": ("D", None, FLUX / 1e3),
        "FCOR": ("D", None, FLUX / 1e3 + 0.01),
        "ARCLENGTH": ("D", "arcsec", ERROR),
        "MOVING": ("J", None, BITS % 2),
        "CADENCENO": ("J", None, 95000 + np.arange(ROWS)),
    }
    primary = {"TELESCOP": "Kepler", "KEPLERID": 201367065, "OBJECT": "EPIC 201367065"}
    name = "hlsp_k2sff_k2_lightcurve_201367065-c01_kepler_v1_llc.fits"
    return written(path, name, primary, {"EXTNAME": "BESTAPER"}, columns)


def everest(path: Path) -> Path:
    columns: Columns = {
        "CADN": ("D", None, 95000 + np.arange(ROWS)),
        "FLUX": ("D", "e-/s", np.where(BITS == 2**23, np.nan, FLUX)),
        "FRAW": ("D", "e-/s", FLUX - 5),
        "FRAW_ERR": ("D", "e-/s", ERROR),
        "QUALITY": ("J", None, BITS),
        "TIME": ("D", "BJD - 2454833", KEPLER_TIME),
        "FCOR": ("D", "e-/s", FLUX + 0.5),
        "CBV01": ("D", None, FLUX),
    }
    primary = K2 | {"KEPLERID": 201367065, "ORIGIN": "NASA/Ames"}
    primary |= {"CREATOR": "915 TargetPixelExporterPipelineModule", "CHECKSUM": "7aoAEZl57dlA7Zl5"}
    primary |= {"COMMENT": "*     EVEREST INFO     *"}
    name = "hlsp_everest_k2_llc_201367065-c01_kepler_v2.0_lc.fits"
    return written(path, name, primary, {"EXTNAME": "ARRAYS"}, columns)


def kepseismic(path: Path) -> Path:
    dates = KEPLER_TIME - 1847 + 2454833 - 2400000.5
    columns: Columns = {
        "TIME": ("D", None, np.concatenate([dates, dates + 1400])),
        "FLUX": ("D", "ppm", np.concatenate([FLUX, FLUX]) - 1000),
    }
    primary = {"ORIGIN": "CEA & SSI", "TELESCOP": "Kepler", "KEPLERID": 1435467}
    name = "hlsp_kepseismic_kepler_phot_kplr001435467-20d_kepler_v1_cor-filt-inp.fits"
    return written(path, name, primary, {}, columns)


def kbonus(path: Path) -> Path:
    times = KEPLER_TIME - 1847
    columns: Columns = {
        "TIME": ("D", "BJD - 2454833", np.concatenate([times, times + 1400])),
        "CADENCENO": ("J", None, np.concatenate([1105 + np.arange(ROWS), 7e4 + np.arange(ROWS)])),
        "QUARTER": ("K", None, np.repeat([1, 17], ROWS)),
        "FLUX": ("D", "e-/s", np.concatenate([FLUX, FLUX])),
        "FLUX_ERR": ("D", "e-/s", np.concatenate([ERROR, ERROR])),
        "SAP_FLUX": ("D", "e-/s", np.concatenate([FLUX, FLUX]) - 7),
        "SAP_FLUX_ERR": ("D", "e-/s", np.concatenate([ERROR, ERROR])),
        "PSF_FLAT_FLUX": ("D", "e-/s", np.concatenate([FLUX, FLUX]) + 3),
        "PSF_FLAT_FLUX_ERR": ("D", "e-/s", np.concatenate([ERROR, ERROR])),
        "SAP_QUALITY": ("J", None, np.concatenate([BITS, BITS])),
        "FLATTEN_MASK": ("J", None, np.concatenate([BITS % 2, BITS % 2])),
    }
    primary: dict[str, Any] = {"HLSPID": "KBONUS-BKG", "ORIGIN": "PSFMACHINE", "TELESCOP": "Kepler"}
    primary |= {"CREATOR": "lightkurve.LightCurve.to_fits()", "MISSION": "Kepler"}
    primary |= {"KEPLERID": 5300878, "OBJECT": "KIC 5300878", "GAIAID": "Gaia DR3 20737745918081"}
    name = "hlsp_kbonus-bkg_kepler_kepler_kic-005300878_kepler_v1.0_lc.fits"
    return written(path, name, primary, {"EXTNAME": "LIGHTCURVE_STITCHED"}, columns)


Write = Callable[[Path], Path]
PRODUCTS: dict[str, Write] = {
    "CDIPS": cdips,
    "ELEANOR": eleanor,
    "GSFC-ELEANOR-LITE": eleanor_lite,
    "PATHOS": pathos,
    "TASOC": tasoc,
    "K2SFF": k2sff,
    "EVEREST": everest,
    "KEPSEISMIC": kepseismic,
    "KBONUS-BKG": kbonus,
}
every_product = pytest.mark.parametrize("author", PRODUCTS)


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    with engine.connect() as connection, connection.begin() as transaction:
        with orm.Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def opened(path: Path, preset: str = "default") -> Any:
    # K2SFF and KEPSEISMIC have no flags.
    options: dict[str, Any] = (
        {} if "k2sff" in path.name or "seismic" in path.name else {"quality_bitmask": preset}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.read(path, **options)


def values(column: Any) -> Any:
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=float), np.nan)


@pytest.fixture(scope="module", params=["ingest", "add"])
def filled(request: pytest.FixtureRequest, new_tables: Callable[[], str]) -> Iterator[Any]:
    """A database for files, and another for what lightkurve read from them."""
    with lcdb.connect(new_tables(), write=True) as db:
        yield request.param, db


@every_product
def test_stored_products_are_those_of_lightkurve_under_every_preset(
    filled: tuple[str, Any], tmp_path: Path, author: str
) -> None:
    by, db = filled
    path = PRODUCTS[author](tmp_path)
    theirs = opened(path, "none")
    if by == "ingest":
        report = db.ingest(path, on_error="raise", progress=False)
    else:
        report = db.add(theirs)
        db.session.commit()
    assert report.added == 1
    (curve,) = product_from_lightcurve(theirs).curves
    processing = curve.processing.name if curve.processing else "raw"
    for preset in PRESETS:
        theirs = opened(path, preset)
        ours = db.lightcurve(
            author=author,
            photometry=curve.photometry.name,
            processing=processing,
            quality_bitmask=preset,
            as_flux=False,
        )
        assert len(ours) == len(theirs) > 20
        if author == "CDIPS":
            # lightkurve labels full BJD as BTJD.
            assert np.array_equal(ours.time.value, theirs.time.value - 2457000)
        else:
            assert np.abs((ours.time - theirs.time).sec).max() < 1e-4
        assert np.array_equal(ours.flux.value, values(theirs.flux), equal_nan=True)
        assert ours.flux.unit.to_string() == theirs.flux.unit.to_string()
        error = theirs["ire1"] if author == "CDIPS" else theirs.flux_err
        assert np.array_equal(ours.flux_err.value, values(error), equal_nan=True)
        assert ours.meta["AUTHOR"] == author
        assert str(ours.meta["TARGETID"]) == str(theirs.meta["TARGETID"])
        if "cadenceno" in theirs.colnames:
            assert np.array_equal(ours["cadenceno"], np.asarray(theirs["cadenceno"]))
    assert len(opened(path, "hardest")) < ROWS or author in ("TASOC", "KBONUS-BKG", "KEPSEISMIC")


@every_product
def test_add_after_ingest_changes_nothing(
    session: orm.Session, tmp_path: Path, author: str
) -> None:
    path = PRODUCTS[author](tmp_path)
    (stored,) = ingest(session, path, on_error="raise", progress=False).files
    assert ingest(session, path, progress=False).unchanged == 1
    report = add(session, opened(path, "none"))
    assert report.unchanged == 1
    assert set(report.files[0].datasets) <= set(stored.datasets)


# The column of each light curve, and the column from which it was derived.
EXPECTED: dict[str, dict[tuple[str, str | None], tuple[str, str | None]]] = {
    "CDIPS": {
        ("CDIPS aperture 1", None): ("IFL1", None),
        ("CDIPS aperture 1", "CDIPS IRM"): ("IRM1", "IFL1"),
        ("CDIPS aperture 1", "CDIPS TFA"): ("TFA1", "IRM1"),
        ("CDIPS aperture 1", "CDIPS PCA"): ("PCA1", "IRM1"),
        ("CDIPS aperture 3", "CDIPS PCA"): ("PCA3", "IRM3"),
    },
    "ELEANOR": {
        ("ELEANOR aperture", None): ("RAW_FLUX", None),
        ("ELEANOR aperture", "ELEANOR CORR"): ("CORR_FLUX", "RAW_FLUX"),
        ("ELEANOR aperture", "ELEANOR PCA"): ("PCA_FLUX", "RAW_FLUX"),
    },
    "PATHOS": {
        ("PATHOS PSF", None): ("PSF_FLUX_RAW", None),
        ("PATHOS PSF", "PATHOS COR"): ("PSF_FLUX_COR", "PSF_FLUX_RAW"),
        ("PATHOS aperture 4px", "PATHOS COR"): ("AP4_FLUX_COR", "AP4_FLUX_RAW"),
    },
    "TASOC": {
        ("TASOC", None): ("FLUX_RAW", None),
        ("TASOC", "TASOC cbv"): ("FLUX_CORR", "FLUX_RAW"),
    },
    "K2SFF": {("K2SFF", None): ("FRAW", None), ("K2SFF", "K2SFF"): ("FCOR", "FRAW")},
    "EVEREST": {
        ("EVEREST SAP", None): ("FRAW", None),
        ("EVEREST SAP", "EVEREST"): ("FLUX", "FRAW"),
        ("EVEREST SAP", "EVEREST CBV"): ("FCOR", "FLUX"),
    },
    "KEPSEISMIC": {("KEPSEISMIC", "KEPSEISMIC 20d"): ("FLUX", None)},
    "KBONUS-BKG": {
        ("KBONUS-BKG PSF", None): ("FLUX", None),
        ("KBONUS-BKG PSF", "KBONUS-BKG FLAT"): ("PSF_FLAT_FLUX", "FLUX"),
        ("KBONUS-BKG SAP", None): ("SAP_FLUX", None),
    },
}


@pytest.mark.parametrize("author", EXPECTED)
def test_read_product_of_every_column_with_its_lineage(tmp_path: Path, author: str) -> None:
    path = PRODUCTS[author](tmp_path)
    product = read_product(path)
    found = {
        (c.photometry.name, c.processing.name if c.processing else None): c for c in product.curves
    }
    data = fits.getdata(path, 1)
    kept = slice(None) if product.numbered else np.isin(data_flux(data), product.curves[0].flux)
    for key, (column, source) in EXPECTED[author].items():
        assert np.array_equal(found[key].flux, data[column][kept], equal_nan=True)
        place = found[key].source
        if source is None:
            assert place is None
        else:
            assert place is not None
            assert np.array_equal(product.curves[place].flux, data[source][kept], equal_nan=True)


def data_flux(data: Any) -> Any:
    """The column that is the first curve of the products without cadence numbers."""
    return data[next(name for name in ("IFL1", "PSF_FLUX_RAW", "FLUX") if name in data.names)]


def not_kept(files: str) -> set[str]:
    """The words in the row of some files in the documentation's table of what is not kept."""
    text = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    section = text.partition("## What is kept, and what is not")[2].partition("\n## ")[0]
    rows = (line.strip("|").split("|") for line in section.splitlines() if line.startswith("|"))
    return {word for who, what in rows if files in who for word in re.findall(r"\w+", what)}


# The names in a file of the times, cadence numbers and flags; a light curve has others.
TIMES_AND_FLAGS = {
    "CDIPS": {"TMID_BJD"},
    "ELEANOR": {"TIME", "FFIINDEX", "QUALITY"},
    "GSFC-ELEANOR-LITE": {"TIME", "FFIINDEX", "QUALITY"},
    "PATHOS": {"TIME", "DQUALITY"},
    "TASOC": {"TIME", "CADENCENO", "QUALITY", "PIXEL_QUALITY"},
    "K2SFF": {"T", "CADENCENO", "MOVING"},
    "EVEREST": {"TIME", "CADN", "QUALITY"},
    "KEPSEISMIC": {"TIME"},
    "KBONUS-BKG": {"TIME", "CADENCENO", "SAP_QUALITY", "FLATTEN_MASK"},
}


@pytest.mark.parametrize("filled", ["ingest"], indirect=True)
@every_product
def test_ingest_keeps_every_column_that_is_not_documented_as_not_kept(
    filled: tuple[str, Any], tmp_path: Path, author: str
) -> None:
    _, db = filled
    path = PRODUCTS[author](tmp_path)
    db.ingest(path, on_error="raise", progress=False)
    data = fits.getdata(path, 1)
    product = read_product(path)
    # The column FLUX of a file is the flux of one of its light curves.
    curve = next((c for c in product.curves if c.column == "FLUX"), product.curves[0])
    ours = db.lightcurve(
        author=author,
        photometry=curve.photometry.name,
        processing=curve.processing.name if curve.processing else "raw",
        quality_bitmask="none",
        columns="all",
    )
    time = next(name for name in data.names if name in ("TIME", "T", "TMID_BJD"))
    rows = np.isfinite(data[time])
    if author == "CDIPS":
        rows &= data["IRQ1"] != "X"
    assert len(ours) == product.time.size - np.isnan(product.time).sum() == rows.sum()
    kept = set(TIMES_AND_FLAGS[author])
    for name in data.names:
        if name.lower() in ours.colnames and name not in kept:
            assert np.array_equal(values(ours[name.lower()]), data[name][rows], equal_nan=True)
            kept.add(name)
    listed = not_kept("eleanor" if author == "ELEANOR" else author) & set(data.names)
    assert kept | listed == set(data.names)
    assert not kept & listed


def test_read_product_of_cdips_drops_only_what_no_aperture_measured(tmp_path: Path) -> None:
    path = cdips(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["IRQ2"][3] = "G"
        hdus[1].data["IRQ3"][10] = "X"
    product = read_product(path)
    flags = product.quality["cdips_quality_flag"]
    assert product.cadence.size == ROWS - 2
    assert flags[3] == 1 | 4
    assert flags[9] == 4
    assert np.count_nonzero(flags) == 2


def test_read_product_of_cdips_and_kbonus_without_numbers_of_the_mission(tmp_path: Path) -> None:
    for write, key, value in ((cdips, "TICID", "nan"), (kbonus, "KEPLERID", None)):
        path = write(tmp_path)
        with fits.open(path, mode="update") as hdus:
            hdus[0].header[key] = value
        product = read_product(path)
        assert (product.catalog, product.target) in (
            ("Gaia DR2", 3064530810048196352),
            ("Gaia DR3", 20737745918081),
        )


def test_read_product_of_tasoc_names_the_method_of_the_correction(tmp_path: Path) -> None:
    path = tasoc(tmp_path)
    fits.setval(path, "CORRMET", value="ensemble", ext=1)
    names = {c.processing.name for c in read_product(path).curves if c.processing}
    assert names == {"TASOC ensemble"}


def test_ingest_with_replace_keeps_the_other_file_of_a_star_from_tasoc(
    session: orm.Session, tmp_path: Path
) -> None:
    paths = []
    for method, date in (("cbv", "2020-03-18"), ("ensemble", "2020-03-20")):
        path = tasoc(tmp_path).rename(tmp_path / f"{method}.fits")
        fits.setval(path, "CORRMET", value=method, ext=1)
        fits.setval(path, "DATE", value=date)
        paths.append(path)
    for replace in ("newer", True):
        report = ingest(session, paths, replace=replace, on_error="raise", progress=False)
        assert report.replaced == 0
    assert report.unchanged == 2
    processings = session.scalars(sa.select(ProcessingMethod.name).join(DataSet))
    assert sorted(processings) == ["TASOC cbv", "TASOC ensemble"]


@pytest.mark.parametrize("author", ["CDIPS", "PATHOS", "ELEANOR", "EVEREST", "K2SFF", "KEPSEISMIC"])
def test_read_product_refuses_times_that_are_impossible(tmp_path: Path, author: str) -> None:
    path = PRODUCTS[author](tmp_path)
    with fits.open(path, mode="update") as hdus:
        name = next(n for n in ("TMID_BJD", "TIME", "T") if n in hdus[1].columns.names)
        hdus[1].data[name] += 100_000
    with pytest.raises(IngestError, match="between the start of"):
        read_product(path)


def test_read_product_of_kepseismic_refuses_an_unknown_time_scale(tmp_path: Path) -> None:
    path = kepseismic(tmp_path)
    fits.setval(path, "TIMESYS", value="LOCAL TIME", ext=1)
    with pytest.raises(IngestError, match="TIMESYS must be a time scale, got 'LOCAL TIME'"):
        read_product(path)


def test_read_product_verifies_checksums_after_the_pipeline_is_known(tmp_path: Path) -> None:
    path = tasoc(tmp_path)
    fits.setval(path, "CHECKSUM", value="7aoAEZl57dlA7Zl5", ext=0)
    with pytest.raises(IngestError, match="does not match its CHECKSUM"):
        read_product(path)
    fits.setval(path, "ORIGIN", value="elsewhere", ext=0)
    with pytest.raises(IngestError, match="unknown pipeline"):
        read_product(path)


def test_read_product_names_the_reason_for_refusing_other_products(tmp_path: Path) -> None:
    ames = {"TELESCOP": "TESS", "ORIGIN": "NASA/Ames"}
    columns: Columns = {"TIME": ("D", None, TESS_TIME), "LC_INIT": ("E", None, FLUX)}
    dvt = written(
        tmp_path,
        "tess2018206190142-s0001-s0001-0000000261136679-00106_dvt.fits",
        ames | {"CREATOR": "1 DvTimeSeriesExporterPipelineModule"},
        {"EXTNAME": "TCE_1"},
        columns,
    )
    with pytest.raises(IngestError, match="data validation time series"):
        read_product(dvt)
    tica = tmp_path / "hlsp_tica_tess_ffi_s0027-o1-00116470-cam1-ccd1_tess_v01_img.fits"
    fits.PrimaryHDU(np.zeros((3, 3), np.float32)).writeto(tica)
    with pytest.raises(IngestError, match=r"an image, not a light curve; use db.add_frames\(\)"):
        read_product(tica)
    fits.append(tica, np.array([("a.fits",)], [("RAWFILES", "S6")]))
    with pytest.raises(IngestError, match=r"an image, not a light curve; use db.add_frames\(\)"):
        read_product(tica)
    folded = tmp_path / "folded.fits"
    lc = lightkurve.LightCurve(time=TESS_TIME[:30], flux=FLUX[:30], meta={"TARGETID": 7})
    lc.fold(0.3).to_fits(folded)
    with pytest.raises(IngestError, match="folded light curve has phases"):
        read_product(folded)


@pytest.mark.parametrize("filled", ["ingest"], indirect=True)
@pytest.mark.parametrize("preset", PRESETS)
def test_ingest_of_to_fits_has_the_flags_that_lightkurve_reads(
    filled: tuple[str, Any], data_folder: Path, tmp_path: Path, preset: str
) -> None:
    _, db = filled
    name = "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz"
    opened(data_folder / name, "none").to_fits(tmp_path / "lc.fits")
    db.ingest(tmp_path / "lc.fits", on_error="raise", progress=False)
    theirs = opened(tmp_path / "lc.fits", preset)
    ours = db.lightcurve(261136679, quality_bitmask=preset)
    assert np.array_equal(ours.time.value, theirs.time.value)
    assert np.array_equal(ours.flux.value, values(theirs.flux), equal_nan=True)
