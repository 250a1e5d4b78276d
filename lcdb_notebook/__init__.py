"""Read light curves from a LightcurveDB as lightkurve and pandas objects.

::

    import lcdb_notebook as lcdb

    db = lcdb.connect()
    lc = db.lightcurve(261136679, sector=1, processing="PDCSAP", quality_bitmask="default")
"""

from __future__ import annotations

from lcdb_notebook import errors, flags, models, plot
from lcdb_notebook.database import Database, connect
from lcdb_notebook.explore.figure import figure
from lcdb_notebook.lightcurve.convert import from_pandas
from lcdb_notebook.lightcurve.record import RAW, LightCurveData
from lcdb_notebook.read.export import read_lightcurve, write_lightcurve
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.lineage import Lineage

__version__ = "0.1.0"

__all__ = [
    "RAW",
    "Database",
    "LightCurveData",
    "Lineage",
    "Selection",
    "connect",
    "errors",
    "figure",
    "flags",
    "from_pandas",
    "models",
    "plot",
    "read_lightcurve",
    "write_lightcurve",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
