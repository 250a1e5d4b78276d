"""Warnings that show the line of the user's code instead of a line of this package."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]

_PACKAGE = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Issue a UserWarning for the innermost line of code outside this package.

    A notebook shows a warning with its line. A fixed ``stacklevel`` would not work, because the
    number of frames of this package depends on the method that was called.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn("two light curves were skipped")
    >>> str(caught[0].message)
    'two light curves were skipped'
    """
    level = 2
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)
