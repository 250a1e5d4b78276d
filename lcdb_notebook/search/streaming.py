"""The rows of a search in pages, so that a long search is never held as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.search import by_observation, layout, sql
from lcdb_notebook.search.by_observation import ObservationMatches
from lcdb_notebook.search.constants import Constants, constants
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found, find
from lcdb_notebook.search.size import Size, planned_rows

__all__ = ["MOST_COLLECTED", "Pages", "all_rows", "collected", "paged", "pages"]

#: Rows that are found and sorted together, in half a second and 15 MB.
MOST_COLLECTED = 20_000

# Catalog numbers whose rows are found together.
_NUMBERS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Pages:
    """The rows of a search.

    Parameters
    ----------
    size : Size
        Their number, which may be an estimate.
    found : iterable of Found
        The rows, in one page or in several; can be iterated once.
    """

    size: Size
    found: Iterable[Found]

    @classmethod
    def of(cls, found: Found) -> Self:
        """Return rows in one page."""
        return cls(Size(len(found.rows)), [found])

    def require(self) -> None:
        """Raise the error that explains why there are no rows, if this is known now."""
        if isinstance(self.found, Sequence):
            for page in self.found:
                page.require()

    def each(self, check: Callable[[Found], object]) -> Self:
        """Call a function for each page: now if there is one, otherwise when it is reached."""
        if isinstance(self.found, Sequence):
            for page in self.found:
                check(page)
            return self

        def checked() -> Iterator[Found]:
            for page in self.found:
                check(page)
                yield page

        return replace(self, found=checked())


def all_rows(search: Search, session: orm.Session) -> Pages:
    """Find all rows of a search, in one page."""
    return Pages.of(search.found(session))


def pages(search: Search) -> Pages:
    """Find the rows of a search, in pages if there are more than 20,000.

    Rows that were found before, those of named targets and those of short searches come in the
    order of :func:`lcdb_notebook.search.sql.datasets`. So do those of a long slice, and of a long
    search that names no observations: each page continues at a catalog number, by the index on the
    numbers of targets. Other long searches come observation by observation, each in the order of
    the ids of targets, as targets of some observations cannot be found in the order of their
    numbers without reading all others. They begin with a few targets that an index finds at once.

    Parameters
    ----------
    search : Search
        The search. Its rows are kept only if they come in one page.

    Raises
    ------
    NotFoundError
        If a requested name or number does not exist in the database.
    """
    with search.sessions.session_scope() as session:
        whole, expected, ids = collected(search, session)
    return paged(search, expected, ids) if whole is None else Pages.of(whole)


def paged(search: Search, expected: int, ids: Constants | None) -> Pages:
    """Find the rows of a search in pages, after :func:`collected`.

    Parameters
    ----------
    search : Search
        The search.
    expected : int
        About how many rows there are.
    ids : Constants, optional
        What the criteria mean, if it was looked up.
    """
    with search.sessions.session_scope() as session:
        by_number = layout.of(session).by_number and not (
            search.is_whole() and sql.observation_matches(sql.shape_of(search.criteria))
        )
    if search.criteria.numbers is not None:
        found = _of_numbers(search)
    else:
        found = _by_number(search) if by_number else _by_observation(search, ids)
    return Pages(Size(expected, exact=False), _explained(search, found))


def collected(search: Search, session: orm.Session) -> tuple[Found | None, int, Constants | None]:
    """Return all rows if they are few.

    The planner estimates how many there are only if the table may have more than 20,000, and
    nothing else limits their number.

    Parameters
    ----------
    search : Search
        The search. Its rows are kept if they are few.
    session : sqlalchemy.orm.Session
        A session.

    Returns
    -------
    Found or None
        The rows; None if they are many.
    int
        About how many there are, if they are many.
    Constants or None
        What the criteria mean, if it was looked up.
    """
    criteria = search.criteria
    numbers = () if criteria.numbers is None or criteria.aliases else criteria.numbers
    named = criteria.numbers is not None or criteria.target_ids is not None
    if named and search.is_whole() and len(numbers) > _NUMBERS_AT_ONCE and search.kept is None:
        return None, len(numbers), None
    limit = search.limit
    if search.kept is not None or named or (limit is not None and limit <= MOST_COLLECTED):
        return search.found(session), 0, None
    arranged = layout.of(session)
    if not (search.is_whole() or arranged.by_number):
        return search.found(session), 0, None
    ids: Constants | None = None
    if not arranged.is_small:
        ids = constants(session, criteria)
        rows = ids.select().limit(sa.literal_column("1"))
        parts = layout.parts(session, rows, criteria)
        planned = sum(planned_rows(session, part, sql.parameters(criteria)) for part in parts)
        expected = max(0, planned - search.offset)
        if limit is not None:
            expected = min(expected, limit)
        if expected > MOST_COLLECTED:
            return None, expected, ids
    first_rows = search.cut(slice(0, MOST_COLLECTED + 1))
    found = first_rows.found(session)
    if len(found.rows) > MOST_COLLECTED:
        # The table has grown, or its statistics are not up to date.
        return None, len(found.rows), ids
    search.kept = found
    return found, 0, None


def _explained(search: Search, found: Iterator[Found]) -> Iterator[Found]:
    """Yield pages; if there are no rows, raise the reason if a name or number does not exist."""
    empty = True
    for page in found:
        empty = False
        yield page
    if empty:
        with search.sessions.session_scope() as session:
            find(session, search.criteria, limit=1, offset=search.offset)


def _of_numbers(search: Search) -> Iterator[Found]:
    """Find the rows of many numbers, some numbers at a time."""
    with search.sessions.session_scope() as session:
        missing = search.missing(session)
    if missing:
        warn(missing)
    numbers = sorted(set(search.criteria.numbers or ()))
    for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
        some = replace(search.criteria, numbers=tuple(numbers[start : start + _NUMBERS_AT_ONCE]))
        with search.sessions.session_scope() as session:
            # Numbers begin at 0. Only a search without any rows is explained.
            page = find(session, some, limit=None, offset=0, after=-1)
        if page.rows:
            yield replace(page, is_page=True)


def _by_number(search: Search) -> Iterator[Found]:
    """Find rows in the order of the search; each page continues after a catalog number."""
    after: int | None = None
    size, offset, left = by_observation.FIRST_PAGE, search.offset, search.limit
    while left is None or left > 0:
        with search.sessions.session_scope() as session:
            page = find(session, search.criteria, limit=size, offset=offset, after=after)
        rows = page.rows
        is_last = len(rows) < size
        if not is_last:
            # The page may end within the rows of a number.
            rows = [row for row in rows if row.target != rows[-1].target]
        size = max(size, min(4 * size, by_observation.LARGEST_PAGE)) if rows else 4 * size
        rows = rows if left is None else rows[:left]
        if rows:
            yield replace(page, rows=rows, is_page=True)
            left = None if left is None else left - len(rows)
            after, offset = rows[-1].target, 0
        if is_last:
            return


def _by_observation(search: Search, ids: Constants | None) -> Iterator[Found]:
    """Find rows observation by observation; only the ids of one are held together.

    The first page has a few targets of the first observation, for which the others need not be
    found and sorted.
    """
    with search.sessions.session_scope() as session:
        observations = by_observation.observations(session, search.criteria)
        matching = ObservationMatches.of(session, search.criteria, ids)
        sorts = layout.of(session).keyed is None
    sizes = by_observation.page_sizes()
    begun: set[int] = set()
    for observation in observations:
        some: list[tuple[DataSetId, int]] = []
        if sorts and not begun:
            with search.sessions.session_scope() as session:
                begun.update(matching.some_targets(session, observation, by_observation.FIRST_PAGE))
                some = matching.datasets(session, observation, targets=[*begun]) if begun else []
            yield from _paged(search, some, sizes)
        with search.sessions.session_scope() as session:
            datasets = matching.datasets(session, observation)
        if some:
            datasets = [one for one in datasets if one[1] not in begun]
        yield from _paged(search, datasets, sizes)


def _paged(
    search: Search, datasets: Sequence[tuple[DataSetId, int]], sizes: Iterator[int]
) -> Iterator[Found]:
    return by_observation.paged(
        search.sessions, datasets, sizes, check_raw=search.criteria.raw_by_word
    )
