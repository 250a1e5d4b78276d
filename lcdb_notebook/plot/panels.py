"""Panels of a figure: which light curves share an Axes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import AmbiguousError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.drawing import limits
from lcdb_notebook.plot.flagged import Bools
from lcdb_notebook.plot.labels import distinguishing_fields, star, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_PANELS = 40
"""The largest number of panels of a figure, about the number of TESS sectors of a CVZ target."""

WIDTH = 9.0
"""Width in inches that notebooks show at full size."""


@dataclass(frozen=True, eq=False)
class LightCurvePanel:
    """Light curves on the same Axes, of one target and unit and usually of one observation."""

    records: list[LightCurveData]
    title: str

    @property
    def of(self) -> tuple[Any, ...]:
        """A key that is equal for panels of the same targets, observations and units."""
        first = self.records[0]
        observations = {data.observation.id for data in self.records}
        return (*self.shares_y_with, first.clock.format_name, frozenset(observations))

    @property
    def shares_y_with(self) -> tuple[Any, ...]:
        """A key that is equal for panels that share the y axis: the same target, unit, pipeline."""
        first = self.records[0]
        return (*star(first), first.unit, first.observation.fields.get("author"))


def check_panels(keys: Iterable[Hashable]) -> None:
    """Check the number of panels that light curves need.

    Parameters
    ----------
    keys : iterable
        Hashable keys of the panels of light curves: target, observation and unit.

    Raises
    ------
    AmbiguousError
        If there are more than 40 (:data:`MOST_PANELS`) different keys.

    Examples
    --------
    >>> check_panels([("TIC", 1, sector) for sector in range(1, 14)])
    """
    panels = len(set(keys))
    if panels > MOST_PANELS:
        fewer = advice(
            python="narrow the search (sector=..., processing=...), slice it (selection[:10]), "
            "join the sectors (joined=True), or pass ax to draw everything in one panel",
            terminal="name a target, narrow the search (--sector, --processing), or join the "
            "sectors (--joined)",
        )
        raise AmbiguousError(
            f"{panels} panels are needed, and a figure has at most {MOST_PANELS}; {fewer}"
        )


def panels_of(records: Sequence[LightCurveData], *, joined: bool) -> list[LightCurvePanel]:
    """Group light curves into panels by target, observation, unit and time format.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    joined : bool
        Put all observations of a target by one pipeline into one panel.

    Raises
    ------
    AmbiguousError
        If there are more than 40 panels.
    """
    gathered: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for data in records:
        fields = data.observation.fields
        when = (fields.get("author"), fields.get("exptime")) if joined else (data.observation.id,)
        key = (*star(data), *when, data.unit, data.clock.format_name)
        gathered.setdefault(key, []).append(data)
    check_panels(gathered)
    telling = distinguishing_fields(records)
    return [
        LightCurvePanel(members, title(members, telling, joined=joined))
        for members in gathered.values()
    ]


def one_panel(records: Sequence[LightCurveData]) -> list[LightCurvePanel]:
    """Return one panel with all light curves.

    Raises
    ------
    AmbiguousError
        If their units or time formats differ.
    """
    for what, found in (
        ("units", sorted({data.unit or "relative flux" for data in records})),
        ("time formats", sorted({data.clock.format_name for data in records})),
    ):
        if len(found) > 1:
            raise AmbiguousError(
                f"light curves on one Axes must not differ in {what}, got {', '.join(found)}; "
                "narrow the search, or omit ax to draw separate panels"
            )
    return [LightCurvePanel(list(records), title(records, distinguishing_fields(records)))]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return a new pyplot figure with constrained layout; sizes in inches."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


def height_of(panels: Sequence[LightCurvePanel]) -> float:
    """Return the height of a figure with these panels, in inches."""
    return len(panels) * (4.0 if len(panels) == 1 else 2.7 if len(panels) <= 4 else 2.2)


def axes_of(panels: Sequence[LightCurvePanel], figure: Figure | SubFigure) -> list[Axes]:
    """Add the Axes of panels to a figure, one below the other."""
    axes: list[Axes] = []
    above: dict[tuple[str, Any], Axes] = {}
    for number, panel in enumerate(panels, start=1):
        first = panel.records[0]
        observations = frozenset(data.observation.id for data in panel.records)
        of_time = ("x", (*star(first), observations, first.clock.format_name))
        of_flux = ("y", panel.shares_y_with)
        # Panels of the same cadences zoom together in x, panels of the same flux in y.
        made = figure.add_subplot(
            len(panels), 1, number, sharex=above.get(of_time), sharey=above.get(of_flux)
        )
        axes.append(made)
        above.setdefault(of_time, made)
        above.setdefault(of_flux, made)
    return axes


def spans_of(
    panels: Sequence[LightCurvePanel], bad: Mapping[int, Bools]
) -> list[tuple[float, float]]:
    """Return the y limits of each panel, the same for panels that share the axis."""
    of_group: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for panel in panels:
        of_group.setdefault(panel.shares_y_with, []).extend(panel.records)
    span_of = {
        key: limits(group, [bad[id(data)] for data in group]) for key, group in of_group.items()
    }
    return [span_of[panel.shares_y_with] for panel in panels]
