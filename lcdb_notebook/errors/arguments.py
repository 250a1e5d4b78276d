"""Checks of arguments that several methods share; their messages name the argument."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from lcdb_notebook.errors import ArgumentError

__all__ = ["check_choice", "check_number", "check_page"]

_LARGEST = 2**63 - 1  # of PostgreSQL's bigint


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Check an argument that must be one of several words.

    Raises
    ------
    ArgumentError
        If the value is not one of them.

    Examples
    --------
    >>> check_choice("on_error", "ignore", ("raise", "skip"))
    Traceback (most recent call last):
    lcdb_notebook.errors.ArgumentError: on_error must be 'raise' or 'skip', got 'ignore'
    """
    if not isinstance(value, str) or value not in choices:
        *first, last = (repr(choice) for choice in choices)
        raise ArgumentError(f"{name} must be {', '.join(first)} or {last}, got {value!r}")


def check_number(name: str, value: Any) -> None:
    """Check that an argument is a positive integer or None.

    Raises
    ------
    ArgumentError
        If it is neither.

    Examples
    --------
    >>> check_number("max_connections", 0)
    Traceback (most recent call last):
    lcdb_notebook.errors.ArgumentError: max_connections must be a positive integer or None, got 0
    """
    if value is not None and not 1 <= _integer(value) <= _LARGEST:
        raise ArgumentError(f"{name} must be a positive integer or None, got {value!r}")


def check_page(limit: Any, offset: Any = 0) -> None:
    """Check that ``limit`` and ``offset`` are non-negative integers or None (no limit).

    Raises
    ------
    ArgumentError
        If one of them is neither.

    Examples
    --------
    >>> check_page(-1)
    Traceback (most recent call last):
    lcdb_notebook.errors.ArgumentError: limit must be a non-negative integer or None, got -1
    """
    for name, value in (("limit", limit), ("offset", offset)):
        if value is not None and not 0 <= _integer(value) <= _LARGEST:
            raise ArgumentError(f"{name} must be a non-negative integer or None, got {value!r}")


def _integer(value: Any) -> int:
    """Return an integer, also one of numpy; -1 for everything else."""
    if isinstance(value, bool):
        return -1
    try:
        return operator.index(value)
    except TypeError:
        return -1
