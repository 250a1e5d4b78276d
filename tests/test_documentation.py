"""README and docs: blocks of Python run on the demonstration data, and links lead to files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import lcdb_notebook as lcdb
from lcdb_notebook import demo

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = range(60, 121)


@pytest.fixture(scope="module")
def demo_url(new_tables: Callable[[], str]) -> str:
    """URL of a database of the demonstration data that the examples may write to."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session)
    return url


@pytest.fixture
def in_empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo_url: str) -> Iterator[None]:
    """Run in an empty home folder, where ``lcdb.connect()`` finds the demonstration data."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LCDB_URL", demo_url)
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


def blocks(page: Path) -> list[str]:
    """Return the blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("in_empty_home")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem == "README" else pytest.mark.slow)
        for page in PAGES
        if blocks(page)
    ],
)
def test_blocks_of_python_run_on_the_demonstration_data(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.stem == "README":
        # Two processes would import lightkurve. Those of map are tested in tests/read, and by the
        # other pages.
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    with lcdb.connect() as db:
        # Functions of __main__ are sent to the workers of map by value, as from a notebook.
        names: dict[str, Any] = {"__name__": "__main__", "lcdb": lcdb, "db": db}
        for block in blocks(page):
            exec(compile(block, str(page), "exec"), names)
        opened = {name: value for name, value in names.items() if isinstance(value, lcdb.Database)}
        if "explorer" in names:
            names["explorer"].close()
        for other in opened.values():
            other.close()


def test_links_between_pages_lead_to_files() -> None:
    broken = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not broken


def test_the_readme_is_short_enough_to_be_read() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) in README_LINES


def test_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"`([\w*./]+/[\w*./]+\.(?:py|ipynb))`", text))
    lost = {path for path in named if not any((*ROOT.glob(path), *ROOT.glob(f"*/{path}")))}
    assert named - lost
    assert not lost
