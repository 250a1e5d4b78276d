"""Rows of a search to LightCurveData: fetched in chunks, checked, in the search's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import orm

from lcdb_notebook.errors import DataError, WireError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.assemble import Chunk
from lcdb_notebook.read.fetch import Arrays, Pair, Unreadable, fetch, find_unreadable
from lcdb_notebook.read.progress import Bar, Progress
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = ["CHUNK_BYTES", "OnError", "outcomes", "records"]

OnError = Literal["raise", "skip"]

#: Arrays fetched at a time when streaming: large enough that what a chunk itself costs is lost
#: among the bytes, small enough for any laptop.
CHUNK_BYTES = 24 * 2**20

# Cadence numbers and observation-wide flags that are kept from one chunk to the next.
_KEPT_BYTES = 16 * 2**20


def records(
    session_scope: Callable[[], AbstractContextManager[orm.Session]],
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    chunk_bytes: int | None = CHUNK_BYTES,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> Iterator[LightCurveData]:
    """Read the light curves of rows, in their order.

    Parameters
    ----------
    session_scope
        Lends the session for each chunk; its uncommitted rows are seen.
    found
        What a search found.
    missions
        For each mission id, its name and clock.
    chunk_bytes
        How many bytes of arrays to fetch at a time, one statement each; None fetches all at once.
    on_error
        "raise", or "skip" light curves whose arrays contradict each other, and warn once.
    progress
        Show a progress bar; None shows it once reading has lasted a second.

    Raises
    ------
    DataError
        If arrays contradict each other; it names the DataSet, the observation and the lengths.
    """
    refused: list[str] = []
    with Progress(len(found.rows), "light curve", progress) as bar:
        for made in outcomes(session_scope, found, missions, chunk_bytes=chunk_bytes, bar=bar):
            if isinstance(made, LightCurveData):
                yield made
            elif on_error == "raise":
                raise made
            else:
                refused.append(str(made))
    if refused:
        warn(
            f"{len(refused)} of {len(found.rows)} light curves were skipped: " + "; ".join(refused)
        )


def outcomes(
    session_scope: Callable[[], AbstractContextManager[orm.Session]],
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    chunk_bytes: int | None = CHUNK_BYTES,
    bar: Bar,
) -> Iterator[LightCurveData | DataError]:
    """Make of each row, in their order, a light curve or the reason why there is none.

    Parameters are those of :func:`records`; ``bar`` is told how far it is.
    """
    shared = _Shared()
    done = 0
    for rows in _chunks(found, chunk_bytes):
        with session_scope() as session:
            chunk = _fetch(session, rows, found, missions, shared, bar, done)
        for row in rows:
            yield chunk.light_curve(row)
        done += len(rows)
        bar.show(done)
        shared.forget()


class _Shared:
    """Cadence numbers and observation-wide flags, kept from one chunk to the next."""

    def __init__(self) -> None:
        self.arrays = Arrays()
        self.unreadable: dict[int, str] = {}

    def lacks(self, observation: int) -> bool:
        return observation not in self.arrays.cadences and observation not in self.unreadable

    def keep(self, chunk: Chunk) -> None:
        self.arrays.cadences |= chunk.arrays.cadences
        self.arrays.flags |= {
            key: found for key, found in chunk.arrays.flags.items() if key[0] is None
        }
        self.unreadable |= chunk.unreadable.observations

    def lend(self, observations: Iterable[int], chunk: Chunk) -> None:
        for observation in observations:
            if observation in self.unreadable:
                chunk.unreadable.observations[observation] = self.unreadable[observation]
            if observation in self.arrays.cadences:
                chunk.arrays.cadences[observation] = self.arrays.cadences[observation]
            if (None, observation) in self.arrays.flags:
                chunk.arrays.flags[None, observation] = self.arrays.flags[None, observation]

    def forget(self) -> None:
        """Keep the arrays of the latest observations only, as far as they fit."""
        sizes = {id_: 0 if c is None else c.nbytes for id_, c in self.arrays.cadences.items()}
        total = sum(sizes.values())
        for observation, size in sizes.items():
            if total <= _KEPT_BYTES:
                break
            total -= size
            del self.arrays.cadences[observation]
            self.arrays.flags.pop((None, observation), None)


def _by_pair(rows: Sequence[Row]) -> Iterator[tuple[Pair, list[Row]]]:
    """Group consecutive rows of one target in one observation."""
    group: list[Row] = []
    pair: Pair | None = None
    for row in rows:
        here = (row.target_id, row.observation)
        if here != pair and pair is not None:
            yield pair, group
            group = []
        pair = here
        group.append(row)
    if pair is not None:
        yield pair, group


def _chunks(found: Found, chunk_bytes: int | None) -> Iterator[Sequence[Row]]:
    """Cut between targets and observations, so that times are never needed twice."""
    if chunk_bytes is None:
        yield found.rows
        return
    chunk: list[Row] = []
    size = 0
    for (_, observation), group in _by_pair(found.rows):
        # A cadence is 12 bytes on the wire, as value, as error and as time, and 8 as flags.
        bytes_ = found.observations[observation][1] * (24 * len(group) + 20)
        if chunk and size + bytes_ > chunk_bytes:
            yield chunk
            chunk, size = [], 0
        chunk += group
        size += bytes_
    if chunk:
        yield chunk


def _fetch(
    session: orm.Session,
    rows: Sequence[Row],
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    shared: _Shared,
    bar: Bar,
    done: int,
) -> Chunk:
    seen = dict.fromkeys(row.observation for row in rows)
    wanted: dict[str, Any] = {
        "datasets": [row.dataset for row in rows],
        "pairs": list(dict.fromkeys((row.target_id, row.observation) for row in rows)),
        "observations": [observation for observation in seen if shared.lacks(observation)],
    }

    def tick(received: int) -> None:
        bar.show(done + received)

    def fetched(unreadable: Unreadable | None = None, **ids: Any) -> Chunk:
        chunk = Chunk(rows, found.observations, missions, unreadable)
        shared.lend(seen, chunk)
        fetch(session, **ids, meanwhile=tick, into=chunk.arrays, take=chunk.take)
        return chunk

    try:
        chunk = fetched(**wanted)
    except WireError:
        unreadable = find_unreadable(session, **wanted)
        if unreadable == Unreadable():
            raise
        readable = {
            what: [id_ for id_ in ids if id_ not in getattr(unreadable, what)]
            for what, ids in wanted.items()
        }
        chunk = fetched(unreadable, **readable)
    shared.keep(chunk)
    return chunk
