"""Short tracebacks in notebooks: the user's lines, the message, and what to do."""

from __future__ import annotations

import linecache
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["short_traceback"]

_PACKAGE = str(Path(__file__).parent.parent)

# How many of the user's frames, from the innermost, and how many lines of the message are shown.
_FRAMES, _LINES = 3, 6

_HINT = "(%xmode Verbose shows the whole traceback and the error of the driver)"


def short_traceback(error: BaseException) -> list[str]:
    """Return the lines that IPython shows for an error of this package.

    The frames of this package, SQLAlchemy and the driver are left out: they have about a hundred
    lines, which do not help to correct a call or to reach a server. ``%xmode Verbose`` shows all of
    them.

    Parameters
    ----------
    error : BaseException
        The error, with its traceback.

    Returns
    -------
    list of str
        Fewer than 15 lines.
    """
    shell = _shell()
    printer: Any = getattr(shell, "InteractiveTB", None)
    if getattr(printer, "mode", None) == "Verbose":
        full: list[str] = printer.structured_traceback(type(error), error, error.__traceback__)
        return full
    lines = []
    for name, number in _own_frames(error.__traceback__)[-_FRAMES:]:
        source = linecache.getline(name, number).strip()
        lines.append(f"{_place(shell, name)}, line {number}")
        if source:
            lines.append(f"    {source}")
    message = "".join(traceback.format_exception_only(error)).strip().splitlines()
    if len(message) > _LINES:
        message = [*message[: _LINES - 1], "..."]
    kind, colon, rest = message[0].partition(":")
    name = kind.rpartition(".")[2]
    return [*lines, f"\x1b[31m{name}\x1b[0m{colon}{rest}", *message[1:], _HINT]


def _own_frames(trace: TracebackType | None) -> list[tuple[str, int]]:
    """Return file and line of the frames before the first frame of this package."""
    found = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            break
        if "IPython" not in trace.tb_frame.f_globals.get("__name__", ""):
            found.append((name, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _place(shell: Any, name: str) -> str:
    """Name a file as IPython does: ``Cell In[3]`` for a cell."""
    describe = getattr(getattr(shell, "compile", None), "format_code_name", None)
    described = describe(name) if describe is not None else None
    return " ".join(described) if described else f"File {name}"


def _shell() -> Any:
    """Return IPython's shell; None outside IPython."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None
