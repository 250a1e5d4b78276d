"""A matplotlib figure on the page, through ipympl, that pyplot knows nothing of."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook.explore.trouble import ONE_AT_A_TIME

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
    from ipympl.backend_nbagg import FigureManager

    made = _canvas_class()(figure)
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


@functools.cache
def _canvas_class() -> Any:
    from ipympl.backend_nbagg import Canvas
    from PIL import Image

    class TurnTakingCanvas(Canvas):  # type: ignore[misc]
        """A canvas that draws one picture at a time, and sends each as it is."""

        _png_is_old: Any  # a trait of Canvas

        def draw(self) -> None:
            """Draw, and send the picture."""
            # What the page asks for arrives in a thread of its own (JupyterLab's comms over
            # subshells): of a picture that two draw at once, the page would be sent a half.
            with ONE_AT_A_TIME:
                super().draw()

        def _handle_message(self, *message: Any) -> None:
            with ONE_AT_A_TIME:
                super()._handle_message(*message)

        def get_diff_image(self) -> bytes | None:
            """Give the whole picture, not what is different from the one before.

            The page gives pictures to one ``<img>``, and of two in quick succession it may never
            show the first: of the second, were it a difference, next to nothing would be seen.
            """
            if not self._png_is_old:
                return None
            self._png_is_old = False
            self.set_image_mode("full")
            written = io.BytesIO()
            # A whole picture has more to pack: at this level it takes half of zlib's usual time.
            pixels = np.asarray(self.get_renderer().buffer_rgba())
            Image.fromarray(pixels).save(written, format="png", compress_level=1)
            return written.getvalue()

    return TurnTakingCanvas


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
