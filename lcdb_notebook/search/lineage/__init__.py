"""Lineage of light curves: ancestors and descendants of DataSets, as a graph."""

from lcdb_notebook.search.lineage.graph import Lineage
from lcdb_notebook.search.lineage.history import histories
from lcdb_notebook.search.lineage.queries import lineage
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids

__all__ = ["Lineage", "histories", "lineage", "resolve_ids"]
