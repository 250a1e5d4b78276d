"""Steps: controls for flattening, binning and folding."""

from __future__ import annotations

import dataclasses
from typing import Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.view.period import METHODS
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget.lightcurve_style import labelled

__all__ = ["Steps"]

_WINDOW, _MINUTES = 401, 30.0


class Steps(widgets.VBox):  # type: ignore[misc]
    """Controls for the settings that the figure on the page does not have.

    Attributes
    ----------
    settings : Settings
        Trait: the settings chosen. Those that have no control here are kept unchanged.
    find : ipywidgets.Button
        Starts a period search.
    method : ipywidgets.Dropdown
        The method of the period search.
    """

    settings = traitlets.Instance(Settings, args=())

    def __init__(self) -> None:
        self._quiet = False
        self._flatten = _box(
            "Flatten", "Remove slow trends with a Savitzky-Golay filter (lightkurve's flatten)"
        )
        self._window = _field(
            widgets.BoundedIntText(_WINDOW, min=5, max=99999, step=2),
            "window",
            "Window length of the filter in cadences, an odd number",
        )
        self._bin = _box("Bin", "Average the cadences in bins")
        self._minutes = _field(
            widgets.BoundedFloatText(_MINUTES, min=0.01, max=1e6, step=5),
            "minutes",
            "Length of a bin in minutes",
        )
        self._fold = _box("Fold", "Draw flux against phase instead of time")
        self._period = _field(
            widgets.FloatText(1.0, step=0.001), "period [days]", "Period in days", width="17em"
        )
        self._epoch = _field(
            widgets.FloatText(0.0, step=0.001),
            "epoch",
            "Time of phase 0, such as mid-transit, in the time of the axis; 0 is the first cadence",
            width="13em",
        )
        self._half = _button("½", "Half the period", lambda: self._scale(0.5))
        self._twice = _button("×2", "Twice the period", lambda: self._scale(2.0))
        self.method = _field(
            widgets.Dropdown(
                options=[("transits (BLS)", "bls"), ("sines (Lomb-Scargle)", "lombscargle")],
                value="bls",
            ),
            "by",
            "Search for " + "; or for ".join(METHODS.values()),
            width="15em",
        )
        self.find = widgets.Button(
            description="Find period",
            tooltip="Fold on the strongest peak of the periodogram of the light curve drawn",
            layout={"width": "auto"},
        )
        self._controls: tuple[widgets.ValueWidget, ...] = (
            *(self._flatten, self._window, self._bin, self._minutes),
            *(self._fold, self._period, self._epoch),
        )
        for control in self._controls:
            control.observe(self._changed, "value")
        rows = (
            (self._flatten, self._window),
            (self._bin, self._minutes),
            (self.find, self.method),
            (self._fold, self._period, self._half, self._twice, self._epoch),
        )
        super().__init__([_row(*row) for row in rows], _dom_classes=("lcdb-steps",))
        self._show()

    @traitlets.observe("settings")
    def _settings_changed(self, _change: Any) -> None:
        self._show()

    def _show(self) -> None:
        """Set the controls from the settings; fields of steps that are off keep their values."""
        settings = self.settings
        self._quiet = True
        try:
            for box, field, value in (
                (self._flatten, self._window, settings.flatten),
                (self._bin, self._minutes, settings.bin),
                (self._fold, self._period, settings.period),
                (self._fold, self._epoch, settings.epoch),
            ):
                box.value = settings.folded if box is self._fold else value is not None
                if value is not None:
                    field.value = value
            for button in (self._half, self._twice):
                button.disabled = not settings.folded
        finally:
            self._quiet = False

    def _changed(self, change: Any) -> None:
        if self._quiet:
            return
        if change["owner"] in (self._period, self._epoch) and not self._fold.value:
            # Typing a period turns folding on.
            self._quiet = True
            self._fold.value = True
            self._quiet = False
        self.settings = self._chosen()

    def _chosen(self) -> Settings:
        window = self._window.value
        period = self._period.value
        return dataclasses.replace(
            self.settings,
            flatten=(window | 1) if self._flatten.value else None,
            bin=self._minutes.value if self._bin.value else None,
            period=period if self._fold.value and period > 0 else None,
            epoch=(self._epoch.value or None) if self._fold.value and period > 0 else None,
        )

    def _scale(self, factor: float) -> None:
        settings = self.settings
        if settings.period is not None:
            self.settings = dataclasses.replace(settings, period=settings.period * factor)


def _box(label: str, tooltip: str) -> widgets.Checkbox:
    text = labelled(label, tooltip)
    # As wide as its first line, the only one shown.
    width = f"{0.55 * len(label) + 2.6:.1f}em"
    return widgets.Checkbox(description=text, indent=False, layout={"width": width})


def _field(field: Any, label: str, tooltip: str, *, width: str = "9em") -> Any:
    """Label a field through its description, which screen readers read."""
    field.description, field.tooltip = label, tooltip
    field.style.description_width = "auto"
    field.layout.width = width
    return field


def _button(label: str, tooltip: str, call: Any) -> widgets.Button:
    button = widgets.Button(description=label, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(lambda _: call())
    return button


def _row(*members: widgets.Widget) -> widgets.Box:
    return widgets.Box(members, _dom_classes=("lcdb-row",))
