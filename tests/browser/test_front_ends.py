"""The explorer in Notebook 7, and the figure in marimo: drawn, and clicked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .chromium import PageErrors
from .servers import environment, free_port, running, wait_until_it_listens
from .stage import SECONDS, FrontEnd

# A fingerprint of the pixels of a canvas.
PIXELS = """canvas => {
  if (!canvas.width) return 0;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 3]) | 0;
  return sum;
}"""

MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import lcdb_notebook as lcdb

    db = lcdb.connect({url!r})
    db.search(1, sector=1, exptime=1800, processing="raw")[:1].figure()
    return
"""


@pytest.mark.slow
@pytest.mark.parametrize("front_end", ["notebook"], indirect=True)
def test_explorer_is_drawn_and_clicked_in_notebook_7(front_end: FrontEnd, demo_dsn: str) -> None:
    connected = f"import lcdb_notebook as lcdb\ndb = lcdb.connect({demo_dsn!r})"
    front_end.open("explorer", connected, "explorer = db.explore(1, sector=1)\nexplorer")
    page = front_end.page
    status = page.locator(".lcdb-lightcurve > .lcdb-status")
    expect(status).to_contain_text("“default” removes")
    _click_preset(page, "none")
    expect(status).to_contain_text("“none” removes 0.")
    front_end.until("explorer.settings.quality_bitmask == 'none'")


@pytest.mark.slow
def test_figure_is_drawn_and_clicked_in_marimo(
    browser: Browser, demo_dsn: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    (tmp_path / "app.py").write_text(MARIMO.format(url=demo_dsn), encoding="utf-8")
    assert pytestconfig.cache is not None
    variables = environment(tmp_path, pytestconfig.cache.mkdir("matplotlib")) | {
        "HOME": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }
    port = free_port()
    command = [
        *(sys.executable, "-m", "marimo", "run", "--headless", "--no-token", "--host=127.0.0.1"),
        *(f"--port={port}", str(tmp_path / "app.py")),
    ]
    with running(command, variables, tmp_path / "log", f":{port}"):
        wait_until_it_listens(f"http://127.0.0.1:{port}")
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(1000 * SECONDS)
        errors = PageErrors()
        errors.watch(page)
        page.goto(f"http://127.0.0.1:{port}")
        _click_preset(page, "none")
        assert errors.collect() == []
        page.context.close()


def _click_preset(page: Page, name: str) -> None:
    """Click on a preset of flags, and wait until the figure changes."""
    page.locator(".lcdb-interactive[data-pictures]").wait_for(timeout=60_000)
    # A locator also finds elements in the shadow root of a cell of marimo.
    canvas = page.locator(".lcdb-if-canvas > canvas")
    before = canvas.evaluate(PIXELS)
    assert before
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function(
        f"([canvas, before]) => ({PIXELS})(canvas) !== before",
        arg=[canvas.element_handle(), before],
    )
