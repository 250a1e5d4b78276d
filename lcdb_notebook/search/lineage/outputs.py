"""Outputs of a Lineage: a DataFrame, a flowchart, drawings, and the display in notebooks."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Protocol

from lcdb_notebook.lightcurve.dataset_id import DataSetId, in_order
from lcdb_notebook.lightcurve.record import processing_label
from lcdb_notebook.search.lineage.layout import Drawable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "CARRIED",
    "MOST_DRAWN",
    "headline",
    "plot",
    "repr_html",
    "repr_svg",
    "to_mermaid",
    "to_pandas",
]

#: Attributes of nodes, in the order of a row.
CARRIED = ("target", "catalog", "observation", "photometry", "processing", "cadences")

#: Notebooks draw lineages of up to this many DataSets, and count larger ones by level.
MOST_DRAWN = 60


class Graph(Drawable, Protocol):
    """The attributes of a Lineage that its outputs use."""

    recorded: bool

    @property
    def _order(self) -> list[DataSetId]: ...

    def __len__(self) -> int: ...

    def sources(self, of: Any = None) -> list[DataSetId]:
        """Return the ids of all ancestors."""

    def derived(self, of: Any = None) -> list[DataSetId]:
        """Return the ids of all descendants."""

    def roots(self) -> list[DataSetId]:
        """Return the ids of the DataSets without sources."""


def to_pandas(self: Graph) -> pd.DataFrame:
    """Return a DataFrame with one row per DataSet.

    Returns
    -------
    pandas.DataFrame
        Columns: ``dataset``, ``target``, ``catalog``, ``observation``, ``photometry``,
        ``processing`` ("raw" for none), ``cadences``, ``depth`` (number of steps from a root
        on the longest path), ``sources`` (a tuple of ids) and ``asked`` (whether the lineage
        was requested for this DataSet). Sources precede the DataSets derived from them.

    Examples
    --------
    >>> db.lineage(1).to_pandas()[["dataset", "processing", "depth", "sources"]]
       dataset   processing  depth sources
    0        1          raw      0      ()
    1        2  DEMO SYS_RM      1    (1,)
    2        3     DEMO DET      2    (2,)
    """
    import pandas as pd

    rows = []
    for id_ in self._order:
        node = self.graph.nodes[id_]
        rows.append(
            {
                "dataset": id_,
                **node,
                "processing": processing_label(node["processing"]),
                "depth": self.depths[id_],
                "sources": tuple(sorted(self.graph.pred[id_], key=in_order)),
                "asked": id_ in self.asked,
            }
        )
    return pd.DataFrame(rows, columns=["dataset", *CARRIED, "depth", "sources", "asked"])


def to_mermaid(self: Graph) -> str:
    """Return the lineage as a Mermaid flowchart, for Markdown and Sphinx.

    Returns
    -------
    str
        The text of the flowchart.

    Examples
    --------
    >>> print(db.lineage(2).to_mermaid())
    flowchart LR
    ...
    """
    lines = ["flowchart LR"]
    lines += [f'    {_node(id_)}["{_mermaid_text(self.label(id_))}"]' for id_ in self._order]
    lines += [
        f"    {_node(a)} --> {_node(b)}"
        for a in self._order
        for b in sorted(self.graph.succ[a], key=in_order)
    ]
    lines.append("    classDef requested fill:#fde7c0,stroke:#b35c00,stroke-width:2px")
    lines.append(f"    class {','.join(map(_node, self.asked))} requested")
    return "\n".join(lines) + "\n"


def plot(self: Graph, ax: Axes | None = None) -> Axes:
    """Draw the lineage, with sources on the left and derived DataSets to their right.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of suitable size. In smaller Axes, labels are
        smaller, and dots replace them if they would be illegible.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the drawing.

    Examples
    --------
    >>> ax = db.lineage(1).plot()
    """
    from lcdb_notebook.search.lineage.drawing import draw

    return draw(self, ax)


def repr_svg(self: Graph) -> str | None:
    """Return a drawing for a notebook; None for large lineages."""
    if len(self) > MOST_DRAWN:
        return None
    from lcdb_notebook.search.lineage.drawing import svg

    return svg(self)


def repr_html(self: Graph) -> str:
    """Return a drawing or a table of counts for a notebook."""
    drawing = repr_svg(self) or _summary(self)
    return f"<p>{html.escape(headline(self))}</p>{_cycles_html(self)}{drawing}"


def headline(self: Graph) -> str:
    """Describe the lineage in one line."""
    nodes = self.graph.nodes.values()
    stars = {f"{node['catalog']} {node['target']}" for node in nodes}
    whose = f" ({stars.pop()})" if len(stars) == 1 else ""
    unrecorded = "" if self.recorded else "; this database has no record of lineage"
    if len(self.asked) == 1:
        counts = f"{_number(len(self.sources()), 'source')}, {len(self.derived()):,} derived"
        return f"of {self.label(self.asked[0])}{whose}: {counts}{unrecorded}"
    counts = f"{len(self):,} in all, {_number(len(self.roots()), 'root')}"
    return f"of {len(self.asked):,} DataSets{whose}: {counts}{unrecorded}"


def _cycles_html(self: Graph) -> str:
    shown = ["".join(f"#{id_} → " for id_ in cycle) + f"#{cycle[0]}" for cycle in self.cycles]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return f"<p><b>Cycles:</b> {'; '.join(shown[:5])}{more}</p>" if shown else ""


def _summary(self: Graph) -> str:
    """Count DataSets by level and methods, if there are too many to draw."""
    frame = to_pandas(self)
    counted = frame.groupby(["depth", "photometry", "processing"], dropna=False, sort=True)
    table = counted["dataset"].count().rename("DataSets").reset_index()
    more = f"<p>and {len(table) - MOST_DRAWN} more rows</p>" if len(table) > MOST_DRAWN else ""
    shown = table.head(MOST_DRAWN).to_html(index=False, na_rep="")
    hint = "<p><code>.plot()</code> draws it; <code>.graph</code> contains the links.</p>"
    return f"{shown}{more}{hint}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _node(id_: DataSetId) -> str:
    """Return the name of a node in Mermaid, which must not have colons."""
    return f"d{id_}".replace(":", "_")


def _mermaid_text(text: str) -> str:
    """Escape characters of Mermaid's syntax as entities, such as ``#35;`` for ``#``."""
    return re.sub(r"[^\w /.,:()+-]", lambda found: f"#{ord(found[0])};", text)
