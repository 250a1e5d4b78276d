"""Which light curve came from which: ancestors and descendants of DataSets, as a graph."""

from lcdb_notebook.lineage.asked import dataset_ids
from lcdb_notebook.lineage.family import lineage
from lcdb_notebook.lineage.graph import Lineage
from lcdb_notebook.lineage.history import histories

__all__ = ["Lineage", "dataset_ids", "histories", "lineage"]
