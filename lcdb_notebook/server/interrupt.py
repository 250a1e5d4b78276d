"""Work that Ctrl-C (the notebook's stop button) ends, although psycopg2 waits inside C."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

__all__ = ["interruptible"]

Result = TypeVar("Result")

# Seconds after which a wait looks up, for signals and to draw.
_LOOKS_UP_EVERY = 0.1

# Seconds for which a thread that was asked for is believed to come yet.
_THREAD_STARTS_WITHIN = 1.0


def interruptible(
    connection: Any, work: Callable[[], Result], *, meanwhile: Callable[[], object] | None = None
) -> Result:
    """Run database work so that a KeyboardInterrupt cancels it on the server.

    Psycopg2 blocks in libpq, where Python delivers no signal until the server answers. So the work
    runs in a second thread while this one waits where signals do arrive; on an interrupt the
    running statement is cancelled, the connection comes back usable, and the interrupt goes on.
    The second thread is kept for the next call: to start one takes longer than a short statement.

    Parameters
    ----------
    connection
        The psycopg2 connection the work uses.
    work
        What to run; its result is returned and its exception raised here.
    meanwhile
        Called here ten times a second while the work goes on, to draw a progress bar. What it
        raises cancels the work, too.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets interrupts, so a second thread would gain nothing.
        return work()
    job = _Job(work)
    try:
        # Inside, because an interrupt may come while the work is being handed over.
        _workers.take(job)
        # Never for ever: a signal that arrives just before the wait begins, or in another thread,
        # does not end it, and is only noticed afterwards.
        while not job.waited(_LOOKS_UP_EVERY):
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        if job.begun.wait(_THREAD_STARTS_WITHIN):
            _cancel(connection, job)
        else:
            # No thread has it, and none shall begin it once nobody waits any more.
            job.work = None
        raise
    if job.failure is not None:
        # The frames of this one would keep the caller's objects alive through the traceback.
        failure, job.failure = job.failure, None
        try:
            raise failure
        finally:
            del failure
    return job.results.pop()


class _Job(Generic[Result]):
    """Work, and what came of it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self.work: Callable[[], Result] | None = work
        self.results: list[Result] = []
        self.failure: BaseException | None = None
        self.begun = threading.Event()
        self.done = False
        # A bare lock, held until the work is done: an Event takes longer to wait for.
        self._under_way = threading.Lock()
        self._under_way.acquire()

    def run(self) -> None:
        """Do the work, in the thread that got it."""
        work, self.work = self.work, None
        self.begun.set()
        try:
            if work is not None:
                self.results.append(work())
        except BaseException as error:
            self.failure = error
        finally:
            del work

    def finish(self) -> None:
        """Tell who waits."""
        self.done = True
        self._under_way.release()

    def waited(self, seconds: float) -> bool:
        """Wait for the end of the work, so long at most; say whether it has come."""
        return self.done or self._under_way.acquire(timeout=seconds) or self.done


class _Workers:
    """Threads that wait for work: one, unless work is asked for while other work goes on.

    They are daemons, which do not keep the interpreter from ending.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job[Any]] = SimpleQueue()
        # One entry for each thread that waits.
        self._idle: deque[None] = deque()

    def take(self, job: _Job[Any]) -> None:
        """Have a thread run a job: one that waits, or a new one."""
        try:
            self._idle.pop()
        except IndexError:
            threading.Thread(target=self._serve, name="lcdb-query", daemon=True).start()
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            job.run()
            # Before the caller goes on, or its next call would find nobody and start another.
            self._idle.append(None)
            job.finish()
            # It leads to objects of the caller's, and the next one may be long in coming.
            del job


_workers = _Workers()


def _begin_anew() -> None:
    """Have a forked process start threads of its own: those of its parent are not in it."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _cancel(connection: Any, job: _Job[Any]) -> None:
    # Again and again: a cancel that arrives between two statements of the work hits nothing.
    while not job.done:
        # A connection that is already dead ends the work by itself.
        with contextlib.suppress(Exception):
            connection.cancel()
        job.waited(0.02)
