"""``lcdb-notebook app``, as a colleague who writes no Python meets it."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
import sqlalchemy as sa

from .chromium import PageErrors
from .servers import environment, free_port, running, wait_until_it_listens
from .stage import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.mark.slow
def test_the_app_is_a_page_for_those_who_have_its_address_and_leaves_nothing(
    browser: Browser, demo_dsn: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    # By the environment, where other users cannot see the password of --lcdb-dsn.
    variables = environment(tmp_path, pytestconfig.cache.mkdir("matplotlib")) | {
        "LCDB_URL": demo_dsn,
        "HOME": str(tmp_path),
    }
    port = free_port()
    command = [sys.executable, "-m", "lcdb_notebook", "app", "--no-browser", "--port", str(port)]
    with running(command, variables, tmp_path / "log", "token=") as server:
        address = re.findall(r"http://\S+", (tmp_path / "log").read_text())[0]
        page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
        page.set_default_timeout(1000 * SECONDS)
        page_errors = PageErrors()
        page_errors.watch(page)
        refused = address.partition("?")[0]
        wait_until_it_listens(refused)
        page.goto(refused)
        assert "login" in page.url
        assert page.locator(".lcdb-explorer").count() == 0
        page.goto(address, wait_until="commit")
        targets = page.get_by_label("Targets", exact=True)
        targets.wait_for()
        targets.select_option(index=0)
        page.locator(".lcdb-status", has_text="cadences; quality mask").wait_for()
        password = sa.make_url(demo_dsn).password
        secrets = [demo_dsn, *([str(password)] if password else [])]
        assert not [secret for secret in secrets if secret in page.content()]
        assert page_errors.collect() == []
        family = psutil.Process(server.pid).children(recursive=True)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                assert not [s for s in secrets if s in " ".join(one.cmdline())]
        assert family
        page.context.close()
        os.kill(server.pid, signal.SIGINT)
        assert server.wait(60) == 0
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left
    assert "Traceback" not in (tmp_path / "log").read_text()
