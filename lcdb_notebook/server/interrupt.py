"""Make Ctrl-C (the stop button of a notebook) cancel queries, although psycopg2 waits in C."""

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

# Seconds between two checks for signals while waiting.
_POLL_SECONDS = 0.1

# Seconds within which a new thread must have started.
_THREAD_STARTS_WITHIN = 1.0


def interruptible(
    connection: Any, work: Callable[[], Result], *, meanwhile: Callable[[], object] | None = None
) -> Result:
    """Run database work so that a KeyboardInterrupt cancels it on the server.

    psycopg2 blocks in libpq, where Python handles no signals until the server answers. The work
    therefore runs in a second thread while this one waits for signals. On an interrupt the running
    statement is cancelled, the connection stays usable, and the interrupt is raised. The second
    thread is kept for the next call, since starting a thread takes longer than a short statement.

    Parameters
    ----------
    connection : psycopg2 connection
        The connection that the work uses.
    work : callable
        The function to run; its result is returned, or its exception raised.
    meanwhile : callable, optional
        Called ten times a second while the work runs, to update a progress bar. An exception in it
        cancels the work as well.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread receives interrupts, so a second thread would have no benefit.
        return work()
    job = _Job(work)
    try:
        # Within try, because an interrupt may arrive while the work is being submitted.
        _workers.take(job)
        # With a timeout: a signal that arrives just before the wait, or in another thread, does not
        # end it and is only handled afterwards.
        while not job.waited(_POLL_SECONDS):
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        if job.begun.wait(_THREAD_STARTS_WITHIN):
            _cancel(connection, job)
        else:
            # No thread has started the job, and none may start it after this call has ended.
            job.work = None
        raise
    if job.failure is not None:
        # A reference in this frame would keep the caller's objects alive through the traceback.
        failure, job.failure = job.failure, None
        try:
            raise failure
        finally:
            del failure
    return job.results.pop()


class _Job(Generic[Result]):
    """Work, and its result or exception."""

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
        """Do the work; called in the second thread."""
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
        """Wake the thread that waits."""
        self.done = True
        self._under_way.release()

    def waited(self, seconds: float) -> bool:
        """Wait for the end of the work, with a timeout; return whether it has ended."""
        return self.done or self._under_way.acquire(timeout=seconds) or self.done


class _Workers:
    """Threads that wait for work: one, unless jobs run at the same time.

    They are daemon threads, which do not prevent the interpreter from exiting.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job[Any]] = SimpleQueue()
        # One entry for each thread that waits.
        self._idle: deque[None] = deque()

    def take(self, job: _Job[Any]) -> None:
        """Run a job in an idle thread, or in a new one."""
        try:
            self._idle.pop()
        except IndexError:
            threading.Thread(target=self._serve, name="lcdb-query", daemon=True).start()
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            job.run()
            # Before the caller continues, or its next call would start another thread.
            self._idle.append(None)
            job.finish()
            # It refers to objects of the caller, and the next job may come much later.
            del job


_workers = _Workers()


def _reset() -> None:
    """Start new threads in a forked process, which does not have those of its parent."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def _cancel(connection: Any, job: _Job[Any]) -> None:
    # Repeatedly: a cancel that arrives between two statements has no effect.
    while not job.done:
        # If the connection is lost, the work ends anyway.
        with contextlib.suppress(Exception):
            connection.cancel()
        job.waited(0.02)
