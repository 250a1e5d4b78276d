"""The explorer in Firefox: drawn, and clicked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from . import firefox
from .servers import Server
from .stage import READY

STATUS = "(document.querySelector('.lcdb-lightcurve > .lcdb-status')?.innerText ?? '')"

# A fingerprint of the pixels of the figure.
PIXELS = """(() => {
  const canvas = document.querySelector('.lcdb-if-canvas > canvas');
  if (!canvas?.width) return 0;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 3]) | 0;
  return sum;
})()"""

NONE = """[...document.querySelectorAll('.lcdb-if-presets button')]
  .find(button => button.textContent === 'none').click()"""


@pytest.mark.slow
def test_an_explorer_is_drawn_and_clicked_in_firefox(
    server_of: Callable[[str], Server], demo_dsn: str, tmp_path: Path
) -> None:
    if firefox.executable() is None:
        pytest.skip(f"no Firefox: none of {', '.join(firefox.NAMES)} on PATH")
    server = server_of("lab")
    cells = [
        f"import lcdb_notebook as lcdb\ndb = lcdb.connect({demo_dsn!r})",
        "explorer = db.explore(1, sector=1, exptime=120)\nexplorer",
    ]
    # Its import takes seconds, which every process of the tests would spend while collecting.
    import nbformat

    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, server.notebooks / "firefox.ipynb")  # type: ignore[no-untyped-call]
    with firefox.firefox(tmp_path) as tab:
        tab.goto(f"{server.url}/lab/tree/firefox.ipynb?reset")
        tab.until(f"({READY})()")
        run = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
        tab.evaluate(f"{run}.then(() => true)")
        text = tab.until(f"/removes [1-9]/.test({STATUS}) && {STATUS}")
        assert re.search(r"“default” removes [\d,]+\.", text), json.dumps(text)
        before = tab.until(PIXELS)
        tab.evaluate(f"({NONE} ?? true)")
        tab.until(f"{PIXELS} !== {before}")
        tab.until(f"/“none” removes 0\\./.test({STATUS})")
        picture = tmp_path / "firefox.png"
        tab.picture(picture)
    assert picture.stat().st_size > 10_000
