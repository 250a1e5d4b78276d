"""Lay out the boxes and arrows of a lineage: layers by depth, from left to right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, Protocol, TypeAlias

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import ObservationData, observation_names

__all__ = ["FONT", "PADDING", "Drawable", "GraphLayout", "Point", "layout", "lines_of"]

Point: TypeAlias = tuple[float, float]
Link: TypeAlias = tuple[DataSetId, DataSetId]
#: A DataSet, or a gap in a layer for a link that passes through: (source, derived, layer).
Slot: TypeAlias = "DataSetId | tuple[DataSetId, DataSetId, int]"

# Points (1/72 inch).
FONT = 9.0
PADDING = 5.0
_LINE = 15.0
_BETWEEN_ROWS = 12.0
_BETWEEN_LAYERS = 46.0
_MARGIN = 8.0

_SWEEPS = 7
# With more gaps than this, links cannot be followed by eye.
_MOST_GAPS = 2000


class Drawable(Protocol):
    """The part of a :class:`~lcdb_notebook.Lineage` that is drawn."""

    asked: tuple[DataSetId, ...]
    graph: Any
    observations: Mapping[int, ObservationData]

    @property
    def cycles(self) -> tuple[tuple[DataSetId, ...], ...]:
        """Ids of DataSets that descend from themselves."""

    @property
    def depths(self) -> dict[DataSetId, int]:
        """The layer of each DataSet."""

    def label(self, dataset: Any) -> str:
        """Return the text of a box."""


@dataclass(frozen=True)
class GraphLayout:
    """The layout of a drawing, in points from its upper left corner.

    Parameters
    ----------
    positions : dict of int to Point
        The centre of each box.
    widths : dict of int to float
        Widths of the boxes, equal within a layer.
    height : float
        Height of the boxes.
    lines : dict of int to list of str
        The text of each box.
    paths : dict of Link to list of Point
        The points that each link passes through, horizontally.
    size : Point
        Width and height of the drawing.
    """

    positions: dict[DataSetId, Point]
    widths: dict[DataSetId, float]
    height: float
    lines: dict[DataSetId, list[str]]
    paths: dict[Link, list[Point]]
    size: Point


def layout(lineage: Drawable) -> GraphLayout:
    """Compute the layout of a lineage."""
    layers = _layers(lineage)
    lines = lines_of(lineage)
    height = _LINE * max(len(text) for text in lines.values())
    step = height + _BETWEEN_ROWS
    tallest = max(len(layer) for layer in layers)
    positions: dict[Slot, Point] = {}
    widths: dict[Slot, float] = {}
    x = _MARGIN
    for layer in layers:
        texts = [line for slot in layer if not isinstance(slot, tuple) for line in lines[slot]]
        width = max(_text_width(line) for line in texts) + 2 * PADDING
        top = _MARGIN + (tallest - len(layer)) * step / 2
        for row, slot in enumerate(layer):
            positions[slot] = (x + width / 2, top + row * step + height / 2)
            widths[slot] = width
        x += width + _BETWEEN_LAYERS
    # Arrows of a cycle within the last layer need room on the right.
    x -= (
        0
        if any(lineage.depths[cycle[0]] == len(layers) - 1 for cycle in lineage.cycles)
        else (_BETWEEN_LAYERS)
    )
    return GraphLayout(
        {slot: place for slot, place in positions.items() if not isinstance(slot, tuple)},
        {slot: width for slot, width in widths.items() if not isinstance(slot, tuple)},
        height,
        lines,
        {link: _path(lineage, link, positions, widths, height) for link in lineage.graph.edges},
        (x + _MARGIN, 2 * _MARGIN + tallest * step - _BETWEEN_ROWS),
    )


def _layers(lineage: Drawable) -> list[list[Slot]]:
    """Order each layer so that few links cross.

    The barycentre method, with gaps for the links that pass a layer (Sugiyama, Tagawa and Toda
    1981, IEEE Transactions on Systems, Man, and Cybernetics 11, 109).
    """
    depths = lineage.depths
    layers: list[list[Slot]] = [[] for _ in range(max(depths.values()) + 1)]
    before: dict[Slot, list[Slot]] = {}
    after: dict[Slot, list[Slot]] = {}
    for id_ in sorted(depths):
        layers[depths[id_]].append(id_)
    gaps = sum(max(0, depths[b] - depths[a] - 1) for a, b in lineage.graph.edges)
    for a, b in lineage.graph.edges:
        passed: list[Slot] = [(a, b, layer) for layer in range(depths[a] + 1, depths[b])]
        chain: list[Slot] = [a, *(passed if gaps <= _MOST_GAPS else ()), b]
        for slot in chain[1:-1]:
            assert isinstance(slot, tuple)
            layers[slot[2]].append(slot)
        if depths[a] < depths[b]:
            for one, next_ in pairwise(chain):
                after.setdefault(one, []).append(next_)
                before.setdefault(next_, []).append(one)
    height: dict[Slot, float] = {}
    for layer in layers:
        height |= _heights(layer)
    # Forwards first and last, so that DataSets with the same source are placed together.
    for sweep in range(_SWEEPS):
        linked = after if sweep % 2 else before
        for layer in reversed(layers) if sweep % 2 else layers:
            middle = {
                slot: fmean(height[one] for one in linked[slot]) if slot in linked else height[slot]
                for slot in layer
            }
            layer.sort(key=middle.__getitem__)
            height |= _heights(layer)
    return layers


def _heights(layer: list[Slot]) -> dict[Slot, float]:
    return {slot: row - (len(layer) - 1) / 2 for row, slot in enumerate(layer)}


def _path(
    lineage: Drawable,
    link: Link,
    positions: dict[Slot, Point],
    widths: dict[Slot, float],
    height: float,
) -> list[Point]:
    a, b = link
    (x0, y0), (x1, y1) = positions[a], positions[b]
    if lineage.depths[a] >= lineage.depths[b]:
        # Within a cycle: from the right side of one box to the right side of the other.
        nudge = height / 4 if a == b else 0.0
        return [(x0 + widths[a] / 2, y0 - nudge), (x1 + widths[b] / 2, y1 + nudge)]
    path = [(x0 + widths[a] / 2, y0)]
    for layer in range(lineage.depths[a] + 1, lineage.depths[b]):
        slot = (a, b, layer)
        if slot in positions:
            x, y = positions[slot]
            path += [(x - widths[slot] / 2, y), (x + widths[slot] / 2, y)]
    return [*path, (x1 - widths[b] / 2, y1)]


def lines_of(lineage: Drawable) -> dict[DataSetId, list[str]]:
    """Return the text of each box; target and observation only if they differ."""
    nodes = lineage.graph.nodes
    stars = {(node["catalog"], node["target"]) for node in nodes.values()}
    ids = {node["observation"] for node in nodes.values()}
    unnamed = {id_: ObservationData(id_, "observation", {}, ()) for id_ in ids}
    names = observation_names((unnamed | dict(lineage.observations)).values())
    lines = {}
    for id_, node in nodes.items():
        about = [f"{node['catalog']} {node['target']}"] if len(stars) > 1 else []
        about += [names[node["observation"]]] if len(ids) > 1 else []
        lines[id_] = [lineage.label(id_), *([", ".join(about)] if about else [])]
    return lines


def _text_width(text: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=FONT), ismath=False
    )
    return float(width)
