"""Which light curve came from which: ancestors and descendants of DataSets, as a graph."""

from lcdb_notebook.search.lineage.graph import Lineage
from lcdb_notebook.search.lineage.history import histories
from lcdb_notebook.search.lineage.queries import lineage
from lcdb_notebook.search.lineage.resolve_ids import dataset_ids

__all__ = ["Lineage", "dataset_ids", "histories", "lineage"]
