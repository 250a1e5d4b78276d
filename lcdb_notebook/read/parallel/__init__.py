"""Call a function for many light curves, on the cores of this machine or on a Dask cluster."""

from lcdb_notebook.read.parallel.mapping import map_light_curves
from lcdb_notebook.read.parallel.partitions import to_dask
from lcdb_notebook.read.parallel.run import OnFailure
from lcdb_notebook.read.parallel.task import Given

__all__ = ["Given", "OnFailure", "map_light_curves", "to_dask"]
