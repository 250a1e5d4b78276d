"""A progress bar that appears only when there is something to wait for."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["Bar", "Progress"]

_PATIENCE = 1.0
"""Seconds before a bar appears by itself."""


class Bar(Protocol):
    """What can be told how far the work is."""

    def show(self, done: int) -> None:
        """Say how many things are done."""


class Progress:
    """A bar for work that lasts; as a context manager it is closed in the end.

    ``tqdm`` is imported when the bar is drawn: in a notebook that alone takes a while.

    Parameters
    ----------
    total
        How many things there are to do.
    unit
        What one of them is called.
    wanted
        True draws the bar at once, False never, None once the work has lasted a second.
    """

    def __init__(self, total: int, unit: str, wanted: bool | None) -> None:
        self._total = total
        self._unit = unit
        self._wanted = wanted
        self._began = time.monotonic()
        self._bar: Any = None

    def show(self, done: int) -> None:
        """Say how many things are done."""
        if self._bar is None and self._is_time(done):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self._total, unit=self._unit)
            # What is told as speed counts from the beginning of the work.
            self._bar.start_t -= time.monotonic() - self._began
        if self._bar is not None:
            self._bar.update(min(done, self._total) - self._bar.n)

    def __enter__(self) -> Self:
        self.show(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _is_time(self, done: int) -> bool:
        if self._wanted is None:
            return done < self._total and time.monotonic() - self._began >= _PATIENCE
        return self._wanted
