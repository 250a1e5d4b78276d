"""The progress of the processes of the soak, which they exchange by files in one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

POLL = 0.1
"""Seconds between two looks at a file or a process that is waited for."""


class Versions(NamedTuple):
    """Of one star: the last version that is committed, and the last that was begun."""

    committed: int
    begun: int


class Progress:
    """The folder of one soak."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server"

    def write(self, name: str, value: Any) -> None:
        """Write a value as JSON; who reads it sees the old value or the new one."""
        new = self.folder / f"{name}.new"
        new.write_text(json.dumps(value))
        new.replace(self.folder / name)

    def read(self, name: str, default: Any = None) -> Any:
        """Read a value, or return the default if there is none yet."""
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return default

    def count(self, prefix: str) -> int:
        """Count the values whose names begin so."""
        return len([path for path in self.folder.glob(f"{prefix}*") if path.suffix != ".new"])

    def committed(self) -> int:
        """Return how many stars the first writer has committed."""
        return int(self.read("committed", 0))

    def versions(self, target: int) -> Versions:
        """Return the versions of a star of the second writer."""
        return Versions(*self.read(f"versions-{target}", (0, 0)))


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition at most so long; return whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
