"""LightCurveExplorer: light curves drawn for some settings, which are clicked and never typed."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import traitlets

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.explore.controls.flag_list import FlagList
from lcdb_notebook.explore.controls.steps import Steps
from lcdb_notebook.explore.figures.lightcurve_figure import LightCurveFigure
from lcdb_notebook.explore.view.outputs import GivesBack
from lcdb_notebook.explore.view.period import Peak, strongest_period
from lcdb_notebook.explore.view.prepare import Drawn, cost, drawn
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget import lightcurve_style
from lcdb_notebook.explore.widget.background import Debounced, Task
from lcdb_notebook.explore.widget.base import Part
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.event_loop import in_this_thread
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import condemned
from lcdb_notebook.plot.panels import MOST_PANELS
from lcdb_notebook.read.selection import Selection

if TYPE_CHECKING:
    from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["LightCurveExplorer"]

# Cadences that are read, and seconds that a picture takes, while nobody minds to wait.
_READ_AT_ONCE, _DRAWN_AT_ONCE = 1_500_000, 0.25

# Seconds between two pictures at least, when clicks come faster than they can be drawn.
_BREATH = 0.06

_WIDTHS = (360, 560, 720, 960, 1200)
_WIDTH = 720


class LightCurveExplorer(GivesBack, Part):
    """Light curves, their flags, and what is done to them.

    Parameters
    ----------
    selection
        What to draw: see the trait.
    settings
        How to begin.
    width
        CSS pixels of the figure.

    Attributes
    ----------
    selection
        Trait: the :class:`~lcdb_notebook.read.selection.Selection` that is drawn; None for nothing.
    settings
        Trait: the :class:`~lcdb_notebook.explore.view.settings.Settings` that it is drawn with.
    width
        Trait: CSS pixels of the figure.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> found = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1]
    >>> explorer = LightCurveExplorer(found)
    >>> explorer.settings = dataclasses.replace(explorer.settings, quality_bitmask="hard")
    >>> print(explorer.code("found"))
    found.lightcurve(quality_bitmask="hard")
    >>> len(explorer.lightcurve())
    1094
    """

    css = "lcdb-lightcurve"

    width = traitlets.Int(_WIDTH)

    def __init__(
        self,
        selection: Selection | None = None,
        *,
        settings: Settings | None = None,
        width: int = _WIDTH,
    ) -> None:
        super().__init__()
        self._records: list[LightCurveData] = []
        self._counted: dict[str, tuple[int, int]] = {}
        self._last: Settings | None = None
        self._drawn_at = 0.0
        self._later = Debounced(self._draw, _BREATH)
        self.when_closed(self._later.cancel)
        self._flags = FlagList()
        self._steps = Steps()
        self._figure = LightCurveFigure(width, self._read_out, self._leave)
        self.when_closed(self._figure.close)
        self._told = widgets.HTML()
        self._told.add_class("lcdb-readout")
        self._move = widgets.ToggleButton(description="Move", tooltip="Drag the light curve about")
        self._zoom = widgets.ToggleButton(description="Zoom", tooltip="Drag a box to zoom into")
        self._whole = widgets.Button(description="Show all", tooltip="Undo moving and zooming")
        self._widths = widgets.Dropdown(
            options=[(f"{size} px", size) for size in _WIDTHS],
            value=width if width in _WIDTHS else None,
            description="Width",
            tooltip="Width of the figure",
            layout={"width": "10em"},
            style={"description_width": "auto"},
        )
        for button in (self._move, self._zoom, self._whole):
            button.layout.width = "auto"
        tools = widgets.Box((self._move, self._zoom, self._whole, self._widths))
        tools.add_class("lcdb-row")
        # Keyboards reach the canvas last, for the way out of it is by way of Python.
        controls = widgets.VBox((self._flags, self._steps))
        controls.add_class("lcdb-controls")
        canvas = widgets.VBox((tools, self._figure.canvas, self._told))
        canvas.add_class("lcdb-figure")
        both = widgets.Box((controls, canvas))
        both.add_class("lcdb-beside")
        self.lay_out(lightcurve_style.sheet(), both)
        self.watch(self._flags, self._flags_chosen, "quality_bitmask")
        self.watch(self._steps, self._steps_chosen, "settings")
        self.watch(self._move, lambda _: self._set_mode("move"), "value")
        self.watch(self._zoom, lambda _: self._set_mode("zoom"), "value")
        self.watch(self._widths, self._width_chosen, "value")
        self._whole.on_click(lambda _: self._figure.home())
        self._steps.find.on_click(lambda _: self.find_period())
        self.settings = settings or Settings()
        self.width = width
        self.selection = selection
        if selection is None:
            self._draw()

    def still(self) -> tuple[bytes | None, str]:
        """Give the picture as it is, and what it is of."""
        if self.selection is None or not self._records:
            return None, ""
        table: str = self.selection.table.to_html(index=False, na_rep="")
        return self._figure.png(), table

    # Reading

    @traitlets.observe("selection")
    @guarded("read the light curve")
    def _read(self, _change: Any) -> None:
        self.work.stop()
        self._later.cancel()
        selection = self.selection
        if selection is None or not selection:
            self._show([])
            return
        cadences = int(selection.table["cadences"].sum())
        records = selection.read(progress=False)
        number = len(selection)
        in_steps = in_this_thread()

        def work(task: Task) -> list[LightCurveData]:
            # One chunk at a time, where the database's session is at home, and clicks between.
            read: list[LightCurveData] = []
            while (data := in_steps(lambda: next(records, None))) is not None:
                read.append(data)
                task.progress(len(read) / number)
            return read

        at_once = cadences <= _READ_AT_ONCE
        self.work.run(work, self._show, doing="read the light curve", at_once=at_once)

    def _show(self, records: list[LightCurveData]) -> None:
        self._records = convert.by_start(records)
        self._last = None
        self._flags.show(self._records)
        self._draw()

    # Drawing

    @traitlets.observe("settings")
    @guarded("use these settings")
    def _set(self, _change: Any) -> None:
        self._flags.quality_bitmask = self.settings.quality_bitmask
        self._steps.settings = self.settings
        if not self._records:
            return
        if time.monotonic() - self._drawn_at > _BREATH:
            self._draw()
        else:
            self._later()

    @guarded("draw the light curve")
    def _draw(self) -> None:
        self._later.cancel()
        records, settings = self._records, self.settings
        if not records:
            self.work.stop()
            self._figure.empty()
            self.painted(
                "No light curve is chosen." if self.selection is None else "Nothing found."
            )
            return
        at_once = cost(records, settings) < _DRAWN_AT_ONCE
        self.work.run(
            lambda task: drawn(records, settings, task.check),
            lambda shown: self._paint(shown, settings),
            doing="draw the light curve",
            at_once=at_once,
        )

    def _paint(self, shown: Drawn, settings: Settings) -> None:
        before, self._last = self._last, settings
        only_flags = before is not None and (
            dataclasses.replace(
                before, quality_bitmask=settings.quality_bitmask, apart=settings.apart
            )
            == settings
        )
        panels = len({data.observation.id for data in shown.records})
        if panels > MOST_PANELS and not settings.joined:
            # A figure holds no more.
            settings = dataclasses.replace(settings, joined=True)
        self._figure.draw(shown, settings, anew=not only_flags)
        self._drawn_at = time.monotonic()
        self.painted(self._summary(settings))

    def _summary(self, settings: Settings) -> str:
        total = flagged = 0
        for data in self._records:
            timed = np.isfinite(data.time)
            total += int(np.count_nonzero(timed))
            flagged += int(np.count_nonzero(timed & condemned(data, settings.quality_bitmask)))
        asked = settings.quality_bitmask
        said = (
            asked
            if isinstance(asked, str)
            else " + ".join(asked)
            if isinstance(asked, tuple)
            else asked
        )
        curves = f"{len(self._records)} light curves, " if len(self._records) > 1 else ""
        return f"{curves}{total:,} cadences; flags “{said}” take {flagged:,} away."

    # Controls

    def _flags_chosen(self, change: Any) -> None:
        self.settings = dataclasses.replace(self.settings, quality_bitmask=change["new"])

    @guarded("use these settings")
    def _steps_chosen(self, change: Any) -> None:
        self.settings = dataclasses.replace(
            change["new"], quality_bitmask=self.settings.quality_bitmask
        )

    @traitlets.observe("width")
    def _set_width(self, _change: Any) -> None:
        self._widths.value = self.width if self.width in _WIDTHS else None
        if self.width != self._figure.width:
            self._figure.set_width(self.width)
            self.painted(self._summary(self.settings) if self._records else "")

    def _width_chosen(self, change: Any) -> None:
        if change["new"] is not None:
            self.width = change["new"]

    def _set_mode(self, mode: str) -> None:
        chosen, other = (self._move, self._zoom) if mode == "move" else (self._zoom, self._move)
        if chosen.value:
            other.value = False
        toolbar = self._figure.canvas.toolbar
        wanted = "pan/zoom" if self._move.value else "zoom rect" if self._zoom.value else ""
        if str(toolbar.mode) == wanted:
            return
        if wanted == "pan/zoom" or (not wanted and str(toolbar.mode) == "pan/zoom"):
            toolbar.pan()
        else:
            toolbar.zoom()

    def _read_out(self, text: str) -> None:
        shown = f'<span role="status">{text}</span>' if text else ""
        if self._told.value != shown:
            self._told.value = shown

    def _leave(self, direction: int) -> None:
        (self._whole if direction < 0 else self._steps.find).focus()

    # Periods

    @guarded("find a period")
    def find_period(self) -> None:
        """Fold on the strongest peak of the periodogram of what is drawn, unfolded and unbinned."""
        records = self._records
        if not records:
            raise LightCurveNotFoundError("no light curve is drawn, so it has no period")
        settings = dataclasses.replace(
            self.settings, period=None, epoch=None, bin=None, apart=False
        )
        method = self._steps.method.value

        def work(task: Task) -> Peak:
            shown = drawn(records, settings, task.check).records
            times, fluxes = [], []
            for data in shown:
                good = ~condemned(data, settings.quality_bitmask) & np.isfinite(data.flux)
                middle = np.median(data.flux[good]) if good.any() else 1.0
                times.append(data.time[good])
                # One level for all sectors.
                fluxes.append(data.flux[good] / middle if middle else data.flux[good])
            return strongest_period(
                np.concatenate(times), np.concatenate(fluxes), method, task.progress
            )

        self.work.run(work, self._found, doing="find a period")

    def _found(self, peak: Peak) -> None:
        self.settings = dataclasses.replace(
            self.settings, period=float(f"{peak.period:.8g}"), epoch=round(peak.epoch, 5)
        )
