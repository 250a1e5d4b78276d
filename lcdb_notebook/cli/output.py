"""Print to standard output and standard error, never a password."""

from __future__ import annotations

import re
import sys

__all__ = ["print_error", "print_output", "without_password"]


def print_output(text: str) -> None:
    """Print a result to standard output."""
    print(without_password(text), flush=True)


def print_error(text: str) -> None:
    """Print a warning or an error to standard error."""
    print(without_password(text), file=sys.stderr, flush=True)


def without_password(text: str) -> str:
    """Return a text with passwords in URLs masked, because a URL may be passed as a path."""
    return re.sub(r"(://[^/\s:@]*:)[^\s/]*@", r"\1***@", text)
