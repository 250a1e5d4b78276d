"""Read light curves with their histories, a page at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.progress import Bar
from lcdb_notebook.read.records import outcomes
from lcdb_notebook.search import lineage
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = ["Made", "with_histories"]

# Number of rows whose histories are queried at once.
_HISTORIES = 5_000

#: A row, its light curve or the reason why it cannot be read, and its history.
Made = tuple[Row, LightCurveData | DataError, str]


def with_histories(
    search: Search,
    pages: Iterable[Found],
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    bar: Bar,
    done: int,
) -> Iterator[Made]:
    """Read rows, with their histories.

    Parameters
    ----------
    search : Search
        The search.
    pages : iterable of Found
        The rows.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    bar : Bar
        Shows the progress.
    done : int
        Number of light curves that were read before.
    """
    under_way: deque[tuple[Row, str]] = deque()

    def followed() -> Iterator[Found]:
        for page in pages:
            for start in range(0, len(page.rows), _HISTORIES):
                some = replace(page, rows=page.rows[start : start + _HISTORIES])
                with search.sessions.session_scope() as session:
                    histories = lineage.histories(session, some.rows)
                under_way.extend((row, histories[row.dataset]) for row in some.rows)
                yield some

    scope = search.sessions.session_scope
    for data in outcomes(scope, followed(), missions, bar=_Offset(bar, done)):
        row, history = under_way.popleft()
        yield row, data, history


@dataclass(frozen=True)
class _Offset:
    """A progress bar that includes earlier work."""

    bar: Bar
    before: int

    def show(self, done: int) -> None:
        self.bar.show(self.before + done)
