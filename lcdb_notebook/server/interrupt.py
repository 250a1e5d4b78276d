"""Interrupt database work with Ctrl-C or the stop button, even if the server does not answer."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from lcdb_notebook.server.cancel import CancelRequest, abandon

__all__ = ["interruptible"]

Result = TypeVar("Result")

# Seconds between checks for signals, which is also the interval of progress bars.
_LOOK_EVERY = 0.1

# Seconds within which a new thread is expected to start.
_THREAD_STARTS_WITHIN = 1.0

# Seconds within which the server must cancel a statement. A slow network needs a few tenths. After
# that, the connection is abandoned, because the stop button must return the prompt.
_CANCEL_TIMEOUT = 1.0

# Seconds within which work ends after its socket was shut down, which takes milliseconds.
_END_TIMEOUT = 0.4


def interruptible(
    connection: Any,
    work: Callable[[], Result],
    *,
    meanwhile: Callable[[], object] | None = None,
    discard: Callable[[Result], object] | None = None,
) -> Result:
    """Run database work so that a KeyboardInterrupt ends it within two seconds.

    psycopg2 blocks inside libpq, where Python cannot deliver signals. Therefore the work runs in a
    second thread, while this thread waits and can receive signals. On an interrupt, the running
    statement is cancelled, the connection stays usable, and the interrupt is raised. If the server
    or the network does not answer within a second, the connection is abandoned instead. The second
    thread is kept for the next call, because starting one takes longer than a short statement.

    Parameters
    ----------
    connection : psycopg2.extensions.connection or None
        The connection that the work uses; None if the work opens it.
    work : callable
        The work to run.
    meanwhile : callable, optional
        Called ten times a second while the work runs, to draw a progress bar. If it raises an
        exception, the work is cancelled, too.
    discard : callable, optional
        Called with the result of work that ends after it was abandoned.

    Returns
    -------
    object
        The result of the work.

    Raises
    ------
    KeyboardInterrupt
        If the work was interrupted.
    Exception
        Exceptions of the work.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread receives interrupts, so a second thread would be useless.
        return work()
    job = _Job(work, discard)
    try:
        # Inside the try block, because an interrupt may come while the job is passed to a thread.
        _workers.take(job)
        # With a timeout, because a signal that arrives just before the wait, or in another thread,
        # does not end the wait and is handled only afterwards.
        while not job.waited(_LOOK_EVERY):
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        if job.begun.wait(_THREAD_STARTS_WITHIN):
            _stop(connection, job)
        else:
            # No thread has started the job, and no thread may start it now.
            job.work = None
        raise
    if job.failure is not None:
        # Through the traceback, the frames of this thread would keep objects of the caller alive.
        failure, job.failure = job.failure, None
        try:
            raise failure
        finally:
            del failure
    return job.results.pop()


class _Job(Generic[Result]):
    """Work and its result."""

    def __init__(
        self, work: Callable[[], Result], discard: Callable[[Result], object] | None
    ) -> None:
        self.work: Callable[[], Result] | None = work
        self.results: list[Result] = []
        self.failure: BaseException | None = None
        self.begun = threading.Event()
        self.done = False
        self._discard = discard
        self._abandoned = False
        # A plain lock, held until the work is done, because waiting for an Event takes longer.
        self._under_way = threading.Lock()
        self._under_way.acquire()

    def run(self) -> None:
        """Do the work, in a thread of the pool."""
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
        """Wake the waiting thread."""
        self.done = True
        self._under_way.release()
        if self._abandoned:
            self._throw_away()

    def waited(self, seconds: float) -> bool:
        """Wait for the end of the work; return whether it has ended within the timeout."""
        return self.done or self._under_way.acquire(timeout=seconds) or self.done

    def abandon(self) -> None:
        """Discard the result, now or when it is available."""
        self._abandoned = True
        if self.done:
            self._throw_away()

    def _throw_away(self) -> None:
        # Both threads may get here, but only one of them gets the result.
        with contextlib.suppress(IndexError):
            result = self.results.pop()
            if self._discard is not None:
                self._discard(result)


class _Workers:
    """Threads that wait for jobs: one, or more if a job is started while another runs.

    They are daemon threads, so that they do not block the exit of the interpreter.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job[Any]] = SimpleQueue()
        # One entry for each waiting thread.
        self._idle: deque[None] = deque()

    def take(self, job: _Job[Any]) -> None:
        """Run a job in a waiting thread, or in a new thread."""
        try:
            self._idle.pop()
        except IndexError:
            threading.Thread(target=self._serve, name="lcdb-query", daemon=True).start()
        self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            job.run()
            # Before the caller continues; otherwise its next call would start another thread.
            self._idle.append(None)
            job.finish()
            # The job refers to objects of the caller, and it may take long until the next job.
            del job


_workers = _Workers()


def _reset_after_fork() -> None:
    """Start new threads in a forked process, which does not inherit threads."""
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def _stop(connection: Any, job: _Job[Any]) -> None:
    """End a job by cancelling its statement, or by abandoning its connection."""
    if connection is None:
        job.abandon()
        return
    # In a thread, because the request itself can wait forever for the server.
    request = CancelRequest(connection)
    canceller = threading.Thread(
        target=_cancel_until_done, args=(request, job), name="lcdb-cancel", daemon=True
    )
    deadline = time.monotonic() + _CANCEL_TIMEOUT
    ended = False
    try:
        canceller.start()
        if job.waited(_CANCEL_TIMEOUT):
            # A request that arrives late would cancel the next statement.
            canceller.join(max(0.05, deadline - time.monotonic()))
            ended = not canceller.is_alive()
    finally:
        # Even if another interrupt came during the wait.
        if not ended:
            abandon(connection)
            job.waited(_END_TIMEOUT)
            job.abandon()


def _cancel_until_done(request: CancelRequest, job: _Job[Any]) -> None:
    # Repeated, because a request that arrives between two statements has no effect.
    while not job.done:
        request()
        if not job.done:
            time.sleep(0.02)
