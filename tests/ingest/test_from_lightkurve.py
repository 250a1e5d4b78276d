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
from astropy.time import Time
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, IngestError, LineageError
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.from_lightkurve.convert import product_from_lightcurve
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, DataSetHierarchy, Mission, Observation

FILES = {
    "SPOC": "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "TESS-SPOC": "tess-spoc/hlsp_tess-spoc_tess_phot_0000000188589164-s0024_tess_v1_lc.fits.gz",
    "QLP": "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz",
    "QLP 56": "qlp/hlsp_qlp_tess_ffi_s0056-0000000267574918_tess_v01_llc.fits.gz",
    "Kepler": "kepler/kplr011446443-2009131105131_llc.fits.gz",
    "K2": "kepler/ktwo211117077-c04_llc.fits.gz",
}
UNNUMBERED = (
    "tglc/hlsp_tglc_tess_ffi_gaiaid-5707485527450614656-s0007-cam2-ccd3_tess_v2_llc.fits.gz"
)


@pytest.fixture
def read(data_folder: Path) -> Callable[..., Any]:
    """Read a file with lightkurve."""

    def read(name: str, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return lightkurve.read(data_folder / name, **options)

    return read


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    with engine.connect() as connection, connection.begin() as transaction:
        with orm.Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def tess(**changes: Any) -> Any:
    """Make a small LightCurve with all required metadata."""
    columns = {
        "time": Time([1325.0, 1325.5, 1326.0], format="btjd", scale="tdb"),
        "flux": [3.0, 2.0, 1.0] * units.electron / units.s,
        "flux_err": [0.3, 0.2, 0.1] * units.electron / units.s,
        "cadenceno": np.array([10, 11, 13]),
        "quality": np.array([0, 32, 0]),
    }
    meta = {
        "TARGETID": 7,
        "LABEL": "TIC 7",
        "MISSION": "TESS",
        "SECTOR": 1,
        "CAMERA": 1,
        "CCD": 2,
        "AUTHOR": "SPOC",
        "EXPTIME": 120,
        "FLUX_ORIGIN": "sap_flux",
    }
    for name, value in changes.items():
        place = meta if name.isupper() else columns
        place[name] = value
    columns = {name: column for name, column in columns.items() if column is not None}
    meta = {name: value for name, value in meta.items() if value is not None}
    return lightkurve.TessLightCurve(data=columns, meta=meta)


@pytest.mark.parametrize("name", FILES)
def test_metadata_that_lightkurve_reads_equal_those_of_the_file(
    read: Callable[..., Any], data_folder: Path, name: str
) -> None:
    file = read_product(data_folder / FILES[name])
    ours = product_from_lightcurve(read(FILES[name]))
    for name in ("mission", "catalog", "target", "observation_type", "instrument", "numbered"):
        assert getattr(ours, name) == getattr(file, name)
    assert ours.observation_fields == file.observation_fields
    rows = np.searchsorted(file.cadence, ours.cadence)
    assert 0 < rows.size < file.cadence.size
    assert np.array_equal(ours.time, file.time[rows])
    assert ours.quality.keys() == file.quality.keys()
    for flag_type, flags in ours.quality.items():
        assert np.array_equal(flags, file.quality[flag_type][rows])
    (curve,) = ours.curves
    (same,) = [
        c
        for c in file.curves
        if (c.photometry.name, c.processing and c.processing.name)
        == (curve.photometry.name, curve.processing and curve.processing.name)
    ]
    assert np.array_equal(curve.flux, same.flux[rows], equal_nan=True)
    assert (curve.flux_err is None) == (same.flux_err is None or np.isnan(same.flux_err).all())
    if curve.processing is None:
        assert curve.photometry == same.photometry


@pytest.mark.parametrize("name", FILES)
def test_the_whole_light_curve_of_a_file_changes_nothing_after_the_file(
    session: orm.Session, read: Callable[..., Any], data_folder: Path, name: str
) -> None:
    (stored,) = store(session.connection(), [read_product(data_folder / FILES[name])])
    report = add(session, read(FILES[name], quality_bitmask="none"))
    assert report.unchanged == 1
    assert set(report.files[0].datasets) <= set(stored.datasets)


@pytest.mark.parametrize("first", ["file", "light curve"])
def test_a_processed_light_curve_joins_the_observation_of_its_file_by_cadence_number(
    session: orm.Session, read: Callable[..., Any], data_folder: Path, first: str
) -> None:
    file = read_product(data_folder / FILES["SPOC"])
    flat: Any = read(FILES["SPOC"]).remove_nans().flatten()
    if first == "file":
        store(session.connection(), [file])
    (outcome,) = add(session, flat, processing="flat").files
    if first != "file":
        store(session.connection(), [file])
    observation = session.scalars(sa.select(Observation)).one()
    assert np.array_equal(observation.cadence_reference, file.cadence)
    dataset = session.get_one(DataSet, outcome.datasets[0])
    assert dataset.processing_method is not None
    assert dataset.processing_method.description.startswith("[] flat of")
    rows = np.searchsorted(file.cadence, np.asarray(flat["cadenceno"]))
    assert np.array_equal(dataset.values[rows], flat.flux.value, equal_nan=True)
    assert np.isnan(np.delete(dataset.values, rows)).all()
    (times,) = observation.target_specific_times
    assert np.array_equal(times.barycentric_julian_dates, file.time, equal_nan=True)
    (flags,) = observation.quality_flag_arrays
    assert np.array_equal(flags.quality_flags, file.quality["tess_quality_flag"])


def test_a_part_of_the_stored_cadences_is_refused_under_the_same_name(
    session: orm.Session, read: Callable[..., Any], data_folder: Path
) -> None:
    store(session.connection(), [read_product(data_folder / FILES["Kepler"])])
    with pytest.raises(IngestError, match=r"KIC 11446443: Kepler SAP, PDCSAP .* differs from"):
        add(session, read(FILES["Kepler"])[:100])


def test_a_light_curve_can_name_the_dataset_it_was_made_from(session: orm.Session) -> None:
    (raw,) = add(session, tess()).files[0].datasets
    flat = add(
        session, tess(flux=[1.0, 1.1, 0.9], flux_err=None), processing="flat", derived_from=raw
    )
    link = session.scalars(sa.select(DataSetHierarchy)).one()
    assert (link.source_dataset_id, link.child_dataset_id) == (raw, flat.files[0].datasets[0])
    with pytest.raises(LineageError):
        add(session, tess(), derived_from=raw)


def test_an_engine_commits(blank_dsn: str) -> None:
    from lcdb_notebook.models.tables import schema

    engine = sa.create_engine(blank_dsn)
    with engine.begin() as connection:
        schema.create(connection)
    assert add(engine, tess()).light_curves == 1
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count(DataSet.id))) == 1
    with pytest.raises(IngestError):
        add(engine, tess(flux=[1.0, 1.0, 1.0] * units.electron / units.s))
    engine.dispose()


def test_rows_without_cadence_numbers_are_not_joined_to_numbered_ones(
    session: orm.Session, read: Callable[..., Any], data_folder: Path
) -> None:
    store(session.connection(), [read_product(data_folder / FILES["SPOC"])])
    binned = read(FILES["SPOC"]).bin(0.5)
    product = product_from_lightcurve(binned, processing="binned")
    assert not product.numbered
    assert product.observation_fields["exptime"] == 43_200
    assert add(session, binned, processing="binned").added == 1
    assert add(session, binned, processing="binned").unchanged == 1
    assert len(session.scalars(sa.select(Observation.id)).all()) == 2


def test_a_file_without_cadence_numbers_takes_its_whole_light_curve_and_no_part_of_it(
    session: orm.Session, read: Callable[..., Any], data_folder: Path
) -> None:
    store(session.connection(), [read_product(data_folder / UNNUMBERED)])
    assert add(session, read(UNNUMBERED, quality_bitmask="none")).unchanged == 1
    with pytest.raises(IngestError, match=r"1086 here.*there are no cadence numbers"):
        add(session, read(UNNUMBERED))


def test_negative_cadence_numbers_are_those_of_a_file_without_numbers() -> None:
    product = product_from_lightcurve(tess(cadenceno=np.array([-3, -2, -1])))
    assert not product.numbered
    assert product.cadence.tolist() == [-3, -2, -1]


def test_rows_are_sorted_by_cadence_number() -> None:
    product = product_from_lightcurve(tess(cadenceno=np.array([13, 10, 11])))
    assert product.cadence.tolist() == [10, 11, 13]
    assert product.curves[0].flux.tolist() == [2.0, 1.0, 3.0]
    assert product.quality["tess_quality_flag"].tolist() == [32, 0, 0]


def test_a_repeated_cadence_number_is_refused() -> None:
    with pytest.raises(IngestError, match="cadence number 11 is in 2 rows"):
        product_from_lightcurve(tess(cadenceno=np.array([10, 11, 11])))


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (Time([2458325.5, 2458326.5, 2458327.5], format="jd", scale="tdb"), 1325.5),
        (Time([1325.5, 1326.5, 1327.5], format="jd", scale="tdb"), 1325.5),
        (Time([2458325.5, 2458326.5, 2458327.5], format="btjd", scale="tdb"), 1325.5),
        (Time([1325.5, 1326.5, 1327.5], format="btjd", scale="tdb"), 1325.5),
        (Time([58325.0, 58326.0, 58327.0], format="mjd", scale="tdb"), 1325.5),
        (
            Time([2458325.5, 2458326.5, 2458327.5], format="jd", scale="utc"),
            1325.5 + 69.184 / 86400,
        ),
    ],
)
def test_times_become_the_missions_own_in_tdb(time: Time, expected: float) -> None:
    product = product_from_lightcurve(tess(time=time))
    assert product.time == pytest.approx([expected, expected + 1, expected + 2], abs=3e-8)


# The first light of each, and the format of its times.
MISSION_TIMES = {
    "TESS": (2_458_325.5, "btjd", "BTJD .* the start of TESS, 1226, and a year from now, "),
    "Kepler": (2_455_000.5, "bkjd", "BKJD .* the start of Kepler, 64, and its end, 1688; "),
    "K2": (2_457_100.5, "bkjd", "BKJD .* the start of K2, 1860, and its end, 3588; "),
}


def of_mission(mission: str, times: Any) -> Any:
    run = {"TESS": "SECTOR", "Kepler": "QUARTER", "K2": "CAMPAIGN"}[mission]
    author = "SPOC" if mission == "TESS" else mission
    about = {"MISSION": mission, run: 1, "CHANNEL": 1, "AUTHOR": author}
    return tess(time=Time(times, format="jd", scale="tdb"), **about)


@pytest.mark.parametrize("mission", MISSION_TIMES)
@pytest.mark.parametrize(
    ("form", "looks"),
    [
        (lambda t: t - 2_400_000.5, r"\. They look like modified Julian dates: .*format='mjd'"),
        (lambda t: t - 2_450_000, r"\. They look like JD - 2450000: add 2450000"),
        (lambda t: t - 2_440_000, r"\. They look like JD - 2440000: add 2440000"),
        (lambda t: (t - 2_440_587.5) * 86_400, r"\. They look like seconds since 1970: pass"),
        (lambda t: (t - 2_440_587.5) * 86_400e3, r"\. They look like milliseconds since 1970: "),
        (lambda t: t - t[0] - 100, "got -100 to -98$"),
        (lambda t: t - t[0], "got 0 to 2$"),
        (lambda t: np.array([*t[:2], t[2] + 1e5]), r"got \d+.*$"),
    ],
    ids=["MJD", "JD-2450000", "JD-2440000", "unix", "milliseconds", "negative", "zero", "one"],
)
def test_product_from_lightcurve_refuses_times_that_the_mission_cannot_have(
    mission: str, form: Callable[[Any], Any], looks: str
) -> None:
    first, _, message = MISSION_TIMES[mission]
    with pytest.raises(IngestError, match=f"times must be {message}.*{looks}"):
        product_from_lightcurve(of_mission(mission, form(first + np.arange(3.0))))


@pytest.mark.parametrize("mission", MISSION_TIMES)
def test_product_from_lightcurve_refuses_seconds_of_the_missions_format(mission: str) -> None:
    first, name, _ = MISSION_TIMES[mission]
    epoch = {"btjd": 2_457_000, "bkjd": 2_454_833}[name]
    seconds = (first + np.arange(3.0) - epoch) * 86_400
    with pytest.raises(IngestError, match=f"look like {name.upper()} in seconds: divide them by"):
        product_from_lightcurve(of_mission(mission, seconds))
    product = product_from_lightcurve(of_mission(mission, seconds / 86_400))
    assert product.time == pytest.approx(first + np.arange(3.0) - epoch)
    product = product_from_lightcurve(of_mission(mission, first + np.arange(3.0)))
    assert product.time == pytest.approx(first + np.arange(3.0) - epoch)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.array([2**40, 2**40 + 1, 2**40 + 3]), [2**40, 2**40 + 1, 2**40 + 3]),
        (np.array([1, 2, 2**63 - 1], np.uint64), [1, 2, 2**63 - 1]),
    ],
)
def test_add_keeps_cadence_numbers_of_64_bits(
    session: orm.Session, numbers: Any, expected: list[int]
) -> None:
    assert add(session, tess(cadenceno=numbers)).added == 1
    observation = session.scalars(sa.select(Observation)).one()
    assert observation.cadence_reference.tolist() == expected


def test_add_refuses_cadence_numbers_beyond_63_bits() -> None:
    with pytest.raises(IngestError, match="9223372036854775808 does not fit into 63 bits"):
        product_from_lightcurve(tess(cadenceno=np.array([1, 2, 2**63], np.uint64)))


def test_add_keeps_the_bits_of_unsigned_flags(session: orm.Session) -> None:
    bits = np.array([0, 2**31 + 4, 2**32 - 1], np.uint32)
    assert add(session, tess(quality=bits)).added == 1
    (stored,) = session.scalars(sa.select(Observation)).one().quality_flag_arrays
    assert (stored.quality_flags.astype(np.int64) & 0xFFFFFFFF).tolist() == bits.tolist()
    with pytest.raises(IngestError, match="do not fit into 32 bits"):
        product_from_lightcurve(tess(quality=np.array([0, 1, 2**32])))


def test_masked_cadences_are_nan() -> None:
    from astropy.utils.masked import Masked

    flux = Masked([3.0, 2.0, 1.0] * units.electron / units.s, mask=[False, True, False])
    flux_err = Masked([0.3, 0.2, 0.1] * units.electron / units.s, mask=[True, False, False])
    (curve,) = product_from_lightcurve(tess(flux=flux, flux_err=flux_err)).curves
    assert curve.flux_err is not None
    assert np.isnan(curve.flux).tolist() == [False, True, False]
    assert np.isnan(curve.flux_err).tolist() == [True, False, False]


def test_errors_that_are_all_nan_are_stored_as_missing() -> None:
    (curve,) = product_from_lightcurve(tess(flux_err=None)).curves
    assert curve.flux_err is None


@pytest.mark.parametrize(
    ("flux", "unit"),
    [
        ([1.0, 2.0, 3.0] * units.electron / units.s, "electron / s"),
        ([1.0, 2.0, 3.0], ""),
        ([1.0, 2.0, 3.0] * units.Unit("ppm"), "ppm"),
        ([1.0, 2.0, 3.0] * units.mag, "mag"),
    ],
)
def test_the_description_begins_with_the_unit(flux: Any, unit: str) -> None:
    lc = tess(flux=flux, flux_err=None)
    (raw,) = product_from_lightcurve(lc, photometry="Mine").curves
    assert raw.photometry.description.startswith(f"[{unit}] ")
    (derived,) = product_from_lightcurve(lc, processing="flat").curves
    assert derived.processing is not None
    assert derived.processing.description.startswith(f"[{unit}] flat")
    # What the flux was derived from keeps the unit that its file has.
    assert derived.photometry.description == "[electron / s] Simple aperture photometry"


@pytest.mark.parametrize(
    ("changes", "arguments", "photometry", "processing"),
    [
        ({"FLUX_ORIGIN": "pdcsap_flux"}, {}, "SPOC SAP", "PDCSAP"),
        ({"FLUX_ORIGIN": "kspsap_flux", "AUTHOR": "QLP"}, {}, "QLP SAP", "KSPSAP"),
        ({"FLUX_ORIGIN": "det_flux_sml", "AUTHOR": "QLP"}, {}, "QLP SAP", "DET_SML"),
        ({"FLUX_ORIGIN": "cal_aper_flux", "AUTHOR": "TGLC"}, {}, "TGLC aperture", "TGLC CAL"),
        ({"PHOTOMETRY": "Mine", "PROCESSING": "raw"}, {}, "Mine", None),
        ({"PHOTOMETRY": "Mine", "PROCESSING": "Flat"}, {}, "Mine", "Flat"),
        ({"PROCESSING": "Flat"}, {"processing": "raw"}, "SPOC SAP", None),
        ({}, {"photometry": "Mine", "processing": "Flat"}, "Mine", "Flat"),
    ],
)
def test_photometry_and_processing_come_from_the_user_the_metadata_or_the_column(
    changes: dict[str, str], arguments: dict[str, str], photometry: str, processing: str | None
) -> None:
    (curve,) = product_from_lightcurve(tess(**changes), **arguments).curves  # type: ignore[arg-type]
    found = curve.processing.name if curve.processing else None
    assert (curve.photometry.name, found) == (photometry, processing)


@pytest.mark.parametrize(
    ("changes", "flag_type"),
    [
        ({}, "tess_quality_flag"),
        ({"AUTHOR": "QLP", "SECTOR": 55}, "qlp_quality_flag_v1"),
        ({"AUTHOR": "QLP", "SECTOR": 56}, "qlp_quality_flag_v2"),
    ],
)
def test_the_pipeline_decides_what_quality_means(changes: dict[str, Any], flag_type: str) -> None:
    product = product_from_lightcurve(tess(**changes))
    assert {name: bits.tolist() for name, bits in product.quality.items()} == {
        flag_type: [0, 32, 0]
    }
    assert product.quality[flag_type].dtype == np.int32


def test_a_column_named_as_a_flag_type_is_that_type() -> None:
    product = product_from_lightcurve(tess(base_quality_flag=np.array([1, 0, 2])))
    assert product.quality["base_quality_flag"].tolist() == [1, 0, 2]
    assert product.quality["tess_quality_flag"].tolist() == [0, 32, 0]


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"TARGETID": None, "LABEL": None}, "the target is unknown", {"target": 7}),
        ({"SECTOR": None}, "the sector is unknown", {"observation_fields": {"sector": 3}}),
        ({"CCD": None}, "the ccd is unknown", {"instrument": ("TESS", "Camera 1")}),
        ({"FLUX_ORIGIN": "flux"}, "the photometry is unknown", {"photometry": "Mine"}),
        ({"AUTHOR": None}, "the photometry is unknown", {"photometry": "Mine"}),
    ],
)
def test_a_missing_field_is_named_by_the_argument_that_supplies_it(
    changes: dict[str, Any], message: str, remedy: dict[str, Any]
) -> None:
    (argument,) = remedy
    with pytest.raises(IngestError, match=rf"{message}.*pass {argument}="):
        product_from_lightcurve(tess(**changes))
    assert product_from_lightcurve(tess(**changes), **remedy).target == 7


def test_a_plain_light_curve_requires_all_arguments() -> None:
    lc = lightkurve.LightCurve(time=[1325.5, 1325.6], flux=[1.0, 0.9])
    with pytest.raises(IngestError, match="pass mission="):
        product_from_lightcurve(lc)
    product = product_from_lightcurve(
        lc,
        target=7,
        mission="TESS",
        photometry="Mine",
        observation_fields={"sector": 1},
        instrument=("TESS",),
    )
    assert (product.catalog, product.numbered) == ("TIC", False)
    assert product.time.tolist() == [1325.5, 1325.6]


def test_a_custom_mission_has_the_clock_of_its_row(session: orm.Session) -> None:
    session.add(Mission(name="PLATO", time_epoch=2_460_000, time_format_name="plato_test_days"))
    arguments: dict[str, Any] = {
        "mission": "PLATO",
        "catalog": "PIC",
        "photometry": "Mine",
        "observation_type": "observation",
        "instrument": ("PLATO",),
    }
    lc = tess(time=Time([2_460_001.5, 2_460_002.5, 2_460_003.5], format="jd", scale="tdb"))
    assert add(session, lc, **arguments).added == 1
    observation = session.scalars(sa.select(Observation)).one()
    (times,) = observation.target_specific_times
    assert times.barycentric_julian_dates.tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(IngestError, match="no mission 'CHEOPS' in this database"):
        add(session, lc, **(arguments | {"mission": "CHEOPS"}))


def test_a_folded_light_curve_is_refused_by_name() -> None:
    with pytest.raises(IngestError, match="a folded light curve has phases"):
        product_from_lightcurve(tess().fold(1.0))


def test_a_stitched_light_curve_is_refused_by_its_length() -> None:
    time = Time([1325.0, 1326.0, 1380.0], format="btjd", scale="tdb")
    with pytest.raises(IngestError, match="it spans 55 days"):
        product_from_lightcurve(tess(time=time))
    assert product_from_lightcurve(tess(time=time, SECTOR=97)).target == 7


def test_add_names_an_unknown_argument_and_suggests_one(session: orm.Session) -> None:
    with pytest.raises(ArgumentError, match=r"no argument 'procesing'; did you mean processing="):
        add(session, tess(), procesing="flat")
    with pytest.raises(ArgumentError, match=r"no argument 'colour'; it takes target, catalog, mi"):
        add(session, tess(), colour="red")


def test_add_refuses_a_stitched_light_curve_by_its_columns(session: orm.Session) -> None:
    lc = tess(sector=np.array([1, 2, 2]))
    with pytest.raises(IngestError, match=r"it was stitched from 2 light curves \(sector 1, 2\)"):
        add(session, lc)
    assert add(session, tess(sector=np.array([1, 1, 1]))).added == 1


@pytest.mark.parametrize(
    ("other", "cure"),
    [
        (Path("a.fits"), r"db\.ingest\(\) for files"),
        (lightkurve.LightCurveCollection([]), "add its members separately"),
    ],
)
def test_add_of_another_type_names_the_method_to_call(
    session: orm.Session, other: Any, cure: str
) -> None:
    with pytest.raises(IngestError, match=cure):
        add(session, other)


@pytest.mark.parametrize("other", [np.ones(3), None, "TIC 7"])
def test_anything_else_is_refused(other: Any) -> None:
    with pytest.raises(IngestError, match="must be a LightCurve or DataFrame, got"):
        product_from_lightcurve(other)
