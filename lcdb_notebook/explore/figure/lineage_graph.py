"""LineageGraph: the graph of a lineage, drawn by the browser, in which DataSets can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from lcdb_notebook.explore.figure.modules import SHARED, module, text
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.lineage.layout import Point, layout

if TYPE_CHECKING:
    from lcdb_notebook.search.lineage import Lineage

__all__ = ["LineageGraph", "path_data"]

_NONE: dict[str, Any] = {"nodes": [], "links": [], "edges": [], "size": [0, 0], "height": 0}
_BULGE = 20.0  # points: by how much an arrow within a layer curves


class LineageGraph(anywidget.AnyWidget):
    """Boxes and arrows as SVG, with the layout of :mod:`lcdb_notebook.search.lineage.layout`.

    Parameters
    ----------
    clicked : callable
        Called with the id of a DataSet, and whether Shift or Ctrl was held.

    Attributes
    ----------
    ids : list of int or str
        The DataSets drawn.
    """

    _esm = SHARED
    _module = traitlets.Unicode(module("elements", "lineage")).tag(sync=True)
    _css = text("lineage.css")

    _drawn = traitlets.Dict(_NONE).tag(sync=True)
    _chosen = traitlets.Int(-1).tag(sync=True)
    _other = traitlets.Int(-1).tag(sync=True)
    # The page empties it at a click, before the kernel answers.
    _shown: traitlets.List[int] = traitlets.List().tag(sync=True)

    def __init__(self, clicked: Callable[[DataSetId, bool], object]) -> None:
        self.ids: list[DataSetId] = []
        super().__init__()
        self._clicked = clicked
        self.on_msg(self._received)

    def show(self, lineage: Lineage | None) -> None:
        """Draw a lineage, or a message for None."""
        self.ids = [] if lineage is None else list(lineage.graph)
        with self.hold_sync():
            self._chosen = self._other = -1
            self._shown = []
            self._drawn = _NONE if lineage is None else _described(lineage, self.ids)

    def choose(
        self,
        one: DataSetId | None,
        other: DataSetId | None = None,
        shown: Sequence[DataSetId] = (),
    ) -> None:
        """Mark a DataSet, the one that it is compared with, and those in the picture."""
        with self.hold_sync():
            self._chosen, self._other = self._number(one), self._number(other)
            self._shown = [self._number(dataset) for dataset in shown if dataset in self.ids]

    def close(self) -> None:
        """Close the widget."""
        self.on_msg(self._received, remove=True)
        super().close()

    def _number(self, dataset: DataSetId | None) -> int:
        return -1 if dataset is None else self.ids.index(dataset)

    def _received(self, _widget: Any, content: Any, _buffers: Any) -> None:
        number = content.get("choose")
        if isinstance(number, int) and 0 <= number < len(self.ids):
            self._clicked(self.ids[number], bool(content.get("further")))


def path_data(points: Sequence[Point]) -> str:
    """Return a link as data of an SVG path, horizontal where it meets a box or passes a layer.

    Parameters
    ----------
    points : sequence of tuple of float
        The points that it passes through, in turn the right of a box or gap and the left of the
        next.

    Returns
    -------
    str
        The last two words are the end.

    Examples
    --------
    >>> path_data([(0, 0), (10, 20)])
    'M 0 0 C 5 0 5 20 10 20'
    """
    parts = [f"M {_round(*points[0])}"]
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        if number % 2:
            parts.append(f"L {_round(x1, y1)}")
            continue
        middle = x0 + _BULGE if _within_layer(points) else (x0 + x1) / 2
        parts.append(f"C {_round(middle, y0)} {_round(middle, y1)} {_round(x1, y1)}")
    return " ".join(parts)


def _within_layer(points: Sequence[Point]) -> bool:
    return len(points) == 2 and points[0][0] == points[1][0]


def _round(x: float, y: float) -> str:
    return f"{round(x, 1):g} {round(y, 1):g}"


def _described(lineage: Lineage, ids: Sequence[DataSetId]) -> dict[str, Any]:
    planned = layout(lineage)
    numbers = {id_: number for number, id_ in enumerate(ids)}
    on_cycle = {
        link for cycle in lineage.cycles for link in zip(cycle, (*cycle[1:], cycle[0]), strict=True)
    }
    return {
        "nodes": [
            {
                "id": id_,
                "x": planned.positions[id_][0],
                "y": planned.positions[id_][1],
                "width": planned.widths[id_],
                "lines": planned.lines[id_],
                "requested": id_ in lineage.asked,
            }
            for id_ in ids
        ],
        "links": [
            {
                "path": path_data(path),
                "cycle": link in on_cycle,
                "turned": _within_layer(path),
            }
            for link, path in planned.paths.items()
        ],
        "edges": [[numbers[a], numbers[b]] for a, b in planned.paths],
        "size": list(planned.size),
        "height": planned.height,
    }
