"""Interrupts at every place where a signal may arrive."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interrupt_at(place: int, *modules: str) -> Iterator[list[str]]:
    """Raise KeyboardInterrupt before a line of these modules, or before one of their returns.

    The first time that such a place is reached has the number 1. Yields a list of the place, which
    stays empty if the block ends before it. Threads are started without an interrupt: one that
    comes meanwhile may leave a lock of Python's own locked.
    """
    passed = 0
    interrupted: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        code = frame.f_code
        if not code.co_filename.startswith(modules) or _is_starting(frame):
            return None
        passed += event in ("line", "return")
        if passed == place:
            sys.settrace(None)
            interrupted.append(f"{code.co_filename}:{frame.f_lineno}")
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield interrupted
    except KeyboardInterrupt:
        assert interrupted
    finally:
        sys.settrace(before)


def _is_starting(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not threading.Thread.start.__code__:
        frame = frame.f_back
    return frame is not None
