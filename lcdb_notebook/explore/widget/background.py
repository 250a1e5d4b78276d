"""Slow work in a thread, with a progress bar and a Stop button."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import ipywidgets as widgets

from lcdb_notebook.explore.widget.error_box import ONE_AT_A_TIME, ErrorBox

__all__ = ["Debounced", "Stopped", "Task", "Work"]

Result = TypeVar("Result")

# Seconds: faster work shows no bar; minimum time between two updates of the bar.
_PATIENCE, _STEP = 0.3, 0.1


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Raised inside work that was stopped."""


class Task:
    """A piece of work in progress, which can be stopped and reports its progress.

    Parameters
    ----------
    report : callable
        Called with the fraction done (0 to 1) and a text.
    """

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self._report = report
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None
        self._reported = 0.0

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise if the work was stopped.

        Raises
        ------
        Stopped
            Ends the work without a message on the page.
        """
        if self.stopped:
            raise Stopped

    def progress(self, done: float, text: str = "") -> None:
        """Report progress, and raise if the work was stopped.

        Parameters
        ----------
        done : float
            The fraction done, 0 to 1.
        text : str, optional
            A label for the progress bar.

        Raises
        ------
        Stopped
            As for :meth:`check`.
        """
        self.check()
        if time.monotonic() - self._reported >= _STEP:
            self._reported = time.monotonic()
            self._report(done, text)

    @contextmanager
    def cancelled_by(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call ``cancel`` if the work is stopped while the block runs.

        Parameters
        ----------
        cancel : callable
            Called from another thread, never after the block has ended.
        """
        with self._lock:
            self.check()
            self._cancel = cancel
        try:
            yield
        finally:
            with self._lock:
                self._cancel = None

    def stop(self) -> None:
        """Stop the work at its next :meth:`check`, and cancel its query."""
        with self._lock:
            self._stop.set()
            if self._cancel is not None:
                self._cancel()


class Work(widgets.HBox):  # type: ignore[misc]
    """Run work in a thread and show a progress bar and a Stop button.

    New work replaces work in progress. Without an event loop (plain Python, tests) work runs
    synchronously.

    Parameters
    ----------
    error_box : ErrorBox
        Shows the exceptions raised by the work.
    """

    def __init__(self, error_box: ErrorBox) -> None:
        self._error_box = error_box
        self._task: Task | None = None
        self._progress = (0.0, "")
        super().__init__(layout={"display": "none"}, _dom_classes=("lcdb-work",))

    @property
    def busy(self) -> bool:
        """Whether work is in progress."""
        return self._task is not None

    def run(
        self,
        work: Callable[[Task], Result],
        then: Callable[[Result], object],
        *,
        doing: str,
        at_once: bool = False,
    ) -> None:
        """Start work, replacing any work in progress.

        Parameters
        ----------
        work : callable
            Runs in a thread and must not change widgets. It is called with the :class:`Task`,
            and must call its ``check()`` or ``progress(...)`` regularly so that it can be stopped.
        then : callable
            Called with the result of ``work`` in the event loop, where widgets may be changed,
            unless other work was started in the meantime.
        doing : str
            The action, for the label of the bar and for "Could not <doing>".
        at_once : bool, optional
            Run synchronously, for work that is always fast.
        """
        self.stop()
        try:
            loop = None if at_once else asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        # Output of the callback belongs to the cell or message that started the work.
        context = contextvars.copy_context()

        def here(call: Callable[..., object], *args: Any) -> None:
            if loop is None:
                call(*args)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(call, *args, context=context)

        task = Task(lambda done, text: here(self._show, task, done, text))
        self._task = task

        def thread() -> None:
            try:
                result = work(task)
            except Exception as error:
                here(self._deliver, task, None, error, then, doing)
            else:
                here(self._deliver, task, result, None, then, doing)

        if loop is None:
            thread()
            return
        self._progress = (0.0, doing[:1].upper() + doing[1:])
        loop.call_later(_PATIENCE, self._appear, task)
        threading.Thread(target=thread, name="lcdb-explore", daemon=True).start()

    def stop(self) -> None:
        """Stop the work in progress and discard its result."""
        task, self._task = self._task, None
        self.layout.display = "none"
        if task is not None:
            task.stop()

    def close(self) -> None:
        """Stop the work and close the widget."""
        self.stop()
        super().close()

    def _appear(self, task: Task) -> None:
        if task is not self._task:
            return
        if not hasattr(self, "_text"):
            # Most explorers never need them, and each widget delays the first picture.
            self._bar = widgets.FloatProgress(max=1.0, layout={"flex": "1 1 8em", "width": "auto"})
            self._text = widgets.Label()
            self._button = widgets.Button(
                description="Stop", icon="stop", tooltip="Stop this work", layout={"width": "auto"}
            )
            self._button.on_click(lambda _: self.stop())
            self.children = (self._text, self._bar, self._button)
        self._bar.value, self._text.value = self._progress
        self.layout.display = None

    def _show(self, task: Task, done: float, text: str) -> None:
        if task is self._task:
            self._progress = (done, text or self._progress[1])
            if self.layout.display is None:
                self._bar.value, self._text.value = self._progress

    def _deliver(
        self,
        task: Task,
        result: Any,
        error: Exception | None,
        then: Callable[[Any], object],
        doing: str,
    ) -> None:
        with ONE_AT_A_TIME:
            if task is not self._task:
                return
            self._task = None
            self.layout.display = "none"
            if isinstance(error, Stopped):
                return
            if error is not None:
                self._error_box.show(error, doing)
                return
            with self._error_box.watching(doing):
                then(result)


class Debounced:
    """A function call that is delayed until no further call arrives for some time.

    Only the last of several quick calls is made. Without an event loop each call is made at once.

    Parameters
    ----------
    call : callable
        The function.
    seconds : float, optional
        How long to wait for another call.
    leading : bool, optional
        Make a call at once that comes so long after the one before was finished.
    """

    def __init__(
        self, call: Callable[..., object], seconds: float = 0.05, *, leading: bool = False
    ) -> None:
        self._call = call
        self._seconds = seconds
        self._leading = leading
        self._finished = -math.inf
        self._waiting: asyncio.TimerHandle | None = None

    def __call__(self, *args: Any) -> None:
        """Schedule the call, replacing one that is waiting."""
        quick = self._waiting is not None or time.monotonic() - self._finished < self._seconds
        self.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._call(*args)
            return
        if self._leading and not quick:
            self._now(*args)
            return
        self._waiting = loop.call_later(self._seconds, self._now, *args)

    def cancel(self) -> None:
        """Drop the call that is waiting, if any."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _now(self, *args: Any) -> None:
        self._waiting = None
        try:
            self._call(*args)
        finally:
            self._finished = time.monotonic()
