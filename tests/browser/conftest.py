"""Chromium, JupyterLab and Voilà for tests of widgets; each starts once and serves them all.

Everything here is skipped, with the reason, without Chromium or playwright. Pictures of
pages on which a test failed are kept in ``.pytest_cache/d/browser``, or in the folder
``LCDB_SCREENSHOTS``, and named in the report.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lcdb_notebook import connect, demo

from . import chromium, servers
from .stage import SECONDS, FrontEnd, Lab, Notebook7, Stage, Voila

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).parent

# JupyterLab for all that a page can do; the same in Voilà repeats it.
FRONT_ENDS = ["lab", pytest.param("voila", marks=pytest.mark.slow)]

FRONT_END_CLASSES = {"lab": Lab, "notebook": Notebook7, "voila": Voila}
SERVERS = {"lab": servers.jupyter_lab, "notebook": servers.notebook_7, "voila": servers.voila}

LOOP: list[chromium.Loop] = []

SHOWN = pytest.StashKey[FrontEnd]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: drives Chromium (set by its folder)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of the page on which a test failed."""
    report = yield
    front_end = item.stash.get(SHOWN, None)
    # A page that was closed before its errors were found has no picture.
    if report.failed and front_end is not None and not front_end.page.is_closed():
        name = re.sub(r"\W+", "_", item.name).strip("_") + f"-{report.when}"
        picture = chromium.keep_picture(front_end.page, _pictures(item.config), name)
        report.sections.append(("the page when it failed", str(picture)))
    return report


def _pictures(config: pytest.Config) -> Path:
    named = os.environ.get("LCDB_SCREENSHOTS")
    assert config.cache is not None
    return Path(named) if named else Path(config.cache.mkdir("browser"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep playwright's event loop from the tests of other folders."""
    for loop in LOOP if item.path.is_relative_to(HERE) else ():
        loop.show()
    done = yield
    for loop in LOOP:
        loop.hide()
    return done


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    missing = chromium.missing()
    if missing is not None:
        pytest.skip(missing)
    with chromium.chromium() as started:
        from playwright.sync_api import expect

        expect.set_options(timeout=1000 * SECONDS)
        LOOP.append(chromium.Loop())
        yield started
        LOOP.pop().show()


@pytest.fixture(scope="session")
def server_of(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], servers.Server]]:
    """Return the server of a front end in SERVERS; each is started on first use."""
    started: dict[str, servers.Server] = {}
    assert pytestconfig.cache is not None
    fonts = pytestconfig.cache.mkdir("matplotlib")
    with ExitStack() as stack:

        def server(name: str) -> servers.Server:
            if name not in started:
                start = SERVERS[name]
                started[name] = stack.enter_context(start(tmp_path_factory.mktemp(name), fonts))
            return started[name]

        yield server


@pytest.fixture(scope="session")
def new_front_end(
    browser: Browser, server_of: Callable[[str], servers.Server]
) -> Iterator[Callable[[str], FrontEnd]]:
    """Return a new page on one of the servers."""
    with ExitStack() as stack:

        def new(name: str) -> FrontEnd:
            made = FRONT_END_CLASSES[name](browser, server_of(name))
            stack.callback(made.close)
            return made

        yield new
        LOOP[-1].show()


@pytest.fixture(scope="session", params=FRONT_ENDS)
def shared_stage(
    request: pytest.FixtureRequest, new_front_end: Callable[[str], FrontEnd], demo_dsn: str
) -> Stage:
    """A stage whose kernel has the demonstration data open as ``db``."""
    stage = Stage(new_front_end(request.param))
    stage.run(f"import lcdb_notebook as lcdb\ndb = lcdb.connect({demo_dsn!r})")
    return stage


@pytest.fixture
def stage(request: pytest.FixtureRequest, shared_stage: Stage) -> Iterator[Stage]:
    """The empty stage; a test fails if its page contacts another machine or fails in JavaScript."""
    request.node.stash[SHOWN] = shared_stage.front_end
    shared_stage.clear()
    shared_stage.front_end.page_errors.collect()
    yield shared_stage
    assert shared_stage.front_end.page_errors.collect() == []
    assert shared_stage.page.get_by_text("Click to show javascript error").count() == 0


@pytest.fixture(params=FRONT_ENDS)
def front_end(
    request: pytest.FixtureRequest, browser: Browser, server_of: Callable[[str], servers.Server]
) -> Iterator[FrontEnd]:
    """A separate page, for tests that need a separate kernel."""
    made = FRONT_END_CLASSES[request.param](browser, server_of(request.param))
    request.node.stash[SHOWN] = made
    yield made
    problems = made.page_errors.collect()
    made.close()
    assert problems == []


@pytest.fixture(scope="session")
def demo_dsn(new_tables: Callable[[], str]) -> str:
    """URL of a database of the demonstration data: 24 stars in two sectors. Do not change it."""
    url = new_tables()
    with connect(url, write=True) as db:
        demo.load(db.session)
    return url
