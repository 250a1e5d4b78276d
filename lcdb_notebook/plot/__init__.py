"""Light curves on matplotlib Axes: flux against time, with the flagged cadences drawn apart."""

from lcdb_notebook.plot.panels import MOST_PANELS, check_panels, plot

__all__ = ["MOST_PANELS", "check_panels", "plot"]
