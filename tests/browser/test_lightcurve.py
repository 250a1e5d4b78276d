"""The light curve's part of an explorer, as a person uses it: mouse and keyboard, seen and read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from .stage import NARROW, WIDE, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

PLANET = (
    "db.search(1, sector=1, exptime=120, photometry='DEMO aperture 2px', processing='DEMO SYS_RM')"
)
MADE = f"""
from lcdb_notebook.explore.lightcurve import LightCurveExplorer
from lcdb_notebook.explore.view.settings import Settings
import dataclasses, numpy as np
from lcdb_notebook import flags
x = LightCurveExplorer({PLANET})
"""
PERIOD = 5.32426  # of DEMO 1: lcdb_notebook.demo.truth()


class Curve:
    """The part on the stage, and how a person would reach what is on it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.set(MADE, "x")
        stage.page.wait_for_function(
            "Number(document.querySelector('.stage .lcdb-interactive')?.dataset.pictures) > 0"
        )

    def wait_for_picture(self, act: Callable[[], object]) -> None:
        """Do something, and wait until the page has another complete picture."""
        before = int(self._status.get_attribute("data-pictures") or 0)
        act()
        self.stage.page.wait_for_function(
            "n => Number(document.querySelector('.stage .lcdb-lightcurve > .lcdb-status "
            "[data-pictures]')?.dataset.pictures) > n",
            arg=before,
        )

    @property
    def _status(self) -> Locator:
        return self.stage.box.locator(".lcdb-status [data-pictures]")

    def box(self, name: str) -> Locator:
        return self.stage.page.get_by_role("checkbox", name=re.compile(rf"^{re.escape(name)}\b"))

    def button(self, name: str) -> Locator:
        return self.stage.page.get_by_role("button", name=name, exact=True)

    def preset(self, name: str) -> Locator:
        return self.stage.box.locator(".lcdb-if-flag-list").get_by_role(
            "button", name=name, exact=True
        )

    @property
    def canvas(self) -> Locator:
        return self.stage.box.locator(".lcdb-if-canvas > canvas")


@pytest.fixture
def curve(stage: Stage) -> Curve:
    return Curve(stage)


def test_ticking_a_flag_takes_its_cadences_away(curve: Curve) -> None:
    curve.wait_for_picture(curve.box("STRAYLIGHT2").click)
    assert curve.stage.ask("x.settings.quality_bitmask") == ["default", "STRAYLIGHT2"]
    gone = curve.stage.ask("len(x.lightcurve())")
    curve.wait_for_picture(curve.box("STRAYLIGHT2").click)
    assert curve.stage.ask("x.settings.quality_bitmask") == "default"
    assert gone < curve.stage.ask("len(x.lightcurve())")


@pytest.mark.parametrize("preset", ["none", "hard", "hardest"])
def test_a_preset_is_one_click(curve: Curve, preset: str) -> None:
    curve.wait_for_picture(curve.preset(preset).click)
    assert curve.stage.ask("x.settings.quality_bitmask") == preset
    assert curve.box("STRAYLIGHT2").is_checked() == (preset != "none")
    shown = curve.stage.box.get_by_text(f"“{preset}”")
    shown.wait_for()


def test_a_flag_shows_its_number_of_cadences_and_its_meaning(curve: Curve) -> None:
    label = curve.stage.box.locator("label", has_text="DESAT")
    counted = curve.stage.ask(
        f"int(sum((np.isfinite(r.time) & (r.quality['tess_quality_flag'] & 32 != 0)).sum() "
        f"for r in {PLANET}.read()))"
    )
    assert f"DESAT ({counted})" in (label.text_content() or "")
    title = curve.stage.box.locator("[title*='momentum dump'][title*='EXP-TESS-ARC-ICD-0014']")
    assert title.count() >= 1


def test_the_keyboard_alone_toggles_a_flag(curve: Curve) -> None:
    box = curve.box("STRAYLIGHT2")
    box.focus()
    curve.wait_for_picture(lambda: curve.stage.page.keyboard.press("Space"))
    assert curve.stage.ask("x.settings.quality_bitmask") == ["default", "STRAYLIGHT2"]


def test_every_control_can_be_reached_and_left_with_the_tab_key(curve: Curve) -> None:
    page = curve.stage.page
    labels = curve.stage.box.locator(
        "button:enabled:visible, input:enabled:visible, select:enabled:visible"
    )
    names = "e => (e.labels?.[0]?.innerText || (e.matches('button') && e.innerText) || '').trim()"
    all_of_them = labels.evaluate_all(f"elements => elements.map({names})")
    assert all(all_of_them), all_of_them
    labels.first.focus()
    reached = 1
    while reached < len(all_of_them):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.activeElement.closest('.stage') !== null")
        assert inside, f"focus left after {reached} of {len(all_of_them)} controls"
        reached += page.evaluate("document.activeElement.matches('button, input, select')")
    page.keyboard.press("Tab")
    # The list of absent flags, folded away, is the last.
    assert page.evaluate("document.activeElement.matches('.stage summary')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.stage') === null")


def test_flagged_cadences_are_drawn_separately_on_request(curve: Curve) -> None:
    curve.wait_for_picture(curve.preset("hard").click)
    curve.wait_for_picture(curve.box("Show flagged").click)
    legend = curve.stage.box.locator(".lcdb-if-legend")
    legend.get_by_text("STRAYLIGHT2 (").wait_for(state="attached")
    # The list has the same mark.
    listed = curve.stage.box.locator(".lcdb-if-flags label", has_text="STRAYLIGHT2 (")
    assert listed.locator("canvas").count() == 1


def test_a_planet_is_found_folded_and_carried_on(curve: Curve) -> None:
    curve.wait_for_picture(curve.preset("hard").click)
    curve.wait_for_picture(curve.box("Normalize").click)
    curve.wait_for_picture(curve.button("Find period").click)
    assert curve.stage.ask("x.settings.period") == pytest.approx(PERIOD, rel=2e-3)
    curve.wait_for_picture(curve.button("×2").click)
    assert curve.stage.ask("x.settings.period") == pytest.approx(2 * PERIOD, rel=2e-3)
    curve.wait_for_picture(curve.button("½").click)
    same = (
        "np.array_equal(np.asarray(eval(x.code('s'), {'s': x.selection}).flux), "
        "np.asarray(x.lightcurve().flux), equal_nan=True)"
    )
    assert curve.stage.ask(f"bool({same})")


def test_a_period_that_is_typed_folds(curve: Curve) -> None:
    field = curve.stage.page.get_by_label("period [days]")
    field.fill("5.3")
    curve.wait_for_picture(lambda: field.press("Enter"))
    assert curve.stage.ask("x.settings.period") == 5.3
    assert curve.box("Fold").is_checked()


def test_flatten_and_bin_are_a_click_each(curve: Curve) -> None:
    curve.wait_for_picture(curve.box("Flatten").click)
    curve.wait_for_picture(curve.box("Bin").click)
    assert curve.stage.ask("[x.settings.flatten, x.settings.bin]") == [401, 30.0]
    assert curve.box("Show flagged").is_disabled()


def test_long_work_shows_a_bar_and_can_be_stopped(stage: Stage) -> None:
    stage.set(
        MADE + "import threading\nbegun, ended = threading.Event(), threading.Event()\n"
        "def work(task):\n"
        "    begun.set()\n"
        "    try:\n"
        "        while True: task.progress(0.5); ended.wait(0.01)\n"
        "    finally: ended.set()\n"
        "x.work.run(work, lambda _: None, doing='find a period')",
        "x",
    )
    stage.box.get_by_role("progressbar").or_(stage.box.locator(".progress")).first.wait_for()
    # Meanwhile the kernel answers.
    stage.until("begun.is_set() and x.work.busy")
    stage.page.get_by_role("button", name="Stop").click()
    stage.until("ended.is_set()")
    stage.until("not x.work.busy")
    assert stage.ask("x.settings.period") is None


def test_a_search_for_a_period_can_be_stopped(curve: Curve) -> None:
    curve.stage.run(
        "from lcdb_notebook.explore.view import period as module\n"
        "real = module.strongest_period\n"
        "def slow(time, flux, method, progress):\n"
        "    while True: real(time[::50], flux[::50], method, progress)\n"
        "module.strongest_period = slow"
    )
    try:
        curve.button("Find period").click()
        stop = curve.stage.page.get_by_role("button", name="Stop")
        stop.wait_for()
        stop.click()
        stop.wait_for(state="hidden")
        curve.stage.until("not x.work.busy")
        assert curve.stage.ask("x.settings.period") is None
    finally:
        curve.stage.run("module.strongest_period = real")


def test_the_readout_has_the_flags_and_arrow_keys_step(curve: Curve) -> None:
    curve.canvas.focus()
    readout = curve.stage.box.locator(".lcdb-if-readout")
    curve.stage.page.keyboard.press("ArrowRight")
    readout.get_by_text("cadence").wait_for()
    text = readout.text_content() or ""
    assert re.search(r"BTJD \d+\.\d{5} · UTC [-\d: ]+ · flux [\d.]+", text)
    number = int(re.findall(r"cadence (\d+)", text)[0])
    data = curve.stage.ask(
        f"[(float(r.time[k]), float(r.flux[k]), flags.names(r.quality['tess_quality_flag'][k:k+1],"
        f" 'tess_quality_flag')[0]) for r in x._records for k in [list(r.cadence).index({number})]]"
    )
    ((time, flux, flags),) = data
    assert f"BTJD {time:.5f}" in text
    assert f"flux {flux:.3f}"[:12] in text
    assert all(f"{name}: " in text for name in flags)
    curve.stage.page.keyboard.press("ArrowRight")
    readout.get_by_text(f"cadence {number} ").wait_for(state="detached")


def test_zoom_and_back(curve: Curve) -> None:
    curve.button("Zoom").click()
    bounds = curve.canvas.bounding_box()
    assert bounds is not None
    mouse = curve.stage.page.mouse
    mouse.move(bounds["x"] + 300, bounds["y"] + 100)
    mouse.down()
    mouse.move(bounds["x"] + 400, bounds["y"] + 200, steps=4)
    mouse.up()
    zoomed = curve.stage.until("x.figure.xlim")
    low, high = curve.stage.ask(
        "[float(np.nanmin(x._records[0].time)), float(np.nanmax(x._records[0].time))]"
    )
    assert zoomed[1] - zoomed[0] < (high - low) / 3
    # A flag does not throw the view away.
    curve.preset("hardest").click()
    curve.stage.until("x.settings.quality_bitmask == 'hardest'")
    assert curve.stage.ask("x.figure.xlim") == zoomed
    curve.button("Show all").click()
    curve.stage.until("x.figure.xlim is None")


def test_sectors_are_panels_and_joined_by_a_click(curve: Curve) -> None:
    height = "document.querySelector('.stage .lcdb-if-canvas').clientHeight"
    one = curve.stage.page.evaluate(height)
    curve.stage.run(
        "x.selection = db.search(1, photometry='DEMO aperture 2px', processing='DEMO SYS_RM')"
    )
    curve.stage.page.wait_for_function(f"{height} > {one} + 50")
    curve.box("Join sectors").click()
    curve.stage.page.wait_for_function(f"{height} === {one}")
    curve.stage.until("x.figure.joined")


def test_a_server_that_restarts_costs_one_sentence_and_the_widget_goes_on(
    curve: Curve, demo_dsn: str
) -> None:
    other = "db.search(2, sector=1, exptime=120, photometry='DEMO aperture 2px', processing='raw')"
    curve.stage.run(f"other = {other}\nother.datasets")
    with sa.create_engine(demo_dsn).connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    curve.stage.run("x.selection = other")
    curve.stage.until("x.error_box.error is not None or x._records[0].target == 2")
    if curve.stage.ask("x.error_box.error is not None"):
        alert = curve.stage.box.get_by_role("alert")
        alert.wait_for()
        assert "Could not read the light curve" in alert.inner_text()
        assert "Traceback" not in alert.locator("summary").inner_text()
        alert.locator("summary").click()
        alert.locator("pre").wait_for()
    curve.stage.run(f"x.selection = None\nx.selection = {PLANET}")
    curve.stage.until("x.error_box.error is None and x._records[0].target == 1")
    expect(curve.stage.box.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_nothing_is_cut_off(curve: Curve, size: dict[str, int]) -> None:
    curve.stage.page.set_viewport_size(size)  # type: ignore[arg-type]
    cut = curve.stage.box.evaluate(
        """box => [...box.querySelectorAll('label, button, select, .widget-html-content')]
          .filter(e => e.offsetParent !== null && e.scrollWidth > e.clientWidth + 1
            && getComputedStyle(e).overflowX !== 'visible')
          .map(e => e.innerText + ' ' + e.scrollWidth + ' > ' + e.clientWidth)"""
    )
    assert cut == []
    widths = "box => [box.scrollWidth, box.clientWidth]"
    inside, available = curve.stage.box.evaluate(widths)
    assert inside <= available
