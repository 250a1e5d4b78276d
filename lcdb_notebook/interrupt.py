"""Work that Ctrl-C (the notebook's stop button) ends, although psycopg2 waits inside C."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["interruptible"]

Result = TypeVar("Result")

# Seconds for which a thread that was asked for is believed to come yet.
_THREAD_STARTS_WITHIN = 1.0


def interruptible(
    connection: Any, work: Callable[[], Result], *, meanwhile: Callable[[], object] | None = None
) -> Result:
    """Run database work so that a KeyboardInterrupt cancels it on the server.

    Psycopg2 blocks in libpq, where Python delivers no signal until the server answers. So the work
    runs in a second thread while this one waits where signals do arrive; on an interrupt the
    running statement is cancelled, the connection comes back usable, and the interrupt goes on.

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
    results: list[Result] = []
    failures: list[BaseException] = []
    begun, done = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="lcdb-query", daemon=True)
    try:
        # Inside, because an interrupt may come while the thread is being started.
        thread.start()
        while not done.wait(None if meanwhile is None else 0.1):
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        if begun.wait(_THREAD_STARTS_WITHIN):
            _cancel(connection, done)
        raise
    if failures:
        # The frames of this one would keep the caller's objects alive through the traceback.
        raise failures.pop()
    return results.pop()


def _cancel(connection: Any, done: threading.Event) -> None:
    # Again and again: a cancel that arrives between two statements of the work hits nothing.
    while not done.is_set():
        # A connection that is already dead ends the work by itself.
        with contextlib.suppress(Exception):
            connection.cancel()
        done.wait(0.02)
