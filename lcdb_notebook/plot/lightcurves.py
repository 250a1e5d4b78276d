"""Draw flux against time and mark flagged cadences, once or with updates in place."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.plot.curves import LightCurves, records_of
from lcdb_notebook.plot.drawing import draw, literal, wider
from lcdb_notebook.plot.flagged import Bools, Flag, flagged_cadences, marks_of
from lcdb_notebook.plot.labels import curve_labels, time_label
from lcdb_notebook.plot.panels import (
    LightCurvePanel,
    axes_of,
    height_of,
    new_figure,
    one_panel,
    panels_of,
    spans_of,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from lcdb_notebook.lightcurve.clock import Clock

__all__ = ["Drawing", "Flagged", "hidden_cadences", "plot"]

Flagged: TypeAlias = Literal["apart", "drop", "keep"]
"""Flagged cadences are drawn with a mark for each flag, omitted, or drawn like all others."""


def plot(
    light_curves: LightCurves,
    ax: Axes | None = None,
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "apart",
    joined: bool = False,
) -> Axes:
    """Draw flux against time and mark flagged cadences.

    Cadences are points without lines, so gaps remain visible. Bad cadences have a mark for each
    flag, and the legend lists the flags with the number of cadences drawn. A cadence with two flags
    has both marks and counts twice; a cadence without flux is not drawn. The six or seven most
    frequent flags are listed by name, the others as "other flags".

    The y axis is scaled to the good cadences: it includes their percentiles 0.5 to 99.5, and points
    outside this range by less than twice its size, such as a deep eclipse. Other points are
    triangles at the edge.

    Magnitudes are drawn as stored, with the brightest on top. The colours are from the colour-blind
    safe palette of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/; Wong 2011, Nature Methods
    8, 441).

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable of these
        One or several light curves.
    ax : matplotlib.axes.Axes, optional
        Axes for all light curves. By default, a new figure is created with a panel for each
        observation. Apertures and processing steps share a panel if their units agree, and panels
        of the same target, pipeline and unit share the y axis.
    quality_bitmask : str, int or iterable, optional
        Which flags make a cadence bad: "none", "default", "hard" or "hardest", bits, a flag, or
        several flags or names.
    flagged : {"apart", "drop", "keep"}, optional
        "apart" draws bad cadences with a mark for each flag, "drop" omits them, "keep" draws them
        like all others.
    joined : bool, optional
        Draw all observations of a target by one pipeline in one panel.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the topmost panel. ``.figure.axes`` lists all panels, and
        ``.figure.savefig(...)`` writes them to a file.

    Raises
    ------
    LightCurveNotFoundError
        If there are no light curves.
    AmbiguousError
        If there are more than 40 panels (:data:`MOST_PANELS`), or if the light curves for ``ax``
        differ in unit or time format.
    ArgumentError
        If an object is not a light curve, or ``flagged`` has another value.

    Examples
    --------
    >>> ax = db.search(1, sector=1, exptime=1800, processing="DEMO DET").plot()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Time − 2457000 [BTJD days]', 'Relative flux')
    """
    return Drawing(
        light_curves, ax, quality_bitmask=quality_bitmask, flagged=flagged, joined=joined
    ).axes[0]


class Drawing:
    """A drawing of light curves, like that of :func:`plot`, that can be updated in place.

    :meth:`update` replaces the points. The figure, its Axes, and anything else on them remain.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable of these
        One or several light curves.
    ax : matplotlib.axes.Axes, optional
        Axes for all light curves.
    figure : matplotlib.figure.Figure or SubFigure, optional
        A figure to fill with panels. By default, without ``figure`` and ``ax``, a new figure is
        created.
    quality_bitmask : str, int or iterable, optional
        Which flags make a cadence bad: "none", "default", "hard" or "hardest", bits, a flag, or
        several flags or names.
    flagged : {"apart", "drop", "keep"}, optional
        "apart" draws bad cadences with a mark for each flag, "drop" omits them, "keep" draws them
        like all others.
    joined : bool, optional
        Draw all observations of a target by one pipeline in one panel.

    Attributes
    ----------
    axes : list of matplotlib.axes.Axes
        The panels, from top to bottom.

    Raises
    ------
    LightCurveNotFoundError, AmbiguousError, TypeError
        As for :func:`plot`.

    Examples
    --------
    >>> drawing = Drawing(db.search(1, sector=1, exptime=1800, processing="DEMO DET")[0])
    >>> drawing.update(quality_bitmask="hard")
    >>> [text.get_text() for text in drawing.axes[0].get_legend().get_texts()][:2]
    ['STRAYLIGHT2 (56)', 'DESAT (30)']
    """

    axes: list[Axes]

    def __init__(
        self,
        light_curves: LightCurves,
        ax: Axes | None = None,
        *,
        figure: Figure | SubFigure | None = None,
        quality_bitmask: flags.Bitmask = "default",
        flagged: Flagged = "apart",
        joined: bool = False,
    ) -> None:
        self._given = ax
        self._figure = figure
        self._quality_bitmask = quality_bitmask
        self._flagged = flagged
        self._joined = joined
        self._records = records_of(light_curves)
        self._panels: list[LightCurvePanel] = []
        self._drawn: list[Artist] = []
        self._spans: list[tuple[float, float]] = []
        self._titles: list[str | None] = []
        self.axes = []
        self._draw()

    def update(
        self,
        light_curves: LightCurves | None = None,
        *,
        quality_bitmask: flags.Bitmask | EllipsisType = ...,
        flagged: Flagged | None = None,
        joined: bool | None = None,
    ) -> None:
        """Update the drawing; arguments that are omitted keep their values.

        The zoom is kept while the same targets, observations and units are shown. Otherwise the
        panels are replaced, in the same figure. The canvas is redrawn when idle (``draw_idle``).

        Parameters
        ----------
        light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable, optional
            Other light curves.
        quality_bitmask : str, int or iterable, optional
            Which flags make a cadence bad.
        flagged : {"apart", "drop", "keep"}, optional
            How bad cadences are drawn.
        joined : bool, optional
            Whether all observations of a target share a panel.

        Raises
        ------
        LightCurveNotFoundError, AmbiguousError, TypeError
            As for :func:`plot`; the drawing then remains unchanged.

        Examples
        --------
        >>> drawing = Drawing(db.search(1, exptime=1800, processing="DEMO DET"))
        >>> len(drawing.axes)
        2
        >>> drawing.update(joined=True)
        >>> len(drawing.axes)
        1
        """
        before = (self._records, self._quality_bitmask, self._flagged, self._joined)
        if light_curves is not None:
            self._records = records_of(light_curves)
        if not isinstance(quality_bitmask, EllipsisType):
            self._quality_bitmask = quality_bitmask
        self._flagged = flagged or self._flagged
        self._joined = self._joined if joined is None else joined
        try:
            self._draw()
        except Exception:
            self._records, self._quality_bitmask, self._flagged, self._joined = before
            raise
        if self._figure is not None:
            self._figure.canvas.draw_idle()

    def _draw(self) -> None:
        records, preset, how = self._records, self._quality_bitmask, self._flagged
        # Code that may raise comes first, so that the drawing is unchanged after an exception.
        panels = (
            panels_of(records, joined=self._joined) if self._given is None else one_panel(records)
        )
        bad = {id(data): flagged_mask(data, preset) for data in records}
        hidden = {id(data): hidden_cadences(bad[id(data)], how) for data in records}
        found: list[dict[str, Flag]] = [
            flagged_cadences(panel.records, preset) if how == "apart" else {} for panel in panels
        ]
        spans = spans_of(panels, bad)
        same = [panel.of for panel in panels] == [panel.of for panel in self._panels]
        zoomed = [ax.get_ylim() != span for ax, span in zip(self.axes, self._spans, strict=True)]
        self._clear(panels, same=same)
        marks = marks_of(found)
        self._spans, self._titles = [], []
        clocks_below: list[Clock | None] = [p.records[0].clock for p in panels[1:]] + [None]
        for number, (panel, ax) in enumerate(zip(panels, self.axes, strict=True)):
            if not (same and zoomed[number]):
                span = spans[number]
                if self._given is not None and ax.has_data():
                    span = wider(span, ax.get_ylim())
                ax.set_ylim(*span)
            self._titles.append(None if ax.get_title() else panel.title)
            self._drawn += draw(
                ax,
                panel.records,
                title=panel.title,
                labels=curve_labels(panel.records, joined=self._joined and self._given is None),
                flagged=found[number],
                marks=marks,
                hidden=[hidden[id(data)] for data in panel.records],
            )
            first = panel.records[0]
            if first.clock != clocks_below[number]:
                literal(ax.xaxis.label).set_text(time_label(first))
            self._spans.append(ax.get_ylim())
        self._panels = panels

    def _clear(self, panels: Sequence[LightCurvePanel], *, same: bool) -> None:
        """Remove all artists, and replace the Axes if the panels differ."""
        for artist in self._drawn:
            artist.remove()
        self._drawn = []
        if self._given is not None:
            self.axes = [self._given]
            self._figure = self._given.figure
        elif not same:
            if self._figure is None:
                self._figure = new_figure(height_of(panels))
            self._figure.clear()
            self.axes = axes_of(panels, self._figure)
            return
        for ax, title in zip(self.axes, self._titles, strict=False):
            if ax.get_title() == title:
                ax.set_title("")
            ax.relim()


def hidden_cadences(bad: Bools, flagged: Flagged) -> Bools:
    """Return which cadences are not drawn as points.

    Parameters
    ----------
    bad : numpy.ndarray
        bool of shape (cadences,): the bad cadences.
    flagged : {"apart", "drop", "keep"}
        How they are drawn.

    Returns
    -------
    numpy.ndarray
        bool of shape (cadences,).

    Raises
    ------
    ArgumentError
        If ``flagged`` has another value.
    """
    if flagged not in ("apart", "drop", "keep"):
        raise ArgumentError(f"flagged must be 'apart', 'drop' or 'keep', got {flagged!r}")
    return np.zeros_like(bad) if flagged == "keep" else bad
