from __future__ import annotations

import gzip
import io
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers import table
from lcdb_notebook.ingest.readers.dispatch import read_product

DATA = Path(os.environ.get("LCDB_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
REFUSED = "hlsp_twirlfs_tess_ffi_s0057-0000001400694779_tess_v01_llc.fits.gz"
FILES = [path for path in sorted(DATA.rglob("*.fits.gz")) if path.name != REFUSED]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:60])

SPOC = "spoc/tess2020106103520-s0024-0000000188589164-0180-s_lc.fits.gz"
TESS_SPOC = "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz"
QLP = "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz"
QLP_NEW = "qlp/hlsp_qlp_tess_ffi_s0056-0000000267574918_tess_v01_llc.fits.gz"
TGLC = "tglc/hlsp_tglc_tess_ffi_gaiaid-5707485527450614656-s0007-cam2-ccd3_tess_v2_llc.fits.gz"
KEPLER = "kepler/kplr011446443-2009131105131_llc.fits.gz"
K2 = "kepler/ktwo211117077-c04_llc.fits.gz"

# Photometry, processing, position of the source, flux column, error column.
Row = tuple[str, str | None, int | None, str, str | None]


def _aperture(author: str) -> list[Row]:
    return [
        (f"{author} SAP", None, None, "SAP_FLUX", "SAP_FLUX_ERR"),
        (f"{author} SAP", "PDCSAP", 0, "PDCSAP_FLUX", "PDCSAP_FLUX_ERR"),
    ]


CURVES: dict[str, list[Row]] = {
    "SPOC": _aperture("SPOC"),
    "TESS-SPOC": _aperture("TESS-SPOC"),
    "Kepler": _aperture("Kepler"),
    "K2": _aperture("K2"),
    "QLP v1": [
        ("QLP SAP", None, None, "SAP_FLUX", None),
        ("QLP SAP", "KSPSAP", 0, "KSPSAP_FLUX", "KSPSAP_FLUX_ERR"),
        ("QLP SAP", "KSPSAP_SML", 0, "KSPSAP_FLUX_SML", None),
        ("QLP SAP", "KSPSAP_LAG", 0, "KSPSAP_FLUX_LAG", None),
    ],
    "QLP v2": [
        ("QLP SAP", None, None, "SAP_FLUX", None),
        ("QLP SAP", "SYS_RM", 0, "SYS_RM_FLUX", None),
        ("QLP SAP", "DET", 1, "DET_FLUX", "DET_FLUX_ERR"),
        ("QLP SAP", "DET_SML", 1, "DET_FLUX_SML", None),
        ("QLP SAP", "DET_LAG", 1, "DET_FLUX_LAG", None),
    ],
    "TGLC": [
        ("TGLC PSF", None, None, "psf_flux", None),
        ("TGLC PSF", "TGLC CAL", 0, "cal_psf_flux", None),
        ("TGLC aperture", None, None, "aperture_flux", None),
        ("TGLC aperture", "TGLC CAL", 2, "cal_aper_flux", None),
    ],
}
QUALITY: dict[str, dict[str, str]] = {
    "SPOC": {"tess_quality_flag": "QUALITY"},
    "TESS-SPOC": {"tess_quality_flag": "QUALITY"},
    "Kepler": {"kepler_quality_flag": "SAP_QUALITY"},
    "K2": {"kepler_quality_flag": "SAP_QUALITY"},
    "QLP v1": {"qlp_quality_flag_v1": "QUALITY"},
    "QLP v2": {"qlp_quality_flag_v2": "QUALITY"},
    "TGLC": {"tess_quality_flag": "TESS_flags", "tglc_quality_flag": "TGLC_flags"},
}


def kind(product: Product) -> str:
    author = str(product.observation_fields["author"])
    if author != "QLP":
        return author
    return "QLP v1" if product.observation_fields["sector"] <= 55 else "QLP v2"


def bits(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The bit patterns of the values as native float64, so that NaN equals NaN."""
    return values.astype(np.float64).view(np.int64)


@every_file
def test_every_column_is_the_files_bit_for_bit(path: Path) -> None:
    product = read_product(path)
    with fits.open(path) as hdus:
        data = hdus[1].data
        assert bits(product.time).tolist() == bits(data["TIME"]).tolist()
        if product.numbered:
            numbers = data["CADENCENO"].tolist()
            assert product.cadence.tolist() == numbers
        assert len(product.curves) == len(CURVES[kind(product)])
        for curve, row in zip(product.curves, CURVES[kind(product)], strict=True):
            photometry, processing, source, flux, flux_err = row
            assert curve.photometry.name == photometry
            assert (curve.processing.name if curve.processing else None) == processing
            assert curve.source == source
            assert np.array_equal(bits(curve.flux), bits(data[flux]))
            if flux_err is None:
                assert curve.flux_err is None
            else:
                assert curve.flux_err is not None
                assert np.array_equal(bits(curve.flux_err), bits(data[flux_err]))
        assert list(product.quality) == list(QUALITY[kind(product)])
        for name, column in QUALITY[kind(product)].items():
            assert np.array_equal(product.quality[name], data[column])


@every_file
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_lightkurve_sees_the_same_cadences_times_and_fluxes(path: Path) -> None:
    import lightkurve

    product = read_product(path)
    theirs = lightkurve.read(str(path), quality_bitmask="none")
    kept = ~np.isnan(product.time)
    assert np.array_equal(theirs.time.value, product.time[kept])
    if product.numbered:
        assert np.array_equal(theirs["cadenceno"], product.cadence[kept])
    for curve, row in zip(product.curves, CURVES[kind(product)], strict=True):
        flux = np.ma.filled(np.ma.asarray(theirs[row[3].lower()].value), np.nan)
        assert np.array_equal(flux, curve.flux[kept], equal_nan=True)
    if kind(product) not in ("Kepler", "K2"):
        assert theirs.meta["AUTHOR"] == product.observation_fields["author"]
    assert theirs.meta["TARGETID"] == product.target


@every_file
def test_every_product_keeps_its_contract(path: Path) -> None:
    assert_sound(read_product(path))


def assert_sound(product: Product) -> None:
    """All that the store relies on."""
    count = len(product.cadence)
    assert count > 0
    assert product.cadence.dtype == np.int64
    assert product.time.dtype == np.float64
    assert product.time.dtype.isnative
    assert np.all(np.diff(product.cadence) > 0)
    assert product.cadence[0] >= 0
    finite = product.time[~np.isnan(product.time)]
    assert np.all(np.abs(finite) < 1e6)
    assert np.all(np.diff(finite) >= 0)
    assert 1 <= product.target < 2**63
    assert product.observation_fields["exptime"] in (20, 60, 120, 200, 600, 1800)
    assert type(product.observation_fields["exptime"]) is int
    assert {len(flags) for flags in product.quality.values()} | {len(product.time)} == {count}
    assert {flags.dtype for flags in product.quality.values()} == {np.dtype(np.int32)}
    for position, curve in enumerate(product.curves):
        assert (curve.processing is None) == (curve.source is None)
        assert curve.source is None or curve.source < position
        described = curve.processing or curve.photometry
        assert described.description.startswith(("[electron / s] ", "[] "))
        for values in (curve.flux, curve.flux_err):
            if values is not None:
                assert values.shape == (count,)
                assert values.dtype == np.float64
                assert values.dtype.isnative
                assert values.flags.c_contiguous


TESS = "TESS", "TIC"


@pytest.mark.parametrize(
    ("name", "identity", "own", "instrument", "count"),
    [
        (
            "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
            (*TESS, 261136679, "tess_observation"),
            {"sector": 1, "author": "SPOC", "exptime": 120, "cosmic_ray_mitigation": True},
            ("TESS", "Camera 4", "CCD 2"),
            20076,
        ),
        (
            TESS_SPOC,
            (*TESS, 188589164, "tess_observation"),
            {"sector": 24, "author": "TESS-SPOC", "exptime": 1800, "cosmic_ray_mitigation": True},
            ("TESS", "Camera 1", "CCD 1"),
            1271,
        ),
        (
            "tess-spoc/hlsp_tess-spoc_tess_phot_0000000022876651-s0042_tess_v1_lc.fits.gz",
            (*TESS, 22876651, "tess_observation"),
            {"sector": 42, "author": "TESS-SPOC", "exptime": 600, "cosmic_ray_mitigation": True},
            ("TESS", "Camera 4", "CCD 1"),
            3668,
        ),
        (
            "tess-spoc/hlsp_tess-spoc_tess_phot_0000000022876651-s0058_tess_v1_lc.fits.gz",
            (*TESS, 22876651, "tess_observation"),
            {"sector": 58, "author": "TESS-SPOC", "exptime": 200, "cosmic_ray_mitigation": True},
            ("TESS", "Camera 1", "CCD 3"),
            11977,
        ),
        (
            QLP,
            (*TESS, 188589164, "tess_observation"),
            {"sector": 24, "author": "QLP", "exptime": 1800, "cosmic_ray_mitigation": None},
            ("TESS", "Camera 1", "CCD 1"),
            1226,
        ),
        (
            QLP_NEW,
            (*TESS, 267574918, "tess_observation"),
            {"sector": 56, "author": "QLP", "exptime": 200, "cosmic_ray_mitigation": None},
            ("TESS", "Camera 4", "CCD 1"),
            11775,
        ),
        (
            TGLC,
            (*TESS, 218795833, "tess_observation"),
            {"sector": 7, "author": "TGLC", "exptime": 1800, "cosmic_ray_mitigation": None},
            ("TESS", "Camera 2", "CCD 3"),
            1093,
        ),
        (
            TGLC.replace("s0007", "s0034"),
            (*TESS, 218795833, "tess_observation"),
            {"sector": 34, "author": "TGLC", "exptime": 600, "cosmic_ray_mitigation": None},
            ("TESS", "Camera 2", "CCD 3"),
            3489,
        ),
        (
            KEPLER,
            ("Kepler", "KIC", 11446443, "kepler_observation"),
            {"quarter": 0, "author": "Kepler", "exptime": 1800},
            ("Kepler", "Channel 33"),
            476,
        ),
        (
            K2,
            ("Kepler", "EPIC", 211117077, "k2_observation"),
            {"campaign": 4, "author": "K2", "exptime": 1800},
            ("Kepler", "Channel 52"),
            3470,
        ),
    ],
)
def test_read_product_returns_target_observation_and_author(
    name: str,
    identity: tuple[str, str, int, str],
    own: dict[str, Any],
    instrument: tuple[str, ...],
    count: int,
) -> None:
    product = read_product(real(name))
    found = product.mission, product.catalog, product.target, product.observation_type
    assert found == identity
    if product.mission == "TESS":
        own = own | {"orbit_number": None}
    assert product.observation_fields == own
    assert product.instrument == instrument
    assert len(product.cadence) == count
    assert product.numbered == (product.observation_fields["author"] != "TGLC")
    assert product.label == str(real(name))


def test_nothing_about_a_renamed_file_changes(tmp_path: Path) -> None:
    for name, other in ((SPOC, "hlsp_tess-spoc_lc.dat"), (TESS_SPOC, "tess-s_lc.fits")):
        path = tmp_path / other
        path.write_bytes(raw(name))
        product, original = read_product(str(path)), read_product(real(name))
        assert product.observation_fields == original.observation_fields
        assert np.array_equal(product.time, original.time, equal_nan=True)


def test_a_foreign_file_without_a_clock_is_refused_by_name() -> None:
    path = real(f"qlp/{REFUSED}")
    with pytest.raises(IngestError) as caught:
        read_product(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    for part in ("ORIGIN TWIRL", "TELESCOP missing", "no time reference", "supported are SPOC"):
        assert part in message


def real(name: str) -> Path:
    if not (DATA / name).is_file():
        pytest.skip(f"no real light curve {DATA / name} (LCDB_TEST_DATA names another folder)")
    return DATA / name


def raw(name: str) -> bytes:
    return gzip.decompress(real(name).read_bytes())


def set_card(content: bytes, key: str, value: object, *, primary: bool = False) -> bytes:
    """The file with one card of its table's (or primary) header changed; None removes it."""
    start = 0 if primary else content.index(b"XTENSION= 'BINTABLE'")
    at = content.index(f"{key:<8}=".encode(), start)
    card = fits.Card("REMOVED", True) if value is None else fits.Card(key, value)
    return unsummed(content[:at] + str(card).encode() + content[at + 80 :])


def unsummed(content: bytes) -> bytes:
    """The file without its checksums, which every change would contradict."""
    return content.replace(b"CHECKSUM=", b"REMOVED =")


def edit_rows(content: bytes, edit: Callable[[npt.NDArray[np.void]], object]) -> bytes:
    """The file after ``edit`` worked on the table's rows, fields as the file has them."""
    with fits.open(io.BytesIO(content)) as hdus:
        start, count = hdus[1].fileinfo()["datLoc"], hdus[1].header["NAXIS2"]
        dtype = hdus[1].columns.dtype.newbyteorder(">")
    changed = bytearray(unsummed(content))
    edit(np.frombuffer(changed, dtype, count, start))
    return bytes(changed)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Product]:
    def read_bytes(content: bytes) -> Product:
        path = tmp_path / "edited.fits"
        path.write_bytes(content)
        return read_product(path)

    return read_bytes


PRIMARY = True
TABLE = False


@pytest.mark.parametrize(
    ("name", "where", "key", "value", "message"),
    [
        (TESS_SPOC, TABLE, "BJDREFI", 2454833, r"from BJD 2457000 \(BTJD\), got .*2454833"),
        (TESS_SPOC, TABLE, "BJDREFF", 0.5, "got a reference of 2457000.5"),
        (QLP, TABLE, "BJDREFR", 0.5, "got a reference of 2457000.5"),
        (QLP, TABLE, "BJDREFI", None, "no time reference"),
        (KEPLER, TABLE, "BJDREFI", 2457000, r"from BJD 2454833 \(BKJD\), got .*2457000"),
        (QLP, TABLE, "TIMESYS", "UTC", "TIMESYS must be 'TDB', got 'UTC'"),
        (TGLC, TABLE, "TIMEUNIT", "s", "TIMEUNIT must be 'd', got 's'"),
        (
            TESS_SPOC,
            TABLE,
            "TIMEDEL",
            0.01,
            r"864 s apart \(from TIMEDEL\), .* \(20, 120, 200, 600, 1800 s\)",
        ),
        (TESS_SPOC, TABLE, "TIMEDEL", None, "TIMEDEL must be a number of days, got None"),
        (KEPLER, TABLE, "TIMEDEL", 0.02083333, r"are 1800 s apart \(from TIMEDEL\)"),
        (TESS_SPOC, TABLE, "TUNIT4", "Jy", "SAP_FLUX must be in electron / s, got 'Jy'"),
        (KEPLER, TABLE, "TUNIT9", "adu", "PDCSAP_FLUX_ERR must be in electron / s, got 'adu'"),
        (TGLC, TABLE, "TTYPE4", "cal_psf", "column cal_psf_flux is missing; the table has TIME"),
        (QLP, TABLE, "TTYPE2", "CADENCE", "column CADENCENO is missing"),
        (QLP, TABLE, "TTYPE3", "DET_FLUX", "SAP_FLUX is missing"),
        (QLP, TABLE, "TTYPE5", "DET_FLUX", "KSPSAP_FLUX and DET_FLUX"),
        (QLP, TABLE, "TTYPE5", "SAP_FLUX", "two columns are named SAP_FLUX"),
        (QLP, TABLE, "TFORM3", "J", "SAP_FLUX must contain floating-point numbers"),
        (QLP, TABLE, "TFORM2", "E", "CADENCENO must contain integers, got TFORM 'E'"),
        (QLP, TABLE, "TFORM2", "4A", "CADENCENO must contain integers"),
        (QLP, TABLE, "TFORM2", "K", "columns take 60 bytes per row, but NAXIS1 is 56"),
        (QLP, TABLE, "TFORM2", "Z", "has an invalid format"),
        (QLP, TABLE, "NAXIS2", 10**12, "truncated: the file has .* of 1000000000000 rows"),
        (QLP, TABLE, "NAXIS2", 0, "no rows"),
        (QLP, TABLE, "NAXIS2", -1, "damaged|NAXIS2"),
        (QLP, TABLE, "TFIELDS", 10**9, "TFIELDS"),
        (QLP, TABLE, "EXTNAME", "OTHER", "unknown pipeline .*table OTHER"),
        (TESS_SPOC, TABLE, "EXTNAME", "PIXELS", "a target pixel file, not a light curve"),
        (TESS_SPOC, PRIMARY, "CREATOR", "1 TargetPixelExporterPipelineModule", "target pixel file"),
        (QLP, PRIMARY, "ORIGIN", "K2VARCAT", "unknown pipeline .*ORIGIN K2VARCAT"),
        (QLP, PRIMARY, "TELESCOP", "Kepler", "TELESCOP must be TESS, got 'Kepler'"),
        (QLP, PRIMARY, "SECTOR", None, "SECTOR must be an integer from 1 to 9999, but is missing"),
        (QLP, PRIMARY, "SECTOR", "24", "SECTOR must be .* got '24'"),
        (QLP, PRIMARY, "SECTOR", True, "SECTOR must be .* got True"),
        (QLP, PRIMARY, "CAMERA", 5, "CAMERA must be an integer from 1 to 4, got 5"),
        (TESS_SPOC, PRIMARY, "CCD", 0, "CCD must be .* got 0"),
        (TESS_SPOC, PRIMARY, "TICID", -5, "TICID must be a catalog number, got -5"),
        (TESS_SPOC, PRIMARY, "TICID", 2**63, "TICID must be .* got 9223372036854775808"),
        (TGLC, PRIMARY, "TICID", "0", "TICID must be a catalog number, got 0"),
        (KEPLER, PRIMARY, "KEPLERID", None, "KEPLERID must be .* got None"),
        (KEPLER, PRIMARY, "QUARTER", 18, "QUARTER must be .* got 18"),
        (KEPLER, PRIMARY, "CHANNEL", 85, "CHANNEL must be .* got 85"),
        (K2, PRIMARY, "CAMPAIGN", None, "CAMPAIGN must be .* is missing"),
        (K2, PRIMARY, "MISSION", "K3", "MISSION must be Kepler or K2, got 'K3'"),
    ],
)
def test_a_header_that_contradicts_its_format_is_refused(
    read: Callable[[bytes], Product],
    name: str,
    where: bool,
    key: str,
    value: object,
    message: str,
) -> None:
    with pytest.raises(IngestError, match=f"edited.fits: .*{message}"):
        read(set_card(raw(name), key, value, primary=where))


@pytest.mark.parametrize("unit", ["electron/s", "electron / s", "e-/s", None])
def test_every_spelling_of_electrons_per_second_is_taken(
    read: Callable[[bytes], Product], unit: str | None
) -> None:
    assert_sound(read(set_card(raw(TESS_SPOC), "TUNIT4", unit)))


def _set(column: str, row: int, value: float) -> Callable[[npt.NDArray[np.void]], object]:
    def edit(rows: npt.NDArray[np.void]) -> None:
        rows[column][row] = value

    return edit


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("CADENCENO", 5, 34960, "CADENCENO 34960 is in more than one row"),
        ("CADENCENO", 0, -1, "cadence number -1 is negative"),
        ("TIME", 7, np.inf, "the time of cadence 34967 is inf, which"),
        ("TIME", 7, -np.inf, "the time of cadence 34967 is -inf, which"),
        (
            "TIME",
            7,
            2458955.8,
            "the time of cadence 34967 is 2458955.8, which cannot be days since 2457000",
        ),
        ("TIME", 7, 1950.0, "times are not increasing at cadence 34967"),
    ],
)
def test_rows_that_cannot_be_right_are_refused(
    read: Callable[[bytes], Product], column: str, row: int, value: float, message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        read(edit_rows(raw(QLP), _set(column, row, value)))


def test_rows_out_of_order_are_sorted_by_cadence_all_columns_alike(
    read: Callable[[bytes], Product],
) -> None:
    def shuffle(rows: npt.NDArray[np.void]) -> None:
        rows[:] = np.random.default_rng(3).permutation(rows)

    shuffled, original = read(edit_rows(raw(QLP), shuffle)), read_product(real(QLP))
    assert np.array_equal(shuffled.cadence, original.cadence)
    assert np.array_equal(shuffled.time, original.time)
    for mine, theirs in zip(shuffled.curves, original.curves, strict=True):
        assert np.array_equal(bits(mine.flux), bits(theirs.flux))
    (flags,), (original_flags,) = shuffled.quality.values(), original.quality.values()
    assert np.array_equal(flags, original_flags)


def test_an_undefined_integer_is_refused(read: Callable[[bytes], Product]) -> None:
    content = set_card(raw(TESS_SPOC), "TDISP3", None).replace(
        fits.Card("REMOVED", True).image.encode(), fits.Card("TNULL3", 34986).image.encode()
    )
    first = int(read_product(real(TESS_SPOC)).cadence[0])
    with pytest.raises(IngestError, match=r"CADENCENO has undefined values \(TNULL"):
        read(edit_rows(content, _set("CADENCENO", 0, 34986)))
    assert first != 34986


def test_a_scaled_column_is_refused(read: Callable[[bytes], Product]) -> None:
    content = set_card(raw(TESS_SPOC), "TDISP4", None).replace(
        fits.Card("REMOVED", True).image.encode(), fits.Card("TSCAL4", 2.0).image.encode()
    )
    with pytest.raises(IngestError, match=r"SAP_FLUX is scaled \(TSCAL\)"):
        read(content)


def test_tglcs_zero_cadence_numbers_only_count_its_rows() -> None:
    product = read_product(real(TGLC))
    assert not product.numbered
    assert np.array_equal(product.cadence, np.arange(1093))


def test_tglcs_cadence_numbers_are_used_where_they_are_real(
    read: Callable[[bytes], Product],
) -> None:
    def number(rows: npt.NDArray[np.void]) -> None:
        rows["cadence_num"] = 9000 + 2 * np.arange(len(rows))

    product = read(edit_rows(raw(TGLC), number))
    assert product.numbered
    assert np.array_equal(product.cadence, 9000 + 2 * np.arange(1093))


def test_tglcs_cadence_numbers_that_repeat_are_refused(read: Callable[[bytes], Product]) -> None:
    with pytest.raises(IngestError, match="cadence_num 0 is in more than one row"):
        read(edit_rows(raw(TGLC), _set("cadence_num", 3, 17)))


@pytest.mark.parametrize("ticid", [None, "", "NaN", "1_0"])
def test_a_star_that_tglc_has_no_tic_number_for_goes_by_its_gaia_number(
    read: Callable[[bytes], Product], ticid: str | None
) -> None:
    product = read(set_card(raw(TGLC), "TICID", ticid, primary=True))
    assert (product.catalog, product.target) == ("Gaia DR3", 5707485527450614656)


def test_a_20_second_light_curve_is_spocs(read: Callable[[bytes], Product]) -> None:
    content = set_card(raw(SPOC), "TIMEDEL", 20 / 86400)
    content = set_card(content, "CRMITEN", False, primary=True)
    fields = read(content).observation_fields
    assert (fields["author"], fields["exptime"]) == ("SPOC", 20)
    assert fields["cosmic_ray_mitigation"] is False


def test_read_product_of_a_kepler_file_without_mission(read: Callable[[bytes], Product]) -> None:
    product = read(set_card(raw(KEPLER), "MISSION", None, primary=True))
    assert (product.mission, product.catalog) == ("Kepler", "KIC")
    assert product.observation_type == "kepler_observation"
    without = set_card(
        set_card(raw(KEPLER), "MISSION", None, primary=True), "QUARTER", None, primary=True
    )
    with pytest.raises(IngestError, match="MISSION must be Kepler or K2, got ''"):
        read(without)


def unsigned(content: bytes, column: str, numbers: npt.NDArray[Any]) -> bytes:
    """Write a column as FITS writes unsigned integers: signed ones, with an offset in TZERO."""
    bits = 8 * numbers.dtype.itemsize
    half = numbers.dtype.type(2 ** (bits - 1))
    signed = (numbers ^ half).view(f"i{numbers.dtype.itemsize}")
    with fits.open(io.BytesIO(content)) as hdus:
        table = hdus[1]
        columns = [
            fits.Column(c.name, {16: "I", 32: "J", 64: "K"}[bits], array=signed)
            if c.name == column
            else fits.Column(c.name, c.format, unit=c.unit, array=table.data[c.name])
            for c in table.columns
        ]
        header = table.header.copy()
        # astropy would write TZERO itself, by way of float64.
        header["PLACE"] = 0
        for card in ("CHECKSUM", "DATASUM"):
            hdus[0].header.pop(card, None)
            header.pop(card, None)
        for number in range(1, len(columns) + 1):
            header.pop(f"TNULL{number}", None)
        new = fits.BinTableHDU.from_columns(columns, header)
        buffer = io.BytesIO()
        fits.HDUList([hdus[0], new]).writeto(buffer)
    number = [c.name for c in columns].index(column) + 1
    offset = fits.Card(f"TZERO{number}", 2 ** (bits - 1)).image.encode()
    return re.sub(rb"PLACE   =.{71}", offset, buffer.getvalue(), count=1)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_read_product_of_unsigned_columns(read: Callable[[bytes], Product], dtype: Any) -> None:
    before = read(raw(QLP))
    flags = np.arange(before.cadence.size).astype(dtype)
    flags[5] = min(np.iinfo(dtype).max, 2**32 - 1)
    product = read(unsigned(raw(QLP), "QUALITY", flags))
    (stored,) = product.quality.values()
    assert (stored.astype(np.int64) & 0xFFFFFFFF).tolist() == flags.tolist()
    assert np.array_equal(product.curves[0].flux, before.curves[0].flux, equal_nan=True)


@pytest.mark.parametrize(
    ("column", "message"),
    [("CADENCENO", "does not fit into 63 bits"), ("QUALITY", "does not fit into 63 bits")],
)
def test_read_product_refuses_unsigned_numbers_that_do_not_fit(
    read: Callable[[bytes], Product], column: str, message: str
) -> None:
    numbers = np.arange(1226, dtype=np.uint64)
    numbers[-1] = 2**63
    with pytest.raises(IngestError, match=message):
        read(unsigned(raw(QLP), column, numbers))


def test_read_product_of_cadence_numbers_beyond_32_bits(read: Callable[[bytes], Product]) -> None:
    numbers = 2**40 + np.arange(1226, dtype=np.uint64)
    assert read(unsigned(raw(QLP), "CADENCENO", numbers)).cadence.tolist() == numbers.tolist()


def test_kepler_short_cadence_is_called_60_seconds(read: Callable[[bytes], Product]) -> None:
    product = read(set_card(raw(KEPLER), "TIMEDEL", 0.00068112))
    assert product.observation_fields["exptime"] == 60


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a FITS file"),
        (b"PK\x03\x04 a zip file", "not a FITS file .it begins with b'PK"),
        (b"\x1f\x8b", "truncated gzip file"),
        (b"SIMPLE  =                    T", "damaged"),
        (gzip.compress(gzip.compress(b"SIMPLE  =", mtime=0), mtime=0), "not a FITS file"),
        (b"SIMPLE  =" + bytes(range(256)) * 4000, "damaged"),
    ],
)
def test_a_file_that_is_not_fits_is_refused(
    read: Callable[[bytes], Product], content: bytes, message: str
) -> None:
    with pytest.raises(IngestError, match=f"edited.fits: .*{message}"):
        read(content)


def test_an_image_and_a_file_without_extensions_are_refused(
    read: Callable[[bytes], Product],
) -> None:
    for extensions, message in (
        ([], "no extension"),
        ([fits.ImageHDU(np.zeros((3, 3)))], "first extension is a ImageHDU, not a binary table"),
    ):
        buffer = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), *extensions]).writeto(buffer)
        with pytest.raises(IngestError, match=message):
            read(buffer.getvalue())


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    for path, message in (
        (tmp_path / "gone.fits", "no such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "pipe.fits", "not a regular file"),
    ):
        with pytest.raises(IngestError, match=message):
            read_product(path)


def test_a_gzip_file_of_several_members_is_read(read: Callable[[bytes], Product]) -> None:
    content = raw(QLP)
    members = gzip.compress(content[:7000]) + gzip.compress(content[7000:]) + bytes(100)
    assert np.array_equal(read(members).time, read_product(real(QLP)).time)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(bytes(3_000_000), mtime=0),
        gzip.compress(bytes(2_000_000), mtime=0) * 3,
        bytes(3_000_000),
    ],
    ids=["gzip", "members", "plain"],
)
def test_a_file_beyond_the_size_limit_is_refused(
    read: Callable[[bytes], Product], monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(table, "LARGEST", 2**21)
    with pytest.raises(IngestError, match="larger than 2 MB"):
        read(content)


def _cards(content: bytes) -> list[int]:
    """Where the cards of the primary header and of the table's begin."""
    starts = 0, content.index(b"XTENSION= 'BINTABLE'")
    return [at for start in starts for at in range(start, content.index(END, start) + 80, 80)]


END = b"END" + b" " * 77


def _truncations(content: bytes, random: np.random.Generator) -> list[bytes]:
    blocks = [2880 * n for n in range(1, 12)]
    return [content[:at] for at in [*blocks, *random.integers(0, len(content), 30).tolist()]]


def _flips(content: bytes, random: np.random.Generator) -> list[bytes]:
    """One to four bits flipped, three times of four in the headers."""
    cards, mutants = _cards(content), []
    for number in range(160):
        mutant = bytearray(content)
        for _ in range(int(random.integers(1, 5))):
            anywhere = int(random.integers(len(content)))
            at = int(random.choice(cards)) + anywhere % 80 if number % 4 else anywhere
            mutant[at] ^= 1 << int(random.integers(8))
        mutants.append(bytes(mutant))
    return mutants


def _exchanges(content: bytes, random: np.random.Generator) -> list[bytes]:
    """A card blanked, replaced by another, or with one of its first 30 characters exchanged."""
    cards, mutants = _cards(content), []
    for _ in range(120):
        at, other = (int(chosen) for chosen in random.choice(cards, 2))
        card = bytearray(content[at : at + 80])
        how = int(random.integers(3))
        if how == 0:
            card[:] = b" " * 80
        elif how == 1:
            card[:] = content[other : other + 80]
        else:
            card[int(random.integers(30))] = int(random.integers(32, 127))
        mutants.append(content[:at] + bytes(card) + content[at + 80 :])
    return mutants


@pytest.mark.parametrize(
    "name",
    [
        TESS_SPOC,
        *(pytest.param(name, marks=pytest.mark.slow) for name in (QLP, QLP_NEW, TGLC, KEPLER)),
    ],
)
@pytest.mark.parametrize("mutate", [_truncations, _flips, _exchanges])
def test_a_damaged_file_is_read_correctly_or_refused_without_delay(
    read: Callable[[bytes], Product],
    name: str,
    mutate: Callable[[bytes, np.random.Generator], list[bytes]],
) -> None:
    refused = 0
    for content in mutate(unsummed(raw(name)), np.random.default_rng(20261122)):
        begun = time.process_time()
        with warnings.catch_warnings(record=True) as escaped:
            warnings.simplefilter("always")
            try:
                assert_sound(read(content))
            except IngestError:
                refused += 1
        assert escaped == []
        assert time.process_time() - begun < 5
    assert refused > 10


def test_a_damaged_gzip_file_is_refused(read: Callable[[bytes], Product]) -> None:
    content = real(QLP).read_bytes()
    random = np.random.default_rng(5)
    for at in random.integers(10, len(content), 40).tolist():
        with pytest.raises(IngestError):
            read(content[:at])
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(random.integers(8))
        with pytest.raises(IngestError):
            read(bytes(flipped))


def test_no_warning_escapes_and_the_warning_filters_are_unchanged(
    read: Callable[[bytes], Product],
) -> None:
    before = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(raw(QLP))
        with pytest.raises(IngestError, match=r"truncated: the file has .* of 1226 rows"):
            read(raw(QLP)[:60_000])
    assert list(warnings.filters) == before
