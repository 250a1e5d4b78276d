"""The light curve's part of an explorer, without a browser: its picture and its texts."""

from __future__ import annotations

import ast
import base64
import dataclasses
import gc
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcdb_notebook import Database, flags
from lcdb_notebook.errors import AmbiguousError, ConfigurationError, DataError
from lcdb_notebook.explore.figure.encoding import encode
from lcdb_notebook.explore.figure.flag_list import entries, naming
from lcdb_notebook.explore.lightcurve import LightCurveExplorer
from lcdb_notebook.explore.view.period import Method, find_period, strongest_period
from lcdb_notebook.explore.view.prepare import prepare
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.read.selection import Selection

PLANET: dict[str, Any] = {"target": 1, "catalog": "DEMO", "photometry": "DEMO aperture 2px"}
PERIOD, EPOCH = 5.32426, 1326.8129  # of DEMO 1: lcdb.demo.truth()

SETTINGS = [
    Settings("none"),
    Settings(),
    Settings("hard"),
    Settings("hardest", apart=True),
    Settings(("default", "STRAYLIGHT2")),
    Settings(32 | 4096),
    Settings("hard", normalize=True),
    Settings("hard", normalize=True, apart=True),
    Settings("hard", joined=True, normalize=True),
    Settings("hard", flatten=101),
    Settings("hard", normalize=True, flatten=101),
    Settings("hard", normalize=True, bin=60.0),
    Settings("hard", normalize=True, flatten=101, bin=60.0),
    Settings("hard", normalize=True, period=PERIOD, bin=60.0),
    Settings("hard", bin=60.0),
    Settings("hard", period=PERIOD, epoch=EPOCH),
    Settings("hard", period=PERIOD),
    Settings("hard", normalize=True, period=PERIOD, epoch=EPOCH, apart=True),
    Settings("hard", normalize=True, flatten=101, period=PERIOD, bin=60.0),
]


@pytest.fixture
def one(demo_database: Database) -> Selection:
    return demo_database.search(**PLANET, sector=1, exptime=1800, processing="DEMO SYS_RM")


@pytest.fixture
def sectors(demo_database: Database) -> Selection:
    return demo_database.search(**PLANET, exptime=1800, processing="DEMO SYS_RM")


@pytest.fixture
def steps(demo_database: Database) -> Selection:
    return demo_database.search(**PLANET, sector=1, exptime=1800)


@pytest.fixture
def explorer(one: Selection) -> Iterator[LightCurveExplorer]:
    made = LightCurveExplorer(one)
    yield made
    assert made.error_box.error is None
    made.close()


class Page:
    """The JavaScript of the figure, run by node."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_name("page.mjs"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def draw(self, explorer: LightCurveExplorer) -> dict[str, Any]:
        """Return the good points, the labels of the panels, and the marks of flags."""
        figure = explorer.figure
        traits = {
            key: value
            for key, value in figure.get_state().items()
            if key not in ("_esm", "_module")
        }
        about, arrays = encode(figure._packed.buffers)
        buffers = [base64.b64encode(array.tobytes()).decode() for array in arrays]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            json.dumps({"traits": traits, "about": about, "buffers": buffers}) + "\n"
        )
        self._process.stdin.flush()
        drawn: dict[str, Any] = json.loads(self._process.stdout.readline())
        return drawn

    def points(self, explorer: LightCurveExplorer) -> np.ndarray:
        """Return time or phase, and flux, in order."""
        drawn = self.draw(explorer)
        return by_place(np.array(drawn["x"]), np.array(drawn["y"]))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    node = os.environ.get("LCDB_NODE") or shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; put it on PATH or name it in LCDB_NODE")
    made = Page(node)
    yield made
    made.close()


def assert_same_points(found: np.ndarray, expected: np.ndarray) -> None:
    """Times to a tenth of a millisecond, and flux to the precision of float32."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[:, 1], expected[:, 1], rtol=3e-7)


def plain(column: Any) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column), float), np.nan)


def by_place(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array(sorted(zip(x.tolist(), y.tolist(), strict=True)))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("which", ["one", "sectors"])
def test_the_drawn_light_curve_equals_the_selection_and_the_line_of_python(
    which: str, settings: Settings, page: Page, request: pytest.FixtureRequest
) -> None:
    found: Selection = request.getfixturevalue(which)
    explorer = LightCurveExplorer(found, settings=settings)
    lc = explorer.lightcurve()
    flux = plain(lc.flux)
    expected = by_place(plain(lc.time)[np.isfinite(flux)], flux[np.isfinite(flux)])
    assert explorer.error_box.error is None
    assert_same_points(page.points(explorer), expected)
    by_code = eval(explorer.code("found"), {"found": found})
    np.testing.assert_array_equal(plain(by_code.time), plain(lc.time))
    np.testing.assert_array_equal(plain(by_code.flux), plain(lc.flux))
    explorer.close()


@pytest.mark.parametrize("settings", SETTINGS[-5:], ids=str)
def test_the_line_of_python_returns_all_overlaid_light_curves(
    steps: Selection, settings: Settings
) -> None:
    explorer = LightCurveExplorer(steps, settings=settings)
    given = eval(explorer.code("found"), {"found": steps})
    for ours, theirs in zip(explorer.lightcurves(), given, strict=True):
        np.testing.assert_array_equal(plain(ours.time), plain(theirs.time))
        np.testing.assert_array_equal(plain(ours.flux), plain(theirs.flux))
    explorer.close()


def test_light_curves_over_each_other_are_not_one(steps: Selection) -> None:
    explorer = LightCurveExplorer(steps)
    with pytest.raises(AmbiguousError, match="lightcurves"):
        explorer.lightcurve()
    assert len(explorer.lightcurves()) == len(steps)
    explorer.close()


def test_magnitudes_are_drawn_as_the_relative_flux_that_a_light_curve_has(one: Selection) -> None:
    (data,) = one.read()
    magnitude = dataclasses.replace(data, flux=10 - 1e-4 * data.flux, unit="mag")
    (shown,) = prepare([magnitude], Settings("hard")).records
    expected = convert.to_lightcurve(magnitude, quality_bitmask="hard")
    good = ~flagged_mask(shown, "hard")
    np.testing.assert_array_equal(shown.flux[good], plain(expected.flux))
    assert shown.unit == ""


def test_toggling_a_flag_sends_no_statement(
    explorer: LightCurveExplorer, statements: list[str]
) -> None:
    before = explorer.pictures
    explorer.settings = dataclasses.replace(explorer.settings, quality_bitmask="hard")
    explorer.settings = dataclasses.replace(explorer.settings, quality_bitmask=32, apart=True)
    assert explorer.pictures > before
    assert statements == []


def test_the_same_settings_again_draw_nothing(explorer: LightCurveExplorer) -> None:
    before = explorer.pictures
    explorer.settings = dataclasses.replace(explorer.settings)
    assert explorer.pictures == before


def test_a_view_zoomed_into_outlives_a_flag_and_not_a_fold(explorer: LightCurveExplorer) -> None:
    explorer.figure.xlim = (1330.0, 1331.0)
    explorer.settings = dataclasses.replace(explorer.settings, quality_bitmask="hardest")
    assert explorer.figure.xlim == (1330.0, 1331.0)
    explorer.settings = dataclasses.replace(explorer.settings, period=PERIOD)
    assert explorer.figure.xlim is None


@pytest.mark.parametrize(
    "settings",
    [
        Settings("hard"),
        Settings("hard", period=PERIOD),
        Settings("hard", flatten=101),
        Settings("hard", bin=60.0),
    ],
    ids=str,
)
def test_normalizing_joining_and_flagged_cadences_are_chosen_on_the_page_without_other_arrays(
    sectors: Selection, settings: Settings
) -> None:
    explorer = LightCurveExplorer(sectors, settings=settings)
    figure, arrays = explorer.figure, explorer.figure._loaded
    figure.show_flagged = figure.joined = figure.normalize = True
    assert explorer.settings == dataclasses.replace(
        settings, apart=True, joined=True, normalize=True
    )
    explorer.settings = settings
    assert (figure.show_flagged, figure.joined, figure.normalize) == (False, False, False)
    assert figure._loaded == arrays
    explorer.close()


def test_normalizing_shows_all_fluxes(explorer: LightCurveExplorer) -> None:
    explorer.figure.ylim = (100.0, 200.0)
    explorer.figure.normalize = True
    assert explorer.figure.ylim is None


def test_sectors_are_panels_or_joined(sectors: Selection, page: Page) -> None:
    explorer = LightCurveExplorer(sectors)
    assert len(page.draw(explorer)["panels"]) == 2
    explorer.settings = Settings(joined=True)
    assert len(page.draw(explorer)["panels"]) == 1
    explorer.close()


def test_flagged_cadences_are_named_with_their_number(
    explorer: LightCurveExplorer, page: Page
) -> None:
    explorer.settings = Settings("hard", apart=True)
    named = page.draw(explorer)["marks"]
    (data,) = list(explorer.selection.read())  # type: ignore[union-attr]
    carried = (data.quality["tess_quality_flag"] & 32) != 0
    desat = np.count_nonzero(carried & np.isfinite(data.flux) & np.isfinite(data.time))
    assert f"DESAT ({desat})" in named


@pytest.mark.parametrize(
    "settings", [Settings("hard", flatten=101), Settings("hard", bin=60.0)], ids=str
)
def test_flags_are_listed_for_every_kind_of_picture(one: Selection, settings: Settings) -> None:
    plainly, explorer = LightCurveExplorer(one), LightCurveExplorer(one, settings=settings)
    listed = [
        [(flag["name"], flag["cadences"]) for flag in shown.figure._flags]
        for shown in (plainly, explorer)
    ]
    assert listed[0] == listed[1]
    # Flags chosen on the page reach lightkurve.
    before = len(explorer.lightcurve())
    explorer.figure._chosen = []
    assert explorer.settings == dataclasses.replace(settings, quality_bitmask="none")
    assert len(explorer.lightcurve()) >= before
    assert explorer.figure._loaded == 2


# Flags


def test_the_list_shows_how_many_cadences_each_flag_removes(
    explorer: LightCurveExplorer, one: Selection
) -> None:
    (data,) = one.read()
    timed = np.isfinite(data.time)
    listed = {flag["name"]: flag["cadences"] for flag in explorer.figure._flags}
    for entry in entries([data]):
        carried = (data.quality[entry.flag_type] & entry.bits) != 0
        assert listed[entry.name] == entry.cadences == np.count_nonzero(carried & timed)
    taken = listed["DESAT"]
    everything = explorer.lightcurve
    explorer.settings = Settings("none")
    all_of_it = len(everything())
    explorer.settings = Settings(("DESAT",))
    assert taken > 0
    assert len(everything()) == all_of_it - taken


def test_a_tooltip_shows_the_meaning_of_a_flag_and_its_source(
    explorer: LightCurveExplorer,
) -> None:
    tooltips = {flag["name"]: flag["meaning"] for flag in explorer.figure._flags}
    assert flags.TESSFlag.DESAT.meaning in tooltips["DESAT"]
    assert "EXP-TESS-ARC-ICD-0014" in tooltips["DESAT"]
    assert "value 32" in tooltips["DESAT"]


def toggle(explorer: LightCurveExplorer, name: str) -> None:
    """Tick a flag, as the page does."""
    figure = explorer.figure
    number = [flag["name"] for flag in figure._flags].index(name)
    figure._chosen = sorted({*figure._chosen} ^ {number})


def test_ticking_a_box_changes_one_flag_and_a_preset_all(explorer: LightCurveExplorer) -> None:
    bitmasks: list[flags.Bitmask] = []
    explorer.observe(lambda change: bitmasks.append(change["new"].quality_bitmask), "settings")
    toggle(explorer, "STRAYLIGHT2")
    toggle(explorer, "STRAYLIGHT2")
    assert bitmasks == [("default", "STRAYLIGHT2"), "default"]
    explorer.settings = Settings("hardest")
    assert explorer.figure._chosen == explorer.figure._presets["hardest"]
    toggle(explorer, "DESAT")
    bits = flags.bitmask(explorer.settings.quality_bitmask)
    assert bits == flags.bitmask("hardest") & ~32


@pytest.mark.parametrize("flag_type", flags.types())
@given(data=st.data())
def test_bits_are_named_so_that_the_names_mean_these_bits(flag_type: str, data: Any) -> None:
    bits = data.draw(st.integers(0, 2**31 - 1))
    assert flags.bitmask(naming(bits, flag_type), flag_type) == bits


def test_flags_of_other_types_take_part_in_presets_alone(one: Selection) -> None:
    (data,) = one.read()
    base = np.zeros(data.time.size, np.int64)
    base[:7] = 1 | 2**40
    both = dataclasses.replace(data, quality={**data.quality, "base_quality_flag": base})
    listed = {entry.name: entry for entry in entries([both])}
    assert not listed["COSMIC_RAY"].own
    assert "presets" in listed["COSMIC_RAY"].meaning
    assert listed["UNKNOWN_BIT_40"].cadences == np.count_nonzero(np.isfinite(data.time[:7]))
    assert listed["DESAT"].own


# Periods


@pytest.mark.parametrize(
    ("method", "period"),
    [
        ("bls", 2.7),
        pytest.param("bls", 11.3, marks=pytest.mark.slow),
        pytest.param("lombscargle", 2.7, marks=pytest.mark.slow),
        ("lombscargle", 0.31),
    ],
)
def test_the_strongest_peak_is_at_the_period_that_is_in_the_data(
    method: Method, period: float
) -> None:
    time = np.arange(1325, 1352, 1 / 720)
    phase = (time - 1326.2 + period / 2) % period - period / 2
    shape = -1.0 * (np.abs(phase) < 0.06) if method == "bls" else np.cos(2 * np.pi * phase / period)
    noise = np.random.default_rng(1).normal(0, 0.002, time.size)
    flux = 1 + 0.01 * shape + noise
    flux[::50] = np.nan
    peak = strongest_period(time, flux, method)
    assert peak.period == pytest.approx(period, rel=2e-3)
    off = (peak.epoch - 1326.2 + period / 2) % period - period / 2
    assert abs(off) < 0.03


def test_a_search_for_a_period_ends_where_progress_raises() -> None:
    time = np.arange(1325, 1352, 1 / 48)
    parts: list[float] = []

    def progress(done: float) -> None:
        parts.append(done)
        if done > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        strongest_period(time, np.ones_like(time), "bls", progress)
    assert parts == sorted(parts)
    assert parts[-1] < 0.4


@pytest.mark.parametrize(("cadences", "days"), [(5, 27.0), (500, 0.01)])
def test_too_little_light_curve_has_no_period(cadences: int, days: float) -> None:
    with pytest.raises(DataError, match="at least"):
        strongest_period(np.linspace(0, days, cadences), np.ones(cadences))


def test_finding_a_period_folds_on_it(explorer: LightCurveExplorer, page: Page) -> None:
    explorer.settings = Settings("hard", normalize=True)
    explorer.find_period()
    assert explorer.settings.period == pytest.approx(PERIOD, rel=2e-3)
    assert np.abs(page.draw(explorer)["x"]).max() <= 1.01 * PERIOD / 2
    explorer._steps._twice.click()
    assert explorer.settings.period == pytest.approx(2 * PERIOD, rel=2e-3)


# Manners


@pytest.mark.parametrize(
    "wrong", [{"flatten": 4}, {"flatten": 10}, {"bin": 0.0}, {"period": -1.0}, {"bin": np.nan}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**wrong)


def test_an_epoch_of_a_million_and_more_is_bjd(one: Selection, page: Page) -> None:
    settings = Settings("hard", period=PERIOD, epoch=2457000 + EPOCH)
    for explorer in (LightCurveExplorer(one, settings=settings), LightCurveExplorer(one)):
        explorer.settings = settings
        assert explorer.settings.epoch == pytest.approx(EPOCH, abs=1e-8)
        assert explorer._steps._epoch.value == pytest.approx(EPOCH, abs=1e-8)
        expected = LightCurveExplorer(one, settings=Settings("hard", period=PERIOD, epoch=EPOCH))
        np.testing.assert_allclose(page.points(explorer), page.points(expected), atol=1e-8)
        explorer._steps._epoch.value = 2457000 + EPOCH + 1
        assert explorer.settings.epoch == pytest.approx(EPOCH + 1, abs=1e-8)
        assert "epoch_time=13" in explorer.code("found")


def test_a_median_that_is_not_positive_is_not_divided_by_and_the_page_reports_it(
    one: Selection, page: Page
) -> None:
    explorer = LightCurveExplorer(one)
    (data,) = explorer._records
    explorer._show([dataclasses.replace(data, flux=data.flux - 2 * np.nanmedian(data.flux))])
    explorer.settings = Settings(normalize=True)
    assert "must be positive for normalize" in str(explorer.error_box.error)
    # The page subtracts it.
    (shifted,) = explorer._records
    good = ~flagged_mask(shifted, "default") & np.isfinite(shifted.time) & np.isfinite(shifted.flux)
    flux = shifted.flux[good]
    expected = flux - np.median(flux)
    found = page.points(explorer)[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(flux).max())
    explorer.close()


@pytest.mark.parametrize("settings", [Settings(normalize=True), Settings(flatten=101)], ids=str)
@pytest.mark.parametrize("level", [-5.0, 0.0])
def test_prepare_does_not_divide_by_a_median_that_is_not_positive(
    one: Selection, settings: Settings, level: float
) -> None:
    (data,) = one[:1].read()
    flux = data.flux - np.nanmedian(data.flux) + level
    if level == 0.0:
        flux[np.abs(flux) < np.nanpercentile(np.abs(flux), 40)] = 0.0
    shifted = dataclasses.replace(data, flux=flux)
    with pytest.raises(DataError, match=r"median flux.*must be positive.*turn it off"):
        prepare([shifted], settings)


def test_find_period_brings_sectors_to_one_level_by_difference(sectors: Selection) -> None:
    first, second = sectors[:2].read()
    second = dataclasses.replace(second, flux=second.flux - np.nanmedian(second.flux) - 1e-3)
    records = [first, second]
    found = find_period(records, Settings("hard"), "bls", Task(lambda *_: None))
    assert found.period == pytest.approx(PERIOD, rel=2e-3)


def complaint(explorer: LightCurveExplorer) -> BaseException | None:
    return explorer.error_box.error


def test_an_error_is_shown_under_the_widget_and_the_next_picture_is_drawn(
    explorer: LightCurveExplorer,
) -> None:
    explorer.settings = Settings(("NO_SUCH_FLAG",))
    assert isinstance(complaint(explorer), ConfigurationError)
    before = explorer.pictures
    explorer.settings = Settings("hard")
    assert complaint(explorer) is None
    assert explorer.pictures == before + 1


def test_an_empty_choice_is_reported(explorer: LightCurveExplorer) -> None:
    explorer.selection = None
    assert "No light curve" in explorer._status.value
    assert (explorer.static_png(), explorer.static_html()) == (None, "")


def test_without_a_kernel_there_are_a_picture_and_a_table(
    explorer: LightCurveExplorer,
) -> None:
    png, table = explorer.static_png(), explorer.static_html()
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert "DEMO SYS_RM" in table


def test_a_closed_explorer_leaves_nothing_behind(one: Selection) -> None:
    import ipywidgets

    before = len(ipywidgets.widgets.widget._instances)
    explorer = LightCurveExplorer(one)
    explorer.close()
    del explorer
    gc.collect()
    assert len(ipywidgets.widgets.widget._instances) == before


def test_the_traits_of_the_picture_can_be_observed(explorer: LightCurveExplorer) -> None:
    seen: list[Any] = []
    explorer.observe(lambda change: seen.append(change["new"]), ["settings"])
    explorer.figure._chosen = explorer.figure._presets["hard"]
    assert [settings.quality_bitmask for settings in seen] == ["hard"]


def test_a_settings_code_is_one_expression() -> None:
    for settings in SETTINGS:
        for several, overlaid in ((False, False), (True, False), (True, True)):
            ast.parse(settings.code("found", several=several, overlaid=overlaid), mode="eval")
