"""LightCurveExplorer: light curves, their quality flags, and common processing steps."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import traitlets

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.explore.controls.steps import Steps
from lcdb_notebook.explore.figure.widget import Figure
from lcdb_notebook.explore.view import outputs
from lcdb_notebook.explore.view.on_page import (
    TRAITS,
    arguments,
    check_medians,
    first_steps,
    traits,
)
from lcdb_notebook.explore.view.period import Peak, find_period
from lcdb_notebook.explore.view.prepare import Prepared, cost, in_mission_time, prepare, summary
from lcdb_notebook.explore.view.reading import found, reader
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget import lightcurve_style
from lcdb_notebook.explore.widget.base import Panel
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.read.selection import Selection

if TYPE_CHECKING:
    import lightkurve

    from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["LightCurveExplorer"]

# Cadences to read, and estimated seconds to process, up to which work runs synchronously.
_READ_AT_ONCE, _PROCESSED_AT_ONCE = 1_500_000, 0.25


class LightCurveExplorer(Panel):
    """Draw light curves, choose quality flags, and normalize, flatten, bin and fold.

    The browser draws the light curves, applies flags, normalizes, folds, and joins sectors.
    lightkurve computes flattened and binned light curves, which are then sent.

    Parameters
    ----------
    selection : Selection, optional
        The light curves to draw.
    settings : Settings, optional
        The initial settings.

    Attributes
    ----------
    selection : Selection or None
        Trait: the light curves drawn. May be assigned.
    settings : Settings
        Trait: how they are drawn. May be assigned.
    figure : Figure
        The figure, with its traits such as ``xlim``, ``ylim`` and ``height``.

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

    def __init__(
        self, selection: Selection | None = None, *, settings: Settings | None = None
    ) -> None:
        super().__init__()
        self._records: list[LightCurveData] = []
        self._drawn: Settings | None = None
        self._steps_drawn: Settings | None = None
        self._setting = False
        self._steps = Steps()
        self.figure = Figure([], embedded=True)
        self.lay_out(lightcurve_style.sheet(), self._steps, self.figure)
        self.watch(self._steps, self._steps_chosen, "settings")
        self.watch(self.figure, self._chosen_on_page, *TRAITS)
        self._steps.find.on_click(lambda _: self.find_period())
        self.settings = settings or Settings()
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
        """Return a picture by matplotlib, of the times and fluxes shown on the page."""
        if self.selection is None or not self._records:
            return None
        from lcdb_notebook.explore.view.static import picture

        return picture(self._records, self.settings, self.figure.xlim, self.figure.ylim)

    def static_html(self) -> str:
        """Return a table of the light curves."""
        if self.selection is None or not self._records:
            return ""
        return str(self.selection.table.to_html(index=False, na_rep=""))

    @traitlets.observe("selection")
    @guarded("read the light curve")
    def _read(self, _change: Any) -> None:
        self.work.stop()
        selection = self.selection
        if selection is None or not selection:
            self._show([])
            return
        listed = found(selection)
        cadences = sum(listed.observations[row.observation][1] for row in listed.rows)
        self.work.run(
            reader(selection),
            self._show,
            doing="read the light curve",
            at_once=cadences <= _READ_AT_ONCE,
        )

    def _show(self, records: list[LightCurveData]) -> None:
        self._records = convert.by_start(records)
        self._drawn = self._steps_drawn = None
        if not self._convert_epoch():
            self._draw()

    # Drawing

    @traitlets.observe("settings")
    @guarded("use these settings")
    def _set(self, _change: Any) -> None:
        if self._convert_epoch():
            return
        self._steps.settings = self.settings
        if self._records:
            self._draw()

    def _convert_epoch(self) -> bool:
        """Assign settings with the epoch in the mission's time, if it is a BJD."""
        given, self.settings = self.settings, in_mission_time(self.settings, self._records)
        return given is not self.settings

    @guarded("draw the light curve")
    def _draw(self) -> None:
        records, settings = self._records, self.settings
        if not records:
            self.work.stop()
            self.figure.load([])
            self.rendered(
                "No light curve is chosen." if self.selection is None else "No light curve found."
            )
            return
        steps = first_steps(records, settings)
        if steps == self._steps_drawn:
            self.work.stop()
            self._show_settings(settings)
            return
        self.work.run(
            lambda task: prepare(records, steps, task.check),
            lambda shown: self._load(shown, settings, steps),
            doing="draw the light curve",
            at_once=cost(records, steps) < _PROCESSED_AT_ONCE,
        )

    def _load(self, shown: Prepared, settings: Settings, steps: Settings) -> None:
        """Send light curves to the page."""
        before = self._drawn
        self.figure.load(shown.records, **arguments(self._records, shown, steps))
        self._steps_drawn = steps
        if before is None or not settings.differs_only_in_flags(before):
            self.figure.show_all()
        self._show_settings(settings)

    def _show_settings(self, settings: Settings) -> None:
        chosen = traits(self._records, settings)
        self._setting = True
        try:
            with self.figure.hold_sync():
                for name, value in chosen.items():
                    setattr(self.figure, name, value)
        finally:
            self._setting = False
        self._drawn = settings
        self.rendered(summary(self._records, settings))
        check_medians(self._records, settings)

    # Controls

    @guarded("use these settings")
    def _chosen_on_page(self, change: Any) -> None:
        if not self._setting:
            chosen = {TRAITS[change["name"]]: change["new"]}
            self.settings = dataclasses.replace(self.settings, **chosen)

    @guarded("use these settings")
    def _steps_chosen(self, change: Any) -> None:
        self.settings = dataclasses.replace(
            change["new"], quality_bitmask=self.settings.quality_bitmask
        )

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
