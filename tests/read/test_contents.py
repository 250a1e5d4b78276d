"""Header cards and further columns: what ``lightkurve.read`` has, and what we have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
import sqlalchemy as sa
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError, SchemaError, TargetNotFoundError
from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.models import Base
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS

FILES = {
    "SPOC": "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "TESS-SPOC": "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz",
    "QLP": "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz",
    "TGLC": "tglc/hlsp_tglc_tess_ffi_gaiaid-5707485527450614656-s0007-cam2-ccd3_tess_v2_llc.fits"
    ".gz",
    "Kepler": "kepler/kplr011446443-2009131105131_llc.fits.gz",
    "K2": "kepler/ktwo211117077-c04_llc.fits.gz",
}
# The light curve that lightkurve reads by default.
DEFAULT = {
    "QLP": {"processing": "raw"},
    "TGLC": {"photometry": "TGLC PSF", "processing": "TGLC CAL"},
}

# Everything else is equal. Of attributes: those that lightkurve's object has by its columns.
DIFFERENT: dict[str, dict[str, str]] = {
    "QLP": {"flux_err": "lightkurve assigns the errors of the detrended flux to the raw flux"},
    "TGLC": {
        "cadenceno": "numbers from -n to -1, because all numbers in the file are 0",
        "cadence_num": "the column cadenceno",
        "tess_flags": "the column quality",
        "tglc_flags": "the column tglc_quality_flag",
        "cal_psf_flux": "has the unit dimensionless; lightkurve's has none",
        "cal_aper_flux": "has the unit dimensionless; lightkurve's has none",
        "background": "the file has no unit, which lightkurve adds",
        "FLUX_ORIGIN": "named after the processing, since the database has no names of columns",
    },
    "Kepler": {"sap_quality": "the column quality"},
    "K2": {
        "sap_quality": "the column quality",
        "AUTHOR": "lightkurve calls the author of K2's files Kepler",
    },
}
# The layout of the file, and lightkurve's own entries.
NOT_KEPT = {"INHERIT", "EXTNAME", "EXTVER", "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2"}
NOT_KEPT |= {"NAXIS3", "EXTEND", "NEXTEND", "CHECKSUM", "FILENAME", "COMMENT", "comments"}


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], data_folder: Path) -> Iterator[Any]:
    with lcdb.connect(new_tables(), write=True) as db:
        db.ingest([data_folder / name for name in FILES.values()], progress=False)
        yield db


def theirs_of(data_folder: Path, author: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.read(data_folder / FILES[author], **options)


def ours_of(db: Any, author: str, **options: Any) -> Any:
    which = DEFAULT.get(author, {"processing": "PDCSAP"})
    return db.lightcurve(author=author, **which, **options)


def values(column: Any) -> Any:
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan)


def is_equal(ours: Any, theirs: Any, name: str) -> bool:
    if name not in ours.colnames:
        return False
    same_unit = getattr(ours[name], "unit", None) == getattr(theirs[name], "unit", None)
    return same_unit and np.array_equal(values(ours[name]), values(theirs[name]), equal_nan=True)


@pytest.mark.parametrize("author", FILES)
def test_lightcurve_has_the_columns_and_metadata_of_lightkurve(
    db: Any, data_folder: Path, author: str
) -> None:
    theirs, ours = theirs_of(data_folder, author), ours_of(db, author, columns="all")
    assert np.array_equal(ours.time.value, theirs.time.value)
    columns = [name for name in theirs.colnames if name != "time"]
    different = [name for name in columns if not is_equal(ours, theirs, name)]
    undefined = "Undefined object"
    different += [
        key
        for key, value in theirs.meta.items()
        if key not in NOT_KEPT
        and str(ours.meta.get(key)) != ("None" if undefined in str(value) else str(value))
    ]
    assert set(different) == set(DIFFERENT.get(author, {}))
    assert (ours.ra, ours.dec) == (theirs.ra, theirs.dec)


@pytest.mark.parametrize("author", ["SPOC", "K2"])
def test_lightcurve_works_with_the_methods_of_lightkurve(
    db: Any, data_folder: Path, author: str
) -> None:
    theirs, ours = theirs_of(data_folder, author), ours_of(db, author, columns="all")
    for lc in (theirs, ours):
        assert lc.remove_nans().to_corrector("sff").lc is not None
    selected = ours.select_flux("sap_flux")
    assert np.array_equal(
        values(selected.flux), values(theirs.select_flux("sap_flux").flux), equal_nan=True
    )
    assert selected.meta["FLUX_ORIGIN"] == "sap_flux"


@pytest.mark.parametrize("author", FILES)
def test_ingest_keeps_all_numbers_of_the_table_of_light_curves(
    db: Any, data_folder: Path, author: str
) -> None:
    """``docs/pipelines.md`` lists what is not kept."""
    ours = ours_of(db, author, columns="all", quality_bitmask="none")
    with fits.open(data_folder / FILES[author]) as hdus:
        columns = {column.name.lower() for column in hdus[1].columns}
        assert all(column.format in "DEJIK" for column in hdus[1].columns)
        further = [type(hdu).__name__ for hdu in hdus[2:]]
    renamed = {"time", "quality", "sap_quality", "cadence_num", "tess_flags", "tglc_flags"}
    assert columns - renamed <= {*ours.colnames}
    assert further == ([] if author == "QLP" else ["ImageHDU"])


def test_lightcurve_adds_only_the_named_columns(db: Any) -> None:
    plain = ours_of(db, "SPOC").colnames
    named = ours_of(db, "SPOC", columns=["MOM_CENTR1", "sap_flux", "centroid_row"]).colnames
    assert [name for name in named if name not in plain] == [
        "mom_centr1",
        "sap_flux",
        "centroid_row",
    ]
    (member,) = db.lightcurves(author="QLP", processing="raw", columns="sap_x")
    assert "sap_x" in member.colnames
    assert member.meta["TESSMAG"] == pytest.approx(10.31, abs=1)
    with pytest.raises(ArgumentError, match=r"no column named 'mom_centr9'; available: centroid_"):
        ours_of(db, "SPOC", columns="mom_centr9")


def test_lightcurve_reads_no_further_arrays_by_default(db: Any, statements: list[str]) -> None:
    ours_of(db, "SPOC")
    assert not [sql for sql in statements if COLUMNS in sql]
    # The cards are in the statement of the arrays, a COPY.
    assert not [sql for sql in statements if HEADERS in sql]


def test_search_by_position(db: Any) -> None:
    pi_men = SkyCoord(84.291198, -80.469143, unit="deg")
    assert db.search(pi_men).table["target"].unique().tolist() == [261136679]
    away = pi_men.directional_offset_by(40 * units.deg, 50 * units.arcsec).galactic
    with pytest.raises(TargetNotFoundError, match=r"no target within 10 arcsec .* larger radius="):
        db.search(away)
    assert len(db.search(away, radius=1 * units.arcmin, author="SPOC")) == 2
    both = SkyCoord([84.291198, 55.967295], [-80.469143, 24.841616], unit="deg")
    assert set(db.search(both).table["target"]) == {261136679, 211117077}
    assert set(db.search([both[0], both[1]]).table["target"]) == {261136679, 211117077}
    gap = SkyCoord([84.291198, np.nan], [-80.469143, 1], unit="deg")
    with pytest.warns(UserWarning, match="1 of 2 targets are missing values"):
        assert set(db.search(gap).table["target"]) == {261136679}


@pytest.mark.parametrize("radius", [3 * units.m, -1, np.nan, np.inf * units.deg, "1m", [1, 2], 7e5])
def test_search_refuses_a_radius_that_is_not_an_angle(db: Any, radius: Any) -> None:
    with pytest.raises(ArgumentError, match="radius must be an angle from 0 to 180 deg"):
        db.search(SkyCoord(84.291198, -80.469143, unit="deg"), radius=radius)


def test_contents_do_not_exist_in_databases_of_other_programs(
    blank_dsn: str, data_folder: Path
) -> None:
    engine = sa.create_engine(blank_dsn)
    Base.metadata.create_all(engine)
    ingest(engine, data_folder / FILES["QLP"], on_error="raise", progress=False)
    assert not sa.inspect(engine).has_table(HEADERS)
    engine.dispose()
    with lcdb.connect(blank_dsn) as db:
        lc = ours_of(db, "QLP", columns="all")
        assert "sap_x" not in lc.colnames
        with pytest.raises(ArgumentError, match="no column named 'sap_x'; available: none"):
            ours_of(db, "QLP", columns=["sap_x"])
        with pytest.raises(SchemaError, match="has no positions of targets"):
            db.search(SkyCoord(1, 2, unit="deg"))


def test_ingest_of_a_known_file_adds_its_contents_if_they_are_missing(
    db: Any, data_folder: Path
) -> None:
    cards = sa.text(f"SELECT cards FROM {HEADERS} ORDER BY target_id, observation_id")
    before = db.session.scalars(cards).all()
    db.session.execute(sa.text(f"DELETE FROM {HEADERS}"))
    db.session.commit()
    assert "TEFF" not in ours_of(db, "SPOC").meta
    report = db.ingest([data_folder / name for name in FILES.values()], progress=False)
    assert report.unchanged == len(FILES)
    assert db.session.scalars(cards).all() == before
    assert before[0]["TELESCOP"][0] in ("TESS", "Kepler")
    assert any(cards["TELESCOP"][1] == "telescope" for cards in before)


@pytest.mark.parametrize(
    "author",
    ["SPOC", *(pytest.param(a, marks=pytest.mark.slow) for a in ("TESS-SPOC", "Kepler", "K2"))],
)
def test_add_keeps_the_header_cards_of_a_file(
    empty_dsn: str, data_folder: Path, author: str
) -> None:
    theirs = theirs_of(data_folder, author, quality_bitmask="none")
    with lcdb.connect(empty_dsn, write=True) as db:
        db.add(theirs)
        (ours,) = db.lightcurves(author=author, quality_bitmask="none")
        missing = {
            key
            for key, value in theirs.meta.items()
            if key not in NOT_KEPT | DIFFERENT.get(author, {}).keys()
            and isinstance(value, str | int | float)
            and str(ours.meta.get(key)) != str(value)
        }
        assert missing == set()
        assert (ours.ra, ours.dec) == (theirs.ra, theirs.dec)
        assert ours.meta["RADESYS"]
        # A flattened light curve has the same header, and the file has more.
        db.add(theirs.remove_nans().flatten(), processing="flattened", derived_from=ours)
        report = db.ingest(data_folder / FILES[author], progress=False)
        assert not report.skipped, report
        cards = db.session.scalars(sa.text(f"SELECT cards FROM {HEADERS}")).one()
        assert any(comment for _, comment in cards.values())
        assert "sap_flux" in ours_of(db, author, columns="all").colnames
        db.add(theirs.remove_nans().normalize(), processing="normalized", derived_from=ours)
        again = db.session.scalars(sa.text(f"SELECT cards FROM {HEADERS}")).one()
        assert again == cards


def test_add_keeps_no_cards_of_light_curves_without_a_file(empty_dsn: str) -> None:
    about = {"TARGETID": 7, "MISSION": "TESS", "SECTOR": 1, "TESSMAG": 9.5, "PERIOD": 3.0}
    lc = lightkurve.TessLightCurve(time=[1325.5, 1325.6], flux=[1.0, 0.9], meta=about)
    with lcdb.connect(empty_dsn, write=True) as db:
        db.add(lc, photometry="mine", instrument=("TESS", "Camera 1", "CCD 2"))
        assert db.session.scalars(sa.text(f"SELECT cards FROM {HEADERS}")).all() == []
