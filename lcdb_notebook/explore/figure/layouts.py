"""Which light curves share a panel, and what is written around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.labels import (
    curve_labels,
    distinguishing_fields,
    flux_label,
    time_label,
    title,
)
from lcdb_notebook.plot.panels import MOST_PANELS, LightCurvePanel, panels_of

__all__ = ["Compare", "PanelLayout", "layouts"]

Compare: TypeAlias = Literal["ratio", "difference"] | None


@dataclass
class PanelLayout:
    """The panels, and which of them each light curve is in.

    Parameters
    ----------
    panel, colour : list of int
        For each light curve, the numbers of its panel and of its colour.
    label : list of str
        For each light curve, its label; "" if there is only one in its panel.
    panels : list of dict
        Descriptions of the panels, as JSON.
    """

    panel: list[int]
    colour: list[int]
    label: list[str]
    panels: list[dict[str, Any]]


def layouts(
    drawn: Sequence[LightCurveData], compare: Compare, every: Sequence[LightCurveData]
) -> tuple[PanelLayout, PanelLayout]:
    """Return the layouts without and with all sectors in one panel.

    Parameters
    ----------
    drawn : sequence of LightCurveData
        The light curves.
    compare : {"ratio", "difference"} or None
        Whether ``every`` ends with a comparison, which has a separate panel.
    every : sequence of LightCurveData
        The light curves, and the comparison.

    Returns
    -------
    tuple of PanelLayout
    """
    together = _layout(drawn, panels_of(drawn, joined=True), joined=True)
    if compare is not None:
        panel = LightCurvePanel(list(drawn), title(drawn, distinguishing_fields(drawn)))
        together = _layout(drawn, [panel], joined=False)
        unit = every[-1].unit.strip()
        ylabel = "Before / after" if compare == "ratio" else "Before − after"
        together.panels[0]["height"] = 2
        together.panels.append(
            {
                **together.panels[0],
                "title": "",
                "ylabel": f"{ylabel} [{unit}]" if unit else ylabel,
                "group": 1,
                "height": 1,
                "line": 1 if compare == "ratio" else 0,
            }
        )
        together.panel.append(1)
        together.colour.append(0)
        together.label.append("")
        together.label[:2] = [
            f"{when}: {label}" if label else when
            for when, label in zip(("before", "after"), together.label, strict=False)
        ]
        return together, together
    observations = {(d.catalog, d.target, d.observation.id, d.unit) for d in drawn}
    if len(observations) > MOST_PANELS:
        return together, together
    return _layout(drawn, panels_of(drawn, joined=False), joined=False), together


def _layout(
    drawn: Sequence[LightCurveData], panels: Sequence[LightCurvePanel], *, joined: bool
) -> PanelLayout:
    numbers = {id(data): number for number, data in enumerate(drawn)}
    made = PanelLayout([0] * len(drawn), [0] * len(drawn), [""] * len(drawn), [])
    groups: dict[Any, int] = {}
    for number, panel in enumerate(panels):
        labels = curve_labels(panel.records, joined=joined)
        colours = {label: k for k, label in enumerate(dict.fromkeys(labels))}
        for data, label in zip(panel.records, labels, strict=True):
            k = numbers[id(data)]
            made.panel[k], made.colour[k], made.label[k] = number, colours[label], label
        first = panel.records[0]
        made.panels.append(
            {
                "title": panel.title,
                "xlabel": time_label(first),
                "unit": first.unit.strip(),
                "ylabel": flux_label(first.unit),
                "group": groups.setdefault(panel.shares_y_with, len(groups)),
                "height": 1,
                "line": None,
                "time": first.clock.format_name.upper(),
            }
        )
    return made
