"""Draw light curves on matplotlib Axes.

``plot`` draws flux against time and marks flagged cadences, ``fold`` draws flux against phase,
``before_after`` compares a light curve before and after a processing step, and ``quality_timeline``
shows when each quality flag was set. Each accepts records or lightkurve objects, draws on ``ax`` if
it is given, and returns the Axes. ``Drawing`` is the same as ``plot``, but can be updated.
"""

from lcdb_notebook.plot.comparing import before_after
from lcdb_notebook.plot.folding import fold
from lcdb_notebook.plot.lightcurves import Drawing, plot
from lcdb_notebook.plot.panels import MOST_PANELS, check_panels
from lcdb_notebook.plot.timeline import quality_timeline

__all__ = [
    "MOST_PANELS",
    "Drawing",
    "before_after",
    "check_panels",
    "fold",
    "plot",
    "quality_timeline",
]


def __dir__() -> list[str]:
    return list(__all__)
