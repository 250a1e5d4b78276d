"""Run a COPY."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

__all__ = ["run_copy"]


def run_copy(cursor: Any, statement: str, file: Any, *, size: int) -> None:
    """Run a COPY, without the output of psycopg2 if the connection is lost meanwhile.

    Parameters
    ----------
    cursor : psycopg2.extensions.cursor
        A cursor of the connection.
    statement : str
        ``COPY ... TO STDOUT`` or ``COPY ... FROM STDIN``.
    file : file-like
        What is written to or read from.
    size : int
        Bytes for each call of the file.

    Raises
    ------
    psycopg2.Error
        If the server reports an error, or the connection is lost.
    """
    with _quiet():
        cursor.copy_expert(statement, file, size=size)


# If the server, or a pooler in front of it, sends a message before it closes the connection,
# psycopg2 reads two errors in a row. It then prints a SystemError by way of sys.excepthook, which
# adds nothing to the exception that it raises.
_lock = threading.Lock()
_users = 0
_excepthook: Callable[..., Any] = sys.excepthook


@contextmanager
def _quiet() -> Iterator[None]:
    global _users, _excepthook
    with _lock:
        if not _users:
            _excepthook, sys.excepthook = sys.excepthook, _print
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _put_back()


def _print(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if not (isinstance(error, SystemError) and isinstance(error.__cause__, psycopg2.Error)):
        _excepthook(kind, error, traceback)


def _put_back() -> None:
    if sys.excepthook is _print:
        sys.excepthook = _excepthook


def _reset_after_fork() -> None:
    """Forget, in a forked process, the threads of its parent, which may be copying."""
    global _lock, _users
    _lock, _users = threading.Lock(), 0
    _put_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
