"""The figure of light curves, with pan, zoom and a readout of the cadence under the cursor."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from lcdb_notebook.explore.figures import canvas as canvases
from lcdb_notebook.explore.figures.readout import Points, readout_text
from lcdb_notebook.explore.view.prepare import Prepared
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.plot import Drawing
from lcdb_notebook.plot.lightcurves import hidden_cadences
from lcdb_notebook.plot.panels import Panel, panels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LightCurveFigure"]

# CSS pixels; at 100 dots per inch they are matplotlib's pixels.
DPI = 100
HEIGHT_OF_ONE, HEIGHT_OF_MANY = 400, 250


class LightCurveFigure:
    """A canvas with one figure, which is reused for all pictures.

    Parameters
    ----------
    width : int
        CSS pixels.
    leave : callable
        Called with 1 or -1 when Tab or Shift+Tab is pressed. ipympl captures all keys, so the focus
        cannot leave the canvas otherwise.

    Attributes
    ----------
    canvas : ipympl.backend_nbagg.Canvas
        The figure on the page.
    readout : ipywidgets.HTML
        The description of the cadence under the cursor.
    """

    def __init__(self, width: int, leave: Callable[[int], object]) -> None:
        self.width = width
        self.readout = widgets.HTML()
        self.readout.add_class("lcdb-readout")
        self._leave = leave
        self._figure = canvases.new_figure(width / DPI, HEIGHT_OF_ONE / DPI)
        self._figure.set_dpi(DPI)
        self.canvas = canvases.canvas(self._figure)
        self._drawing: Drawing | None = None
        self._drawn = Prepared([])
        self._settings = Settings()
        self._points: dict[int, Points] = {}
        self._panels: list[Panel] = []
        self._at: tuple[int, int] | None = None
        self._rows: tuple[int, ...] = ()
        for event, call in (
            ("motion_notify_event", self._moved),
            ("figure_leave_event", lambda _: self._show_readout("")),
            ("key_press_event", self._pressed),
        ):
            self.canvas.mpl_connect(event, call)

    @property
    def axes(self) -> list[Axes]:
        """The panels, from top to bottom."""
        return [] if self._drawing is None else self._drawing.axes

    def empty(self) -> None:
        """Show that no light curve is chosen."""
        self._drawing, self._drawn, self._points, self._at = None, Prepared([]), {}, None
        self._figure.clear()
        self._figure.text(0.5, 0.5, "No light curve is chosen", ha="center", color="#616161")
        self.canvas.draw()

    def draw(self, shown: Prepared, settings: Settings, *, anew: bool) -> None:
        """Draw light curves.

        Parameters
        ----------
        shown : Prepared
            The points.
        settings : Settings
            The settings that they were prepared with.
        anew : bool
            False if only the flags have changed, in which case the zoom is kept.
        """
        self._drawn, self._settings, self._points, self._at = shown, settings, {}, None
        how: Any = {
            "quality_bitmask": settings.quality_bitmask,
            "flagged": "apart" if settings.shows_flagged else "drop",
            "joined": settings.joined or settings.folded,
        }
        # Drawn below at once, in place of when the page asks for it.
        self.canvas.draw_idle = lambda: None
        try:
            if anew or self._drawing is None:
                self._figure.clear()
                self._drawing = Drawing(shown.records, figure=self._figure, **how)
                self._resize()
                self._rows = ()
            else:
                self._drawing.update(shown.records, **how)
            if settings.folded:
                self._name_phases(shown, settings)
            for ax in self.axes:
                ax.title.set(fontsize="medium", wrap=True)
        finally:
            del self.canvas.draw_idle
        self._panels = panels_of(shown.records, joined=how["joined"])
        rows = tuple(self._rows_of_legend(ax) for ax in self.axes)
        if rows != self._rows:
            self._lay_out()
            self._rows = rows
        self.canvas.draw()
        if self._sticks_out():
            self._lay_out()
            self.canvas.draw()

    def set_width(self, width: int) -> None:
        """Set the width in CSS pixels."""
        self.width = width
        self._resize()
        self._lay_out()
        self.canvas.draw()

    def set_mode(self, mode: str) -> None:
        """Set what dragging does: "pan/zoom", "zoom rect", or "" for nothing."""
        toolbar = self.canvas.toolbar
        if str(toolbar.mode) == mode:
            return
        # matplotlib's methods toggle.
        if "pan/zoom" in (mode, mode or str(toolbar.mode)):
            toolbar.pan()
        else:
            toolbar.zoom()

    def home(self) -> None:
        """Reset pan and zoom."""
        self.canvas.toolbar.home()

    def png(self) -> bytes | None:
        """Return the picture as PNG, or None if nothing is drawn."""
        if self._drawing is None:
            return None
        return canvases.png(np.asarray(self.canvas.buffer_rgba()))

    def close(self) -> None:
        """Close the canvas."""
        self._drawing, self._drawn, self._points = None, Prepared([]), {}
        canvases.close(self.canvas)

    # Layout. matplotlib's constrained layout takes longer than drawing, so it runs only when the
    # size of an element has changed.

    def _resize(self) -> None:
        panels = max(1, len(self.axes))
        height = HEIGHT_OF_ONE if panels == 1 else HEIGHT_OF_MANY * panels
        size = (self.width / DPI, height / DPI)
        # Setting the size, even to the same value, clears the picture on the page.
        if not np.allclose(size, self._figure.get_size_inches()):
            self._figure.set_size_inches(*size, forward=False)
            self.canvas.manager.resize(*self._figure.bbox.size)

    def _lay_out(self) -> None:
        self._figure.set_layout_engine("constrained")
        self._figure.draw_without_rendering()
        self._figure.set_layout_engine("none")

    def _sticks_out(self) -> bool:
        renderer = self.canvas.get_renderer()
        boxes = [ax.yaxis.get_tightbbox(renderer) for ax in self.axes]
        return any(box is not None and box.x0 < 0 for box in boxes)

    @staticmethod
    def _rows_of_legend(ax: Axes) -> int:
        legend = ax.get_legend()
        if legend is None:
            return 0
        columns: int = vars(legend)["_ncols"]
        return -(-len(legend.get_texts()) // columns)

    def _name_phases(self, shown: Prepared, settings: Settings) -> None:
        for ax in self.axes:
            ax.set_xlabel(f"Phase [days] of {settings.period:.7g} days, 0 at {shown.epoch:.5f}")

    # Readout

    def _moved(self, event: Any) -> None:
        if event.inaxes not in self.axes:
            self._show_readout("")
            return
        panel = self.axes.index(event.inaxes)
        number = self._points_of(panel).nearest(event.inaxes, event.x, event.y)
        self._read_out(panel, number)

    def _pressed(self, event: Any) -> None:
        if event.key in ("tab", "shift+tab"):
            self._leave(1 if event.key == "tab" else -1)
        elif event.key in ("left", "right") and self.axes:
            panel, number = self._at or (0, -1 if event.key == "right" else 1)
            last = self._points_of(panel).x.size - 1
            step = 1 if event.key == "right" else -1
            self._read_out(panel, min(max(number + step, 0), last) if last >= 0 else None)

    def _read_out(self, panel: int, number: int | None) -> None:
        if number is None:
            self._show_readout("")
            return
        self._at = (panel, number)
        place = self._points_of(panel).place(number)
        settings = self._settings
        self._show_readout(
            readout_text(
                self._drawn.records[place.record],
                place.index,
                folded=settings.folded,
                binned=settings.bin is not None,
            )
        )

    def _show_readout(self, text: str) -> None:
        shown = f'<span role="status">{html.escape(text)}</span>' if text else ""
        if self.readout.value != shown:
            self.readout.value = shown

    def _points_of(self, panel: int) -> Points:
        if panel not in self._points:
            settings = self._settings
            records = self._panels[panel].records
            bad = [flagged_mask(data, settings.quality_bitmask) for data in records]
            numbers = {id(data): number for number, data in enumerate(self._drawn.records)}
            self._points[panel] = Points(
                [data.time for data in records],
                [data.flux for data in records],
                [
                    ~hidden_cadences(one, "keep" if settings.shows_flagged else "drop")
                    for one in bad
                ],
                [numbers[id(data)] for data in records],
            )
        return self._points[panel]
