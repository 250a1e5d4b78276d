"""Calling functions in the thread of the event loop, where the database's session is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_this_thread"]

Result = TypeVar("Result")


def in_this_thread() -> Callable[[Callable[[], Result]], Result]:
    """Return a function that calls another function in the present thread.

    SQLAlchemy sessions must not be used by two threads at once, so work in a thread calls whatever
    uses the session through this.

    Returns
    -------
    callable
        Called with a function without arguments, from any thread, it returns the function's result.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda call: call()

    async def done(call: Callable[[], Result]) -> Result:
        return call()

    def here(call: Callable[[], Result]) -> Result:
        try:
            in_loop = asyncio.get_running_loop() is loop
        except RuntimeError:
            in_loop = False
        if in_loop:
            return call()
        return asyncio.run_coroutine_threadsafe(done(call), loop).result()

    return here
