"""Print to standard output and standard error, never a password."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["print_error", "print_json", "print_output", "records", "without_password"]


def print_output(text: str) -> None:
    """Print a result to standard output."""
    print(without_password(text), flush=True)


def print_json(value: Any) -> None:
    """Print a result to standard output as JSON."""
    print_output(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def records(frame: pd.DataFrame) -> Any:
    """Return the rows of a DataFrame for JSON, with missing values as None."""
    return json.loads(frame.to_json(orient="records", default_handler=str))


def print_error(text: str) -> None:
    """Print a warning or an error to standard error."""
    print(without_password(text), file=sys.stderr, flush=True)


def without_password(text: str) -> str:
    """Return a text with passwords in URLs masked, because a URL may be passed as a path."""
    return re.sub(r"(://[^/\s:@]*:)[^\s/]*@", r"\1***@", text)
