"""Closing explorers that are no longer used, such as those of an earlier run of the same cell."""

from __future__ import annotations

import weakref
from typing import Any

import ipywidgets as widgets

__all__ = ["MOST_OPEN", "replace_earlier"]

#: The largest number of open explorers in front ends that do not send the id of the running cell.
MOST_OPEN = 8

# For each cell id, the id of its last execution request and the widgets created in it.
_made: dict[str, tuple[str, weakref.WeakSet[widgets.Widget]]] = {}

# Widgets without a cell id, oldest first, each with the id of the request that created it.
_without_cell: list[tuple[weakref.ref[widgets.Widget], str | None]] = []

# Those of them that a page has shown.
_seen: weakref.WeakSet[widgets.Widget] = weakref.WeakSet()


def replace_earlier(widget: widgets.Widget, *, limited: bool = True) -> None:
    """Close the explorers that a new one replaces.

    ipywidgets references every widget until it is closed, so each run of a cell would otherwise
    leave its figures, observers, light curves and database in the kernel. Explorers created by
    earlier runs of the running cell are closed. If the front end does not send the id of the cell,
    explorers are closed that are no longer on a page and that no variable refers to, and the oldest
    if there are more than :data:`MOST_OPEN`.

    Parameters
    ----------
    widget : ipywidgets.Widget
        An explorer or figure that the running cell has created.
    limited : bool, optional
        Whether the widget counts for the limit without cell ids; figures do not, as they hold no
        connection.
    """
    here = _running()
    if here is None:
        if not limited:
            return
        _close_unused(_request().get("header", {}).get("msg_id"))
        _without_cell.append((weakref.ref(widget), _request().get("header", {}).get("msg_id")))
        # The page keeps the number of views in this trait unless it is None.
        widget._view_count = 0
        widget.observe(_note_view, "_view_count")
        return
    cell, request = here
    last, earlier = _made.get(cell, (request, weakref.WeakSet()))
    if last != request:
        for old in list(earlier):
            old.close()
        earlier = weakref.WeakSet()
    earlier.add(widget)
    _made[cell] = (request, earlier)


def _note_view(change: Any) -> None:
    if change["new"]:
        _seen.add(change["owner"])


def _close_unused(request: str | None) -> None:
    """Close widgets that nothing shows or names, and the oldest beyond the bound."""
    alive = [(w, made) for ref, made in _without_cell if (w := ref()) is not None and not w.closed]
    names = _named()
    for old, made in alive:
        # Not shown yet is not the same as no longer shown.
        gone = old in _seen and not old._view_count
        if gone and id(old) not in names and (made is None or made != request):
            old.close()
    left = [(w, made) for w, made in alive if not w.closed]
    # Those with a name last.
    left.sort(key=lambda one: id(one[0]) in names)
    excess = max(0, len(left) - (MOST_OPEN - 1))
    for old, _ in left[:excess]:
        old.close()
    kept = {id(w) for w, _ in left[excess:]}
    _without_cell[:] = [(weakref.ref(w), made) for w, made in alive if id(w) in kept]


def _named() -> set[int]:
    """Return the ids of the objects that variables of the notebook refer to.

    ``Out`` and ``_`` do not count: they refer to everything that a cell has displayed.
    """
    names = getattr(_shell(), "user_ns", {})
    return {id(value) for name, value in list(names.items()) if name[:1] != "_" and name != "Out"}


def _shell() -> Any:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _request() -> dict[str, Any]:
    """Return the message of the execution request that is running; {} outside of Jupyter."""
    parent: dict[str, Any] = getattr(_shell(), "get_parent", dict)() or {}
    return parent


def _running() -> tuple[str, str] | None:
    """Return the ids of the running cell and of its execution request, or None."""
    parent = _request()
    cell = parent.get("metadata", {}).get("cellId")
    request = parent.get("header", {}).get("msg_id")
    return None if cell is None or request is None else (str(cell), str(request))
