"""Draw a lineage on matplotlib Axes, or as SVG."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.lineage.layout import FONT, PADDING, Drawable, GraphLayout, Point, layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_planned", "svg"]

_SMALLEST_FONT = 3.5
# Sizes in inches. In a figure of the second size, labels would be too small to read.
_LARGEST_SIDE, _OF_DOTS = 40.0, (10.0, 7.0)
_BULGE = 20.0

# Distance in points at which a mouse can distinguish dots, and the fraction of the distance to the
# next layer that the dots of one layer may take.
_APART, _BAND = 8.0, 0.6

# Fill and edge. Orange and vermilion of the palette of Okabe and Ito, as in plots of light curves.
_PLAIN, _ASKED = ("#f2f4f7", "#5b6770"), ("#fde7c0", "#b35c00")
_CYCLE = "#D55E00"


def draw(lineage: Drawable, ax: Axes | None = None) -> Axes:
    """Draw boxes and arrows on Axes, which are created for None."""
    from matplotlib import pyplot as plt

    planned = layout(lineage)
    ax = _new_axes(plt.figure, planned) if ax is None else ax
    draw_planned(lineage, planned, ax)
    return ax


def svg(lineage: Drawable) -> str:
    """Return the drawing as SVG, with letters as shapes, so that it does not need fonts."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    planned = layout(lineage)
    # The Figure is not registered with pyplot; otherwise a notebook would show it twice.
    ax = _new_axes(Figure, planned)
    draw_planned(lineage, planned, ax)
    figure = ax.figure
    assert isinstance(figure, Figure)
    text = io.StringIO()
    omitted = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # With the salt, ids in the SVG depend only on the drawing, so that notebooks save the same.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "lineage"}):
        figure.savefig(text, format="svg", metadata=omitted)
    whole = text.getvalue()
    # The XML declaration and document type are not allowed within a page.
    return whole[whole.index("<svg") :]


def _new_axes(make: Any, planned: GraphLayout) -> Axes:
    shrunk = min(1.0, _LARGEST_SIDE * 72 / max(planned.size))
    inches = tuple(max(0.5, side * shrunk / 72) for side in planned.size)
    figure: Figure = make(figsize=inches if shrunk * FONT >= _SMALLEST_FONT else _OF_DOTS)
    return figure.add_axes((0, 0, 1, 1))


def draw_planned(
    lineage: Drawable, planned: GraphLayout, ax: Axes
) -> dict[DataSetId, Point] | None:
    """Draw a lineage with a given layout.

    Returns
    -------
    dict of int to tuple of float, or None
        Positions of the dots by id, in data coordinates; None for boxes, which are at the positions
        of the layout.
    """
    width, height = planned.size
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_axis_off()
    room = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    scale = min(1.0, 72 * room.width / width, 72 * room.height / height)
    if FONT * scale < _SMALLEST_FONT:
        return _dots(ax, lineage, planned)
    ax.set_aspect("equal")
    on_cycle = {link for cycle in lineage.cycles for link in _around(cycle)}
    for link, path in planned.paths.items():
        _arrow(ax, path, scale, _CYCLE if link in on_cycle else _PLAIN[1])
    for id_ in lineage.graph:
        _box(ax, id_, planned, scale, asked=id_ in lineage.asked)
    return None


def _around(cycle: Sequence[DataSetId]) -> list[tuple[DataSetId, DataSetId]]:
    return list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))


def _arrow(ax: Axes, path: Sequence[Point], scale: float, colour: str) -> None:
    """Draw a link as a curve that is horizontal where it meets a box or passes a layer."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points: list[Point] = [path[0]]
    codes = [Path.MOVETO]
    within_layer = len(path) == 2 and path[0][0] == path[1][0]
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(path)):
        if number % 2:
            # Straight through the gap in a layer.
            points.append((x1, y1))
            codes.append(Path.LINETO)
            continue
        middle = x0 + _BULGE if within_layer else (x0 + x1) / 2
        points += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    ax.add_patch(
        FancyArrowPatch(
            path=Path(points, codes),
            arrowstyle="-|>",
            mutation_scale=9 * scale,
            lw=1.1 * scale,
            facecolor=colour,
            edgecolor=colour,
            joinstyle="miter",
            zorder=1,
        )
    )


def _box(ax: Axes, id_: DataSetId, planned: GraphLayout, scale: float, *, asked: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = planned.positions[id_]
    width, height = planned.widths[id_], planned.height
    fill, edge = _ASKED if asked else _PLAIN
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={0.8 * PADDING}",
            facecolor=fill,
            edgecolor=edge,
            lw=(1.8 if asked else 0.9) * scale,
            zorder=2,
        )
    )
    ax.text(
        x,
        y,
        "\n".join(planned.lines[id_]),
        ha="center",
        va="center",
        fontsize=FONT * scale,
        # A dollar sign in a name must not start a formula.
        parse_math=False,
        zorder=3,
    )


def _dots(ax: Axes, lineage: Drawable, planned: GraphLayout) -> dict[DataSetId, Point]:
    """Draw dots instead of boxes, with each layer spread over the full height.

    A layer with too many dots to distinguish is drawn in several columns.
    """
    from matplotlib.collections import LineCollection

    layers: dict[float, list[DataSetId]] = defaultdict(list)
    for id_, (x, _) in planned.positions.items():
        layers[x].append(id_)
    width, height = planned.size
    room = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    fitting = max(1, int(72 * room.height / _APART))
    gap = min((b - a for a, b in pairwise(sorted(layers))), default=width)
    positions: dict[DataSetId, Point] = {}
    for x, layer in layers.items():
        columns = -(-len(layer) // fitting)
        rows = -(-len(layer) // columns)
        step = min(_APART * width / (72 * room.width), _BAND * gap / columns)
        for number, id_ in enumerate(sorted(layer, key=lambda id_: planned.positions[id_][1])):
            column, row = divmod(number, rows)
            across = x + (column - (columns - 1) / 2) * step
            positions[id_] = (across, (row + 0.5) / rows * height)
    links = [[positions[a], positions[b]] for a, b in lineage.graph.edges]
    ax.add_collection(LineCollection(links, colors=_PLAIN[1], linewidths=0.3, alpha=0.5, zorder=1))
    for ids, colour, size in ((lineage.graph, _PLAIN[1], 4), (lineage.asked, _ASKED[1], 24)):
        points = [positions[id_] for id_ in ids]
        ax.scatter(
            [x for x, _ in points], [y for _, y in points], s=size, color=colour, lw=0, zorder=2
        )
    return positions
