"""The methods that explorers require of a database, which :class:`~lcdb_notebook.Database` has.

The explorers are connected by their traits alone, so that each also works by itself::

    TargetList --target--> DataSetList --selection--> LightCurveExplorer
                               ^                            |
                               +---- LineageExplorer        +--> code, lightcurve()
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from lcdb_notebook.search import lazy

if TYPE_CHECKING:
    from lcdb_notebook.read.selection import Selection
    from lcdb_notebook.search.lineage import Lineage

__all__ = ["Explorable", "Lineages", "Searches", "Sessions"]


class Sessions(lazy.Sessions, Protocol):
    """A database whose statements run one at a time."""

    _lock: threading.RLock


class Searches(Sessions, Protocol):
    """An object that searches for light curves."""

    def search(self, target: Any = None, **search: Any) -> Selection:
        """Find light curves, with the arguments of :meth:`Database.search`."""


class Lineages(Protocol):
    """An object that returns the lineage of light curves."""

    def lineage(self, of: Any) -> Lineage:
        """Return ancestors and descendants, with the arguments of :meth:`Database.lineage`."""


class Explorable(Searches, Lineages, Protocol):
    """The methods that :class:`~lcdb_notebook.explore.explorer.Explorer` requires."""
