"""Toolbar: moving and zooming the figure of a light curve, and its width."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import traitlets

__all__ = ["WIDTH", "Toolbar"]

_WIDTHS = (360, 560, 720, 960, 1200)
WIDTH = 720

# The names of matplotlib's modes.
_MOVE, _ZOOM = "pan/zoom", "zoom rect"


class Toolbar(widgets.Box):  # type: ignore[misc]
    """Buttons for moving, zooming and resetting the view, and a list of widths.

    Parameters
    ----------
    width : int
        The initial width in CSS pixels.

    Attributes
    ----------
    width : int
        Trait: the width in CSS pixels; the list shows it if it is one of its entries.
    mode : str
        Trait: "pan/zoom", "zoom rect" or "", as in matplotlib's toolbar.
    show_all : ipywidgets.Button
        Resets the view.
    """

    width = traitlets.Int(WIDTH)
    mode = traitlets.Unicode("")

    def __init__(self, width: int) -> None:
        self._move = widgets.ToggleButton(description="Move", tooltip="Drag to move the view")
        self._zoom = widgets.ToggleButton(description="Zoom", tooltip="Drag a box to zoom in")
        self.show_all = widgets.Button(description="Show all", tooltip="Reset the view")
        self._widths = widgets.Dropdown(
            options=[(f"{size} px", size) for size in _WIDTHS],
            value=None,
            description="Width",
            tooltip="Width of the figure",
            layout={"width": "10em"},
            style={"description_width": "auto"},
        )
        for button in (self._move, self._zoom, self.show_all):
            button.layout.width = "auto"
        super().__init__((self._move, self._zoom, self.show_all, self._widths))
        self.add_class("lcdb-row")
        self._move.observe(lambda _: self._toggled(self._move, self._zoom), "value")
        self._zoom.observe(lambda _: self._toggled(self._zoom, self._move), "value")
        self._widths.observe(self._width_chosen, "value")
        self.width = width
        self._show_width(None)

    @traitlets.observe("width")
    def _show_width(self, _change: Any) -> None:
        self._widths.value = self.width if self.width in _WIDTHS else None

    def _width_chosen(self, change: Any) -> None:
        if change["new"] is not None:
            self.width = change["new"]

    def _toggled(self, button: widgets.ToggleButton, other: widgets.ToggleButton) -> None:
        if button.value:
            other.value = False
        self.mode = _MOVE if self._move.value else _ZOOM if self._zoom.value else ""
