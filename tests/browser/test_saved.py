"""An explorer in a notebook that was saved, seen where its widgets cannot run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as LateError

from .conftest import SHOWN
from .servers import Server
from .stage import READY, SECONDS, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# JupyterLab is loaded again and again.
pytestmark = pytest.mark.slow

COMMAND = "name => window.jupyterapp.commands.execute(name)"
COMPLAINTS = ("Error displaying widget", "Loading widget")


@pytest.fixture(scope="module")
def saved(browser: Browser, server_of: Callable[[str], Server], demo_dsn: str) -> Iterator[Lab]:
    """JupyterLab with an explorer in a notebook that has just been saved."""
    made = Lab(browser, server_of("lab"))
    made.open(
        "saved",
        f"import lcdb_notebook as lcdb\ndb = lcdb.connect({demo_dsn!r})",
        "explorer = db.explore(1)\nexplorer",
    )
    made.page.locator(".lcdb-explorer").wait_for()
    made.until("explorer.light_curve.pictures")
    made.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    yield made
    made.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest, saved: Lab) -> Iterator[Lab]:
    """The same, watched. The tests go from looking at it to ending its kernel, in their order."""
    request.node.stash[SHOWN] = saved
    yield saved
    assert saved.page_errors.collect() == []


def assert_all_is_there(page: Page) -> None:
    """See the picture and the tables, and no word of a widget that is missing."""
    picture = page.locator(".lcdb-static img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 700
    shown = page.locator(".lcdb-static").inner_text()
    for text in ("TESS / Camera 1 / CCD 1", "DEMO DET", "1200", "db.search(1,"):
        assert text in shown
    for complaint in COMPLAINTS:
        assert not page.get_by_text(complaint).filter(visible=True).count()


def test_the_state_of_the_widgets_holds_no_arrays(lab: Lab) -> None:
    path = lab.server.notebooks / "saved.ipynb"
    lab.page.evaluate(COMMAND, "@jupyter-widgets/jupyterlab-manager:saveWidgetState")

    def state() -> dict[str, Any]:
        lab.page.evaluate(COMMAND, "docmanager:save")
        widgets = json.loads(path.read_text())["metadata"].get("widgets", {})
        found: dict[str, Any] = widgets.get("application/vnd.jupyter.widget-state+json", {})
        return dict(found.get("state", {}))

    kept = lab.until(state)
    (lab.server.notebooks / "with_state.ipynb").write_bytes(path.read_bytes())
    # The other tests are of a notebook without it, which is the default.
    lab.page.evaluate(COMMAND, "@jupyter-widgets/jupyterlab-manager:saveWidgetState")
    lab.page.evaluate(
        "window.jupyterapp.shell.currentWidget.context.model.deleteMetadata('widgets')"
    )
    lab.until(lambda: not state())
    figures = [one["state"] for one in kept.values() if "_curves" in one["state"]]
    assert any(figure["_curves"] for figure in figures)
    assert not any(one.get("buffers") for one in kept.values())
    for figure in figures:
        code = sum(len(figure.pop(name)) for name in ("_esm", "_module", "_css"))
        assert code < 60_000
        assert len(json.dumps(figure)) < 20_000


def test_a_page_on_the_web_has_the_picture_and_the_tables(lab: Lab, tmp_path: Path) -> None:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()  # type: ignore[no-untyped-call]
    written, _ = exporter.from_filename(str(lab.server.notebooks / "saved.ipynb"))
    (tmp_path / "saved.html").write_text(written)
    # Not the page that is watched: this one links JavaScript elsewhere, which does not come.
    page = lab.page.context.browser.new_page()  # type: ignore[union-attr]
    page.set_default_timeout(1000 * SECONDS)
    page.goto((tmp_path / "saved.html").as_uri(), wait_until="commit")
    assert_all_is_there(page)
    assert "Explorer(" not in page.locator("body").inner_text()
    page.context.close()


def test_beside_the_widget_no_still_picture_shows(lab: Lab) -> None:
    still = lab.page.locator(".lcdb-static")
    expect(still).to_have_count(1)
    expect(still).to_be_hidden()
    # Not even an empty line of the page.
    expect(lab.page.locator(".jp-OutputArea-child").filter(has=still)).to_be_hidden()
    # The picture remains after the widget is closed.
    lab.run("explorer.close()")
    assert_all_is_there(lab.page)


def load(lab: Lab, notebook: str, result: Locator) -> None:
    """Load the page of a notebook until JupyterLab has restored its widgets as far as it can.

    JupyterLab first asks the kernel, which is just starting, which widgets it has. If that request
    fails, JupyterLab restores nothing, without any message, until the page is loaded again.
    """
    for remaining in reversed(range(4)):
        lab.page.goto(f"{lab.server.url}/lab/tree/{notebook}?reset")
        lab.page.wait_for_function(READY)
        try:
            result.wait_for(state="attached", timeout=1000 * SECONDS / 4)
        except LateError:
            if not remaining:
                raise
        else:
            return


def test_a_kernel_started_since_leaves_the_picture_and_the_tables(lab: Lab) -> None:
    lab.hang_up()
    lab.page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
    load(lab, "saved.ipynb", lab.page.get_by_text(COMPLAINTS[0]))
    assert_all_is_there(lab.page)


def test_state_without_a_kernel_leaves_the_picture_and_the_tables(lab: Lab) -> None:
    panel = lab.page.locator(".lcdb-explorer")
    load(lab, "with_state.ipynb", panel)
    expect(panel).to_be_hidden()
    assert_all_is_there(lab.page)
