"""Flux against time, flagged cadences apart: drawn once, or again and again on the same Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.quality import condemned
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.curves import LightCurves, records_of
from lcdb_notebook.plot.drawing import draw, limits, wider
from lcdb_notebook.plot.flagged import Bools, Flag, flagged_cadences, marks_of
from lcdb_notebook.plot.panels import Panel, axes_of, height_of, new_figure, one_panel, panels_of
from lcdb_notebook.plot.wording import curve_labels, time_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from lcdb_notebook.lightcurve.clock import Clock

__all__ = ["Drawing", "Flagged", "hidden_cadences", "plot"]

Flagged: TypeAlias = Literal["apart", "drop", "keep"]
"""What becomes of flagged cadences: marks of their own, nothing, or points like all others."""


def plot(
    light_curves: LightCurves,
    ax: Axes | None = None,
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "apart",
    joined: bool = False,
) -> Axes:
    """Draw flux against time, flagged cadences apart.

    Cadences are single points, never joined, so a gap stays a gap. Those that ``quality_bitmask``
    condemns have a colour and a shape of their own, and the legend names their flags with the
    number of cadences drawn: a cadence with two flags has both marks and counts twice, one without
    flux is nowhere. The six or seven most frequent flags are named, the rest are "other flags".

    Good cadences alone set the y axis, so that no flagged outlier squashes them: it spans their
    percentiles 0.5 to 99.5 and goes on to whatever is less than twice that span further out, such
    as a deep eclipse. Points beyond it are triangles at the edge, where they point to.

    Magnitudes are drawn as they are stored, brightest on top. The colours are those of Okabe and
    Ito (2008, https://jfly.uni-koeln.de/color/; Wong 2011, Nature Methods 8, 441), which the
    colour-blind tell apart.

    Parameters
    ----------
    light_curves
        Records or lightkurve's light curves, one or several, best in the order of
        :attr:`Selection.table`.
    ax
        Where to draw everything, whatever sectors and stars it is of. Without it there is a new
        figure with a panel for each observation: apertures and processing steps lie over each
        other if their units agree, else one panel below the other, and panels of one star, one
        pipeline and one unit share the y axis.
    quality_bitmask
        Which flags condemn a cadence: see :func:`lcdb_notebook.flags.bitmask`.
    flagged
        "apart" draws flagged cadences apart, "drop" leaves them out, "keep" draws them as points
        like all others.
    joined
        Draw all observations of a star by one pipeline in one panel, one after the other.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the topmost panel; ``.figure.axes`` are all of them, ``.figure.savefig(...)``
        writes them to a file.

    Raises
    ------
    LightCurveNotFoundError
        If there are no light curves.
    AmbiguousError
        If there are more panels than :data:`MOST_PANELS`, or units or clocks that one ``ax`` cannot
        show together.
    TypeError
        If something is no light curve, or ``flagged`` is none of its three values.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> ax = db.search(1, sector=1, exptime=1800, processing="DEMO DET").plot()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Time − 2457000 [BTJD days]', 'Relative flux')
    """
    return Drawing(
        light_curves, ax, quality_bitmask=quality_bitmask, flagged=flagged, joined=joined
    ).axes[0]


class Drawing:
    """A drawing of light curves that can be changed: other flags, other points, the same figure.

    :func:`plot` makes one and gives its Axes. Keep the Drawing where something is to be toggled:
    :meth:`update` replaces the points and leaves figure, Axes and what others drew on them alone.

    Parameters
    ----------
    light_curves, ax, quality_bitmask, flagged, joined
        As for :func:`plot`.
    figure
        A figure to fill with panels, such as one that a widget shows; without it and without
        ``ax`` there is a new one.

    Attributes
    ----------
    axes : list of matplotlib.axes.Axes
        From top to bottom.

    Examples
    --------
    >>> db = getfixture("demo_database")
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
        self._panels: list[Panel] = []
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
        """Draw again what has changed; what is left out stays as it is.

        A view that somebody zoomed into stays while the same stars, observations and units are
        shown. Otherwise, panels and all are made anew, in the same figure. It asks the canvas for a
        redraw when there is time (``draw_idle``).

        Raises
        ------
        LightCurveNotFoundError, AmbiguousError, TypeError
            As :func:`plot`; the drawing is then as it was.
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
        # All that may fail comes first, so that a failure leaves the drawing as it was.
        panels = (
            panels_of(records, joined=self._joined) if self._given is None else one_panel(records)
        )
        bad = {id(data): condemned(data, preset) for data in records}
        hidden = {id(data): hidden_cadences(bad[id(data)], how) for data in records}
        found: list[dict[str, Flag]] = [
            flagged_cadences(panel.records, preset) if how == "apart" else {} for panel in panels
        ]
        spans = _spans(panels, bad)
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
                ax.set_xlabel(time_label(first))
            self._spans.append(ax.get_ylim())
        self._panels = panels

    def _clear(self, panels: Sequence[Panel], *, same: bool) -> None:
        """Remove what was drawn; make other Axes where other panels are wanted."""
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
    """Say which cadences are not among the points, as ``flagged`` wants it.

    Raises
    ------
    TypeError
        If ``flagged`` is none of its three values.
    """
    if flagged not in ("apart", "drop", "keep"):
        raise TypeError(f"flagged= is 'apart', 'drop' or 'keep', not {flagged!r}")
    return np.zeros_like(bad) if flagged == "keep" else bad


def _spans(panels: Sequence[Panel], bad: Mapping[int, Bools]) -> list[tuple[float, float]]:
    """Choose the y limits of each panel, the same for those that share an axis."""
    of_group: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for panel in panels:
        of_group.setdefault(panel.shares_y_with, []).extend(panel.records)
    span_of = {
        key: limits(group, [bad[id(data)] for data in group]) for key, group in of_group.items()
    }
    return [span_of[panel.shares_y_with] for panel in panels]
