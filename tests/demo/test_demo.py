"""The synthetic sky: repeatable, scalable, and faulty exactly at its flagged cadences."""

from __future__ import annotations

import functools
import itertools
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcdb_notebook import demo, flags
from lcdb_notebook.ingest.product import Product

TESS = "tess_quality_flag"


@pytest.fixture(scope="module")
def sky() -> list[Product]:
    return list(demo.products())


def at(sky: list[Product], exptime: int) -> list[Product]:
    return [product for product in sky if product.observation_fields["exptime"] == exptime]


def arrays(product: Product) -> Iterator[np.ndarray[Any, Any]]:
    yield product.cadence
    yield product.time
    yield product.quality[TESS]
    for curve in product.curves:
        yield curve.flux
        assert curve.flux_err is not None
        yield curve.flux_err


def assert_identical(first: Product, second: Product) -> None:
    assert first.label == second.label
    assert first.instrument == second.instrument
    assert first.observation_fields == second.observation_fields
    for a, b in zip(arrays(first), arrays(second), strict=True):
        np.testing.assert_array_equal(a, b)


@functools.cache
def planets() -> list[int]:
    table = demo.truth()
    return [int(target) for target in table["target"][table["kind"] == "planet"]]


def best_period(sky: list[Product], target: int, curve: int, quality_bitmask: str) -> float:
    """Period of the highest peak of a box least squares periodogram over both sectors."""
    from astropy.timeseries import BoxLeastSquares

    parts = []
    for product in at(sky, 1800):
        if product.target == target:
            flux = product.curves[curve].flux
            kept = np.isfinite(product.time) & np.isfinite(flux)
            kept &= ~flags.mask(product.quality[TESS], quality_bitmask)
            parts.append((product.time[kept], flux[kept] / np.median(flux[kept])))
    time, flux = (np.concatenate(column) for column in zip(*parts, strict=True))
    period = 1 / np.arange(1 / 10, 1, 0.02 / 54)
    power = BoxLeastSquares(time, flux).power(period, [0.08, 0.12], oversample=3)
    return float(power.period[np.argmax(power.power)])


def test_the_default_sky_is_two_sectors_of_24_stars_two_of_them_also_at_two_minutes(
    sky: list[Product],
) -> None:
    half_hours, two_minutes = at(sky, 1800), at(sky, 120)
    assert len(sky) == len(half_hours) + len(two_minutes)
    for products, targets, cadences in ((half_hours, 24, 1200), (two_minutes, 2, 18000)):
        assert [(p.observation_fields["sector"], p.target) for p in products] == list(
            itertools.product((1, 2), range(1, targets + 1))
        )
        assert {len(p.cadence) for p in products} == {cadences}
    assert {(p.mission, p.catalog, p.observation_fields["author"]) for p in sky} == {
        ("TESS", "DEMO", "DEMO")
    }


def test_every_product_keeps_the_contract(sky: list[Product]) -> None:
    for product in sky:
        rows = product.cadence.shape
        assert product.cadence.dtype == np.int64
        assert product.time.dtype == np.float64
        assert product.quality[TESS].dtype == np.int32
        assert (np.diff(product.cadence) > 0).all()
        assert (np.diff(product.time[np.isfinite(product.time)]) > 0).all()
        assert all(array.shape == rows for array in arrays(product))
        for place, curve in enumerate(product.curves):
            assert (curve.source is None) == (curve.processing is None)
            assert curve.source is None or curve.source < place
            assert curve.flux_err is not None
            np.testing.assert_array_equal(np.isnan(curve.flux), np.isnan(curve.flux_err))
            assert np.nanmin(curve.flux_err) > 0


def test_each_aperture_has_three_levels_of_lineage_with_their_units(sky: list[Product]) -> None:
    curves = sky[0].curves
    assert [curve.source for curve in curves] == [None, 0, 1, None, 3, 4]
    assert [curve.photometry.name for curve in curves] == (
        ["DEMO aperture 2px"] * 3 + ["DEMO aperture 3px"] * 3
    )
    for raw, cleaned, detrended in (curves[:3], curves[3:]):
        assert raw.processing is None
        assert raw.photometry.description.startswith("[electron / s] ")
        assert cleaned.processing is not None
        assert cleaned.processing.name == "DEMO SYS_RM"
        assert cleaned.processing.description.startswith("[electron / s] ")
        assert detrended.processing is not None
        assert detrended.processing.name == "DEMO DET"
        assert detrended.processing.description.startswith("[] ")


def test_a_target_does_not_depend_on_how_many_others_are_made(sky: list[Product]) -> None:
    few = at(list(demo.products(3)), 1800)
    alike = [product for product in at(sky, 1800) if product.target <= 3]
    for first, second in zip(few, alike, strict=True):
        assert_identical(first, second)


def test_a_sector_does_not_depend_on_which_others_are_made(sky: list[Product]) -> None:
    (alone,) = demo.products(1, sectors=[2], cadences=1200)
    (alike,) = (p for p in at(sky, 1800) if p.target == 1 and p.observation_fields["sector"] == 2)
    assert_identical(alone, alike)


def test_fewer_apertures_and_steps_do_not_change_the_remaining_curves(
    sky: list[Product],
) -> None:
    (bare,) = demo.products(1, sectors=[1], cadences=1200, apertures=1, steps=0)
    assert len(bare.curves) == 1
    np.testing.assert_array_equal(bare.curves[0].flux, sky[0].curves[0].flux)
    (cleaned,) = demo.products(1, sectors=[1], cadences=1200, apertures=1, steps=1)
    assert [curve.source for curve in cleaned.curves] == [None, 0]
    (wide,) = demo.products(1, sectors=[1], cadences=1200, apertures=3)
    assert len(wide.curves) == 9


def test_another_seed_is_another_sky() -> None:
    (first,) = demo.products(1, sectors=[1], cadences=1200)
    (second,) = demo.products(1, sectors=[1], cadences=1200, seed=1)
    assert (first.curves[0].flux != second.curves[0].flux).all()
    assert demo.star(1) != demo.star(1, seed=1)


@settings(max_examples=30, deadline=None)
@given(
    cadences=st.integers(1, 400),
    targets=st.integers(0, 8),
    sectors=st.lists(st.integers(1, 90), max_size=3, unique=True),
    seed=st.integers(0, 2**32),
)
def test_products_of_any_length_and_sector_are_valid(
    cadences: int, targets: int, sectors: list[int], seed: int
) -> None:
    made = list(demo.products(targets, sectors=sectors, seed=seed, cadences=cadences))
    assert len(made) == targets * len(sectors)
    for product in made:
        assert all(array.shape == (cadences,) for array in arrays(product))
        assert (np.diff(product.cadence) > 0).all()


@pytest.mark.parametrize("cadences", [10, 1200, 3600, 10800, 12000, 18000])
def test_cadence_numbers_run_on_through_the_sectors_as_the_clock_does(cadences: int) -> None:
    made = list(demo.products(1, sectors=[1, 2, 3], cadences=cadences, apertures=1, steps=0))
    cadence = np.concatenate([product.cadence for product in made])
    time = np.concatenate([product.time for product in made])
    assert (np.diff(cadence) > 0).all()
    known = np.isfinite(time)
    spacing = 25 / cadences
    drift = time[known] - time[known][0] - spacing * (cadence[known] - cadence[known][0])
    # Only the light travel time is left.
    assert np.abs(drift).max() < 17 / 1440


def test_light_travel_time_differs_by_star_and_stays_below_nine_minutes(
    sky: list[Product],
) -> None:
    first, second = at(sky, 1800)[:2]
    known = np.isfinite(first.time) & np.isfinite(second.time)
    lag = 1440 * (first.time - second.time)[known]
    assert 0.01 < np.abs(lag).max() < 17
    # Earth's share, 8.3 min times 2 pi a year, for two stars.
    assert (np.abs(np.diff(lag)) < 0.29 * np.diff(first.time[known])).all()
    times = np.linspace(1325, 1325 + 365.25, 1000)
    for target in range(1, 25):
        travel = 1440 * demo.star(target).light_travel(times)
        assert 4 < np.abs(travel).max() < 8.35
        assert abs(travel.mean()) < 0.05


def test_every_fault_of_the_spacecraft_is_flagged_somewhere(sky: list[Product]) -> None:
    together = np.bitwise_or.reduce(np.concatenate([p.quality[TESS] for p in at(sky, 1800)]))
    assert flags.names([together]) == [
        [
            "SAFE_MODE",
            "COARSE_POINT",
            "ARGABRIGHTENING",
            "DESAT",
            "APERTURE_COSMIC",
            "MANUAL_EXCLUDE",
            "IMPULSIVE_OUTLIER",
            "STRAYLIGHT2",
        ]
    ]


def test_flagged_cadences_are_few_and_some_losses_have_no_flag(sky: list[Product]) -> None:
    for product in sky:
        quality, flux = product.quality[TESS], product.curves[0].flux
        assert 0.03 < flags.mask(quality, "hard").mean() < 0.15
        assert (np.isnan(product.time) & (quality == 0)).any()
        assert (np.isnan(flux) & np.isfinite(product.time) & (quality == 0)).any()
        assert np.isnan(flux[np.isnan(product.time)]).all()
        # A mask must not be needed to survive: most of the light curve is there.
        assert np.isfinite(flux).mean() > 0.95


@pytest.mark.parametrize(
    "flag",
    [
        "COARSE_POINT",
        "ARGABRIGHTENING",
        "DESAT",
        "APERTURE_COSMIC",
        "MANUAL_EXCLUDE",
        "IMPULSIVE_OUTLIER",
        "STRAYLIGHT2",
    ],
)
@pytest.mark.parametrize("exptime", [1800, 120])
def test_flagged_cadences_are_bad(sky: list[Product], flag: str, exptime: int) -> None:
    off = []
    for product in at(sky, exptime):
        if demo.star(product.target).kind != "constant":
            continue
        quality, flux = product.quality[TESS], product.curves[2].flux
        good = ~flags.mask(quality, "hard") & np.isfinite(flux)
        spread = np.std(flux[good])
        assert np.abs(flux[good] - 1).max() < 6 * spread
        off.append(np.abs(flux[flags.mask(quality, flag)] - 1) / spread)
    # Half of a normal distribution lies within 0.67 standard deviations.
    assert np.nanmedian(np.concatenate(off)) > 3 * 0.67


@pytest.mark.parametrize("quality_bitmask", ["default", "hard"])
@pytest.mark.parametrize("curve", [0, 2], ids=["raw", "DET"])
@pytest.mark.parametrize("target", planets())
def test_box_least_squares_finds_every_planet_once_the_flagged_cadences_are_masked(
    sky: list[Product], target: int, curve: int, quality_bitmask: str
) -> None:
    period = demo.star(target).period
    assert best_period(sky, target, curve, quality_bitmask) == pytest.approx(period, rel=0.005)


@pytest.mark.parametrize("curve", [0, 2], ids=["raw", "DET"])
@pytest.mark.parametrize("target", planets())
def test_without_the_mask_the_momentum_dumps_are_found_instead_of_the_planet(
    sky: list[Product], target: int, curve: int
) -> None:
    assert best_period(sky, target, curve, "none") == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize("target", [1, 5])
def test_a_transit_has_the_depth_and_duration_of_the_truth(target: int) -> None:
    planet = demo.star(target)
    time = planet.epoch + np.linspace(-0.5, 0.5, 20001) * planet.period
    light = planet.brightness(time, 1e-4)
    assert 1 - light.min() == pytest.approx(planet.depth, rel=1e-3)
    assert np.ptp(time[light < 1]) == pytest.approx(planet.duration, rel=0.01)
    assert (light[np.abs(time - planet.epoch) > planet.duration] == 1).all()
    # The first law of transits: about the squared ratio of the radii, more at the bright centre.
    assert 0.9 * planet.radius_ratio**2 < planet.depth < 1.3 * planet.radius_ratio**2


def test_a_binary_has_two_eclipses_with_the_depths_of_the_truth() -> None:
    binary = demo.star(3)
    times = binary.epoch + np.array([0.0, 0.25, 0.5, 0.75, 1.0]) * binary.period
    light = binary.brightness(times, 1e-4)
    level = light[1]
    assert light[3] == pytest.approx(level)
    assert light[0] == pytest.approx(light[4])
    assert 1 - light[0] == pytest.approx(binary.depth, abs=0.006)
    assert 1 - light[2] == pytest.approx(binary.secondary_depth, abs=0.006)
    assert 0 < binary.secondary_depth < binary.depth


def test_a_long_exposure_is_the_mean_of_short_ones() -> None:
    for target in range(1, len(demo.KINDS) + 1):
        seen = demo.star(target)
        time = np.linspace(1330, 1340, 481)
        exposure = 1 / 48
        offsets = exposure * ((np.arange(30) + 0.5) / 30 - 0.5)
        fine = np.mean(
            [seen.brightness(time + offset, exposure / 30) for offset in offsets], axis=0
        )
        np.testing.assert_allclose(seen.brightness(time, exposure), fine, atol=2e-3)


def test_half_hours_and_two_minutes_show_the_same_star(sky: list[Product]) -> None:
    slow, fast = at(sky, 1800)[0], at(sky, 120)[0]
    mean = fast.curves[0].flux.reshape(1200, 15).mean(axis=1)
    good = (slow.quality[TESS] == 0) & (fast.quality[TESS].reshape(1200, 15) == 0).all(axis=1)
    difference = (slow.curves[0].flux / mean - 1)[good]
    assert np.nanstd(difference) < 6e-4
    assert np.count_nonzero(good & np.isfinite(mean)) > 500


def test_truth_lists_every_kind_of_star() -> None:
    table = demo.truth()
    assert len(table) == 24
    assert list(table["kind"]) == [*demo.KINDS] * 3
    assert list(table) == [
        "target",
        "kind",
        "tess_magnitude",
        "period",
        "epoch",
        "depth",
        "duration",
        "amplitude",
    ]
    assert table["period"].isna().tolist() == [kind == "constant" for kind in table["kind"]]
    assert table["depth"].notna().sum() == 6 + 3
    assert demo.truth(0).empty


@pytest.mark.parametrize(
    ("requested", "complaint"),
    [
        ({"targets": -1}, "targets must be at least 0, got -1"),
        ({"sectors": [1, 0]}, "sectors must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"cadences": 0}, "cadences must be at least 1, got 0"),
        ({"apertures": 0}, "apertures must be at least 1, got 0"),
        ({"steps": 3}, r"steps must be at most 2 \(DEMO SYS_RM, DEMO DET\), got 3"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_at_once(
    requested: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        demo.products(**requested)


def test_memory_does_not_grow_with_the_number_of_targets() -> None:
    def peak(targets: int) -> int:
        tracemalloc.start()
        for _ in demo.products(targets, sectors=[1], cadences=1200, apertures=1, steps=0):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    # One light curve of 1,200 cadences is about 50 kB.
    assert peak(300) < peak(10) + 50_000


def test_shared_arrays_cannot_be_written_through(sky: list[Product]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        sky[0].cadence[0] = 0


def test_no_two_stars_share_their_noise(sky: list[Product]) -> None:
    first, second = (p for p in at(sky, 1800)[:24] if p.target in (2, 10))
    good = (first.quality[TESS] == 0) & (second.quality[TESS] == 0)
    pair = np.stack([first.curves[2].flux[good], second.curves[2].flux[good]])
    assert abs(np.corrcoef(pair[:, np.isfinite(pair).all(axis=0)])[0, 1]) < 0.15


def test_systematics_are_gone_after_their_removal(sky: list[Product]) -> None:
    slow = []
    for product in at(sky, 1800):
        if demo.star(product.target).kind == "constant":
            good = ~flags.mask(product.quality[TESS], "hard")
            for curve in product.curves[:2]:
                flux = np.where(good, curve.flux, np.nan).reshape(24, 50)
                slow.append(np.ptp(np.nanmedian(flux, axis=1)) / np.nanmedian(flux))
    before, after = np.reshape(slow, (-1, 2)).T
    assert np.median(before) > 0.002
    assert np.median(after / before) < 0.3


def test_detrending_flattens_a_rotating_star_and_leaves_a_pulsating_one(
    sky: list[Product],
) -> None:
    spread: dict[str, list[float]] = {}
    for product in at(sky, 1800):
        good = ~flags.mask(product.quality[TESS], "hard")
        before, after = (
            float(np.nanstd(curve.flux[good]) / np.nanmedian(curve.flux[good]))
            for curve in product.curves[1:3]
        )
        spread.setdefault(demo.star(product.target).kind, []).append(after / before)
    # The faintest is left with its photon noise, a quarter of the variation.
    assert max(spread["rotating"]) < 0.3
    assert min(spread["delta Scuti"]) > 0.9


def test_light_travels_longest_along_the_ecliptic() -> None:
    year = np.linspace(1325, 1690, 2000)
    for target in range(1, 25):
        seen = demo.star(target)
        assert 86400 * np.abs(seen.light_travel(year)).max() == pytest.approx(
            499 * np.cos(seen.latitude), rel=1e-3
        )
