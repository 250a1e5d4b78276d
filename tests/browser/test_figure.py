"""The interactive figure in a browser: mouse and keyboard, seen and read back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from .stage import Lab, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

ONE = (
    "db.search(1, sector=1, exptime=120, photometry='DEMO aperture 2px', processing='DEMO SYS_RM')"
)
BOTH = "db.search(1, exptime=1800, photometry='DEMO aperture 2px', processing='DEMO SYS_RM')"

# A fingerprint of the pixels.
PIXELS = """() => {
  const canvas = document.querySelector('.stage .lcdb-if-canvas > canvas');
  if (canvas === null) return 0;  // while the page replaces it
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 3]) | 0;
  return sum;
}"""


class Shown:
    """A figure on the stage."""

    def __init__(self, stage: Stage, expression: str = f"{ONE}.figure()") -> None:
        self.stage = stage
        stage.set(f"f = {expression}", "f")
        stage.page.wait_for_function(
            "Number(document.querySelector('.stage .lcdb-interactive')?.dataset.pictures) > 0"
        )

    @property
    def root(self) -> Locator:
        return self.stage.box.locator(".lcdb-interactive")

    @property
    def canvas(self) -> Locator:
        return self.root.locator(".lcdb-if-canvas > canvas")

    def changes(self, act: Callable[[], object]) -> None:
        """Do something, and wait until the pixels differ."""
        before = self.stage.page.evaluate(PIXELS)
        act()
        self.stage.page.wait_for_function(f"({PIXELS})() !== {before}")

    def drag(self, start: tuple[float, float], stop: tuple[float, float], key: str = "") -> None:
        """Drag between two places of the figure, in parts of its width and height."""
        self.canvas.scroll_into_view_if_needed()
        bounds = self.canvas.bounding_box()
        assert bounds is not None
        mouse = self.stage.page.mouse
        ends = [
            (bounds["x"] + x * bounds["width"], bounds["y"] + y * bounds["height"])
            for x, y in (start, stop)
        ]
        if key:
            self.stage.page.keyboard.down(key)
        mouse.move(*ends[0])
        mouse.down()
        mouse.move(*ends[1], steps=4)
        mouse.up()
        if key:
            self.stage.page.keyboard.up(key)


@pytest.fixture
def shown(stage: Stage) -> Shown:
    return Shown(stage)


def test_a_flag_is_toggled_on_the_page_and_from_a_cell(shown: Shown) -> None:
    shown.changes(lambda: shown.root.get_by_role("button", name="none", exact=True).click())
    shown.stage.until("f.quality_bitmask == 'none'")
    desat = shown.root.get_by_role("checkbox", name=re.compile(r"^DESAT\b"))
    shown.changes(desat.click)
    shown.stage.until("f.quality_bitmask == ('DESAT',)")
    shown.changes(lambda: shown.stage.run("f.quality_bitmask = 'hard'"))
    hard = shown.root.get_by_role("button", name="hard", exact=True)
    expect(hard).to_have_attribute("aria-pressed", "true")
    assert shown.root.get_by_text(re.compile(r"^DESAT \([\d,]+\)$")).count() >= 1


def test_dragging_moves_the_view_and_a_double_click_resets_it(shown: Shown) -> None:
    shown.changes(lambda: shown.drag((0.7, 0.5), (0.5, 0.5)))
    shown.stage.until("f.xlim is not None")
    low, high = shown.stage.ask("f.xlim")
    assert 1325 < low < high
    shown.changes(lambda: shown.stage.run("f.xlim, f.ylim = (1330.0, 1332.0), None"))
    shown.changes(shown.canvas.dblclick)
    shown.stage.until("f.xlim is None and f.ylim is None")
    shown.changes(lambda: shown.stage.run("f.xlim = (1330.0, 1332.0)"))
    shown.changes(shown.root.get_by_role("button", name="Show all").click)
    shown.stage.until("f.xlim is None")


def test_a_box_and_the_wheel_zoom(shown: Shown) -> None:
    shown.changes(lambda: shown.drag((0.4, 0.3), (0.6, 0.7), "Shift"))
    shown.stage.until("f.xlim is not None and f.ylim is not None")
    low, high = shown.stage.ask("f.xlim")
    assert 3 < high - low < 9
    shown.changes(lambda: shown.stage.page.mouse.wheel(0, -300))
    shown.stage.until(f"f.xlim[1] - f.xlim[0] < {0.9 * (high - low)}")


def test_fingers_move_the_view_and_pinch(shown: Shown) -> None:
    shown.canvas.scroll_into_view_if_needed()
    bounds = shown.canvas.bounding_box()
    assert bounds is not None
    session = shown.stage.page.context.new_cdp_session(shown.stage.page)

    def touch(kind: str, *places: float) -> None:
        points = [
            {"x": bounds["x"] + x * bounds["width"], "y": bounds["y"] + 150, "id": number}
            for number, x in enumerate(places)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    # Limits that arrive while a finger moves would undo what it did.
    shown.changes(lambda: shown.stage.run("f.xlim = (1330.0, 1340.0)"))
    touch("touchStart", 0.6)
    for x in (0.55, 0.5, 0.45, 0.4):
        touch("touchMove", x)
    touch("touchEnd")
    shown.stage.until("f.xlim[0] > 1331")
    moved = shown.stage.ask("f.xlim")
    assert moved[1] - moved[0] == pytest.approx(10.0)
    touch("touchStart", 0.45, 0.55)
    for step in (1, 2, 3):
        touch("touchMove", 0.45 - 0.05 * step, 0.55 + 0.05 * step)
    touch("touchEnd")
    shown.stage.until("f.xlim[1] - f.xlim[0] < 3")
    low, high = shown.stage.ask("f.xlim")
    assert high - low == pytest.approx(2.5, rel=0.02)
    assert moved[0] < low < high < moved[1]


def test_keys_step_through_cadences_and_zoom(shown: Shown) -> None:
    shown.canvas.focus()
    readout = shown.root.locator(".lcdb-if-readout")
    shown.stage.page.keyboard.press("ArrowRight")
    readout.get_by_text("cadence").wait_for()
    first = readout.text_content() or ""
    assert re.search(
        r"cadence \d+ · BTJD 1325\.\d{5} · UTC 2018-07-2\d \d\d:\d\d:\d\d · flux [\d.]+", first
    )
    number = int(re.findall(r"cadence (\d+)", first)[0])
    shown.stage.page.keyboard.press("ArrowRight")
    shown.stage.page.wait_for_function(
        "n => Number(document.querySelector('.stage .lcdb-if-readout').textContent"
        ".match(/cadence (\\d+)/)[1]) > n",
        arg=number,
    )
    shown.stage.page.keyboard.press("+")
    shown.stage.until("f.xlim is not None")
    shown.stage.page.keyboard.press("0")
    shown.stage.until("f.xlim is None")


def test_the_cursor_reads_the_nearest_cadence_with_its_flags(shown: Shown) -> None:
    shown.stage.run("f.xlim = (1330.2, 1330.5)")
    shown.canvas.hover(position={"x": 500, "y": 300})
    readout = shown.root.locator(".lcdb-if-readout")
    readout.get_by_text("cadence").wait_for()
    text = readout.text_content() or ""
    number = int(re.findall(r"cadence (\d+)", text)[0])
    flags = shown.stage.ask(
        f"__import__('lcdb_notebook').flags.names(f.records[0].quality['tess_quality_flag']"
        f"[f.records[0].cadence == {number}], 'tess_quality_flag')[0]"
    )
    assert all(f"{name}: " in text for name in flags)
    assert ("no flags" in text) == (not flags)


def test_a_range_is_selected_and_excluded(shown: Shown) -> None:
    shown.changes(lambda: shown.drag((0.3, 0.5), (0.5, 0.5), "Control"))
    shown.stage.until("int(f.selected[0].sum()) > 1000")
    assert shown.stage.ask("f.xlim") is None
    shown.changes(lambda: shown.root.get_by_role("checkbox", name="Exclude selected").click())
    shown.stage.until("'lc.time.value' in f.code")
    shown.changes(lambda: shown.root.get_by_role("button", name="Clear selection").click())
    shown.stage.until("f.selected_ranges == []")


def test_fold_bin_and_panels_follow_their_controls(stage: Stage) -> None:
    shown = Shown(stage, f"{BOTH}.figure()")
    period = shown.root.get_by_label("Fold on period [days]")

    def fold() -> None:
        period.fill("5.32426")
        period.press("Enter")

    shown.changes(fold)
    shown.stage.until("f.period == 5.32426")
    shown.changes(lambda: shown.stage.run("f.epoch = 2458326.8129"))
    shown.stage.until("abs(f.epoch - 1326.8129) < 1e-6")
    shown.changes(lambda: shown.stage.run("f.bin = 30.0"))
    slider = shown.root.get_by_label("tune")
    slider.focus()
    shown.changes(lambda: slider.press("PageUp"))
    shown.stage.until("f.period != 5.32426")
    shown.changes(lambda: shown.stage.run("f.period = None"))
    shown.changes(lambda: shown.root.get_by_role("checkbox", name="Join sectors").click())
    shown.stage.until("f.joined")
    shown.changes(lambda: shown.root.get_by_role("checkbox", name="Normalize").click())
    shown.stage.until("f.normalize")
    shown.changes(lambda: shown.stage.run("f.xlim, f.ylim = (1340.0, 1342.0), (0.9995, 1.0005)"))
    shown.changes(lambda: shown.root.get_by_role("checkbox", name="Error bars").click())


@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_the_figure_is_saved(shown: Shown, tmp_path: Path, kind: str) -> None:
    with shown.stage.page.expect_download() as download:
        shown.root.get_by_role("button", name=f"Save {kind}").click()
    path = tmp_path / "saved"
    download.value.save_as(path)
    data = path.read_bytes()
    if kind == "PNG":
        assert data.startswith(b"\x89PNG")
        return
    import xml.etree.ElementTree as ET

    root = ET.fromstring(data)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Time − 2457000 [BTJD days]" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 1


def test_the_height_is_dragged_and_assigned(shown: Shown) -> None:
    # Dragging the edge sets the style of the box.
    resize = "document.querySelector('.stage .lcdb-if-canvas').style.height = '620px'"
    shown.changes(lambda: shown.stage.page.evaluate(resize))
    shown.stage.until("f.height == 620")
    shown.changes(lambda: shown.stage.run("f.height = 300"))
    bounds = shown.canvas.bounding_box()
    assert bounds is not None
    assert bounds["height"] == pytest.approx(300, abs=1)


def test_two_views_follow_each_other_and_closing_removes_both(stage: Stage) -> None:
    stage.run(f"f = {ONE}.figure()\nimport ipywidgets\ng = ipywidgets.VBox([f, f])")
    stage.set("", "g")
    roots = stage.box.locator(".lcdb-interactive")
    roots.nth(1).wait_for()
    stage.page.wait_for_function(
        "[...document.querySelectorAll('.stage .lcdb-interactive')]"
        ".every(one => Number(one.dataset.pictures) > 0)"
    )
    roots.nth(0).get_by_role("button", name="hardest", exact=True).click()
    other: Any = roots.nth(1).get_by_role("button", name="hardest", exact=True)
    stage.until(lambda: other.get_attribute("aria-pressed") == "true")
    stage.run("f.close()")
    roots.first.wait_for(state="detached")


@pytest.fixture
def lab(stage: Stage) -> Iterator[Lab]:
    """JupyterLab, whose theme the test may change."""
    lab = stage.front_end
    assert isinstance(lab, Lab)
    yield lab
    lab.theme(dark=False)


# The theme of a page of Voilà is a part of its address.
@pytest.mark.parametrize("shared_stage", ["lab"], indirect=True)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_figure_has_the_colours_of_the_theme(
    stage: Stage, lab: Lab, dark: bool, tmp_path: Path
) -> None:
    lab.theme(dark=dark)
    shown = Shown(stage, f"{BOTH}.figure()")
    # The lightness of the axes, which are opaque, in the middle of the frame.
    ink = stage.page.evaluate(
        """() => {
          const canvas = document.querySelector('.stage .lcdb-if-canvas > canvas');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let sum = 0, n = 0;
          for (let i = 0; i < data.length; i += 4) {
            const grey = Math.abs(data[i] - data[i + 1]) < 8 && Math.abs(data[i] - data[i + 2]) < 8;
            if (data[i + 3] > 250 && grey) { sum += data[i]; n++; }
          }
          return sum / n;
        }"""
    )
    assert (ink > 127) == dark
    shown.root.screenshot(path=tmp_path / "figure.png")


def test_the_figure_follows_the_width_of_the_page(shown: Shown) -> None:
    wide = shown.canvas.bounding_box()
    shown.changes(lambda: shown.stage.run("stage.layout.width = '500px'"))
    narrow = shown.canvas.bounding_box()
    shown.stage.run("stage.layout.width = None")
    assert wide is not None
    assert narrow is not None
    assert narrow["width"] < 520 < wide["width"]
