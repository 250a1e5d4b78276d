"""The server restarts between two clicks: a sentence at most, and the next click draws."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from playwright.sync_api import expect

from lcdb_notebook import connect, demo
from lcdb_notebook.server import embedded
from lcdb_notebook.server.embedded.pidfile import PidFile

from .stage import Stage

if TYPE_CHECKING:
    from .stage import FrontEnd

STARS = 4
DRAWN = "explorer.light_curve.pictures and explorer.lineage.pictures"


class Server:
    """An embedded server of the test's own."""

    def __init__(self) -> None:
        # The server of somebody who is root runs as another user, who has to be able to enter.
        self._base = Path(tempfile.mkdtemp(prefix="lcdb-restart-"))
        self._base.chmod(0o711)
        self.folder = self._base / "pg"
        self._started = [embedded.start(self.folder)]
        self.url = self._started[0].url("postgres").render_as_string(hide_password=False)

    @property
    def process(self) -> int:
        """The number of its process."""
        found = PidFile.read(self.folder / "data")
        assert found is not None
        return found.pid

    def restart(self) -> None:
        """Stop it without waiting for clients, as an administrator does, and start it again."""
        before = psutil.Process(self.process)
        os.kill(before.pid, signal.SIGINT)
        before.wait(60)
        self._started.append(embedded.start(self.folder))
        assert self.process != before.pid

    def remove(self) -> None:
        for started in self._started:
            started.stop()
        shutil.rmtree(self._base, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        with connect(server.url, write=True, create=True) as db:
            demo.load(db.session, STARS)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module", params=["lab", "voila"])
def own_stage(
    request: pytest.FixtureRequest, new_front_end: Callable[[str], FrontEnd], server: Server
) -> Stage:
    stage = Stage(new_front_end(request.param))
    stage.run(f"import lcdb_notebook as lcdb\ndb = lcdb.connect({server.url!r})")
    return stage


@pytest.mark.slow
def test_a_restart_between_two_clicks_costs_a_sentence_at_most(
    own_stage: Stage, server: Server
) -> None:
    stage = own_stage
    stage.page.set_viewport_size({"width": 1600, "height": 2000})
    stage.set("explorer = db.explore()", "explorer")
    stars = stage.page.get_by_label("Targets", exact=True)
    stars.select_option(label="DEMO 1")
    stage.until("explorer.target and explorer.target.number == 1")
    stage.until(DRAWN)
    server.restart()
    alerts = []
    for number in (2, 3):
        pictures = stage.ask("explorer.light_curve.pictures")
        stars.select_option(label=f"DEMO {number}")
        stage.until(f"explorer.target.number == {number}")
        stage.until("not any(part.work.busy for part in (explorer, explorer.light_curve))")
        alerts.append(stage.box.get_by_role("alert").filter(visible=True).all_inner_texts())
    first, second = alerts
    assert len(first) <= 1
    assert all(len(sentence.strip().splitlines()) == 1 for sentence in first)
    assert second == []
    stage.until(
        f"explorer.light_curve.pictures > {pictures} "
        "and explorer.light_curve._records[0].target == 3"
    )
    shown = stage.box.locator(".lcdb-lightcurve > .lcdb-status [data-pictures]")
    # Another picture may follow, for instance because there is room for a larger one.
    stage.until(
        lambda: (
            shown.get_attribute("data-pictures") == str(stage.ask("explorer.light_curve.pictures"))
        )
    )
    expect(shown).to_contain_text("cadences; quality mask")
    assert stage.front_end.page_errors.collect() == []
