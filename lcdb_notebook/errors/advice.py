"""Advice in messages: in Python's words, or in those of the command line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["advice", "for_terminal"]

# Not a context variable, because files are also read in other threads.
_terminal = threading.Event()


def advice(*, python: str, terminal: str) -> str:
    """Return the part of a message that names a call, or the command or option for the same.

    Call it when the message is made, not when the module is imported.

    Parameters
    ----------
    python : str
        For code and notebooks.
    terminal : str
        For the command ``lcdb-notebook``.

    Examples
    --------
    >>> advice(python="pass wide=True", terminal="add --wide")
    'pass wide=True'
    >>> with for_terminal():
    ...     advice(python="pass wide=True", terminal="add --wide")
    'add --wide'
    """
    return terminal if _terminal.is_set() else python


@contextmanager
def for_terminal() -> Iterator[None]:
    """Make messages name commands and options of ``lcdb-notebook`` during the block."""
    _terminal.set()
    try:
        yield
    finally:
        _terminal.clear()
