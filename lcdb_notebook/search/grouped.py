"""The light curves of a search grouped by observation, with a sample of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.many_ids import ManyIds
from lcdb_notebook.search import by_observation
from lcdb_notebook.search.by_observation import ObservationMatches
from lcdb_notebook.search.flag_types import flag_types, flag_types_within
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found, find, find_again
from lcdb_notebook.search.rows import Row
from lcdb_notebook.search.streaming import Pages, collected, paged

__all__ = ["Group", "Grouped", "group"]

Kinds = dict[tuple[object, ...], Row]


class Group(NamedTuple):
    """The light curves of an observation.

    Parameters
    ----------
    observation : int
        Id of the observation.
    datasets : sequence of int
        All of its DataSets, in order.
    pages : iterable of Found
        Their rows; can be iterated once.
    """

    observation: int
    datasets: Sequence[DataSetId]
    pages: Iterable[Found]


@dataclass(frozen=True)
class Grouped:
    """The light curves of a search, by observation.

    Parameters
    ----------
    numbers : mapping of int to int
        For each observation, in order, the number of its light curves.
    samples : Found
        All observations, and light curves with every catalog, photometry and processing.
    flag_types : set of frozenset of str
        The combinations of types of quality flags that light curves may have.
    groups : iterable of Group
        The light curves of each observation; can be iterated once.
    matching : ObservationMatches, optional
        What the light curves match; None if their ids are in ``groups`` and nowhere else.
    order : sequence of int, optional
        The DataSets in the order of the search, if they are at most 20,000.
    """

    numbers: Mapping[int, int]
    samples: Found
    flag_types: set[frozenset[str]]
    groups: Iterable[Group]
    matching: ObservationMatches | None = None
    order: Sequence[DataSetId] | None = None


def group(search: Search) -> Grouped:
    """Group the light curves of a search by observation; rows are not kept if they are many.

    A search of more than 20,000 light curves sends one statement for each observation first, which
    counts its light curves at the server.

    Parameters
    ----------
    search : Search
        The search.

    Raises
    ------
    NotFoundError
        If the search finds nothing.
    """
    with search.sessions.session_scope() as session:
        whole, expected, ids = collected(search, session)
        if whole is not None:
            whole.require()
            types = flag_types(session, whole)
            rows: dict[int, list[Row]] = {}
            for row in whole.rows:
                rows.setdefault(row.observation, []).append(row)
            numbers = {observation: len(some) for observation, some in rows.items()}
            order = [row.dataset for row in whole.rows]
            return Grouped(numbers, whole, types, _of_rows(rows, whole), order=order)
    if search.is_whole() and search.criteria.numbers is None:
        with search.sessions.session_scope() as session:
            matching = ObservationMatches.of(session, search.criteria, ids)
        return _by_criteria(search, matching)
    return _by_ids(search, paged(search, expected, ids))


def _of_rows(rows: Mapping[int, Sequence[Row]], whole: Found) -> Iterator[Group]:
    for observation, some in rows.items():
        page = Found(some, whole.observations)
        yield Group(observation, [row.dataset for row in some], [page])


def _by_criteria(search: Search, matching: ObservationMatches) -> Grouped:
    """Group a long search without finding its rows."""
    with search.sessions.session_scope() as session:
        observations = by_observation.observations(session, search.criteria)
        catalogs = by_observation.has_catalogs(session, search.criteria)
    numbers: dict[int, int] = {}
    some: list[DataSetId] = []
    seen: set[tuple[object, ...]] = set()
    for observation in observations:
        with search.sessions.session_scope() as session:
            kinds = matching.kinds(session, observation, catalogs=catalogs)
        if kinds:
            numbers[observation] = sum(kind.number for kind in kinds)
            new = [kind for kind in kinds if kind.made_by not in seen]
            some += [kind.dataset for kind in new or kinds[:1]]
            seen.update(kind.made_by for kind in new)
    with search.sessions.session_scope() as session:
        samples = find_again(session, some)
        if not samples.rows:
            samples = find(session, search.criteria, limit=1, offset=0)
            samples.require()
        types = flag_types_within(session, [*numbers], partial(matching.has_unflagged, session))
    return Grouped(numbers, samples, types, _matching(search, matching, numbers), matching)


def _matching(
    search: Search, matching: ObservationMatches, numbers: Mapping[int, int]
) -> Iterator[Group]:
    sizes = by_observation.page_sizes()
    for observation in numbers:
        with search.sessions.session_scope() as session:
            datasets = matching.datasets(session, observation)
        pages = by_observation.paged(
            search.sessions, datasets, sizes, check_raw=search.criteria.raw_by_word
        )
        yield Group(observation, [dataset for dataset, _ in datasets], pages)


def _by_ids(search: Search, pages: Pages) -> Grouped:
    """Group a long slice, or a long list of numbers: only the ids of its rows are kept."""
    ids: dict[int, tuple[ManyIds[DataSetId], ManyIds[int]]] = {}
    kinds: Kinds = {}
    types: set[frozenset[str]] = set()
    samples = Found((), {})
    for page in pages.found:
        for row in page.rows:
            if row.observation not in ids:
                ids[row.observation] = ManyIds(), ManyIds()
            datasets, targets = ids[row.observation]
            datasets.append(row.dataset)
            targets.append(row.target_id)
            kinds.setdefault((row.catalog, row.photometry, row.processing), row)
            kinds.setdefault((row.observation,), row)
        samples = replace(samples, observations={**samples.observations, **page.observations})
        with search.sessions.session_scope() as session:
            types |= flag_types(session, page)
    rows = {row.dataset: row for row in kinds.values()}
    # A page may be cut, and then describes further observations.
    described = {id_: about for id_, about in samples.observations.items() if id_ in ids}
    samples = Found([*rows.values()], described)
    samples.require()
    numbers = {observation: len(datasets) for observation, (datasets, _) in ids.items()}
    return Grouped(numbers, samples, types, _of_ids(search, ids))


def _of_ids(
    search: Search, ids: Mapping[int, tuple[ManyIds[DataSetId], ManyIds[int]]]
) -> Iterator[Group]:
    sizes = by_observation.page_sizes()
    for observation, (datasets, targets) in ids.items():
        some = [*zip(datasets, targets, strict=True)]
        pages = by_observation.paged(search.sessions, some, sizes, check_raw=False)
        yield Group(observation, [*datasets], pages)
