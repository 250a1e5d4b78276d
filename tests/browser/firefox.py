"""Firefox without a window, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Firefox speaks it by itself, so that no driver is needed; playwright drives only a
patched Firefox.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from .servers import free_port

NAMES = ("firefox-esr", "firefox")
SECONDS = 60

# Nothing may leave this machine.
SETTINGS = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1",
}


def executable() -> str | None:
    """Find Firefox: ``LCDB_FIREFOX``, or what PATH has."""
    return os.environ.get("LCDB_FIREFOX") or next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """A tab of Firefox."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.send("session.new", capabilities={})
        self._context = self.send("browsingContext.create", type="tab")["context"]

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its result.

        Raises
        ------
        AssertionError
            If Firefox refuses it.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def goto(self, url: str) -> None:
        """Open a page."""
        self.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript, wait for a promise, and return a value that is JSON.

        Raises
        ------
        AssertionError
            If it throws.
        """
        found = self.send(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then(value => JSON.stringify(value))",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert found["type"] == "success", found.get("exceptionDetails")
        return json.loads(found["result"].get("value", "null"))

    def until(self, expression: str) -> Any:
        """Evaluate until the value is true."""
        end = time.monotonic() + SECONDS
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} is still {value!r} after {SECONDS} s"
            # Lets the page go on meanwhile.
            self.evaluate("new Promise(requestAnimationFrame)")
        return value

    def picture(self, path: Path) -> None:
        """Take a screenshot of what is visible."""
        import base64

        shot = self.send("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def firefox(folder: Path) -> Iterator[Tab]:
    """Start Firefox with a profile in a folder, and end it."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in SETTINGS.items()]
    (profile / "user.js").write_text("\n".join(lines))
    found, port = executable(), free_port()
    assert found is not None
    command = [found, "--headless", "--no-remote", f"--remote-debugging-port={port}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--profile", str(profile)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(folder), "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
            start_new_session=True,
        )
    try:
        end = time.monotonic() + SECONDS
        while True:
            try:
                socket = websocket.create_connection(
                    f"ws://127.0.0.1:{port}/session", timeout=SECONDS, suppress_origin=True
                )
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, (folder / "log").read_text()
                # Firefox has no other sign that it listens.
                time.sleep(0.1)
        yield Tab(socket)
        socket.close()
    finally:
        process.terminate()
        process.wait(SECONDS)
