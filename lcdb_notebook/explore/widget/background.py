"""Work that must not freeze the page: in a thread, with a progress bar and a Stop button."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import ipywidgets as widgets

from lcdb_notebook.explore.widget.error_box import ONE_AT_A_TIME, Trouble

__all__ = ["Debounced", "Stopped", "Task", "Work"]

Result = TypeVar("Result")

# Seconds: work that is done sooner shows no bar, and the bar moves no more often.
_PATIENCE, _STEP = 0.3, 0.1


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Raised inside work that nobody wants any more."""


class Task:
    """One piece of work under way: asks it to stop, and hears how far it is."""

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self._report = report
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None
        self._told = 0.0

    @property
    def stopped(self) -> bool:
        """Whether nobody wants the result any more."""
        return self._stop.is_set()

    def check(self) -> None:
        """Leave here if nobody wants the result any more.

        Raises
        ------
        Stopped
            Which ends the work without a message.
        """
        if self.stopped:
            raise Stopped

    def progress(self, done: float, text: str = "") -> None:
        """Say how much is done, from 0 to 1; also a place to stop at."""
        self.check()
        if time.monotonic() - self._told >= _STEP:
            self._told = time.monotonic()
            self._report(done, text)

    @contextmanager
    def cancelled_by(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call ``cancel`` if the work is to be stopped while it is inside.

        It is called from another thread, and never after the block was left.
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
        """Have the work end at its next :meth:`check`."""
        with self._lock:
            self._stop.set()
            if self._cancel is not None:
                self._cancel()


class Work(widgets.HBox):  # type: ignore[misc]
    """Runs work in a thread, the newest only, and shows a bar and a Stop button meanwhile.

    Where there is no event loop (plain Python, tests) work is done at once instead.

    Parameters
    ----------
    trouble
        Where to tell of exceptions.
    """

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._task: Task | None = None
        self._bar = widgets.FloatProgress(max=1.0, layout={"flex": "1 1 8em", "width": "auto"})
        self._text = widgets.Label()
        self._button = widgets.Button(
            description="Stop", icon="stop", tooltip="Stop this work", layout={"width": "auto"}
        )
        self._button.on_click(lambda _: self.stop())
        super().__init__(layout={"display": "none"})
        self.children = (self._text, self._bar, self._button)
        self.add_class("lcdb-work")

    @property
    def busy(self) -> bool:
        """Whether something is being worked at."""
        return self._task is not None

    def run(
        self,
        work: Callable[[Task], Result],
        then: Callable[[Result], object],
        *,
        doing: str,
        at_once: bool = False,
    ) -> None:
        """Do something, in place of what is being done now.

        Parameters
        ----------
        work
            Runs in a thread; no widget may be touched there. It is given the :class:`Task`, on
            which it calls ``check()`` or ``progress(0.5)`` now and then, so that it can be stopped.
        then
            Gets what ``work`` returned, where widgets may be touched, unless something newer was
            asked for meanwhile.
        doing
            What it does, as it ends the sentence "Could not ..."; also beside the bar.
        at_once
            Work here and now, without a thread, for what is always quick.
        """
        self.stop()
        try:
            loop = None if at_once else asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        # What a callback prints or shows belongs to the cell or message that asked for the work.
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
        self._bar.value = 0.0
        self._text.value = doing[:1].upper() + doing[1:]
        loop.call_later(_PATIENCE, self._appear, task)
        threading.Thread(target=thread, name="lcdb-explore", daemon=True).start()

    def stop(self) -> None:
        """Stop what is being done; its result will be dropped."""
        task, self._task = self._task, None
        self.layout.display = "none"
        if task is not None:
            task.stop()

    def close(self) -> None:
        """Stop, and take the bar off the page."""
        self.stop()
        super().close()

    def _appear(self, task: Task) -> None:
        if task is self._task:
            self.layout.display = None

    def _show(self, task: Task, done: float, text: str) -> None:
        if task is self._task:
            self._bar.value = done
            if text:
                self._text.value = text

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
                self._trouble.show(error, doing)
                return
            with self._trouble.watching(doing):
                then(result)


class Debounced:
    """A call that waits until changes have stopped coming; of quick ones the last is made.

    Where there is no event loop it is made at once.

    Parameters
    ----------
    call
        What to call, with the arguments of the last change.
    seconds
        How long to wait for another change.
    """

    def __init__(self, call: Callable[..., object], seconds: float = 0.05) -> None:
        self._call = call
        self._seconds = seconds
        self._waiting: asyncio.TimerHandle | None = None

    def __call__(self, *args: Any) -> None:
        """Make the call, unless another comes soon."""
        self.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._call(*args)
            return
        self._waiting = loop.call_later(self._seconds, self._now, *args)

    def cancel(self) -> None:
        """Forget a change that is still waiting."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _now(self, *args: Any) -> None:
        self._waiting = None
        self._call(*args)
