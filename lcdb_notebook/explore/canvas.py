"""A matplotlib figure on the page, through ipympl, that pyplot knows nothing of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["canvas", "close", "new_figure"]


def new_figure(width: float = 9.0, height: float = 4.0) -> Figure:
    """Make a figure of so many inches that no notebook shows by itself, and nobody else keeps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def canvas(figure: Figure) -> Any:
    """Make the widget that shows a figure: with pan, zoom and mouse events, and no magic command.

    Parameters
    ----------
    figure
        Made by :func:`new_figure`. What it shows is told in words beside it: ipympl's canvas cannot
        be drawn at all where it has a tooltip.

    Returns
    -------
    ipympl.backend_nbagg.Canvas
        ``.draw_idle()`` after changes; :func:`close` in the end.
    """
    from ipympl.backend_nbagg import Canvas, FigureManager

    made = Canvas(figure)
    FigureManager(made, 0)
    made.header_visible = False
    made.footer_visible = False
    made.resizable = False
    made.add_class("lcdb-canvas")
    # Until a page shows it ipympl would write each picture into its state, too, as a PNG. Where no
    # widget runs, Part has a picture of its own.
    made.syncing_data_url = False
    # Else the page may hear of the size before it has a view, and show none of it.
    made.manager.resize(*figure.bbox.size)
    return made


def close(widget: Any) -> None:
    """Close a canvas with its toolbar, and cut the circle of figure, canvas and manager."""
    manager, toolbar = widget.manager, widget.toolbar
    widget.figure.clear()
    for made in (toolbar, widget):
        if made is not None:
            made.layout.close()
            made.close()
    widget.toolbar = None
    if toolbar is not None:
        toolbar.canvas = None
    if manager is not None:
        manager.canvas = manager.toolbar = None
    widget.manager = None
