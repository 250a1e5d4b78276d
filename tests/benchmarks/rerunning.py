"""How much memory a cell with an explorer costs that is run again and again, on the page too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from clicking import long_light_curves
from report import NotMeasured, Row
from sky import Sky, url_of

sys.path.append(str(Path(__file__).resolve().parents[1]))

from browser import chromium, servers
from browser.stage import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 100
# Until what is made once, such as the caches of the browser, has been made.
FIRST = 15
MOST = 60

EXPLORER = "`db.explore(1)`"

# As many models as the explorer has, closed each time, which JupyterLab keeps.
PLAIN = """import ipywidgets
for one in globals().get("models", ()):
    one.close()
fields = [ipywidgets.Text(description=str(number)) for number in range(66)]
box = ipywidgets.VBox(fields)
models = [box, box.layout, *(m for one in fields for m in (one, one.layout, one.style))]
box"""

# What is run, how, the code, the goal in MB, and whether it has a figure.
CELLS = (
    (EXPLORER, ", bound to a name", "explorer = db.explore(1)\nexplorer", MOST, True),
    (EXPLORER, ", not bound", "db.explore(1)", MOST, True),
    ("66 plain `ipywidgets.Text`", "", PLAIN, None, False),
    ("an empty cell", "", "pass", None, False),
)

# Runs the last cell, and resolves when its figure is painted.
RERUN = """async () => {
  const shown = document.querySelector('.lcdb-interactive');
  await window.jupyterapp.commands.execute('notebook:run-cell');
  for (;;) {
    const now = document.querySelector('.lcdb-interactive');
    if (now && now !== shown && Number(now.dataset.pictures) > 0) return;
    await new Promise(requestAnimationFrame);
  }
}"""


# The same without a figure: two frames later.
RERUN_PLAIN = """async () => {
  await window.jupyterapp.commands.execute('notebook:run-cell');
  for (let k = 0; k < 2; k++) await new Promise(requestAnimationFrame);
}"""


def explorers(sky: Sky, _repeat: int) -> Iterator[Row | NotMeasured]:
    """Measure the kernel and the page before and after many runs of a cell."""
    missing = chromium.missing()
    if missing is not None:
        raise ImportError(missing)
    url = url_of(long_light_curves(sky, 20_000)).render_as_string(hide_password=False)
    folder = sky.folder / "rerunning"
    folder.mkdir()
    fonts = sky.folder / "fonts of rerunning"
    fonts.mkdir()
    with chromium.chromium() as browser, servers.jupyter_lab(folder, fonts) as server:
        for number, (what, how, cell, most, drawn) in enumerate(CELLS):
            sky.report(f"running {what}{how} {RUNS} times")
            lab = Lab(browser, server)
            connected = f"import lcdb_notebook as lcdb\ndb = lcdb.connect({url!r})"
            lab.open(f"rerunning{number}", connected, cell)
            lab.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
            measures: dict[str, Callable[[], float]] = {
                "the kernel": lambda lab=lab: _kernel(lab),  # type: ignore[misc]
                "the page": lambda lab=lab: _pages(lab),  # type: ignore[misc]
            }
            rerun = RERUN if drawn else RERUN_PLAIN
            _rerun(lab, rerun, FIRST)
            before = {name: measure() for name, measure in measures.items()}
            _rerun(lab, rerun, RUNS)
            for name, measure in measures.items():
                after = measure()
                yield Row(
                    f"memory of {name} after {RUNS} runs of {what}{how}",
                    f"after {FIRST}",
                    "MB more",
                    after - before[name],
                    most,
                    f"{after:.0f} MB",
                    f"{before[name]:.0f} MB",
                )
            lab.close()


def _rerun(lab: Lab, script: str, times: int) -> None:
    for _ in range(times):
        lab.page.evaluate(script)


def _kernel(lab: Lab) -> float:
    lab.run("import gc, psutil\ngc.collect()")
    return float(lab.ask("psutil.Process().memory_info().rss")) / 1e6


def _pages(lab: Lab) -> float:
    """Return the MB of all processes of Chromium that render a page.

    Garbage is collected first, as Chromium does it when it likes.
    """
    browser = lab.page.context.new_cdp_session(lab.page)
    for _ in range(2):
        browser.send("HeapProfiler.collectGarbage")
    browser.detach()
    return sum(
        child.memory_info().rss / 1e6
        for child in psutil.Process(os.getpid()).children(recursive=True)
        if "--type=renderer" in child.cmdline()
    )
