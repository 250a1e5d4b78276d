"""Where the boxes and arrows of a drawn lineage go: layers by depth, from left to right."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, Protocol, TypeAlias

__all__ = ["FONT", "PADDING", "Drawable", "Layout", "Point", "layout"]

Point: TypeAlias = tuple[float, float]
Link: TypeAlias = tuple[int, int]
#: A DataSet, or the gap that a layer leaves for a link which passes it: (source, derived, layer).
Slot: TypeAlias = "int | tuple[int, int, int]"

# Points (1/72 inch).
FONT = 9.0
PADDING = 5.0
_LINE = 15.0
_BETWEEN_ROWS = 12.0
_BETWEEN_LAYERS = 46.0
_MARGIN = 8.0

_SWEEPS = 7
# Beyond this many gaps nobody could follow the links that they are for.
_MOST_GAPS = 2000


class Drawable(Protocol):
    """What is drawn of a :class:`~lcdb_notebook.Lineage`; its attributes are explained there."""

    asked: tuple[int, ...]
    graph: Any

    @property
    def cycles(self) -> tuple[tuple[int, ...], ...]:
        """Ids of DataSets that descend from themselves."""

    @property
    def depths(self) -> dict[int, int]:
        """The layer of each DataSet."""

    def label(self, dataset: Any) -> str:
        """Return the text of a box."""


@dataclass(frozen=True)
class Layout:
    """A drawing in points, from its upper left corner.

    Parameters
    ----------
    places
        The middle of each box.
    widths, height
        Of boxes; those of one layer are equally wide.
    lines
        What a box says.
    ways
        For each link the points it goes through, leaving and entering all of them horizontally.
    size
        Width and height of the whole.
    """

    places: dict[int, Point]
    widths: dict[int, float]
    height: float
    lines: dict[int, list[str]]
    ways: dict[Link, list[Point]]
    size: Point


def layout(lineage: Drawable) -> Layout:
    """Lay a lineage out."""
    layers = _layers(lineage)
    lines = _lines(lineage)
    height = _LINE * max(len(told) for told in lines.values())
    step = height + _BETWEEN_ROWS
    tallest = max(len(layer) for layer in layers)
    places: dict[Slot, Point] = {}
    widths: dict[Slot, float] = {}
    x = _MARGIN
    for layer in layers:
        told = [line for slot in layer if isinstance(slot, int) for line in lines[slot]]
        width = max(_text_width(line) for line in told) + 2 * PADDING
        top = _MARGIN + (tallest - len(layer)) * step / 2
        for row, slot in enumerate(layer):
            places[slot] = (x + width / 2, top + row * step + height / 2)
            widths[slot] = width
        x += width + _BETWEEN_LAYERS
    # Arrows of a cycle within the last layer need room on the right.
    x -= (
        0
        if any(lineage.depths[cycle[0]] == len(layers) - 1 for cycle in lineage.cycles)
        else (_BETWEEN_LAYERS)
    )
    return Layout(
        {slot: place for slot, place in places.items() if isinstance(slot, int)},
        {slot: width for slot, width in widths.items() if isinstance(slot, int)},
        height,
        lines,
        {link: _way(lineage, link, places, widths, height) for link in lineage.graph.edges},
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
    # Forwards first and last: then what was derived from one DataSet stands together.
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


def _way(
    lineage: Drawable,
    link: Link,
    places: dict[Slot, Point],
    widths: dict[Slot, float],
    height: float,
) -> list[Point]:
    a, b = link
    (x0, y0), (x1, y1) = places[a], places[b]
    if lineage.depths[a] >= lineage.depths[b]:
        # Within a cycle: out at the right, and in again at the right.
        nudge = height / 4 if a == b else 0.0
        return [(x0 + widths[a] / 2, y0 - nudge), (x1 + widths[b] / 2, y1 + nudge)]
    way = [(x0 + widths[a] / 2, y0)]
    for layer in range(lineage.depths[a] + 1, lineage.depths[b]):
        slot = (a, b, layer)
        if slot in places:
            x, y = places[slot]
            way += [(x - widths[slot] / 2, y), (x + widths[slot] / 2, y)]
    return [*way, (x1 - widths[b] / 2, y1)]


def _lines(lineage: Drawable) -> dict[int, list[str]]:
    """Say in each box what it is; whose light curve, only where that differs."""
    nodes = lineage.graph.nodes
    stars = {(node["catalog"], node["target"]) for node in nodes.values()}
    observations = {node["observation"] for node in nodes.values()}
    lines = {}
    for id_, node in nodes.items():
        about = [f"{node['catalog']} {node['target']}"] if len(stars) > 1 else []
        about += [f"observation {node['observation']}"] if len(observations) > 1 else []
        lines[id_] = [lineage.label(id_), *([", ".join(about)] if about else [])]
    return lines


def _text_width(text: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=FONT), ismath=False
    )
    return float(width)
