"""LineageExplorer: the graph of a lineage, and before and after a processing step."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.figure.lineage_graph import LineageGraph
from lcdb_notebook.explore.figure.widget import Figure
from lcdb_notebook.explore.widget.base import Panel, sent_last
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.protocols import Lineages, Searches
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search.lineage.layout import lines_of

if TYPE_CHECKING:
    from lcdb_notebook.lightcurve.record import LightCurveData
    from lcdb_notebook.search.lineage import Lineage

__all__ = ["LineageExplorer"]

# Not None: a Dropdown with the value None shows no label and ignores the first arrow key.
_NOTHING = ("nothing", -1)

_HEIGHT = 300  # CSS pixels of the figure of before and after


class LineageExplorer(Panel):
    """Show the sources of light curves and what was derived from them, and compare two of them.

    Parameters
    ----------
    database : Explorable
        A :class:`~lcdb_notebook.Database`, or an object with its ``lineage`` and ``search``.

    Attributes
    ----------
    datasets : tuple of int
        Trait: ids of the DataSets whose lineage is shown. May be assigned.
    node : int or None
        Trait: id of the DataSet chosen.
    other : int or None
        Trait: id of the DataSet that it is compared with.
    shown : tuple of int
        Trait: ids of the DataSets in the picture, which are marked too. Assigned by the Explorer.
    compare : str
        Trait: "ratio" or "difference".
    lineage : Lineage or None
        The lineage drawn.

    Examples
    --------
    >>> raw = db.search(1, sector=1, exptime=1800, processing="raw")[:1]
    >>> explorer = LineageExplorer(db)
    >>> explorer.datasets = tuple(raw.datasets)
    >>> len(explorer.lineage)
    3
    """

    css = "lcdb-lineage"

    datasets = traitlets.Tuple()
    node = traitlets.Any(None, allow_none=True)
    other = traitlets.Any(None, allow_none=True)
    shown = traitlets.Tuple()
    compare = traitlets.Enum(("ratio", "difference"), "ratio")

    lineage: Lineage | None = None

    def __init__(self, database: Any) -> None:
        super().__init__()
        self._lineages: Lineages = database
        self._searches: Searches = database
        self._setting = False
        self._records: dict[DataSetId, LightCurveData] = {}
        self._graph = LineageGraph(self._clicked)
        self._nodes = _choice("Chosen", "The light curve shown above")
        self._others = _choice(
            "Compare with", "Draw both over each other; or Shift-click in the graph"
        )
        self._how = widgets.ToggleButtons(
            options=[("ratio", "ratio"), ("difference", "difference")],
            description="Below",
            tooltips=["before divided by after", "before minus after"],
            style={"button_width": "auto"},
            layout={"display": "none"},
        )
        chooser = widgets.VBox(
            (self._nodes, self._others, self._how), _dom_classes=("lcdb-chooser",)
        )
        self._comparison = widgets.VBox(
            layout={"display": "none"}, _dom_classes=("lcdb-comparison",)
        )
        graph = widgets.VBox((self._graph,), _dom_classes=("lcdb-graph",))
        beside = widgets.Box(
            (graph, chooser, self._comparison), _dom_classes=("lcdb-beside-graph",)
        )
        self.lay_out(beside)
        self.watch(self._nodes, self._node_chosen, "value")
        self.watch(self._others, self._other_chosen, "value")
        self._how.observe(lambda change: self.set_trait("compare", change["new"]), "value")
        self.observe(self._show, "datasets")
        self.observe(self._mark, ["node", "other", "shown"])
        self.observe(self._draw_both, ["node", "other", "compare"])

    # The lineage

    @guarded("find the lineage")
    def _show(self, _change: Any) -> None:
        if self.datasets:
            known = self.lineage
            if known is None or not set(self.datasets) <= set(known.graph):
                # Without this the boxes of all datasets would be marked, not only the chosen one.
                known = copy.copy(self._lineages.lineage(list(self.datasets)))
                known.asked = ()
            else:
                return
        else:
            known = None
        self._records.clear()
        self._fill(known)

    def _fill(self, lineage: Lineage | None) -> None:
        self.lineage = lineage
        ids = [] if lineage is None else sorted(lineage.graph, key=lineage.depths.__getitem__)
        self._setting = True
        try:
            lines = {} if lineage is None else lines_of(lineage)
            options = [(", ".join(lines[id_]), id_) for id_ in ids]
            self._nodes.options = [_NOTHING, *options]
            self._others.options = [_NOTHING, *options]
            self._graph.show(lineage)
            with self.hold_trait_notifications():
                self.node = self.node if self.node in ids else None
                self.other = None
        finally:
            self._setting = False
        self._graph.choose(self.node, shown=self.shown)
        self._show_choice()
        self.rendered(self._description())

    def _show_choice(self) -> None:
        """Show in the drop-downs what is chosen."""
        self._setting = True
        try:
            self._nodes.value = _NOTHING[1] if self.node is None else self.node
            self._others.value = _NOTHING[1] if self.other is None else self.other
        finally:
            self._setting = False

    def _description(self, *, compared: bool = True) -> str:
        if self.lineage is None:
            return "no lineage"
        number = len(self.lineage)
        text = f"{number:,} light curve{'' if number == 1 else 's'}"
        if self.node is not None:
            text += f"; {self.lineage.label(self.node)} is chosen"
        if compared and self.other is not None:
            text += f", compared with {self.lineage.label(self.other)}"
        return text

    # Choosing

    @guarded("choose a light curve")
    def _clicked(self, dataset: DataSetId, further: bool) -> None:
        if further and self.node is not None and dataset != self.node:
            self.other = dataset
        else:
            self._change_node(dataset, None)

    @guarded("choose a light curve")
    def _node_chosen(self, change: Any) -> None:
        if not self._setting:
            node = None if change["new"] == _NOTHING[1] else change["new"]
            self._change_node(node, None if node == self.other else self.other)

    def _change_node(self, node: DataSetId | None, other: DataSetId | None) -> None:
        marks = (self._graph, self._nodes, self._others, self._status)
        with sent_last(*marks), self.hold_trait_notifications():
            self.other, self.node = other, node

    @guarded("choose a light curve")
    def _other_chosen(self, change: Any) -> None:
        if not self._setting:
            self.other = None if change["new"] in (_NOTHING[1], self.node) else change["new"]

    @guarded("mark a light curve")
    def _mark(self, _change: Any) -> None:
        if self._setting or self.lineage is None:
            return
        if self.node is not None and self.node not in self.lineage.graph:
            self.datasets = (self.node,)
        self._graph.choose(self.node, self.other, self.shown)
        self._show_choice()
        if self.other is None:
            self.rendered(self._description())

    # Before and after

    @guarded("draw before and after")
    def _draw_both(self, _change: Any) -> None:
        if self._setting:
            return
        # Hidden first: if this comparison fails, the figure still shows the previous one.
        self._comparison.layout.display = self._how.layout.display = "none"
        if self.node is None or self.other is None or self.lineage is None:
            return
        self._set_status(self._description(compared=False))
        before, after = self._in_order(self.node, self.other)
        how: Literal["ratio", "difference"]
        how = "difference" if self.compare == "difference" else "ratio"
        if not hasattr(self, "_both"):
            # Not made before it is needed: it sends a copy of the figure's module.
            self._both = Figure([], height=_HEIGHT, show_flagged=False, embedded=True)
            self._comparison.children = (self._both,)
        self._both.load([self._read(before), self._read(after)], compare=how)
        self._comparison.layout.display = self._how.layout.display = None
        self.rendered(self._description())

    def _in_order(self, one: int, other: int) -> tuple[int, int]:
        """Return both, the source first if one was derived from the other."""
        assert self.lineage is not None
        return (other, one) if other in self.lineage.sources(one) else (one, other)

    def _read(self, dataset: DataSetId) -> LightCurveData:
        """Read a light curve; it is cached while this lineage is shown."""
        if dataset not in self._records:
            assert self.lineage is not None
            node = self.lineage.graph.nodes[dataset]
            found = self._searches.search(
                node["target"], catalog=node["catalog"], observation=node["observation"]
            )
            at = found.datasets.index(dataset)
            (self._records[dataset],) = found[at].read()
        return self._records[dataset]

    def static_html(self) -> str:
        """Return the drawing of the lineage."""
        return "" if self.lineage is None else self.lineage._repr_html_()


def _choice(name: str, tooltip: str) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=[_NOTHING],
        description=name,
        tooltip=tooltip,
        _dom_classes=("lcdb-stacked", f"lcdb-{name.lower().replace(' ', '-')}"),
    )
