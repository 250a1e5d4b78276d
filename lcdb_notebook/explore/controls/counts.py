"""FacetCounts: the numbers of targets beside the values of the filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lcdb_notebook.errors import StatementTimeoutError
from lcdb_notebook.explore.controls.filters import Filters
from lcdb_notebook.explore.widget.background import Task, Work
from lcdb_notebook.explore.widget.error_box import ErrorBox
from lcdb_notebook.explore.widget.own_connection import own_connection
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.size import Size

__all__ = ["FacetCounts"]

_MOST_KEPT = 500

# Seconds for which the server may work on one statement; values whose count takes longer have none.
_LONGEST = 2.0


class FacetCounts:
    """Counts the targets that each value of each filter would leave, and caches the counts.

    The counts are queried one after the other, the total first, so that fast ones do not wait for
    slow ones. Each uses a separate connection, on which it can be cancelled. Large numbers are
    estimates.

    Parameters
    ----------
    sessions : Sessions
        The database.
    filters : Filters
        The drop-downs that show the counts.
    error_box : ErrorBox
        Shows errors.
    show_total : callable
        Called with the number of targets that pass all filters, a Size.
    finished : callable
        Called without arguments when all counts are shown.
    """

    def __init__(
        self,
        sessions: Sessions,
        filters: Filters,
        error_box: ErrorBox,
        *,
        show_total: Callable[[Size], object],
        finished: Callable[[], object],
    ) -> None:
        self._sessions = sessions
        self._filters = filters
        self._show_total = show_total
        self._finished = finished
        self._kept: dict[tuple[Any, ...], tuple[dict[Any, Size], Size] | None] = {}
        self.work = Work(error_box)

    def start(self, target_filter: TargetFilter) -> None:
        """Start counting, replacing counts in progress.

        Parameters
        ----------
        target_filter : TargetFilter
            The filters and the digits of the target number.
        """
        facets = self._filters.facets
        for name, facet in facets.items():
            if _key(target_filter, name) not in self._kept:
                # The counts of an earlier list would be wrong for this one.
                facet.forget_counts()
        self._count(target_filter, "", list(facets), None)

    def stop(self) -> None:
        """Stop counting."""
        self.work.stop()

    def _count(
        self, target_filter: TargetFilter, facet: str, further: list[str], total: Size | None
    ) -> None:
        """Count the values of one facet, or the total for "", then continue with ``further``."""
        without = target_filter.without(facet) if facet else target_filter
        key = _key(target_filter, facet)

        def work(task: Task) -> tuple[dict[Any, Size], Size] | None:
            if key in self._kept:
                return self._kept[key]
            try:
                with own_connection(self._sessions, task, seconds=_LONGEST) as session:
                    # If the facet does not filter, the total of all filters is its total too.
                    known = total if facet and without == target_filter else None
                    whole = browse.count(session, without) if known is None else known
                    return (browse.counts(session, without, facet, whole) if facet else {}), whole
            except StatementTimeoutError:
                return None

        def then(result: tuple[dict[Any, Size], Size] | None) -> None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = result
            counts, whole = result or ({}, None)
            if whole is not None and facet:
                self._filters.facets[facet].show_counts(counts, whole)
            elif whole is not None:
                self._show_total(whole)
            if further:
                self._count(target_filter, further[0], further[1:], total if facet else whole)
            else:
                self._finished()

        self.work.run(work, then, doing="count targets")


def _key(target_filter: TargetFilter, facet: str) -> tuple[Any, ...]:
    without = target_filter.without(facet) if facet else target_filter
    return (facet, without.digits, without.flagged, repr(without.criteria))
