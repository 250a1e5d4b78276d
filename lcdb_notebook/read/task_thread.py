"""A thread that does one task after another, and ends whenever an interrupt comes."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, Self, TypeAlias, TypeVar

__all__ = ["TaskThread", "have_ended"]

Result = TypeVar("Result")

_Tasks: TypeAlias = "SimpleQueue[Callable[[], Result] | None]"
_Results: TypeAlias = "SimpleQueue[tuple[Result | None, BaseException | None]]"


class TaskThread(Generic[Result]):
    """A thread that does tasks in the order in which they are submitted.

    It is for work beside the main thread, which receives interrupts. An interrupt inside ``submit``
    or ``wait`` of :mod:`concurrent.futures` may leave one of its locks locked, for which every
    executor of the process then waits forever. The queues used here are written in C: an interrupt
    comes before or after their calls. At the end of a ``with`` block, the thread has ended.

    Parameters
    ----------
    name : str
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._tasks: _Tasks[Result] = SimpleQueue()
        self._results: _Results[Result] = SimpleQueue()
        # A daemon, so that it does not block the exit of the interpreter.
        self._thread = threading.Thread(
            target=_serve, args=(self._tasks, self._results), name=name, daemon=True
        )
        # An interrupt may come before anything refers to this object.
        weakref.finalize(self, self._tasks.put, None)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        self.join()

    def submit(self, task: Callable[[], Result]) -> None:
        """Do a task after those that were submitted before."""
        self._tasks.put(task)

    def result(self, seconds: float | None = None) -> Result:
        """Return the result of the next task.

        Parameters
        ----------
        seconds : float, optional
            How long to wait for it; None waits until it has ended.

        Raises
        ------
        queue.Empty
            If it is not available within this time.
        BaseException
            Exceptions of the task.
        """
        result, failure = self._results.get(timeout=seconds)
        if failure is None:
            return result  # type: ignore[return-value]
        # Through the traceback, the frames of this thread would keep objects of the caller alive.
        try:
            raise failure
        finally:
            del failure

    def end(self) -> None:
        """Begin no other task, and end the thread after the current one; do not wait for it."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        self._tasks.put(None)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the end of the thread; return whether it has ended within this time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _serve(tasks: _Tasks[Result], results: _Results[Result]) -> None:
    """Do tasks until there is None; the thread does not refer to its object, which may be lost."""
    while (task := tasks.get()) is not None:
        try:
            results.put((task(), None))
        except BaseException as error:
            results.put((None, error))
        del task


def have_ended(threads: Sequence[TaskThread[Result]], seconds: float) -> bool:
    """Wait until all threads have ended; return whether they have within this time.

    Parameters
    ----------
    threads : sequence of TaskThread
        Threads whose :meth:`TaskThread.end` was called.
    seconds : float
        How long to wait for all of them together.
    """
    deadline = time.monotonic() + seconds
    return all(thread.join(max(0.0, deadline - time.monotonic())) for thread in threads)
