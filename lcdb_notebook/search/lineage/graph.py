"""Lineage: DataSets and the links between them, as a graph that notebooks draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lcdb_notebook.errors import ArgumentError, LightCurveNotFoundError
from lcdb_notebook.lightcurve.dataset_id import DataSetId, in_order
from lcdb_notebook.lightcurve.record import ObservationData, processing_label
from lcdb_notebook.search.lineage import outputs
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Lineage", "Row"]


class Row(NamedTuple):
    """A DataSet of a lineage, with the ids of its sources."""

    dataset: DataSetId
    target: int
    catalog: str
    observation: int
    photometry: str | None
    processing: str | None
    cadences: int | None
    sources: Iterable[DataSetId]


class Lineage:
    """DataSets with all their ancestors and descendants, to any depth.

    ``db.lineage(...)`` returns it, and notebooks draw it. Its methods accept the id of a DataSet, a
    DataSet, or a light curve read by this package.

    Attributes
    ----------
    asked : tuple of int
        Ids of the DataSets for which the lineage was requested.
    graph : networkx.DiGraph
        Nodes are ids of DataSets; edges lead from a source to the DataSet derived from it. Nodes
        have the attributes ``target``, ``catalog``, ``observation`` (its id), ``photometry``,
        ``processing`` (None is raw) and ``cadences``. All links between the nodes are included.
    recorded : bool
        Whether the database records lineage. LightcurveDB 3.3 does not; each DataSet is then a
        single node.
    observations : mapping of int to ObservationData
        The observations of the DataSets, by id.

    Examples
    --------
    >>> db.lineage(1)
    <Lineage of DEMO aperture 2px / raw #1 (DEMO 1): 0 sources, 2 derived>
    """

    # Methods that only write or draw the lineage are in a separate file.
    to_pandas = outputs.to_pandas
    to_mermaid = outputs.to_mermaid
    plot = outputs.plot
    _repr_svg_ = outputs.repr_svg
    _repr_html_ = outputs.repr_html

    def __init__(
        self,
        rows: Iterable[Row],
        asked: Sequence[DataSetId],
        *,
        recorded: bool = True,
        observations: Mapping[int, ObservationData] = MappingProxyType({}),
    ) -> None:
        import networkx as nx

        self.asked = tuple(asked)
        self.recorded = recorded
        self.observations = observations
        self.graph: nx.DiGraph[DataSetId] = nx.DiGraph()
        links: list[tuple[DataSetId, DataSetId]] = []
        for id_, *about, sources in sorted(rows, key=lambda row: in_order(row[0])):
            self.graph.add_node(id_, **dict(zip(outputs.CARRIED, about, strict=True)))
            links += [(source, id_) for source in sorted(sources, key=in_order)]
        # A descendant may have other sources, which are not part of this lineage.
        self.graph.add_edges_from(link for link in links if link[0] in self.graph)

    @cached_property
    def cycles(self) -> tuple[tuple[DataSetId, ...], ...]:
        """Ids of DataSets that descend from themselves by mistake, one tuple per cycle.

        Each tuple begins with its lowest id. If there are several cycles through the same DataSets,
        one of them is listed.

        Examples
        --------
        >>> db.lineage(1).cycles
        ()
        """
        import networkx as nx

        found = []
        for knot in nx.strongly_connected_components(self.graph):
            inside = self.graph.subgraph(knot)
            if inside.number_of_edges():
                cycle = [edge[0] for edge in nx.find_cycle(inside, min(knot, key=in_order))]
                lowest = cycle.index(min(cycle, key=in_order))
                found.append((*cycle[lowest:], *cycle[:lowest]))
        return tuple(sorted(found, key=lambda cycle: [in_order(id_) for id_ in cycle]))

    # Queries

    def sources(self, of: Any = None) -> list[DataSetId]:
        """Return the ids of all ancestors, the oldest first.

        Parameters
        ----------
        of : int, DataSet, LightCurveData, LightCurve, or iterable of these, optional
            The DataSets; by default those for which the lineage was requested.

        Returns
        -------
        list of int
            Ids of DataSets; every source precedes the DataSets derived from it.

        Raises
        ------
        LightCurveNotFoundError
            If a DataSet is not part of this lineage.
        ArgumentError
            If the argument does not identify DataSets.

        Examples
        --------
        >>> db.lineage(3).sources()
        [1, 2]
        """
        return self._reached(of, backwards=True)

    def derived(self, of: Any = None) -> list[DataSetId]:
        """Return the ids of all descendants, the nearest first.

        Parameters
        ----------
        of : int, DataSet, LightCurveData, LightCurve, or iterable of these, optional
            The DataSets; by default those for which the lineage was requested.

        Returns
        -------
        list of int
            Ids of DataSets; every source precedes the DataSets derived from it.

        Raises
        ------
        LightCurveNotFoundError
            If a DataSet is not part of this lineage.
        ArgumentError
            If the argument does not identify DataSets.

        Examples
        --------
        >>> db.lineage(1).derived()
        [2, 3]
        """
        return self._reached(of, backwards=False)

    def roots(self) -> list[DataSetId]:
        """Return the ids of the DataSets without sources, usually raw photometry.

        Returns
        -------
        list of int
            Ids of DataSets.

        Examples
        --------
        >>> db.lineage(3).roots()
        [1]
        """
        return [id_ for id_ in self._order if self.graph.in_degree(id_) == 0]

    def path(self, a: Any, b: Any) -> list[DataSetId]:
        """Return the ids on the shortest path from a DataSet to one derived from it.

        Parameters
        ----------
        a : int, DataSet, LightCurveData or LightCurve
            The source.
        b : int, DataSet, LightCurveData or LightCurve
            The DataSet derived from it.

        Returns
        -------
        list of int
            Ids of DataSets, including both ends.

        Raises
        ------
        LightCurveNotFoundError
            If there is no path, or a DataSet is not part of this lineage.
        ArgumentError
            If an argument does not identify one DataSet.

        Examples
        --------
        >>> db.lineage(3).path(1, 3)
        [1, 2, 3]
        """
        import networkx as nx

        (start,), (end,) = (self._known(one, single=True) for one in (a, b))
        try:
            path: list[DataSetId] = nx.shortest_path(self.graph, start, end)
        except nx.NetworkXNoPath:
            reason = f"{self.label(end)} was not derived from {self.label(start)}"
            if nx.has_path(self.graph, end, start):
                reason += f", but the other way round; use path({end}, {start})"
            raise LightCurveNotFoundError(reason) from None
        return path

    def label(self, dataset: Any) -> str:
        """Return a short name of a DataSet.

        Parameters
        ----------
        dataset : int, DataSet, LightCurveData or LightCurve
            The DataSet.

        Returns
        -------
        str
            Photometric source, processing method ("raw" for none) and id.

        Raises
        ------
        LightCurveNotFoundError
            If the DataSet is not part of this lineage.
        ArgumentError
            If the argument does not identify one DataSet.

        Examples
        --------
        >>> db.lineage(1).label(1)
        'DEMO aperture 2px / raw #1'
        """
        (id_,) = self._known(dataset, single=True)
        node = self.graph.nodes[id_]
        photometry = node["photometry"]
        how = processing_label(node["processing"])
        return f"{photometry} / {how} #{id_}" if photometry else f"{how} #{id_}"

    @cached_property
    def depths(self) -> dict[DataSetId, int]:
        """Number of steps from a root to each DataSet on the longest path, by id.

        DataSets of the same cycle have the same depth.

        Examples
        --------
        >>> db.lineage(1).depths
        {1: 0, 2: 1, 3: 2}
        """
        import networkx as nx

        knots = nx.condensation(self.graph)
        depth: dict[DataSetId, int] = {}
        for level, generation in enumerate(nx.topological_generations(knots)):
            for knot in generation:
                depth |= dict.fromkeys(knots.nodes[knot]["members"], level)
        return depth

    @cached_property
    def _order(self) -> list[DataSetId]:
        """Ids of all DataSets; sources precede the DataSets derived from them, else by id."""
        import networkx as nx

        knots = nx.condensation(self.graph)
        members = {knot: sorted(knots.nodes[knot]["members"], key=in_order) for knot in knots}
        ordered = nx.lexicographical_topological_sort(
            knots, key=lambda knot: in_order(members[knot][0])
        )
        return [id_ for knot in ordered for id_ in members[knot]]

    def _reached(self, of: Any, *, backwards: bool) -> list[DataSetId]:
        starts = self.asked if of is None else self._known(of)
        neighbours = self.graph.pred if backwards else self.graph.succ
        reached: set[DataSetId] = set()
        waiting = list(starts)
        while waiting:
            further = [id_ for id_ in neighbours[waiting.pop()] if id_ not in reached]
            reached.update(further)
            waiting += further
        # In a cycle a DataSet is its own ancestor; ``cycles`` lists those.
        if len(starts) == 1:
            reached.discard(starts[0])
        return [id_ for id_ in self._order if id_ in reached]

    def _known(self, datasets: Any, *, single: bool = False) -> list[DataSetId]:
        ids = resolve_ids(datasets)
        for id_ in ids:
            if id_ not in self.graph:
                raise LightCurveNotFoundError(
                    f"DataSet {id_} is not in this lineage of {len(self.graph)} DataSets; "
                    f"use db.lineage({id_})"
                )
        if single and len(ids) > 1:
            raise ArgumentError(f"expected one DataSet, got {len(ids)}")
        return ids

    def __len__(self) -> int:
        return len(self.graph)

    def __repr__(self) -> str:
        return f"<Lineage {outputs.headline(self)}>"
