"""A figure of a lineage in which DataSets can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook.explore.figures.canvas import canvas, close, new_figure
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.lineage.drawing import draw_planned
from lcdb_notebook.search.lineage.layout import Layout, Point, layout

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from lcdb_notebook.search.lineage import Lineage

__all__ = ["LineageFigure"]

_DPI = 100
# Inches: the width that fits on a page of 800 pixels, and the limits of the height.
_WIDTH, _LOWEST, _HIGHEST = 7.2, 1.2, 5.0

# Blue and vermilion of Okabe and Ito's palette, which the drawing does not use otherwise.
CHOSEN, OTHER = "#0072B2", "#D55E00"

# Radius in pixels in which a click counts as on a dot.
_NEAR = 14.0


class LineageFigure:
    """A canvas with a lineage. Marks of chosen DataSets are drawn over a cached background.

    Parameters
    ----------
    clicked : callable
        Called with the id of a DataSet, and whether Shift or Ctrl was held.
    leave : callable
        Called when Tab is pressed, because ipympl captures all keys.
    """

    def __init__(
        self, clicked: Callable[[DataSetId, bool], object], leave: Callable[[], object]
    ) -> None:
        self._clicked = clicked
        self._leave = leave
        self._lineage: Lineage | None = None
        self._planned: Layout | None = None
        self._dots: dict[DataSetId, Point] | None = None
        self._chosen: tuple[DataSetId | None, DataSetId | None] = (None, None)
        self._background: Any = None
        self.figure = new_figure(_WIDTH, _LOWEST)
        self.figure.set_layout_engine("none")
        self.widget = canvas(self.figure)
        self.widget.toolbar_visible = False
        self._events = [
            self.widget.mpl_connect("button_press_event", self._press),
            self.widget.mpl_connect("draw_event", self._drawn),
            self.widget.mpl_connect("key_press_event", self._pressed_key),
        ]
        self.show(None)

    def show(self, lineage: Lineage | None) -> None:
        """Draw a lineage, or a message for None."""
        self._lineage = lineage
        self._planned = self._dots = self._background = None
        self._chosen = (None, None)
        self.figure.clear()
        if lineage is not None:
            self._planned = planned = layout(lineage)
            width, height = planned.size
            # Full size if it fits, else scaled to the width. Dots fill the figure.
            scale = min(1.0, _WIDTH * 72 / width)
            inches = float(np.clip(height * scale / 72, _LOWEST, _HIGHEST))
            self.widget.manager.resize(_WIDTH * _DPI, inches * _DPI)
            self.figure.set_size_inches(_WIDTH, inches)
            axes = self.figure.add_axes((0, 0, 1, 1))
            self._dots = draw_planned(lineage, planned, axes)
        else:
            self.figure.text(0.5, 0.5, "No lineage", ha="center", va="center", color="#616161")
        self.widget.draw()

    def choose(self, one: int | None, other: int | None = None) -> None:
        """Mark a DataSet, and the one that it is compared with."""
        if (one, other) == self._chosen:
            return
        self._chosen = (one, other)
        if self._background is None:
            return
        self.widget.restore_region(self._background)
        self._mark()
        self.widget.blit()

    def at(self, x: float, y: float) -> DataSetId | None:
        """Return the DataSet at pixel (x, y) from the lower left corner, or None."""
        if self._planned is None:
            return None
        axes = self.figure.axes[0]
        if self._dots is not None:
            ids = list(self._dots)
            places = axes.transData.transform([self._dots[id_] for id_ in ids])
            far = np.hypot(*(places - (x, y)).T)
            nearest = int(far.argmin())
            return ids[nearest] if far[nearest] <= _NEAR else None
        across, down = axes.transData.inverted().transform((x, y))
        planned = self._planned
        for id_, (left, top) in planned.positions.items():
            if (
                abs(across - left) <= planned.widths[id_] / 2
                and abs(down - top) <= planned.height / 2
            ):
                return id_
        return None

    def place(self, dataset: int) -> tuple[float, float]:
        """Return the position of a DataSet in pixels from the upper left corner."""
        assert self._planned is not None
        places = self._planned.positions if self._dots is None else self._dots
        x, y = self.figure.axes[0].transData.transform(places[dataset])
        return float(x), float(self.figure.bbox.height - y)

    def close(self) -> None:
        """Close the canvas."""
        for event in self._events:
            self.widget.mpl_disconnect(event)
        self._background = None
        close(self.widget)

    def _press(self, event: Any) -> None:
        found = self.at(event.x, event.y) if event.button == 1 else None
        if found is not None:
            self._clicked(found, bool({"shift", "ctrl"} & set(event.modifiers)))

    def _pressed_key(self, event: Any) -> None:
        if event.key in ("tab", "shift+tab"):
            self._leave()

    def _drawn(self, _event: Any) -> None:
        self._background = self.widget.copy_from_bbox(self.figure.bbox)
        self._mark()

    def _mark(self) -> None:
        from matplotlib.patches import FancyBboxPatch

        if self._planned is None:
            return
        axes = self.figure.axes[0]
        artists: list[Artist]
        for id_, colour in zip(self._chosen, (CHOSEN, OTHER), strict=True):
            if id_ is None:
                continue
            if self._dots is not None:
                (ring,) = axes.plot(
                    *self._dots[id_], marker="o", ms=9, mec=colour, mew=2.5, mfc="none"
                )
                artists = [ring]
                text = self._lineage.label(id_) if self._lineage is not None else ""
                right = self._dots[id_][0] > self._planned.size[0] / 2
                artists.append(
                    axes.annotate(
                        text,
                        self._dots[id_],
                        xytext=(-9 if right else 9, 0),
                        textcoords="offset points",
                        ha="right" if right else "left",
                        va="center",
                        fontsize=8,
                        color=colour,
                        parse_math=False,
                        bbox={"fc": "white", "ec": colour, "boxstyle": "round,pad=0.2", "lw": 0.8},
                    )
                )
            else:
                (x, y), width = self._planned.positions[id_], self._planned.widths[id_]
                height = self._planned.height
                patch = FancyBboxPatch(
                    (x - width / 2, y - height / 2),
                    width,
                    height,
                    boxstyle="round,pad=2,rounding_size=5",
                    facecolor="none",
                    edgecolor=colour,
                    lw=2.5,
                )
                artists = [axes.add_patch(patch)]
            for artist in artists:
                axes.draw_artist(artist)
                # It is drawn now, and must not become part of the next background.
                artist.remove()
