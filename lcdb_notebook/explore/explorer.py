"""Explorer: targets, light curves and lineage on one page, with the code that reproduces them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import traitlets

from lcdb_notebook.explore.datasets import DataSetList
from lcdb_notebook.explore.lightcurve import LightCurveExplorer
from lcdb_notebook.explore.lineage import LineageExplorer
from lcdb_notebook.explore.targets import TargetList
from lcdb_notebook.explore.view.code import name_of, selection_code
from lcdb_notebook.explore.widget.background import Debounced
from lcdb_notebook.explore.widget.base import Panel
from lcdb_notebook.explore.widget.cells import replace_earlier
from lcdb_notebook.explore.widget.error_box import guarded
from lcdb_notebook.explore.widget.protocols import Explorable
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.browse import TargetRow
from lcdb_notebook.search.criteria import Criteria

if TYPE_CHECKING:
    import lightkurve

__all__ = ["Explorer"]

# Seconds: the lineage is drawn after the light curve.
_BEFORE_LINEAGE = 0.05

_TABLE = 2  # the tab
_HIDE, _SHOW = "Hide targets", "Targets"


class Explorer(Panel):
    """Find a target, view its light curves and quality flags, and follow their lineage.

    Created by :meth:`lcdb_notebook.Database.explore`. Running a cell again closes the explorer that
    the cell created before.

    Parameters
    ----------
    database : Explorable
        A :class:`~lcdb_notebook.Database`, or an object with the same methods.
    start : Criteria, optional
        The initial search.

    Attributes
    ----------
    target : TargetRow or None
        Trait: the target chosen, with ``number``, ``catalog`` and ``id``.
    selection : Selection or None
        Trait: the light curves drawn. May be assigned.
    dataset : int or None
        Trait: the id of the DataSet drawn, if it is exactly one.
    settings : Settings
        Trait: how the light curves are drawn. May be assigned.
    code : str
        Trait: Python code that reads what is drawn without the explorer.
    targets, datasets, light_curve, lineage : Panel
        The four explorers on the page, each of which also works by itself.

    Examples
    --------
    >>> explorer = db.explore(3, sector=1, processing="raw")
    >>> explorer.target.number, len(explorer.selection)
    (3, 1)
    >>> explorer.close()
    """

    css = "lcdb-explorer"

    target = traitlets.Instance(TargetRow, allow_none=True)
    selection = traitlets.Instance(Selection, allow_none=True)
    dataset = traitlets.Any(None, allow_none=True)
    settings = traitlets.Any()
    code = traitlets.Unicode()

    def __init__(self, database: Explorable, start: Criteria | None = None) -> None:
        super().__init__()
        replace_earlier(self)
        self._database = database
        self.targets = TargetList(database, start)
        self.datasets = DataSetList(database)
        self.light_curve = LightCurveExplorer()
        self.lineage = LineageExplorer(database)
        self._code = widgets.Textarea(
            rows=3,
            description="The same in Python",
            tooltip="Copy this into a cell to read what is drawn",
            layout={"width": "100%"},
            _dom_classes=("lcdb-stacked", "lcdb-code"),
        )
        self._table = widgets.HTML(_dom_classes=("lcdb-table",))
        self._tabs = widgets.Tab(
            (self.lineage, self._code, self._table),
            titles=("Lineage", "Python code", "Table"),
        )
        self._fold = widgets.Button(
            description=_HIDE,
            tooltip="Give the width of this column to the light curve",
            layout={"width": "auto"},
        )
        left = _column("lcdb-left", self._fold, self.targets)
        right = _column("lcdb-right", self.datasets, self.light_curve, self._tabs)
        columns = widgets.Box((left, right), _dom_classes=("lcdb-columns",))
        self.lay_out(columns)
        self._lineage_soon = Debounced(self._show_lineage, _BEFORE_LINEAGE)
        self.when_closed(self._lineage_soon.cancel)
        self.watch(self.targets, self._target_chosen, "target")
        self.watch(self.datasets, self._datasets_chosen, "selection")
        self.watch(self.datasets, lambda _: self._lineage_soon(), "datasets")
        self.watch(self.light_curve, self._settings_drawn, "settings")
        self.watch(self.light_curve, self._drawn, "pictures")
        self.watch(self.lineage, self._node_chosen, "node")
        self._fold.on_click(self._fold_targets)
        self.watch(self._tabs, self._fill_table, "selected_index")
        self.observe(self._draw, "selection")
        self.observe(self._set, "settings")
        self.settings = self.light_curve.settings
        if self.targets.target is not None:
            self._target_chosen(None)

    def lightcurve(self) -> lightkurve.LightCurve:
        """Read what is drawn as one LightCurve; sectors are stitched.

        Returns
        -------
        lightkurve.LightCurve

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.
        AmbiguousError
            If light curves of different photometry or processing are drawn over each other.
        DataError
            If ``settings`` divide by a median flux that is zero or negative.

        Examples
        --------
        >>> explorer = db.explore(1, sector=1, exptime=1800, processing="raw")
        >>> explorer.lightcurve().meta["TARGETID"]
        1
        >>> explorer.close()
        """
        return self.light_curve.lightcurve()

    def lightcurves(self) -> lightkurve.LightCurveCollection:
        """Read what is drawn as a LightCurve for each DataSet, in order of time.

        Returns
        -------
        lightkurve.LightCurveCollection

        Raises
        ------
        LightCurveNotFoundError
            If nothing is drawn.
        DataError
            If ``settings`` divide by a median flux that is zero or negative.

        Examples
        --------
        >>> explorer = db.explore(1, exptime=1800, processing="DEMO DET")
        >>> [lc.meta["SECTOR"] for lc in explorer.lightcurves()]
        [1, 2]
        >>> explorer.close()
        """
        return self.light_curve.lightcurves()

    @guarded("show the target")
    def _target_chosen(self, _change: Any) -> None:
        self.target = self.targets.target
        self.datasets.show(self.target, self.targets.target_filter.criteria)

    @guarded("choose light curves")
    def _datasets_chosen(self, _change: Any) -> None:
        self.selection = self.datasets.selection

    @guarded("draw the light curve")
    def _draw(self, _change: Any) -> None:
        selection = self.selection
        ids = [] if selection is None else selection.datasets
        self.dataset = ids[0] if len(ids) == 1 else None
        self.light_curve.selection = selection
        self.datasets.mark(selection)
        self._write_code()
        self._fill_table(None)
        if self.lineage.lineage is not None:
            self._mark_node()

    @guarded("find the lineage")
    def _show_lineage(self) -> None:
        self.lineage.datasets = self.datasets.datasets
        self._mark_node()

    def _mark_node(self) -> None:
        lineage = self.lineage.lineage
        if lineage is None:
            return
        with self.lineage.hold_trait_notifications():
            self.lineage.shown = () if self.selection is None else tuple(self.selection.datasets)
            if self.dataset is None or self.dataset in lineage.graph:
                self.lineage.node = self.dataset
            if self.dataset is None:
                self.lineage.other = None

    @guarded("show the light curve")
    def _node_chosen(self, change: Any) -> None:
        node = change["new"]
        if node is None or node == self.dataset or self.lineage.lineage is None:
            return
        if node not in self.datasets.datasets:
            about = self.lineage.lineage.graph.nodes[node]
            self.datasets.show(TargetRow(about["target"], 0, about["catalog"]))
        self.datasets.choose(node)

    @guarded("change how it is drawn")
    def _settings_drawn(self, _change: Any) -> None:
        self.settings = self.light_curve.settings
        self._write_code()

    @guarded("change how it is drawn")
    def _set(self, change: Any) -> None:
        if change["new"] != self.light_curve.settings:
            self.light_curve.settings = change["new"]

    def _write_code(self) -> None:
        if self.selection is None:
            self.code = ""
        else:
            found = selection_code(self.selection, name=name_of(self._database))
            self.code = self.light_curve.code(found)
        self._code.value = self.code

    def _fill_table(self, _change: Any) -> None:
        if self._tabs.selected_index == _TABLE:
            self._table.value = self.light_curve.static_html()

    def _fold_targets(self, _button: Any) -> None:
        shown = self.targets.layout.display != "none"
        self.targets.layout.display = "none" if shown else None
        self._fold.description = _SHOW if shown else _HIDE

    def _drawn(self, _change: Any) -> None:
        self.rendered("")

    def static_png(self) -> bytes | None:
        """Return the picture of the light curve."""
        return self.light_curve.static_png()

    def static_html(self) -> str:
        """Return tables of the light curves and of the targets, and the code."""
        code = f"<pre>{html.escape(self.code)}</pre>" if self.code else ""
        return self.light_curve.static_html() + code + self.targets.static_html()


def _column(name: str, *parts: widgets.Widget) -> widgets.VBox:
    return widgets.VBox(parts, _dom_classes=("lcdb-column", name))
