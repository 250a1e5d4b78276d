"""Chromium without a window and without a network, and what its pages did wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    # Nothing may leave this machine, and what tries must fail at once.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    # root, as in a container, gets no sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# The page of Voilà links Font Awesome there, with any notebook.
VOILA_LINKS = "https://cdn.jsdelivr.net/npm/@fortawesome/"

HARMLESS = (
    # Chromium reports this for layouts that take two turns, as in JupyterLab.
    "ResizeObserver loop",
    # Notebook 7, when it reads its own settings.
    "Cannot read properties of undefined (reading 'schema')",
    # Notebook 7.2, when it looks for a checkpoint of the notebook.
    "Cannot read properties of undefined (reading 'last_modified')",
)


def missing() -> str | None:
    """Return what is missing for browser tests on this machine, or None."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (pip install playwright)"
    if executable() is None:
        return f"no Chromium: none of {', '.join(NAMES)} on PATH (LCDB_CHROMIUM names another)"
    return None


def executable() -> str | None:
    """Find Chromium: ``LCDB_CHROMIUM``, or what PATH has."""
    named = os.environ.get("LCDB_CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*FLAGS])
        yield browser
        browser.close()


class Loop:
    """playwright's event loop, which counts as running in this thread for as long as it lives.

    Other tests of the process must not see it: what they test would wait for it.
    """

    def __init__(self) -> None:
        self._loop = asyncio._get_running_loop()

    def show(self) -> None:
        """Continue with the loop of playwright."""
        asyncio._set_running_loop(self._loop)

    def hide(self) -> None:
        """Hide the running loop from other code."""
        asyncio._set_running_loop(None)


@dataclass
class PageErrors:
    """What a page must not do: contact another machine, or fail in JavaScript."""

    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Record from now on."""

        def requested(url: str) -> None:
            parts = urlsplit(url)
            here = parts.scheme in ("data", "blob", "about", "chrome-error")
            if not here and parts.hostname != "127.0.0.1" and not url.startswith(VOILA_LINKS):
                self.foreign.append(url)

        def failed(error: Exception) -> None:
            if not any(known in str(error) for known in HARMLESS):
                # The message alone does not name the code.
                self.errors.append(getattr(error, "stack", None) or str(error))

        page.on("request", lambda request: requested(request.url))
        page.on("websocket", lambda socket: requested(socket.url.replace("ws://", "http://", 1)))
        page.on("pageerror", failed)

    def collect(self) -> list[str]:
        """Return what happened since the last call, and clear it."""
        problems = [f"requested {url}" for url in self.foreign] + [
            f"error: {e}" for e in self.errors
        ]
        self.foreign.clear()
        self.errors.clear()
        return problems


def keep_picture(page: Page, folder: Path, name: str) -> Path:
    """Take a screenshot of the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
