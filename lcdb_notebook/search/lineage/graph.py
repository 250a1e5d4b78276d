"""Lineage: DataSets and what was derived from what, as a graph that shows itself."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Lineage", "Row"]

#: What nodes carry, in the order of a row.
_CARRIED = ("target", "catalog", "observation", "photometry", "processing", "cadences")

#: Up to here the notebook shows the drawing; beyond, what stands on each level.
MOST_DRAWN = 60


class Row(NamedTuple):
    """A DataSet of a lineage, with the ids of its sources."""

    dataset: int
    target: int
    catalog: str
    observation: int
    photometry: str | None
    processing: str | None
    cadences: int | None
    sources: Iterable[int]


class Lineage:
    """DataSets with all their ancestors and descendants, to any depth.

    Made by :meth:`lcdb_notebook.Database.lineage`. In a notebook it draws itself. Where a method
    takes a DataSet, it is whatever ``db.lineage`` takes, a Selection excepted: an id, a DataSet, a
    light curve of this package.

    Attributes
    ----------
    asked : sequence of int
        Ids of the DataSets whose lineage this is.
    graph
        networkx.DiGraph; nodes are ids of DataSets, edges lead from a source to what was derived
        from it. Nodes carry ``target``, ``catalog``, ``observation`` (its id), ``photometry``,
        ``processing`` (None is raw) and ``cadences``. It holds every link between its nodes.
    cycles
        Ids of DataSets that by mistake descend from themselves, each cycle from its lowest id on.
        Of several cycles through the same DataSets one is named.
    """

    def __init__(self, rows: Iterable[Row], asked: Sequence[int]) -> None:
        import networkx as nx

        self.asked = tuple(asked)
        self.graph: nx.DiGraph[int] = nx.DiGraph()
        links: list[tuple[int, int]] = []
        for id_, *about, sources in sorted(rows, key=itemgetter(0)):
            self.graph.add_node(id_, **dict(zip(_CARRIED, about, strict=True)))
            links += [(source, id_) for source in sorted(sources)]
        # What else a descendant was made of is no part of this lineage.
        self.graph.add_edges_from(link for link in links if link[0] in self.graph)

    @cached_property
    def cycles(self) -> tuple[tuple[int, ...], ...]:
        """Ids of DataSets that by mistake descend from themselves, a tuple each cycle."""
        import networkx as nx

        found = []
        for knot in nx.strongly_connected_components(self.graph):
            inside = self.graph.subgraph(knot)
            if inside.number_of_edges():
                cycle = [edge[0] for edge in nx.find_cycle(inside, min(knot))]
                lowest = cycle.index(min(cycle))
                found.append((*cycle[lowest:], *cycle[:lowest]))
        return tuple(sorted(found))

    # Asking it

    def sources(self, of: Any = None) -> list[int]:
        """Give the ids of all ancestors in the graph, the oldest first.

        Parameters
        ----------
        of : object, optional
            Whose; None is whose lineage this is.
        """
        return self._reached(of, backwards=True)

    def derived(self, of: Any = None) -> list[int]:
        """Give the ids of all descendants in the graph, nearer ones before what is made of them.

        Parameters
        ----------
        of : object, optional
            Whose; None is whose lineage this is.
        """
        return self._reached(of, backwards=False)

    def roots(self) -> list[int]:
        """Give the ids of the DataSets that no other led to: as a rule, raw photometry."""
        return [id_ for id_ in self._order if self.graph.in_degree(id_) == 0]

    def path(self, a: Any, b: Any) -> list[int]:
        """Give the ids on the shortest way from one DataSet to one derived from it, both included.

        Raises
        ------
        LightCurveNotFoundError
            If there is no such way.
        """
        import networkx as nx

        (start,), (end,) = (self._known(one, single=True) for one in (a, b))
        try:
            way: list[int] = nx.shortest_path(self.graph, start, end)
        except nx.NetworkXNoPath:
            reason = f"{self.label(end)} was not derived from {self.label(start)}"
            if nx.has_path(self.graph, end, start):
                reason += f"; it is the other way round: try path({end}, {start})"
            raise LightCurveNotFoundError(reason) from None
        return way

    def label(self, dataset: Any) -> str:
        """Name a DataSet: ``SPOC SAP / raw #12``."""
        (id_,) = self._known(dataset, single=True)
        node = self.graph.nodes[id_]
        photometry = node["photometry"]
        how = node["processing"] or "raw"
        return f"{photometry} / {how} #{id_}" if photometry else f"{how} #{id_}"

    @cached_property
    def depths(self) -> dict[int, int]:
        """How many steps each DataSet is away from a root, on the longest way; by id.

        DataSets of one cycle share their depth.
        """
        import networkx as nx

        knots = nx.condensation(self.graph)
        depth: dict[int, int] = {}
        for level, generation in enumerate(nx.topological_generations(knots)):
            for knot in generation:
                depth |= dict.fromkeys(knots.nodes[knot]["members"], level)
        return depth

    @cached_property
    def _order(self) -> list[int]:
        """Ids, every source before what was derived from it; where either may come first, by id."""
        import networkx as nx

        knots = nx.condensation(self.graph)
        members = {knot: sorted(knots.nodes[knot]["members"]) for knot in knots}
        ordered = nx.lexicographical_topological_sort(knots, key=lambda knot: members[knot][0])
        return [id_ for knot in ordered for id_ in members[knot]]

    def _reached(self, of: Any, *, backwards: bool) -> list[int]:
        starts = self.asked if of is None else self._known(of)
        neighbours = self.graph.pred if backwards else self.graph.succ
        reached: set[int] = set()
        waiting = list(starts)
        while waiting:
            further = [id_ for id_ in neighbours[waiting.pop()] if id_ not in reached]
            reached.update(further)
            waiting += further
        # A DataSet is its own ancestor only by a cycle, which ``cycles`` tells.
        if len(starts) == 1:
            reached.discard(starts[0])
        return [id_ for id_ in self._order if id_ in reached]

    def _known(self, asked: Any, *, single: bool = False) -> list[int]:
        ids = resolve_ids(asked)
        for id_ in ids:
            if id_ not in self.graph:
                raise LightCurveNotFoundError(
                    f"DataSet {id_} is not in this lineage of {len(self.graph)} DataSets; "
                    f"db.lineage({id_}) finds its own"
                )
        if single and len(ids) > 1:
            raise TypeError(f"one DataSet was wanted here, not {len(ids)}")
        return ids

    # How it shows

    def to_pandas(self) -> pd.DataFrame:
        """Give one row a DataSet, every source before what was derived from it.

        Columns: ``dataset``, ``target``, ``catalog``, ``observation``, ``photometry``,
        ``processing`` ("raw" where none), ``cadences``, ``depth`` (steps from a root, on the
        longest way), ``sources`` (a tuple of ids) and ``asked`` (whether this lineage is its own).
        """
        import pandas as pd

        rows = []
        for id_ in self._order:
            node = self.graph.nodes[id_]
            rows.append(
                {
                    "dataset": id_,
                    **node,
                    "processing": node["processing"] or "raw",
                    "depth": self.depths[id_],
                    "sources": tuple(sorted(self.graph.pred[id_])),
                    "asked": id_ in self.asked,
                }
            )
        return pd.DataFrame(rows, columns=["dataset", *_CARRIED, "depth", "sources", "asked"])

    def to_mermaid(self) -> str:
        """Write it as a Mermaid flowchart, for Markdown and Sphinx."""
        lines = ["flowchart LR"]
        lines += [f'    d{id_}["{_mermaid_text(self.label(id_))}"]' for id_ in self._order]
        lines += [f"    d{a} --> d{b}" for a in self._order for b in sorted(self.graph.succ[a])]
        lines.append("    classDef asked fill:#fde7c0,stroke:#b35c00,stroke-width:2px")
        lines.append(f"    class {','.join(f'd{id_}' for id_ in self.asked)} asked")
        return "\n".join(lines) + "\n"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it: sources on the left, what was derived from them to their right.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; None makes a figure of the right size. In an Axes that is too small for
            them, labels shrink; where they could not be read any more there are dots.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from lcdb_notebook.search.lineage.drawing import draw

        return draw(self, ax)

    def __len__(self) -> int:
        return len(self.graph)

    def __repr__(self) -> str:
        return f"<Lineage {self._headline()}>"

    def _repr_svg_(self) -> str | None:
        if len(self) > MOST_DRAWN:
            return None
        from lcdb_notebook.search.lineage.drawing import svg

        return svg(self)

    def _repr_html_(self) -> str:
        drawing = self._repr_svg_() or self._summary()
        return f"<p>{html.escape(self._headline())}</p>{self._cycles_told()}{drawing}"

    def _headline(self) -> str:
        nodes = self.graph.nodes.values()
        stars = {f"{node['catalog']} {node['target']}" for node in nodes}
        whose = f" ({stars.pop()})" if len(stars) == 1 else ""
        if len(self.asked) == 1:
            counts = f"{_number(len(self.sources()), 'source')}, {len(self.derived()):,} derived"
            return f"of {self.label(self.asked[0])}{whose}: {counts}"
        counts = f"{len(self):,} in all, {_number(len(self.roots()), 'root')}"
        return f"of {len(self.asked):,} DataSets{whose}: {counts}"

    def _cycles_told(self) -> str:
        told = ["".join(f"#{id_} → " for id_ in cycle) + f"#{cycle[0]}" for cycle in self.cycles]
        more = f" and {len(told) - 5} more" if len(told) > 5 else ""
        return f"<p><b>Cycles:</b> {'; '.join(told[:5])}{more}</p>" if told else ""

    def _summary(self) -> str:
        """Count by level and by how the DataSets were made, where there are too many to draw."""
        frame = self.to_pandas()
        counted = frame.groupby(["depth", "photometry", "processing"], dropna=False, sort=True)
        table = counted["dataset"].count().rename("DataSets").reset_index()
        more = f"<p>and {len(table) - MOST_DRAWN} more rows</p>" if len(table) > MOST_DRAWN else ""
        shown = table.head(MOST_DRAWN).to_html(index=False, na_rep="")
        return f"{shown}{more}<p><code>.plot()</code> draws it, <code>.graph</code> holds it.</p>"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _mermaid_text(text: str) -> str:
    """Write what Mermaid would take for syntax as its entities, ``#35;`` for ``#``."""
    return re.sub(r"[^\w /.,:()+-]", lambda found: f"#{ord(found[0])};", text)
