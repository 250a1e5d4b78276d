"""Interactive matplotlib figures through ipympl, without pyplot."""

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
    """Return a figure that is not registered with pyplot, so that notebooks do not display it.

    Parameters
    ----------
    width, height : float, optional
        Size in inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def canvas(figure: Figure) -> Any:
    """Return a widget that shows a figure, with pan, zoom and mouse events.

    It must not have a tooltip, with which ipympl's canvas is not drawn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made by :func:`new_figure`.

    Returns
    -------
    ipympl.backend_nbagg.Canvas
        Call its ``draw_idle()`` after changes, and :func:`close` at the end.
    """
    from ipympl.backend_nbagg import FigureManager

    made = _canvas_class()(figure)
    FigureManager(made, 0)
    made.header_visible = False
    made.footer_visible = False
    made.resizable = False
    made.add_class("lcdb-canvas")
    # Otherwise ipympl also writes each picture into the widget's state, as a PNG, until a page
    # shows it. Panel has its own static picture.
    made.syncing_data_url = False
    # Otherwise the page may receive the size before it has a view, and ignore it.
    made.manager.resize(*figure.bbox.size)
    return made


@functools.cache
def _canvas_class() -> Any:
    from ipympl.backend_nbagg import Canvas

    class LockedCanvas(Canvas):  # type: ignore[misc]
        """A canvas that draws one picture at a time, and always sends whole pictures."""

        _png_is_old: Any  # a trait of Canvas

        def draw(self) -> None:
            """Draw the figure and send the picture to the page."""
            # Messages of the page arrive in a subshell thread. If two threads drew at the same
            # time, the page would receive a half-drawn picture.
            with ONE_AT_A_TIME:
                super().draw()

        def _handle_message(self, *message: Any) -> None:
            with ONE_AT_A_TIME:
                super()._handle_message(*message)

        def get_diff_image(self) -> bytes | None:
            """Return the whole picture, or None if it is unchanged.

            ipympl sends only the differences. If two pictures arrive in quick succession, the page
            may skip the first, and the differences of the second are then wrong.
            """
            if not self._png_is_old:
                return None
            self._png_is_old = False
            self.set_image_mode("full")
            return png(np.asarray(self.get_renderer().buffer_rgba()))

    return LockedCanvas


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture as PNG (W3C, "Portable Network Graphics", third edition), fast.

    Pillow tries five filters on each row, which takes longer than compressing a plot of points on
    white and does not make it smaller. Here rows are not filtered.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 of shape (height, width, 4): red, green, blue and opacity.

    Returns
    -------
    bytes

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> Image.open(io.BytesIO(png(np.zeros((400, 720, 4), np.uint8)))).size
    (720, 400)
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each row starts with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    # Eight bits a channel; colour type 6 has opacity; no interlacing.
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, level=1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def close(widget: Any) -> None:
    """Close a canvas and its toolbar, and break the reference cycles with its figure.

    Parameters
    ----------
    widget : ipympl.backend_nbagg.Canvas
        Made by :func:`canvas`.
    """
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
