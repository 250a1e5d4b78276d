"""A matplotlib figure on the page, through ipympl, that pyplot knows nothing of."""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.explore.widget.error_box import ONE_AT_A_TIME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["canvas", "close", "new_figure", "png"]


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
            return png(np.asarray(self.get_renderer().buffer_rgba()))

    return TurnTakingCanvas


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Pack a picture as a PNG (W3C, "Portable Network Graphics", third edition), quickly.

    Pillow tries five filters on each row, which takes longer than packing a plot of dots on white,
    and makes that no smaller. Here no row is filtered.

    Parameters
    ----------
    pixels
        uint8 of shape (height, width, 4): red, green, blue and opacity.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> Image.open(io.BytesIO(png(np.zeros((400, 720, 4), np.uint8)))).size
    (720, 400)
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    # Eight bits a channel; colour type 6 has opacity; no interlacing.
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level=1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


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
