"""Closing the widgets that an earlier run of the same notebook cell created."""

from __future__ import annotations

import weakref
from typing import Any

import ipywidgets as widgets

__all__ = ["replace_earlier"]

# For each cell id, the id of its last execution request and the widgets created in it.
_made: dict[str, tuple[str, weakref.WeakSet[widgets.Widget]]] = {}


def replace_earlier(widget: widgets.Widget) -> None:
    """Close the widgets that earlier runs of the running cell registered here.

    ipywidgets references every widget until it is closed, so each run would otherwise leave its
    figures, observers and light curves in the kernel. Front ends that do not send the id of the
    cell keep them until ``close()``.

    Parameters
    ----------
    widget : ipywidgets.Widget
        A widget created by the running cell.
    """
    here = _running()
    if here is None:
        return
    cell, request = here
    last, earlier = _made.get(cell, (request, weakref.WeakSet()))
    if last != request:
        for old in list(earlier):
            old.close()
        earlier = weakref.WeakSet()
    earlier.add(widget)
    _made[cell] = (request, earlier)


def _running() -> tuple[str, str] | None:
    """Return the ids of the running cell and of its execution request, or None."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    shell: Any = get_ipython()
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
    cell = parent.get("metadata", {}).get("cellId")
    request = parent.get("header", {}).get("msg_id")
    return None if cell is None or request is None else (str(cell), str(request))
