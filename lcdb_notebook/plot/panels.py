"""Which light curve goes into which Axes, and the figure that holds them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import AmbiguousError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.wording import star, telling_fields, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_PANELS = 40
"""Panels of one figure at most: about as many sectors as TESS gave its continuous viewing zone."""

WIDTH = 9.0
"""Inches across, which is what a notebook shows at full size."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Light curves that share one Axes: of one target, in one unit, as a rule one observation."""

    records: list[LightCurveData]
    title: str

    @property
    def of(self) -> tuple[Any, ...]:
        """Panels for which this is equal show the same thing, if perhaps other points of it."""
        first = self.records[0]
        observations = {data.observation.id for data in self.records}
        return (*self.shares_y_with, first.clock.format_name, frozenset(observations))

    @property
    def shares_y_with(self) -> tuple[Any, ...]:
        """Panels for which this is equal have the same y axis: sectors of one pipeline."""
        first = self.records[0]
        return (*star(first), first.unit, first.observation.fields.get("author"))


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
            "narrow the search (sector=..., processing=...), cut it (selection[:10]), join the "
            "sectors (joined=True), or give an ax to draw all of them into one"
        )


def panels_of(records: Sequence[LightCurveData], *, joined: bool) -> list[Panel]:
    """Sort light curves into panels, by star, observation, unit and clock.

    ``joined`` puts the observations of one star and pipeline into one panel.

    Raises
    ------
    AmbiguousError
        If there are more than :data:`MOST_PANELS`.
    """
    gathered: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for data in records:
        fields = data.observation.fields
        when = (fields.get("author"), fields.get("exptime")) if joined else (data.observation.id,)
        key = (*star(data), *when, data.unit, data.clock.format_name)
        gathered.setdefault(key, []).append(data)
    check_panels(gathered)
    telling = telling_fields(records)
    return [Panel(members, title(members, telling, joined=joined)) for members in gathered.values()]


def one_panel(records: Sequence[LightCurveData]) -> list[Panel]:
    """Put everything into one panel.

    Raises
    ------
    AmbiguousError
        If units or clocks differ.
    """
    for what, found in (
        ("units", sorted({data.unit or "relative flux" for data in records})),
        ("clocks", sorted({data.clock.format_name for data in records})),
    ):
        if len(found) > 1:
            raise AmbiguousError(
                f"one ax cannot show several {what} ({', '.join(found)}): narrow the search, or "
                "leave ax out for a panel each"
            )
    return [Panel(list(records), title(records, telling_fields(records)))]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Make a figure whose parts make room for each other."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


def height_of(panels: Sequence[Panel]) -> float:
    """Give the height in inches that panels need to be legible."""
    return len(panels) * (4.0 if len(panels) == 1 else 2.7 if len(panels) <= 4 else 2.2)


def axes_of(panels: Sequence[Panel], figure: Figure | SubFigure) -> list[Axes]:
    """Make the Axes of panels, one below the other."""
    axes: list[Axes] = []
    above: dict[tuple[str, Any], Axes] = {}
    for number, panel in enumerate(panels, start=1):
        first = panel.records[0]
        observations = frozenset(data.observation.id for data in panel.records)
        of_time = ("x", (*star(first), observations, first.clock.format_name))
        of_flux = ("y", panel.shares_y_with)
        # Zooming in on one panel zooms those that show the same cadences or the same flux.
        made = figure.add_subplot(
            len(panels), 1, number, sharex=above.get(of_time), sharey=above.get(of_flux)
        )
        axes.append(made)
        above.setdefault(of_time, made)
        above.setdefault(of_flux, made)
    return axes
