"""How the command talks: to standard output, to standard error, and never of a password."""

from __future__ import annotations

import re
import sys

__all__ = ["complain", "say", "without_password"]


def say(text: str) -> None:
    """Print what was asked for."""
    print(without_password(text), flush=True)


def complain(text: str) -> None:
    """Print what went wrong, where it does not mix with what was asked for."""
    print(without_password(text), file=sys.stderr, flush=True)


def without_password(text: str) -> str:
    """Blot out the password of every URL: a person may give one where a path is expected."""
    return re.sub(r"(://[^/\s:@]*:)[^\s/]*@", r"\1***@", text)
