"""Take the README's pictures of the explorer: JupyterLab in Chromium, on the demonstration data.

Run as ``python tests/screenshots.py`` or ``make screenshots``. They are written into ``docs``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from browser import chromium, servers
from browser.stage import Lab
from PIL import Image

from lcdb_notebook import connect, demo
from lcdb_notebook.server import embedded

if TYPE_CHECKING:
    from browser.stage import FrontEnd

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZE = {"width": 1440, "height": 960}
MOST_BYTES = 200_000
COLOURS = 128

CELL = """\
db.explore(1, sector=1, exptime=120, photometry="DEMO aperture 2px", processing="DEMO SYS_RM")
"""


def main() -> int:
    """Take them; the exit status shows whether a browser was found."""
    missing = chromium.missing()
    if missing is not None:
        print(missing, file=sys.stderr)  # noqa: T201
        return 1
    # The server of somebody who is root runs as another user, who has to be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="lcdb-pictures-"))
    folder.chmod(0o711)
    DOCS.mkdir(exist_ok=True)
    fonts = folder / "fonts"
    fonts.mkdir()
    try:
        server = embedded.start(folder / "server")
        try:
            url = server.url("postgres").render_as_string(hide_password=False)
            with connect(url, write=True, create=True) as database:
                demo.load(database.session)
            (folder / "lab").mkdir()
            with (
                chromium.chromium() as browser,
                servers.jupyter_lab(folder / "lab", fonts) as lab,
            ):
                front_end = Lab(browser, lab)
                take(front_end, url)
                front_end.close()
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def take(front_end: Lab, url: str) -> None:
    """Open the explorer, and take a picture before and after a planet was found."""
    page = front_end.page
    page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    connect_to = f"import lcdb_notebook as lcdb\ndb = lcdb.connect({url!r})"
    front_end.open("explore", connect_to, f"explorer = {CELL}display(explorer)")
    part = page.locator(".lcdb-explorer")
    part.wait_for()
    front_end.until("explorer.lineage.lineage is not None")
    front_end.run("explorer.settings = type(explorer.settings)('hard', apart=True)")
    settled(front_end)
    keep(part.screenshot(), "explorer.png")
    front_end.theme(dark=True)
    front_end.run("explorer.settings = type(explorer.settings)('hard', normalize=True)")
    page.get_by_role("button", name="Find period").click()
    front_end.until("explorer.settings.period is not None and not explorer.light_curve.work.busy")
    settled(front_end)
    keep(part.screenshot(), "explorer_folded.png")


def settled(front_end: FrontEnd) -> None:
    """Wait until the page shows the settings of the kernel."""
    front_end.page.wait_for_function(
        "period => (document.querySelector('.lcdb-if-tools input[type=range]')"
        ".parentElement.hidden) === (period === null)",
        arg=front_end.ask("explorer.settings.period"),
    )
    # Two frames: one in which the figure prepares the points, one in which it paints them.
    front_end.page.evaluate(
        "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
    )
    front_end.page.wait_for_load_state("networkidle")


def keep(png: bytes, name: str) -> None:
    """Write a picture with few colours, which all of these have."""
    import io

    path = DOCS / name
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    picture.save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size:,} bytes"


if __name__ == "__main__":
    sys.exit(main())
