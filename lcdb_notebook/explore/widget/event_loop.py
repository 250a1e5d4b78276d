"""Have something done in this thread, where the database's session is at home, from another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_this_thread"]

Result = TypeVar("Result")


def in_this_thread() -> Callable[[Callable[[], Result]], Result]:
    """Give a function that has something done in this thread, wherever it is called itself."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda call: call()

    async def done(call: Callable[[], Result]) -> Result:
        return call()

    def here(call: Callable[[], Result]) -> Result:
        try:
            at_home = asyncio.get_running_loop() is loop
        except RuntimeError:
            at_home = False
        if at_home:
            return call()
        return asyncio.run_coroutine_threadsafe(done(call), loop).result()

    return here
