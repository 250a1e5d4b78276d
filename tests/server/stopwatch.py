"""Seconds that do not depend on what else the machine does."""

from __future__ import annotations

import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")


class Stopwatch:
    """Measures how long something took, less the time for which the machine was overloaded.

    A test that bounds a time checks whether the code waited for something it should not wait
    for. On a busy machine, processes also wait for a processor. Linux counts the time during which
    any of them did ("some" in ``/proc/pressure/cpu``; its documentation: "Pressure Stall
    Information"), and that time is left out. Where the file does not exist, nothing is.
    """

    def __init__(self) -> None:
        self._began = self._now()

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return self._now() - self._began

    @staticmethod
    def _now() -> float:
        now = time.monotonic()
        try:
            some, _, _ = PRESSURE.read_text().partition("\n")
        except OSError:
            return now
        return now - int(some.rpartition("total=")[2]) / 1e6
