"""Which cell of a notebook made a widget: run again, it takes the place of what it made before."""

from __future__ import annotations

import weakref
from typing import Any

import ipywidgets as widgets

__all__ = ["replace_earlier"]

# By cell, the request that ran it last and the widgets that came of it.
_made: dict[str, tuple[str, weakref.WeakSet[widgets.Widget]]] = {}


def replace_earlier(widget: widgets.Widget) -> None:
    """Close what earlier runs of the same cell have made; a page shows its last run alone.

    ipywidgets keeps every widget until it is closed, so each run would else leave its figures,
    observers and light curves in the kernel. Front ends that do not say which cell is running keep
    them until ``close()``.
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
    """Give the ids of the cell and of the request that are being run."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    shell: Any = get_ipython()
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
    cell = parent.get("metadata", {}).get("cellId")
    request = parent.get("header", {}).get("msg_id")
    return None if cell is None or request is None else (str(cell), str(request))
