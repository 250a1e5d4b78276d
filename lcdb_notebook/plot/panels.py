"""Which light curve goes into which Axes, and the figure that holds them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcdb_notebook import flags
from lcdb_notebook.errors import AmbiguousError, LightCurveNotFoundError
from lcdb_notebook.plot.drawing import draw, limits, wider
from lcdb_notebook.plot.flagged import flagged_cadences, marks_of
from lcdb_notebook.plot.wording import star, telling_fields, time_label, title
from lcdb_notebook.record import LightCurveData

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lcdb_notebook.clock import Clock

MOST_PANELS = 40
"""Panels of one figure at most: about as many sectors as TESS gave its continuous viewing zone."""

WIDTH = 9.0
"""Inches across, which is what a notebook shows at full size."""


@dataclass(frozen=True, eq=False)
class _Panel:
    """Light curves that share one Axes: of one target in one observation, in one unit."""

    records: list[LightCurveData]
    title: str

    @property
    def shares_y_with(self) -> tuple[Any, ...]:
        """Panels for which this is equal have the same y axis: sectors of one pipeline."""
        first = self.records[0]
        return (*star(first), first.unit, first.observation.fields.get("author"))


def plot(
    records: Iterable[LightCurveData],
    ax: Axes | None = None,
    *,
    quality_bitmask: flags.Bitmask = "default",
) -> Axes:
    """Draw flux against time, flagged cadences apart.

    Cadences are single points, never joined, so a gap stays a gap. Those that ``quality_bitmask``
    condemns have a colour and a shape of their own, and the legend names their flags with the
    number of cadences drawn: a cadence with two flags has both marks and counts twice, one without
    flux is nowhere. The six or seven most frequent flags are named, the rest are "other flags".

    Good cadences alone set the y axis, so that no flagged outlier squashes them: it spans their
    percentiles 0.5 to 99.5 and goes on to whatever is less than twice that span further out, such
    as a deep eclipse. Points beyond it are triangles at the edge, where they point to.

    Magnitudes are drawn as they are stored, brightest on top.

    Parameters
    ----------
    records
        Light curves, best in the order of :attr:`Selection.table`.
    ax
        Where to draw everything, whatever sectors and stars it is of. Without it there is a new
        figure with a panel for each observation: apertures and processing steps lie over each
        other if their units agree, else one panel below the other, and panels of one star, one
        pipeline and one unit share the y axis.
    quality_bitmask
        Which flags condemn a cadence: see :func:`lcdb_notebook.flags.bitmask`.

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

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> ax = db.search(1, sector=1, exptime=1800, processing="DEMO DET").plot()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Time − 2457000 [BTJD days]', 'Relative flux')
    """
    records = list(records)
    if not records:
        raise LightCurveNotFoundError("there is no light curve to draw; .table shows what there is")
    if ax is not None:
        _check_one_scale(records)
        span = limits(records, quality_bitmask)
        ax.set_ylim(*(wider(span, ax.get_ylim()) if ax.has_data() else span))
        flagged = flagged_cadences(records, quality_bitmask)
        name = title(records, telling_fields(records))
        draw(ax, records, name, flagged, marks_of([flagged]), quality_bitmask)
        ax.set_xlabel(time_label(records[0]))
        return ax
    panels = _panels(records)
    of_group: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for panel in panels:
        of_group.setdefault(panel.shares_y_with, []).extend(panel.records)
    limits_of = {key: limits(group, quality_bitmask) for key, group in of_group.items()}
    flagged_of = [flagged_cadences(panel.records, quality_bitmask) for panel in panels]
    marks = marks_of(flagged_of)
    axes = _figure(panels)
    clock_below: Clock | None = None
    for panel, flagged, its_axes in reversed(list(zip(panels, flagged_of, axes, strict=True))):
        its_axes.set_ylim(*limits_of[panel.shares_y_with])
        draw(its_axes, panel.records, panel.title, flagged, marks, quality_bitmask)
        first = panel.records[0]
        if first.clock != clock_below:
            its_axes.set_xlabel(time_label(first))
        clock_below = first.clock
    return axes[0]


def check_panels(keys: Iterable[Hashable]) -> None:
    """Refuse more panels than a figure holds.

    Parameters
    ----------
    keys
        For each light curve what decides its panel: star, observation, unit.

    Raises
    ------
    AmbiguousError
        If there are more than :data:`MOST_PANELS` different ones.
    """
    panels = len(set(keys))
    if panels > MOST_PANELS:
        raise AmbiguousError(
            f"these light curves would fill {panels} panels, and a figure holds {MOST_PANELS}: "
            "narrow the search (sector=..., processing=...), cut it (selection[:10]), or give an "
            "ax to draw all of them into one"
        )


def _panels(records: Sequence[LightCurveData]) -> list[_Panel]:
    gathered: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for data in records:
        key = (*star(data), data.observation.id, data.unit, data.clock.format_name)
        gathered.setdefault(key, []).append(data)
    check_panels(gathered)
    telling = telling_fields(records)
    return [_Panel(members, title(members, telling)) for members in gathered.values()]


def _figure(panels: Sequence[_Panel]) -> list[Axes]:
    import matplotlib.pyplot as plt

    height = 4.0 if len(panels) == 1 else 2.7 if len(panels) <= 4 else 2.2
    figure = plt.figure(figsize=(WIDTH, height * len(panels)), layout="constrained")
    axes: list[Axes] = []
    above: dict[tuple[str, Any], Axes] = {}
    for number, panel in enumerate(panels, start=1):
        first = panel.records[0]
        of_time = ("x", (*star(first), first.observation.id, first.clock.format_name))
        of_flux = ("y", panel.shares_y_with)
        # Zooming in on one panel zooms those that show the same cadences or the same flux.
        made = figure.add_subplot(
            len(panels), 1, number, sharex=above.get(of_time), sharey=above.get(of_flux)
        )
        axes.append(made)
        above.setdefault(of_time, made)
        above.setdefault(of_flux, made)
    return axes


def _check_one_scale(records: Sequence[LightCurveData]) -> None:
    for what, found in (
        ("units", sorted({data.unit or "relative flux" for data in records})),
        ("clocks", sorted({data.clock.format_name for data in records})),
    ):
        if len(found) > 1:
            raise AmbiguousError(
                f"one ax cannot show several {what} ({', '.join(found)}): narrow the search, or "
                "leave ax out for a panel each"
            )
