"""One line from a LightcurveDB to a trustworthy light curve.

::

    import lcdb_notebook as lcdb

    db = lcdb.connect()
    lc = db.lightcurve(261136679, sector=1, processing="PDCSAP", quality_bitmask="default")
"""

from __future__ import annotations

from lcdb_notebook import errors, flags, models, plot
from lcdb_notebook.convert import from_pandas
from lcdb_notebook.database import Database, connect
from lcdb_notebook.export import read_lightcurve, write_lightcurve
from lcdb_notebook.lineage import Lineage
from lcdb_notebook.record import LightCurveData
from lcdb_notebook.selection import Selection

__version__ = "0.1.0"

__all__ = [
    "Database",
    "LightCurveData",
    "Lineage",
    "Selection",
    "connect",
    "errors",
    "flags",
    "from_pandas",
    "models",
    "plot",
    "read_lightcurve",
    "write_lightcurve",
]
