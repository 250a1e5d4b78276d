"""Records to LightCurves and DataFrames, without a database: values, names and metadata."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcdb_notebook import flags
from lcdb_notebook.errors import ConfigurationError, DataError
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData

BTJD = Clock("btjd", "d", Decimal(2_457_000), "jd", "tdb")
BKJD = Clock("bkjd", "d", Decimal(2_454_833), "jd", "tdb")
OWN = Clock("cheopsjd", "d", Decimal(2_450_000), "jd", "tdb")

SIZE = 600
SECTOR = ObservationData(
    7,
    "tess_observation",
    {"sector": 1, "orbit_number": None, "author": "SPOC", "exptime": 1800},
    ("TESS", "Camera 4", "CCD 2"),
    ("sector", "orbit_number"),
)
QUARTER = ObservationData(
    8,
    "kepler_observation",
    {"quarter": 4, "author": "Kepler", "exptime": 1800},
    ("Kepler", "Module 11", "Channel 33"),
    ("quarter",),
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightkurve"),
    pytest.mark.filterwarnings("ignore:.*:lightkurve.utils.LightkurveWarning"),
]


def record(**changes: Any) -> LightCurveData:
    """A light curve of 600 half-hours with a dip every 2.5 days, and four flagged cadences."""
    random = np.random.default_rng(1)
    time = 1325 + np.arange(SIZE) / 48
    flux = 1000 + random.normal(0, 0.5, SIZE)
    flux[(time % 2.5) < 0.15] -= 10
    quality = np.zeros(SIZE, np.int64)
    quality[[5, 6]] = 32
    quality[7] = 4096
    quality[8] = 2**20
    fields: dict[str, Any] = {
        "dataset": 3,
        "target": 261136679,
        "catalog": "TIC",
        "mission": "TESS",
        "clock": BTJD,
        "observation": SECTOR,
        "photometry": "SPOC SAP",
        "processing": "PDCSAP",
        "unit": "electron / s",
        "cadence": np.arange(100, 100 + SIZE),
        "time": time,
        "flux": flux,
        "flux_err": np.full(SIZE, 0.5),
        "quality": {"tess_quality_flag": quality},
        "stored_time": "mission",
    }
    return LightCurveData(**(fields | changes))


def kepler(**changes: Any) -> LightCurveData:
    fields = {
        "target": 11446443,
        "catalog": "KIC",
        "mission": "Kepler",
        "clock": BKJD,
        "observation": QUARTER,
        "photometry": "Kepler SAP",
        "time": record().time - 1200,
        "quality": {"kepler_quality_flag": np.zeros(SIZE, np.int64)},
    }
    return record(**(fields | changes))


def foreign(**changes: Any) -> LightCurveData:
    """Of a mission that lightkurve does not know, without errors and flags."""
    about = ObservationData(9, "cheops_observation", {}, ("CHEOPS",))
    fields = {
        "catalog": "HIP",
        "mission": "CHEOPS",
        "clock": OWN,
        "observation": about,
        "processing": None,
        "unit": "",
        "flux_err": None,
        "quality": {},
        "photometry": None,
    }
    return record(**(fields | changes))


KINDS = {"TESS": record, "Kepler": kepler, "foreign": foreign}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


# What a LightCurve has


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (record, "TessLightCurve"),
        (kepler, "KeplerLightCurve"),
        (foreign, "LightCurve"),
    ],
)
def test_the_class_follows_the_mission(make: Callable[..., LightCurveData], name: str) -> None:
    assert type(convert.to_lightcurve(make())).__name__ == name


@every_kind
def test_the_columns_are_those_that_lightkurve_expects(
    make: Callable[..., LightCurveData],
) -> None:
    lc = convert.to_lightcurve(make())
    assert lc.colnames == ["time", "flux", "flux_err", "cadenceno", "quality"]
    assert lc["quality"].dtype == np.int32
    assert lc["cadenceno"].dtype == np.int32
    assert lc.time.scale == "tdb"


def test_the_metadata_are_the_words_of_the_missions_headers() -> None:
    meta = convert.to_lightcurve(record()).meta
    assert {name: meta[name] for name in meta if name != "QUALITY_MASK"} == {
        "LABEL": "TIC 261136679",
        "OBJECT": "TIC 261136679",
        "TARGETID": 261136679,
        "TICID": 261136679,
        "MISSION": "TESS",
        "TELESCOP": "TESS",
        "SECTOR": 1,
        "CAMERA": 4,
        "CCD": 2,
        "AUTHOR": "SPOC",
        "EXPTIME": 1800,
        "FLUX_ORIGIN": "pdcsap_flux",
        "PHOTOMETRY": "SPOC SAP",
        "PROCESSING": "PDCSAP",
        "DATASET": 3,
        "OBSERVATION": 7,
        "NORMALIZED": False,
        "QUALITY_BITMASK": "default",
        "QUALITY_TYPE": "tess_quality_flag",
    }


@every_kind
def test_metadata_are_upper_case_and_plain_python(make: Callable[..., LightCurveData]) -> None:
    meta = dict(convert.to_lightcurve(make()).meta)
    assert meta.pop("QUALITY_MASK").dtype == bool
    assert all(name == name.upper() for name in meta)
    plain = (str, int, float, bool, type(None))
    assert {name: value for name, value in meta.items() if type(value) not in plain} == {}


def test_meta_values_that_a_header_cannot_hold_become_text_or_numbers() -> None:
    fields = {"began": date(2018, 7, 25), "gain": Decimal("1.5"), "label": "not the label"}
    lc = convert.to_lightcurve(record(observation=replace(SECTOR, fields=fields)))
    assert (lc.meta["BEGAN"], lc.meta["GAIN"]) == ("2018-07-25", 1.5)
    assert lc.meta["LABEL"] == "TIC 261136679"


def test_k2_is_a_separate_mission_with_the_kepler_telescope() -> None:
    campaign = replace(QUARTER, type="k2_observation", fields={"campaign": 4, "author": "K2"})
    meta = convert.to_lightcurve(kepler(catalog="EPIC", observation=campaign)).meta
    assert (meta["MISSION"], meta["TELESCOP"], meta["CAMPAIGN"]) == ("K2", "Kepler", 4)
    assert meta["KEPLERID"] == 11446443
    assert meta["CHANNEL"] == 33


def test_lightkurves_own_properties_read_the_metadata() -> None:
    lc = convert.to_lightcurve(record())
    assert (lc.sector, lc.camera, lc.ccd) == (1, 4, 2)
    assert (lc.label, lc.targetid) == ("TIC 261136679", 261136679)
    assert convert.to_lightcurve(kepler()).quarter == 4


@pytest.mark.parametrize(
    ("photometry", "processing", "origin"),
    [
        ("SPOC SAP", None, "sap_flux"),
        ("SPOC SAP", "PDCSAP", "pdcsap_flux"),
        ("QLP SAP", "KSPSAP", "kspsap_flux"),
        ("TGLC aperture", None, "aperture_flux"),
        ("my aperture", "Savitzky-Golay flux", "savitzky_golay_flux"),
        (None, None, "flux"),
    ],
)
def test_the_origin_of_the_flux_is_named_as_lightkurve_names_columns(
    photometry: str | None, processing: str | None, origin: str
) -> None:
    lc = convert.to_lightcurve(record(photometry=photometry, processing=processing))
    assert lc.meta["FLUX_ORIGIN"] == origin


# Cadences


@pytest.mark.parametrize(
    ("preset", "gone"), [("none", 0), ("default", 2), ("hard", 3), ("hardest", 3), (2**20, 1)]
)
def test_each_preset_drops_its_own_cadences(preset: str | int, gone: int) -> None:
    lc = convert.to_lightcurve(record(), quality_bitmask=preset)
    assert len(lc) == SIZE - gone
    assert lc.meta["QUALITY_BITMASK"] == preset
    assert lc.meta["QUALITY_MASK"].sum() == SIZE - gone


@pytest.mark.parametrize(
    ("bitmask", "stored"),
    [
        (flags.TESSFlag.DESAT, 32),
        (["Desat", "Straylight2"], "Desat,Straylight2"),
        ([flags.TESSFlag.DESAT, 4096], "DESAT,4096"),
        (np.int64(32), 32),
        (None, "none"),
    ],
)
def test_the_bitmask_in_meta_is_valid_in_a_fits_header(bitmask: Any, stored: str | int) -> None:
    found = convert.to_lightcurve(record(), quality_bitmask=bitmask).meta["QUALITY_BITMASK"]
    assert found == stored
    assert type(found) in (str, int)


def test_masked_cadences_stay_and_their_flux_is_nan() -> None:
    lc = convert.to_lightcurve(record(), flagged="mask")
    assert len(lc) == SIZE
    assert np.flatnonzero(np.isnan(lc.flux.value)).tolist() == [5, 6]
    assert np.flatnonzero(np.isnan(lc.flux_err.value)).tolist() == [5, 6]


def test_kept_cadences_are_unchanged() -> None:
    data = record()
    lc = convert.to_lightcurve(data, flagged="keep")
    assert np.array_equal(lc.flux.value, data.flux)
    assert not lc.meta["QUALITY_MASK"][[5, 6]].any()


def test_an_invalid_value_of_flagged_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(TypeError, match="'drop', 'mask' or 'keep', got 'dorp'"):
        convert.to_lightcurve(record(), flagged="dorp")  # type: ignore[arg-type]


def test_a_misspelt_preset_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'hrad'"):
        convert.to_lightcurve(record(), quality_bitmask="hrad")


@pytest.mark.parametrize("flagged", ["drop", "mask", "keep"])
def test_a_cadence_without_a_time_leaves_every_column(flagged: Any) -> None:
    data = record()
    data.time[[0, 100, 599]] = np.nan
    lc = convert.to_lightcurve(data, quality_bitmask="none", flagged=flagged)
    kept = np.isfinite(data.time)
    assert len(lc) == SIZE - 3 == len(lc.meta["QUALITY_MASK"])
    assert np.array_equal(lc.flux.value, data.flux[kept])
    assert np.array_equal(lc["cadenceno"], data.cadence[kept])
    frame = convert.to_pandas([data], quality_bitmask="none", flagged=flagged)
    assert frame["cadenceno"].tolist() == data.cadence[kept].tolist()


def test_each_type_of_flags_has_a_column_and_the_spacecrafts_is_called_quality() -> None:
    own = np.zeros(SIZE, np.int64)
    own[50] = 3
    both = {**record().quality, "tglc_quality_flag": own}
    lc = convert.to_lightcurve(record(quality=both), flagged="keep")
    assert lc.colnames[-2:] == ["quality", "tglc_quality_flag"]
    assert lc["quality"][5] == 32
    assert lc["tglc_quality_flag"][50] == 3


def test_a_preset_condemns_by_every_type_of_flags() -> None:
    own = np.zeros(SIZE, np.int64)
    own[50] = 1  # a cosmic ray
    both = {**record().quality, "base_quality_flag": own}
    assert len(convert.to_lightcurve(record(quality=both))) == SIZE - 3


def test_the_highest_bit_of_int32_is_a_bit_like_any_other() -> None:
    quality = np.zeros(SIZE, np.int64)
    quality[5] = -(2**31)
    data = record(quality={"tess_quality_flag": quality})
    lc = convert.to_lightcurve(data, flagged="keep")
    assert lc["quality"][5] == 2**31
    assert convert.to_pandas([data], flagged="keep")["quality"].iloc[5] == 2**31
    assert len(convert.to_lightcurve(data, quality_bitmask=2**31)) == SIZE - 1


def test_cadence_numbers_of_64_bits_are_kept() -> None:
    cadence = 2**40 + np.arange(SIZE)
    data = record(cadence=cadence)
    lc = convert.to_lightcurve(data, quality_bitmask="none")
    assert lc["cadenceno"].dtype == np.int64
    assert lc["cadenceno"].tolist() == cadence.tolist()
    assert convert.to_pandas([data], flagged="keep")["cadenceno"].tolist() == cadence.tolist()


# Times and units


def test_another_time_format_has_the_same_instants() -> None:
    lc = convert.to_lightcurve(record(), time_format="jd")
    assert lc.time.format == "jd"
    assert lc.time.value[0] == 2457000 + 1325
    assert np.array_equal(lc.time.btjd, convert.to_lightcurve(record()).time.value)


def test_an_unknown_time_format_is_refused_with_those_of_astropy() -> None:
    with pytest.raises(ValueError, match="btjd"):
        convert.to_lightcurve(record(), time_format="moonphase")


def test_a_custom_mission_keeps_its_clock() -> None:
    lc = convert.to_lightcurve(foreign())
    assert lc.time.format == "cheopsjd"
    assert lc.time.jd[0] == 2450000 + 1325


@pytest.mark.parametrize("unit", ["electron / s", "electron s-1", "adu", "", "  ", "Jy"])
def test_the_unit_is_that_of_the_description(unit: str) -> None:
    from astropy.units import Unit

    lc = convert.to_lightcurve(record(unit=unit))
    assert lc.flux.unit == lc.flux_err.unit == Unit(unit.strip())
    assert lc.meta["NORMALIZED"] is (unit.strip() == "")


@pytest.mark.parametrize("unit", ["photons per moon", "mag(AB)"])
def test_an_invalid_unit_is_named(unit: str) -> None:
    with pytest.raises(DataError, match=re.escape(repr(unit))):
        convert.to_lightcurve(record(unit=unit))


def test_a_unit_is_known_while_it_is_enabled() -> None:
    from astropy import units

    zork = units.def_unit("zork")
    for _ in range(2):
        with pytest.raises(DataError, match="'zork'"):
            convert.to_lightcurve(record(unit="zork"))
        with units.add_enabled_units([zork]):
            assert convert.to_lightcurve(record(unit="zork")).flux.unit == zork


def test_magnitudes_become_relative_flux_with_pogsons_ratio() -> None:
    magnitude = np.full(SIZE, 10.0)
    magnitude[20] = 12.5  # a hundredth
    magnitude[30] = 5.0  # a hundred times
    data = record(flux=magnitude, flux_err=np.full(SIZE, 0.01), unit="mag")
    lc = convert.to_lightcurve(data, flagged="keep")
    assert lc.flux.value[[0, 20, 30]] == pytest.approx([1.0, 0.1, 100.0])
    assert lc.flux_err.value[0] == pytest.approx(0.01 * np.log(10) / 2.5)
    assert str(lc.flux.unit) == ""
    assert lc.meta["NORMALIZED"] is True


def test_flagged_cadences_do_not_move_the_median_magnitude() -> None:
    magnitude = np.full(SIZE, 10.0)
    quality = np.full(SIZE, 32, np.int64)
    quality[:10] = 0
    magnitude[10:] = 3.0
    data = record(flux=magnitude, unit="mag", quality={"tess_quality_flag": quality})
    assert convert.to_lightcurve(data).flux.value == pytest.approx(np.ones(10))


@pytest.mark.parametrize("flux", [np.full(SIZE, np.nan), np.full(SIZE, np.inf)])
def test_magnitudes_that_are_all_nan_do_not_warn(flux: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(convert.to_lightcurve(record(flux=flux, unit="mag")).flux.value).all()


def test_magnitudes_are_kept_on_request() -> None:
    data = record(flux=np.full(SIZE, 10.0), unit="mag")
    lc = convert.to_lightcurve(data, as_flux=False)
    assert str(lc.flux.unit) == "mag"
    assert (lc.flux.value == 10).all()


def test_missing_errors_are_nan() -> None:
    assert np.isnan(convert.to_lightcurve(record(flux_err=None)).flux_err.value).all()


def test_changing_a_light_curve_leaves_the_record_alone() -> None:
    data = record()
    before = data.flux.copy()
    for flagged in ("drop", "mask", "keep"):
        lc = convert.to_lightcurve(data, flagged=flagged)
        lc.flux[:] = 0
        lc["quality"][:] = 1
    assert np.array_equal(data.flux, before)
    assert data.quality["tess_quality_flag"].sum() == 64 + 4096 + 2**20


# What lightkurve then does

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "flatten": lambda lc: lc.flatten(window_length=101),
    "bin": lambda lc: lc.bin(time_bin_size=0.1),
    "remove_outliers": lambda lc: lc.remove_outliers(sigma=3),
    "remove_nans": lambda lc: lc.remove_nans(),
    "normalize": lambda lc: lc.normalize(),
    "fold": lambda lc: lc.fold(period=2.5),
    "fill_gaps": lambda lc: lc.fill_gaps(),
    "append": lambda lc: lc.append(lc.copy()),
    "truncate": lambda lc: lc.truncate(lc.time.value[10], lc.time.value[100]),
    "to_table": lambda lc: lc.to_table(),
}


@every_kind
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_lightkurve_works_on_it(
    make: Callable[..., LightCurveData], operation: Callable[[Any], Any]
) -> None:
    lc = convert.to_lightcurve(make())
    result = operation(lc)
    assert len(result) > 0
    assert np.isfinite(np.asarray(result["flux"])).any()


@every_kind
@pytest.mark.parametrize("method", ["bls", "lombscargle"])
def test_a_periodogram_finds_the_dips(make: Callable[..., LightCurveData], method: str) -> None:
    lc = convert.to_lightcurve(make())
    if method == "bls":
        found = lc.to_periodogram(method="bls", period=np.arange(1.5, 3.5, 0.001), duration=0.15)
    else:
        found = lc.to_periodogram(
            method="lombscargle", minimum_period=1.5, maximum_period=3.5, oversample_factor=20
        )
    assert found.period_at_max_power.value == pytest.approx(2.5, rel=0.02)


@every_kind
def test_the_light_curves_of_two_observations_are_stitched(
    make: Callable[..., LightCurveData],
) -> None:
    import lightkurve

    later = make(time=make().time + 27)
    parts = [convert.to_lightcurve(data) for data in (make(), later)]
    stitched = lightkurve.LightCurveCollection(parts).stitch()
    assert len(stitched) == sum(map(len, parts))
    assert np.nanmedian(stitched.flux.value) == pytest.approx(1, abs=0.01)
    assert type(stitched) is type(parts[0])


@every_kind
def test_pandas_takes_it(make: Callable[..., LightCurveData]) -> None:
    lc = convert.to_lightcurve(make())
    frame = lc.to_pandas()
    assert frame.index.name == "time"
    assert {"flux", "flux_err", "cadenceno", "quality"} <= set(frame.columns)
    assert np.array_equal(frame["flux"], lc.flux.value)


@pytest.mark.parametrize("make", [record, kepler])
def test_it_comes_back_from_a_fits_file(
    make: Callable[..., LightCurveData], tmp_path: Path
) -> None:
    import lightkurve

    lc = convert.to_lightcurve(make())
    path = tmp_path / "lightcurve.fits"
    lc.to_fits(path=str(path))
    back = lightkurve.read(str(path), quality_bitmask="none")
    assert isinstance(lc, type(back))
    assert back.time.format == lc.time.format
    assert np.array_equal(back.time.value, lc.time.value)
    # lightkurve writes 32-bit floats.
    assert np.array_equal(back.flux.value, np.float32(lc.flux.value))
    assert back.flux.unit == lc.flux.unit
    assert np.array_equal(back["quality"], lc["quality"])
    assert np.array_equal(back["cadenceno"], lc["cadenceno"])
    assert back.meta["MISSION"] == lc.meta["MISSION"]


@every_kind
def test_it_is_written_to_a_fits_file_though_little_is_known(
    make: Callable[..., LightCurveData], tmp_path: Path
) -> None:
    from astropy.io import fits

    bare = replace(make().observation, fields={}, instrument=(), chronology=())
    lc = convert.to_lightcurve(make(observation=bare))
    lc.to_fits(path=str(tmp_path / "lightcurve.fits"))
    with fits.open(tmp_path / "lightcurve.fits") as hdus:
        assert np.array_equal(hdus[1].data["TIME"], lc.time.value)
        assert hdus[0].header["MISSION"] == lc.meta["MISSION"]


@every_kind
def test_it_is_drawn(make: Callable[..., LightCurveData]) -> None:
    lc = convert.to_lightcurve(make())
    # Without errors lightkurve draws no error bars, and warns.
    for draw in (lc.plot, lc.scatter, *([] if make is foreign else [lc.errorbar])):
        ax = draw()
        assert lc.label in [text.get_text() for text in ax.get_legend().get_texts()]


@every_kind
def test_it_is_printed_and_copied(make: Callable[..., LightCurveData]) -> None:
    lc = convert.to_lightcurve(make())
    assert lc.label in repr(lc)
    assert len(lc[:10].copy()) == 10
    assert lc._repr_html_()


# Order


def test_light_curves_are_ordered_by_their_first_time() -> None:
    late, early = record(dataset=1, time=record().time + 27), record(dataset=2)
    early.time[:10] = np.nan
    empty = record(dataset=3, time=np.full(SIZE, np.nan))
    ordered = convert.by_start([late, empty, early])
    assert [data.dataset for data in ordered] == [2, 1, 3]


def test_light_curves_of_different_clocks_are_ordered_by_the_instant() -> None:
    # 1325 of BTJD is in 2018, 3000 of BKJD in 2017.
    first = kepler(dataset=2, time=record().time + 1675)
    assert [data.dataset for data in convert.by_start([record(dataset=1), first])] == [2, 1]


# DataFrames


def test_a_dataframe_has_one_row_per_cadence_with_its_target() -> None:
    raw = record(dataset=2, processing=None)
    frame = convert.to_pandas([raw, record()])
    assert list(frame.columns) == [
        *("time", "flux", "flux_err", "cadenceno", "quality"),
        *("dataset", "target", "sector", "photometry", "processing"),
    ]
    assert len(frame) == 2 * (SIZE - 2)
    assert frame["dataset"].value_counts().to_dict() == {2: SIZE - 2, 3: SIZE - 2}
    assert frame["processing"].unique().tolist() == ["raw", "PDCSAP"]
    assert frame["sector"].dtype == np.int64
    assert frame["quality"].dtype == np.int32


def test_a_dataframe_has_units_and_clock_in_its_attributes() -> None:
    attrs = convert.to_pandas([record()]).attrs
    # What from_pandas() reads is private.
    assert isinstance(attrs.pop("light_curves"), str)
    assert attrs == {
        "mission": "TESS",
        "time_format": "btjd",
        "time_scale": "tdb",
        "unit": ["electron / s"],
        "unit_inferred": [],
        "flag_type": "tess_quality_flag",
        "quality_bitmask": "default",
        "flagged": "drop",
    }


def test_a_dataframe_of_nothing_has_the_columns_all_the_same() -> None:
    frame = convert.to_pandas([])
    assert list(frame.columns) == ["time", "flux", "flux_err", "cadenceno", "quality"]
    assert len(frame) == 0


def test_a_dataframe_masks_and_keeps_as_a_light_curve_does() -> None:
    kept = convert.to_pandas([record()], flagged="keep")
    assert kept["flux"].notna().all()
    masked = convert.to_pandas([record()], flagged="mask")
    assert np.flatnonzero(masked["flux"].isna()).tolist() == [5, 6]
    assert len(kept) == len(masked) == SIZE


def test_a_dataframe_has_unchanged_magnitudes() -> None:
    frame = convert.to_pandas([record(flux=np.full(SIZE, 10.0), unit="mag")])
    assert (frame["flux"] == 10).all()
    assert frame.attrs["unit"] == ["mag"]


def test_a_dataframe_has_times_in_the_requested_format() -> None:
    frame = convert.to_pandas([record()], time_format="jd")
    assert frame["time"][0] == 2457000 + 1325
    assert frame.attrs["time_format"] == "jd"


def test_a_dataframe_does_not_mix_clocks_unknowingly() -> None:
    both = [record(), kepler(dataset=9)]
    with pytest.raises(DataError, match=r"bkjd, btjd.*time_format='jd'"):
        convert.to_pandas(both)
    frame = convert.to_pandas(both, time_format="jd")
    starts = frame.groupby("dataset")["time"].min()
    assert starts[3] == pytest.approx(2457000 + 1325)
    assert starts[9] == pytest.approx(2454833 + 125)
    assert set(frame["catalog"]) == {"TIC", "KIC"}


def test_a_dataframe_names_the_flag_types_if_they_differ() -> None:
    quality = record().quality["tess_quality_flag"]
    other = record(dataset=4, quality={"qlp_quality_flag_v2": quality})
    frame = convert.to_pandas([record(), other])
    assert frame.groupby("dataset")["flag_type"].unique().str[0].to_dict() == {
        3: "tess_quality_flag",
        4: "qlp_quality_flag_v2",
    }
    assert "flag_type" not in convert.to_pandas([record()])


def test_a_flag_type_missing_from_some_light_curves_is_0_for_them() -> None:
    own = {"tglc_quality_flag": np.full(SIZE, 2, np.int64)}
    frame = convert.to_pandas([record(), record(dataset=4, quality={**record().quality, **own})])
    assert list(frame.columns)[4:6] == ["quality", "tglc_quality_flag"]
    assert frame.groupby("dataset")["tglc_quality_flag"].max().to_dict() == {3: 0, 4: 2}


# Built from finished columns


def by_constructor(lc: Any) -> Any:
    """Make the same light curve by lightkurve's own constructor."""
    made = type(lc)(data={name: lc[name].copy() for name in lc.colnames})
    made.meta.update(lc.meta)
    return made


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    assert one.colnames == other.colnames
    for name in one.colnames:
        assert type(one[name]) is type(other[name])
        assert getattr(one[name], "unit", None) == getattr(other[name], "unit", None)
        if hasattr(one[name], "jd1"):
            assert one[name].format == other[name].format
            assert one[name].scale == other[name].scale
            assert np.array_equal(one[name].jd1, other[name].jd1)
            assert np.array_equal(one[name].jd2, other[name].jd2)
        else:
            assert np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
    assert one.primary_key == other.primary_key
    assert len(one.indices) == len(other.indices)


AFTER: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda lc: lc,
    "a copy": lambda lc: lc.copy(),
    "a deep copy": copy.deepcopy,
    "a pickle": lambda lc: pickle.loads(pickle.dumps(lc)),
    "a slice": lambda lc: lc[3:50],
    "a mask": lambda lc: lc[lc["cadenceno"] % 3 == 0],
    "rows in another order": lambda lc: lc[[5, 2, 9]],
    "the rows between two times": lambda lc: lc.loc[lc.time[10] : lc.time[20]],
    "rows by the order of times": lambda lc: lc.iloc[4:8],
    "rows after one was removed": lambda lc: removed(lc).iloc[2:4],
    "rows after a time was changed": lambda lc: changed(lc).iloc[0:3],
    "a column more": lambda lc: more(lc),
    "flatten": lambda lc: lc.flatten(window_length=51),
    "bin": lambda lc: lc.bin(time_bin_size=1),
    "normalize": lambda lc: lc.normalize(),
    "remove_outliers": lambda lc: lc.remove_outliers(),
    "append": lambda lc: lc.append(lc[5:9]),
}


def removed(lc: Any) -> Any:
    lc = lc.copy()
    lc.remove_rows([2, 3])
    return lc


def changed(lc: Any) -> Any:
    lc = lc.copy()
    lc.time[0] = lc.time[40]
    return lc


def more(lc: Any) -> Any:
    lc = lc.copy()
    lc["twice"] = 2 * lc.flux
    return lc


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@pytest.mark.parametrize("mission", ["TESS", "Kepler", "Euclid"])
def test_it_is_what_the_constructor_makes(mission: str, after: Callable[[Any], Any]) -> None:
    lc = convert.to_lightcurve(record(mission=mission))
    plainly = by_constructor(lc)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(after(lc), after(plainly))


@pytest.mark.parametrize(
    "time",
    [
        np.array([1325.0, 1327.0, 1326.0]),
        np.array([1325.0, 1325.0, 1326.0]),
        np.array([1326.0]),
        np.empty(0),
    ],
    ids=["that do not ascend", "two of which are one", "one", "none"],
)
def test_times_are_indexed_in_their_order(time: Any) -> None:
    size = time.size
    lc = convert.to_lightcurve(
        record(
            time=time,
            cadence=np.arange(size),
            flux=np.arange(size, dtype=float),
            flux_err=np.ones(size),
            quality={},
        )
    )
    assert_same(lc, by_constructor(lc))
    ordered = lc.iloc[0:size] if size else lc
    assert np.array_equal(ordered["cadenceno"], np.argsort(time, kind="stable"))


def test_times_that_are_changed_before_the_index_is_looked_into_do_not_change_it() -> None:
    lc, other = (convert.to_lightcurve(record()) for _ in range(2))
    first, third = lc.time[0].copy(), lc.time[2].copy()
    assert len(other.loc[first:third]) == 3
    for one in (lc, other):
        one.time[:] = one.time[::-1].copy()
    found = lc.loc[first:third]["cadenceno"].tolist()
    assert found == other.loc[first:third]["cadenceno"].tolist()


def test_the_light_curve_shares_no_memory_with_its_record() -> None:
    data = record()
    for flagged in ("drop", "mask", "keep"):
        lc = convert.to_lightcurve(data, flagged=flagged)
        for array in (data.flux, data.flux_err, data.cadence, data.quality["tess_quality_flag"]):
            assert array is not None
            assert not any(np.shares_memory(lc[name], array) for name in lc.colnames[1:])


def test_a_new_attribute_is_warned_of_as_lightkurve_does() -> None:
    lc = convert.to_lightcurve(record())
    with pytest.warns(UserWarning, match="new attribute"):
        lc.no_such_column = 1


def test_days_since_a_julian_date_become_the_same_two_numbers_either_way() -> None:
    from astropy.time import Time

    random = np.random.default_rng(3)
    halves = random.integers(-5000, 5000, 5000) + 0.5
    days = np.concatenate(
        [
            random.uniform(-1e5, 1e5, 5000),
            halves + random.choice([0, 1e-13, -1e-13, 2e-10, -2e-10], 5000),
            random.integers(-5000, 5000, 500).astype(float),
            random.normal(0, 1e-9, 500),
            np.nextafter(halves, 1e9),
            np.nextafter(halves, -1e9),
            [0.0, -0.0, 5e-324, 1e12, -1e12],
        ]
    )
    for clock in (BTJD, BKJD, OWN):
        ours = convert.columns.times(days, clock, None)
        theirs = Time(days, format=clock.format_name, scale="tdb")
        assert np.array_equal(ours.jd1, theirs.jd1)
        assert np.array_equal(ours.jd2, theirs.jd2)
        assert np.array_equal(ours.value, theirs.value)
        assert ours.format == theirs.format == clock.format_name
        assert ours.precision == theirs.precision


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_times_refuses_what_astropy_refuses(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        convert.columns.times(np.array([1325.0, number]), BTJD, None)


@pytest.mark.parametrize(
    "clock",
    [
        Clock("fractionjd", "d", Decimal("2450000.25"), "jd", "tdb"),
        Clock("hoursjd", "h", Decimal(2_450_000), "jd", "tdb"),
        Clock("utcjd", "d", Decimal(2_450_000), "jd", "utc"),
        Clock("mjdjd", "d", Decimal(50_000), "mjd", "tdb"),
    ],
    ids=lambda clock: clock.format_name,
)
def test_other_clocks_count_by_their_own_format(clock: Clock) -> None:
    from astropy.time import Time

    days = np.array([0.0, 1.5, 27.25])
    ours = convert.columns.times(days, clock, None)
    theirs = Time(days, format=clock.format_name, scale="tdb")
    assert np.array_equal(ours.jd1, theirs.jd1)
    assert np.array_equal(ours.jd2, theirs.jd2)
