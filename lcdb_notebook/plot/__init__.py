"""Light curves on matplotlib Axes.

``plot`` draws flux against time with the flagged cadences apart, ``fold`` on a period,
``before_after`` a processing step, ``quality_timeline`` one row a flag. Each takes records or
lightkurve's light curves, draws on ``ax`` if one is given, and gives the Axes back. ``Drawing`` is
what ``plot`` draws, kept so that it can be changed.
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
