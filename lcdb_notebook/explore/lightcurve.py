"""LightCurveExplorer: light curves, their quality flags, and common processing steps."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.explore.controls.flag_list import FlagList
from lcdb_notebook.explore.controls.steps import Steps
from lcdb_notebook.explore.controls.toolbar import WIDTH, Toolbar
from lcdb_notebook.explore.figures.lightcurve_figure import LightCurveFigure
from lcdb_notebook.explore.view import outputs
from lcdb_notebook.explore.view.period import Peak, find_period
from lcdb_notebook.explore.view.prepare import Prepared, cost, in_mission_time, prepare, summary
from lcdb_notebook.explore.view.reading import reader
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget import lightcurve_style
from lcdb_notebook.explore.widget.background import Debounced
from lcdb_notebook.explore.widget.base import Panel
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.plot.panels import MOST_PANELS
from lcdb_notebook.read.selection import Selection

if TYPE_CHECKING:
    import lightkurve

    from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["LightCurveExplorer"]

# Cadences to read, and estimated seconds to draw, up to which work runs synchronously.
_READ_AT_ONCE, _DRAWN_AT_ONCE = 1_500_000, 0.25

# Minimum seconds between two pictures, when clicks come faster than they can be drawn.
_PAUSE = 0.06


class LightCurveExplorer(Panel):
    """Draw light curves, choose quality flags, and normalize, flatten, bin and fold.

    Parameters
    ----------
    selection : Selection, optional
        The light curves to draw.
    settings : Settings, optional
        The initial settings.
    width : int, optional
        Width of the figure in CSS pixels.

    Attributes
    ----------
    selection : Selection or None
        Trait: the light curves drawn. May be assigned.
    settings : Settings
        Trait: how they are drawn. May be assigned.
    width : int
        Trait: width of the figure in CSS pixels. May be assigned.

    Examples
    --------
    >>> found = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1]
    >>> explorer = LightCurveExplorer(found)
    >>> explorer.settings = dataclasses.replace(explorer.settings, quality_bitmask="hard")
    >>> print(explorer.code("found"))
    found.lightcurve(quality_bitmask="hard")
    >>> len(explorer.lightcurve())
    1094
    """

    css = "lcdb-lightcurve"

    selection = traitlets.Instance(Selection, allow_none=True)
    settings = traitlets.Instance(Settings)
    width = traitlets.Int(WIDTH)

    def __init__(
        self,
        selection: Selection | None = None,
        *,
        settings: Settings | None = None,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        self._records: list[LightCurveData] = []
        self._last: Settings | None = None
        self._drawn_at = 0.0
        self._later = Debounced(self._draw, _PAUSE)
        self.when_closed(self._later.cancel)
        self._flags = FlagList()
        self._steps = Steps()
        self._figure = LightCurveFigure(width, self._leave)
        self.when_closed(self._figure.close)
        self._toolbar = Toolbar(width)
        # Last in the tab order: leaving the canvas by keyboard goes through Python.
        controls = widgets.VBox((self._flags, self._steps))
        controls.add_class("lcdb-controls")
        canvas = widgets.VBox((self._toolbar, self._figure.canvas, self._figure.readout))
        canvas.add_class("lcdb-figure")
        both = widgets.Box((controls, canvas))
        both.add_class("lcdb-beside")
        self.lay_out(lightcurve_style.sheet(), both)
        self.watch(self._flags, self._flags_chosen, "quality_bitmask")
        self.watch(self._steps, self._steps_chosen, "settings")
        self.watch(self._toolbar, lambda change: self._figure.set_mode(change["new"]), "mode")
        self.watch(self._toolbar, lambda change: self.set_trait("width", change["new"]), "width")
        self._toolbar.show_all.on_click(lambda _: self._figure.home())
        self._steps.find.on_click(lambda _: self.find_period())
        self.settings = settings or Settings()
        self.width = width
        self.selection = selection
        if selection is None:
            self._draw()

    def lightcurve(self) -> lightkurve.LightCurve:
        """Read what is drawn as one LightCurve; sectors are stitched.

        Returns
        -------
        lightkurve.LightCurve

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.
        AmbiguousError
            If light curves of different photometry or processing are drawn over each other.

        Examples
        --------
        >>> found = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1]
        >>> LightCurveExplorer(found, settings=Settings(normalize=True)).lightcurve().flux.unit
        Unit(dimensionless)
        """
        return outputs.read_one(self.selection, self.settings)

    def lightcurves(self) -> lightkurve.LightCurveCollection:
        """Read what is drawn as a LightCurve for each DataSet, in order of time.

        Returns
        -------
        lightkurve.LightCurveCollection

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.

        Examples
        --------
        >>> found = db.search(1, sector=1, exptime=1800, processing="DEMO DET")
        >>> len(LightCurveExplorer(found).lightcurves())
        2
        """
        return outputs.read_collection(self.selection, self.settings)

    def code(self, found: str = "") -> str:
        """Return Python code that reads what is drawn.

        Parameters
        ----------
        found : str, optional
            An expression for the Selection, for example ``db.search(1, sector=1)``.

        Returns
        -------
        str

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.

        Examples
        --------
        >>> found = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1]
        >>> print(LightCurveExplorer(found).code("found"))
        found.lightcurve(quality_bitmask="default")
        """
        return outputs.written(self.selection, self.settings, found)

    def static_png(self) -> bytes | None:
        """Return the picture, zoomed as on the page."""
        drawn = self.selection is not None and self._records
        return self._figure.png() if drawn else None

    def static_html(self) -> str:
        """Return a table of the light curves."""
        if self.selection is None or not self._records:
            return ""
        return str(self.selection.table.to_html(index=False, na_rep=""))

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
        self.work.run(
            reader(selection),
            self._show,
            doing="read the light curve",
            at_once=cadences <= _READ_AT_ONCE,
        )

    def _show(self, records: list[LightCurveData]) -> None:
        self._records = convert.by_start(records)
        self._last = None
        self._flags.show(self._records)
        if not self._convert_epoch():
            self._draw()

    # Drawing

    @traitlets.observe("settings")
    @guarded("use these settings")
    def _set(self, _change: Any) -> None:
        if self._convert_epoch():
            return
        self._flags.quality_bitmask = self.settings.quality_bitmask
        self._steps.settings = self.settings
        if not self._records:
            return
        if time.monotonic() - self._drawn_at > _PAUSE:
            self._draw()
        else:
            self._later()

    def _convert_epoch(self) -> bool:
        """Assign settings with the epoch in the mission's time, if it is a BJD."""
        given, self.settings = self.settings, in_mission_time(self.settings, self._records)
        return given is not self.settings

    @guarded("draw the light curve")
    def _draw(self) -> None:
        self._later.cancel()
        records, settings = self._records, self.settings
        if not records:
            self.work.stop()
            self._figure.empty()
            self.rendered(
                "No light curve is chosen." if self.selection is None else "No light curve found."
            )
            return
        self.work.run(
            lambda task: prepare(records, settings, task.check),
            lambda shown: self._paint(shown, settings),
            doing="draw the light curve",
            at_once=cost(records, settings) < _DRAWN_AT_ONCE,
        )

    def _paint(self, shown: Prepared, settings: Settings) -> None:
        before, self._last = self._last, settings
        only_flags = before is not None and settings.differs_only_in_flags(before)
        panels = len({data.observation.id for data in shown.records})
        if panels > MOST_PANELS and not settings.joined:
            # A figure cannot have more panels.
            settings = dataclasses.replace(settings, joined=True)
        self._figure.draw(shown, settings, anew=not only_flags)
        self._drawn_at = time.monotonic()
        self.rendered(summary(self._records, settings))

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
        self._toolbar.width = self.width
        if self.width != self._figure.width:
            self._figure.set_width(self.width)
            self.rendered(summary(self._records, self.settings) if self._records else "")

    def _leave(self, direction: int) -> None:
        (self._toolbar.show_all if direction < 0 else self._steps.find).focus()

    @guarded("find a period")
    def find_period(self) -> None:
        """Search for a period in the background, and fold on it.

        The search uses what is drawn, before folding and binning, with the method chosen on the
        page. Errors are shown on the page.

        Examples
        --------
        >>> explorer = LightCurveExplorer(db.search(1, exptime=1800, processing="DEMO DET")[:1])
        >>> explorer.find_period()
        >>> explorer.settings.folded
        True
        """
        records, settings, method = self._records, self.settings, self._steps.method.value
        if not records:
            raise LightCurveNotFoundError("no light curve is drawn; choose one first")
        self.work.run(
            lambda task: find_period(records, settings, method, task),
            self._found,
            doing="find a period",
        )

    def _found(self, peak: Peak) -> None:
        self.settings = dataclasses.replace(
            self.settings, period=float(f"{peak.period:.8g}"), epoch=round(peak.epoch, 5)
        )
