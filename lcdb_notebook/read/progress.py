"""A progress bar that appears only if the work takes a while."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol, Self

from lcdb_notebook.search.size import Size

__all__ = ["Bar", "Progress"]

_PATIENCE = 1.0
"""Seconds before a bar appears automatically."""


class Bar(Protocol):
    """Shows the progress of the work."""

    def show(self, done: int) -> None:
        """Show the number of finished items."""


class Progress:
    """A context manager with a progress bar, which appears only if the work takes a while.

    ``tqdm`` is imported when the bar is drawn, because in a notebook the import itself is slow.

    Parameters
    ----------
    total : int or Size
        Number of items. If it is an estimate, there may be more.
    unit : str
        Name of an item.
    progress : bool or None
        True draws the bar immediately, False never, None after one second.
    before : int, default 0
        Items that were finished before; they do not count for the rate.
    """

    def __init__(self, total: int, unit: str, progress: bool | None, *, before: int = 0) -> None:
        self._before = before
        self._total = total
        self._is_estimate = isinstance(total, Size) and not total.exact
        self._unit = unit
        self._progress = progress
        self._began = time.monotonic()
        self._bar: Any = None

    def show(self, done: int) -> None:
        """Show the number of finished items."""
        if self._bar is None and self._is_time(done):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=self._total, unit=self._unit, initial=self._before)
            # The speed is measured from the beginning of the work.
            if not self._bar.disable:
                self._bar.start_t -= time.monotonic() - self._began
        if self._bar is not None:
            if self._is_estimate:
                self._total = self._bar.total = max(self._total, done)
            self._bar.update(min(done, self._total) - self._bar.n)

    def __enter__(self) -> Self:
        self.show(self._before)
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
        if self._progress is None:
            return done < self._total and time.monotonic() - self._began >= _PATIENCE
        return self._progress
