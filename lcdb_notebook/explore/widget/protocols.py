"""What the parts of an explorer need of a database, and of one another.

A :class:`~lcdb_notebook.Database` has all that is asked for here; so has anything else with these
methods. How parts fit together::

    TargetList --target--> DataSetList --selection--> LightCurveExplorer
                               ^                            |
                               +---- LineageExplorer        +--> code, lightcurve()

Parts are joined by their traits alone, so that each of them also works by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from lcdb_notebook.search.results import Sessions

if TYPE_CHECKING:
    import lightkurve

    from lcdb_notebook.read.selection import Selection
    from lcdb_notebook.search.lineage import Lineage

__all__ = ["Explorable", "Lineages", "Searches", "Sessions", "ShowsLightCurve"]


class Searches(Sessions, Protocol):
    """Finds light curves."""

    def search(self, target: Any = None, **search: Any) -> Selection:
        """Find light curves: see :meth:`Database.search`."""


class Lineages(Protocol):
    """Tells where light curves came from."""

    def lineage(self, of: Any) -> Lineage:
        """Give ancestors and descendants: see :meth:`Database.lineage`."""


class Explorable(Searches, Lineages, Protocol):
    """What an explorer of everything needs."""


class ShowsLightCurve(Protocol):
    """A widget that draws what a Selection has.

    Attributes
    ----------
    selection
        Trait: a Selection, or None for an empty picture. Assigning it draws.
    settings
        Trait: a frozen dataclass of all that decides what is drawn of it, such as
        ``quality_bitmask``. Assigning it draws.
    pictures
        Trait: how many pictures have been completed.
    """

    selection: Selection | None
    settings: Any
    pictures: int

    def lightcurve(self) -> lightkurve.LightCurve:
        """Give exactly what is drawn."""

    def code(self, found: str = "") -> str:
        """Write Python that makes what is drawn, of the expression of its Selection."""

    def close(self) -> None:
        """Leave nothing behind."""
