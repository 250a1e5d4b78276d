"""Other tools on real light curves: lightkurve's chain, astropy, TLS, wotan, lcviz; no network."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightkurve
import numpy as np
import pytest
from astropy import timeseries, units
from astropy.io import fits

import lcdb_notebook as lcdb

# They have to run in one process, as the tests of a file do: numba compiles TLS and wotan when
# first used, into a cache beside them, and two processes that fill it can crash (numba 0.68).
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("error::lightkurve.utils.LightkurveWarning"),
    # Of third parties' own modules, which are newer or older than each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyPendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:period_grid defaults:UserWarning"),
]

WASP_4, WASP_4_PERIOD = 402026209, 1.33823
"""Bouma et al. 2019, AJ 157, 217: P = 1.3382 d."""
WD_1856, WD_1856_PERIOD = 267574918, 1.40794
"""Vanderburg et al. 2020, Nature 585, 363: P = 1.4079 d; eclipses last 8 minutes."""
THREE_SECTORS = 22876651
THREE_PIPELINES = 188589164
OF_TGLC = 218795833
TWO_ORBITS = 1400694779
K2_STAR = 211117077


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object, **_: object) -> None:
        raise AssertionError(f"the network was used: {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], data_folder: Path) -> Iterator[lcdb.Database]:
    """A database of the files that these tests need."""
    patterns = [
        f"spoc/*{WASP_4}*",
        f"qlp/*{WD_1856}*",
        f"tess-spoc/*{THREE_SECTORS}*",
        f"*/*{THREE_PIPELINES}*",
        "tglc/*s0007*",
        f"kepler/*{K2_STAR}*",
        f"qlp-h5/orbit-12*/ffi/cam4/ccd4/LC/{TWO_ORBITS}*",
    ]
    files = [path for pattern in patterns for path in sorted(data_folder.glob(pattern))]
    with lcdb.connect(new_tables(), write=True) as db:
        db.ingest(files, on_error="raise", progress=False)
        yield db


@pytest.fixture(scope="module")
def wasp_4(db: lcdb.Database) -> Any:
    """WASP-4's PDCSAP light curve, flattened."""
    return clean(db.lightcurve(WASP_4, processing="PDCSAP"))


def clean(lc: Any) -> Any:
    return lc.remove_nans().flatten(901).remove_outliers(sigma_upper=4, sigma_lower=20)


class TestStitch:
    def test_sectors_survive(self, db: lcdb.Database) -> None:
        members = db.lightcurves(THREE_SECTORS, processing="PDCSAP")
        joined = members.stitch()
        assert list(np.unique(joined["sector"])) == [18, 42, 58]
        for lc in members:
            of_it = joined[joined["sector"] == lc.sector]
            assert np.array_equal(of_it.time.value, lc.time.value)
            assert np.unique(of_it["dataset"]) == [lc.meta["DATASET"]]
        assert np.nanmedian(joined.flux.value) == pytest.approx(1.0)
        assert type(joined) is type(members[0])

    def test_orbits_survive(self, db: lcdb.Database) -> None:
        found = db.search(TWO_ORBITS, processing="raw")
        first = found.table["photometry"].iloc[0]
        members = db.lightcurves(TWO_ORBITS, photometry=first, processing="raw")
        # A star of magnitude 20, whose noise is above its flux: dividing would make no sense.
        joined = members.stitch(corrector_func=None)
        assert list(np.unique(joined["orbit_number"])) == [121, 122]
        assert list(np.unique(joined["sector"])) == [57]

    def test_pipelines_are_joined_with_all_their_columns(self, db: lcdb.Database) -> None:
        members = db.lightcurves(THREE_PIPELINES, processing=["PDCSAP", "KSPSAP"])
        assert len({lc.meta["AUTHOR"] for lc in members}) == 3
        assert len({tuple(lc.colnames) for lc in members}) == 1
        joined = members.stitch()
        assert [*joined.colnames] == [*members[0].colnames, "sector", "dataset"]
        assert len(joined) == sum(len(lc) for lc in members)
        assert len(np.unique(joined["dataset"])) == 3

    def test_flags_that_one_pipeline_alone_has_are_0_in_the_others(self, db: lcdb.Database) -> None:
        found = db.search([OF_TGLC, THREE_SECTORS], processing=["TGLC CAL", "PDCSAP"])
        members = found.lightcurves()
        assert len({frozenset(lc.colnames) for lc in members}) == 1
        for lc in members:
            assert lc["tglc_quality_flag"].any() == (lc.meta["TARGETID"] == OF_TGLC)
        assert "tglc_quality_flag" in members.stitch().colnames

    def test_metadata_are_those_of_all(self, db: lcdb.Database) -> None:
        members = db.lightcurves(THREE_PIPELINES, processing=["PDCSAP", "KSPSAP"])
        joined = members.stitch()
        assert joined.meta["LABEL"] == f"TIC {THREE_PIPELINES}"
        assert not {"AUTHOR", "DATASET", "EXPTIME", "QUALITY_MASK"} & set(joined.meta)

    def test_members_are_unchanged(self, db: lcdb.Database) -> None:
        members = db.lightcurves(THREE_SECTORS, processing="PDCSAP")
        for corrector in (None, lambda lc: lc):
            joined = members.stitch(corrector)
            assert "sector" in joined.colnames
            assert all("sector" not in lc.colnames for lc in members)
        assert list(members.sector) == [18, 42, 58]

    def test_a_part_of_a_collection_is_stitched_in_the_same_way(self, db: lcdb.Database) -> None:
        members = db.lightcurves(THREE_SECTORS, processing="PDCSAP")
        joined = members[members.sector > 20].stitch(lambda lc: lc.normalize().flatten(301))
        assert list(np.unique(joined["sector"])) == [42, 58]

    def test_stitched_light_curves_are_processed_further(self, db: lcdb.Database) -> None:
        joined = db.lightcurves(THREE_SECTORS, processing="PDCSAP").stitch()
        binned = joined.remove_nans().flatten(301).bin(time_bin_size=0.5).remove_nans()
        assert len(binned) > 100
        assert len(joined.remove_nans().fold(2.0)) > 10_000
        assert len(joined.to_pandas()) == len(joined)


class TestLightkurve:
    def test_box_least_squares_finds_wasp_4_b(self, wasp_4: Any) -> None:
        found = wasp_4.to_periodogram(
            method="bls", period=np.arange(1.2, 1.5, 0.001), duration=[0.08, 0.1]
        )
        assert found.period_at_max_power.value == pytest.approx(WASP_4_PERIOD, abs=0.002)

    def test_box_least_squares_finds_wd_1856_b(self, db: lcdb.Database) -> None:
        lc = db.lightcurve(WD_1856, processing="DET").remove_nans()
        found = lc.to_periodogram(method="bls", period=np.arange(1.38, 1.44, 5e-5), duration=0.006)
        assert found.period_at_max_power.value == pytest.approx(WD_1856_PERIOD, abs=5e-4)

    def test_lomb_scargle_finds_the_rotation_of_a_k2_star(self, db: lcdb.Database) -> None:
        lc = db.lightcurve(K2_STAR, catalog="EPIC", processing="PDCSAP").remove_nans()
        found = lc.to_periodogram(minimum_period=1, maximum_period=20)
        # Of its plot: 25 maxima in 71 days.
        assert found.period_at_max_power.value == pytest.approx(2.84, abs=0.3)

    def test_the_sff_corrector_takes_out_what_follows_the_thrusters(
        self, db: lcdb.Database, data_folder: Path
    ) -> None:
        from lightkurve.correctors import SFFCorrector

        lc = db.lightcurve(K2_STAR, catalog="EPIC", processing="raw").remove_nans()[:1400]
        (file,) = data_folder.glob(f"kepler/*{K2_STAR}*")
        with fits.open(file) as hdus:
            # Where the star moved; the database has no such columns.
            table = hdus[1].data
            at = np.searchsorted(table["CADENCENO"], lc["cadenceno"])
            column, row = (np.asarray(table[f"POS_CORR{n}"][at], float) for n in (1, 2))
        known = np.isfinite(column) & np.isfinite(row)
        lc = lc[known]
        corrected = SFFCorrector(lc).correct(
            centroid_col=column[known], centroid_row=row[known], windows=4
        )
        assert corrected.estimate_cdpp() < 0.8 * lc.estimate_cdpp()
        assert np.array_equal(corrected["cadenceno"], lc["cadenceno"])

    def test_the_regression_corrector_takes_out_a_trend(self, db: lcdb.Database) -> None:
        from lightkurve.correctors import DesignMatrix, RegressionCorrector

        lc = db.lightcurve(WASP_4, processing="raw").remove_nans()
        phase = (lc.time.value - lc.time.value.mean()) / np.ptp(lc.time.value)
        matrix = DesignMatrix(np.vander(phase, 5), name="polynomial")
        corrected = RegressionCorrector(lc).correct(matrix)
        assert np.std(corrected.flux.value) < np.std(lc.flux.value)

    def test_interact_bls_builds_its_figure(
        self, wasp_4: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from bokeh.document import Document
        from lightkurve import interact_bls

        # What a browser would ask for: bokeh serves the application, and here it is run at once.
        applications: list[Callable[[Document], None]] = []
        monkeypatch.setattr(interact_bls, "show", lambda app, **_: applications.append(app))
        wasp_4.interact_bls(minimum_period=1.2, maximum_period=1.5, resolution=200)
        page = Document()
        applications[0](page)
        assert page.roots
        page.validate()


class TestAstropy:
    def test_its_box_least_squares_takes_a_light_curve(self, wasp_4: Any) -> None:
        model = timeseries.BoxLeastSquares.from_timeseries(wasp_4, "flux", "flux_err")
        found = model.power(np.arange(1.2, 1.5, 0.001) * units.day, 0.1 * units.day)
        best = found.period[np.argmax(found.power)]
        assert best.to_value("d") == pytest.approx(WASP_4_PERIOD, abs=0.002)

    def test_its_lomb_scargle_takes_a_light_curve(self, db: lcdb.Database) -> None:
        lc = db.lightcurve(K2_STAR, catalog="EPIC", processing="PDCSAP").remove_nans()
        model = timeseries.LombScargle.from_timeseries(lc, "flux")
        frequency = np.arange(0.05, 1, 0.002) / units.day
        best = 1 / frequency[np.argmax(model.power(frequency))]
        assert best.to_value("d") == pytest.approx(2.84, abs=0.3)

    def test_a_light_curve_becomes_a_plain_time_series(self, wasp_4: Any) -> None:
        plain = timeseries.TimeSeries(wasp_4)
        folded = plain.fold(WASP_4_PERIOD * units.day)
        binned = timeseries.aggregate_downsample(plain, time_bin_size=1 * units.day)
        assert len(folded) == len(wasp_4)
        assert len(binned) == pytest.approx(27, abs=2)


def tls(lc: Any, **star: Any) -> Any:
    from transitleastsquares import transitleastsquares

    model = transitleastsquares(
        np.ascontiguousarray(lc.time.value, float),
        np.ascontiguousarray(lc.flux.value, float),
        verbose=False,
    )
    return model.power(use_threads=1, show_progress_bar=False, oversampling_factor=2, **star)


# Of a white dwarf, which transits for minutes: Vanderburg et al. 2020.
WHITE_DWARF = {
    "R_star": 0.0131,
    "R_star_min": 0.01,
    "R_star_max": 0.1,
    "M_star": 0.518,
    "M_star_min": 0.1,
    "M_star_max": 1.0,
}


class TestTransitLeastSquares:
    def test_it_finds_wasp_4_b(self, wasp_4: Any) -> None:
        found = tls(wasp_4.bin(0.02).remove_nans(), period_min=1.0, period_max=2.0)
        assert found.period == pytest.approx(WASP_4_PERIOD, abs=0.005)

    def test_it_finds_wd_1856_b(self, db: lcdb.Database) -> None:
        lc = db.lightcurve(WD_1856, processing="DET").remove_nans()
        found = tls(lc, period_min=1.39, period_max=1.43, **WHITE_DWARF)
        assert found.period == pytest.approx(WD_1856_PERIOD, abs=5e-4)


METHODS = ["bls", "tls"]


class TestExportedFiles:
    @pytest.mark.parametrize("method", METHODS)
    def test_wasp_4_b_is_found_in_an_exported_file(
        self, db: lcdb.Database, tmp_path: Path, method: str
    ) -> None:
        lc = clean(self.exported(db.search(WASP_4, processing="PDCSAP"), tmp_path))
        if method == "bls":
            found = lc.to_periodogram(method="bls", period=np.arange(1.2, 1.5, 0.001), duration=0.1)
            period = found.period_at_max_power.value
        else:
            period = tls(lc.bin(0.02).remove_nans(), period_min=1.0, period_max=2.0).period
        assert period == pytest.approx(WASP_4_PERIOD, abs=0.005)

    @pytest.mark.parametrize("method", METHODS)
    def test_wd_1856_b_is_found_in_an_exported_file(
        self, db: lcdb.Database, tmp_path: Path, method: str
    ) -> None:
        lc = self.exported(db.search(WD_1856, processing="DET"), tmp_path).remove_nans()
        if method == "bls":
            found = lc.to_periodogram(
                method="bls", period=np.arange(1.38, 1.44, 5e-5), duration=0.006
            )
            period = found.period_at_max_power.value
        else:
            period = tls(lc, period_min=1.39, period_max=1.43, **WHITE_DWARF).period
        assert period == pytest.approx(WD_1856_PERIOD, abs=5e-4)

    def exported(self, found: lcdb.Selection, folder: Path) -> Any:
        found.export(folder, format="fits", progress=False)
        (file,) = folder.rglob("*.fits*")
        return lightkurve.read(file)


class TestWotan:
    @pytest.mark.parametrize("method", ["biweight", "median"])
    def test_it_flattens_a_light_curve(self, db: lcdb.Database, method: str) -> None:
        from wotan import flatten

        lc = db.lightcurve(WASP_4, processing="raw").remove_nans()
        flat, trend = flatten(
            lc.time.value, lc.flux.value, window_length=1.0, method=method, return_trend=True
        )
        assert np.nanmedian(flat) == pytest.approx(1.0, abs=0.001)
        assert np.allclose((flat * trend)[500:-500], lc.flux.value[500:-500], equal_nan=True) or (
            np.isnan(flat).sum() < len(flat) / 10
        )


def test_lcviz_loads_a_collection(db: lcdb.Database) -> None:
    from lcviz import LCviz

    members = db.lightcurves(THREE_SECTORS, processing="PDCSAP")
    viewer = LCviz()
    for lc in members:
        # lcviz names data by OBJECT alone, and one name is one light curve.
        viewer.load(lc, data_label=f"{lc.meta['LABEL']}, sector {lc.sector}")
    labels = [data.label for data in viewer.app.data_collection]
    assert labels == [f"TIC {THREE_SECTORS}, sector {sector}" for sector in (18, 42, 58)]
    loaded = viewer.get_data(labels[0])
    assert np.array_equal(loaded.time.value, members[0].time.value)


def test_no_tool_reaches_for_the_cloud(db: lcdb.Database) -> None:
    db.lightcurves(THREE_SECTORS, processing="PDCSAP").stitch().remove_nans().flatten(301).bin(0.5)
    assert "s3fs" not in sys.modules
