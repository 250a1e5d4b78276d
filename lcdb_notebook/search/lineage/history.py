"""Write the history of light curves, beginning with raw photometry, as one line of text each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import orm

from lcdb_notebook.lightcurve.dataset_id import DataSetId, in_order
from lcdb_notebook.lightcurve.record import processing_label
from lcdb_notebook.search import layout
from lcdb_notebook.search.lineage.queries import ancestry

__all__ = ["Link", "histories", "written"]

Made = tuple[str | None, str | None]  # photometry and processing

_MOST_STEPS = 12
_MOST_BESIDE = 4
# Beyond this number, only the nearest ancestors are listed; a light curve usually has five or six.
_MOST_ANCESTORS = 50


class Link(NamedTuple):
    """A DataSet, one that it was derived from, and how that was made."""

    child: DataSetId
    source: DataSetId
    photometry: str | None
    processing: str | None


class Processed(Protocol):
    """A record, or a row of a search."""

    @property
    def dataset(self) -> DataSetId:
        """Id of the DataSet."""

    @property
    def photometry(self) -> str | None:
        """Name of the photometric source."""

    @property
    def processing(self) -> str | None:
        """Name of the processing method."""


def histories(session: orm.Session, records: Sequence[Processed]) -> dict[DataSetId, str]:
    """Write the history of each light curve, with one statement for all of them.

    Returns
    -------
    dict of int to str
        Histories by id of the DataSet, such as ``SPOC SAP raw #11 -> PDCSAP #12``. Several sources
        of a step are joined by " + ". Long histories are shortened. The text is ASCII, which FITS
        headers require, if the names are ASCII.
    """
    if not records:
        return {}
    ids = list(dict.fromkeys(data.dataset for data in records))
    arranged = layout.of(session)
    keyed = arranged.keyed
    presented = () if keyed is None else keyed.family(session, ids, everywhere=False)
    links = arranged.present(ancestry(keys=keyed is not None), *presented)
    found = session.connection().execute(links, {"ids": ids})
    return written(records, (Link(*row) for row in found))


def written(records: Sequence[Processed], links: Iterable[Link]) -> dict[DataSetId, str]:
    """Write the history of each light curve from the links above all of them."""
    sources: dict[DataSetId, set[DataSetId]] = {}
    made: dict[DataSetId, Made] = {}
    for link in links:
        sources.setdefault(link.child, set()).add(link.source)
        made[link.source] = (link.photometry, link.processing)
    made |= {data.dataset: (data.photometry, data.processing) for data in records}
    ids = dict.fromkeys(data.dataset for data in records)
    return {id_: _history(id_, sources, made) for id_ in ids}


def _history(
    id_: DataSetId, sources: Mapping[DataSetId, set[DataSetId]], made: Mapping[DataSetId, Made]
) -> str:
    near, complete = _nearest(id_, sources)
    steps = [
        [_named(one, sources, made) for one in sorted(together, key=in_order)]
        for together in _steps(id_, near)
    ]
    lines = [
        " + ".join(names)
        if len(names) <= _MOST_BESIDE
        else f"{' + '.join(names[: _MOST_BESIDE - 1])} + {len(names) - _MOST_BESIDE + 1} more"
        for names in steps
    ]
    if len(lines) > _MOST_STEPS:
        left_out = len(lines) - _MOST_STEPS + 1
        lines[_MOST_STEPS // 2 : _MOST_STEPS // 2 + left_out] = [f"({left_out} steps)"]
    return " -> ".join(lines if complete else ["...", *lines])


def _nearest(
    id_: DataSetId, sources: Mapping[DataSetId, set[DataSetId]]
) -> tuple[dict[DataSetId, set[DataSetId]], bool]:
    """Return the links among a DataSet and its nearest ancestors, and whether they are complete."""
    reached: dict[DataSetId, None] = {id_: None}
    waiting = deque([id_])
    while waiting and len(reached) <= _MOST_ANCESTORS:
        for source in sorted(sources.get(waiting.popleft(), ()), key=in_order):
            if source not in reached:
                reached[source] = None
                waiting.append(source)
    near = {one: sources.get(one, set()) & reached.keys() for one in reached}
    return near, all(near[one] == sources.get(one, set()) for one in reached)


def _steps(id_: DataSetId, sources: Mapping[DataSetId, set[DataSetId]]) -> list[set[DataSetId]]:
    """Group a DataSet and its ancestors by the longest path between them, farthest first.

    Members of a cycle are placed where they were first found.
    """
    farthest = {id_: 0}
    order: list[DataSetId] = []
    waiting: list[tuple[DataSetId, Iterable[DataSetId]]] = [
        (id_, iter(sorted(sources.get(id_, ()), key=in_order)))
    ]
    entered = {id_}
    # Depth first without recursion, because a history may be longer than Python's stack allows.
    while waiting:
        here, rest = waiting[-1]
        further = next((one for one in rest if one not in entered), None)
        if further is None:
            order.append(here)
            waiting.pop()
        else:
            entered.add(further)
            waiting.append((further, iter(sorted(sources.get(further, ()), key=in_order))))
    place = {one: position for position, one in enumerate(order)}
    for one in reversed(order):
        for source in sources.get(one, ()):
            if place[source] < place[one]:
                farthest[source] = max(farthest.get(source, 0), farthest[one] + 1)
    steps: list[set[DataSetId]] = [set() for _ in range(max(farthest.values()) + 1)]
    for one, distance in farthest.items():
        steps[distance].add(one)
    return steps[::-1]


def _named(
    id_: DataSetId, sources: Mapping[DataSetId, set[DataSetId]], made: Mapping[DataSetId, Made]
) -> str:
    photometry, processing = made[id_]
    before = {made[source][0] for source in sources.get(id_, ())}
    # If the photometry has not changed, the processing is enough: "PDCSAP".
    words: list[Any] = [] if processing and before == {photometry} else [photometry]
    return " ".join([*(word for word in words if word), processing_label(processing), f"#{id_}"])
