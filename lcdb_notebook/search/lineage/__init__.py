"""Lineage of light curves: ancestors and descendants of DataSets, as a graph."""

from lcdb_notebook.search.lineage.graph import Lineage
from lcdb_notebook.search.lineage.history import Link, histories, written
from lcdb_notebook.search.lineage.queries import lineage, links_sql
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids

__all__ = ["Lineage", "Link", "histories", "lineage", "links_sql", "resolve_ids", "written"]
