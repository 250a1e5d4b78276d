"""Read the rows of a search as LightCurveData, in chunks and in the order of the search."""

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
from lcdb_notebook.read.fetch import Arrays, Pair, fetch
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Bar, Progress
from lcdb_notebook.read.unreadable import Unreadable, find_unreadable
from lcdb_notebook.search import layout, stars
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row
from lcdb_notebook.search.streaming import Pages

__all__ = ["CHUNK_BYTES", "OnError", "by_pair", "outcomes", "records"]

OnError = Literal["raise", "skip"]

#: Bytes fetched at a time when streaming: large enough to make the cost of a statement
#: negligible, and small enough for any laptop.
CHUNK_BYTES = 24 * 2**20

# Bytes of cadence numbers and observation-wide flags that are kept from one chunk to the next.
_KEPT_BYTES = 16 * 2**20


def records(
    session_scope: Callable[[], AbstractContextManager[orm.Session]],
    rows: Pages,
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    chunk_bytes: int | None = CHUNK_BYTES,
    on_error: OnError = "raise",
    progress: bool | None = None,
    check: Callable[[LightCurveData], None] | None = None,
    origins: Origins | None = None,
) -> Iterator[LightCurveData]:
    """Read the light curves of rows in order.

    Parameters
    ----------
    session_scope : callable
        Context manager with the session for each chunk; its uncommitted rows are included.
    rows : Pages
        The rows of the search.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    chunk_bytes : int or None, default CHUNK_BYTES
        Bytes of arrays to fetch with each statement; None fetches those of a page at once.
    on_error : OnError, default "raise"
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    check : callable, optional
        Function that raises a DataError for a light curve that is not usable.
    origins : Origins, optional
        Filled with the header cards and histories of the light curves.

    Raises
    ------
    DataError
        If arrays contradict each other; it names the DataSet, the observation and the lengths.
    """
    refused: list[str] = []
    number = 0
    with Progress(rows.size, "light curve", progress) as bar:
        for made in outcomes(
            session_scope, rows.found, missions, chunk_bytes=chunk_bytes, bar=bar, origins=origins
        ):
            number += 1
            if check is not None and isinstance(made, LightCurveData):
                try:
                    check(made)
                except DataError as error:
                    made = error
            if isinstance(made, LightCurveData):
                yield made
            elif on_error == "raise":
                raise made
            else:
                refused.append(str(made))
    if refused:
        warn(f"{len(refused)} of {number} light curves were skipped: " + "; ".join(refused))


def outcomes(
    session_scope: Callable[[], AbstractContextManager[orm.Session]],
    pages: Iterable[Found],
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    chunk_bytes: int | None = CHUNK_BYTES,
    bar: Bar,
    origins: Origins | None = None,
) -> Iterator[LightCurveData | DataError]:
    """Read each row, in order, as a light curve or the reason why it cannot be read.

    The parameters are those of :func:`records`, with the rows in pages; ``bar`` shows the progress.
    """
    shared = _Shared()
    done = 0
    for found, rows in _chunks(pages, chunk_bytes):
        is_part = found.is_page or len(rows) < len(found.rows)
        with session_scope() as session:
            shared.keep_versions = is_part and layout.of(session).versioned
            chunk = _fetch(session, rows, found, missions, shared, bar, done, origins)
            while shared.forget_changed(chunk):
                # Another client wrote between two chunks; only a single statement is consistent.
                chunk = _fetch(session, rows, found, missions, shared, bar, done, origins)
            shared.keep(chunk)
            if origins is not None:
                origins.keep(session, rows, chunk.arrays)
        for row in rows:
            yield chunk.light_curve(row)
        done += len(rows)
        bar.show(done)
        shared.forget()


class _Shared:
    """Cadence numbers and observation-wide flags that are kept for the next chunk.

    They have a version, so that the next chunk can detect changes.
    """

    def __init__(self) -> None:
        self.arrays = Arrays()
        self.unreadable: dict[int, str] = {}
        self.keep_versions = False

    def is_missing(self, observation: int) -> bool:
        return observation not in self.arrays.cadences and observation not in self.unreadable

    def forget_changed(self, chunk: Chunk) -> bool:
        """Remove the arrays of observations that have changed; return whether there were any."""
        changed = [
            observation
            for observation, version in self.arrays.versions.items()
            if chunk.arrays.versions.get(observation, version) != version
        ]
        for observation in changed:
            self._forget(observation)
        return bool(changed)

    def keep(self, chunk: Chunk) -> None:
        if not self.keep_versions:
            return
        self.arrays.versions |= chunk.arrays.versions
        self.arrays.cadences |= chunk.arrays.cadences
        self.arrays.flags |= {
            key: found for key, found in chunk.arrays.flags.items() if key[0] is None
        }
        self.unreadable |= chunk.unreadable.observations

    def copy_into(self, observations: Iterable[int], chunk: Chunk) -> None:
        for observation in observations:
            if observation in self.unreadable:
                chunk.unreadable.observations[observation] = self.unreadable[observation]
            if observation in self.arrays.cadences:
                chunk.arrays.cadences[observation] = self.arrays.cadences[observation]
            if (None, observation) in self.arrays.flags:
                chunk.arrays.flags[None, observation] = self.arrays.flags[None, observation]

    def forget(self) -> None:
        """Keep only the arrays of the latest observations that fit."""
        sizes = {id_: 0 if c is None else c.nbytes for id_, c in self.arrays.cadences.items()}
        total = sum(sizes.values())
        for observation, size in sizes.items():
            if total <= _KEPT_BYTES:
                break
            total -= size
            self._forget(observation)

    def _forget(self, observation: int) -> None:
        self.arrays.cadences.pop(observation, None)
        self.arrays.flags.pop((None, observation), None)
        self.arrays.versions.pop(observation, None)
        self.unreadable.pop(observation, None)


def by_pair(rows: Sequence[Row]) -> Iterator[tuple[Pair, list[Row]]]:
    """Group consecutive rows of a target in an observation."""
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


def _chunks(
    pages: Iterable[Found], chunk_bytes: int | None
) -> Iterator[tuple[Found, Sequence[Row]]]:
    """Split between targets and observations, so that times are never read twice."""
    for found in pages:
        if chunk_bytes is None:
            yield found, found.rows
            continue
        chunk: list[Row] = []
        size = 0
        for (_, observation), group in by_pair(found.rows):
            # In the stream, a cadence has 12 bytes as value, error or time, and 8 bytes as flags.
            bytes_ = found.observations[observation][1] * (24 * len(group) + 20)
            if chunk and size + bytes_ > chunk_bytes:
                yield found, chunk
                chunk, size = [], 0
            chunk += group
            size += bytes_
        if chunk:
            yield found, chunk


def _fetch(
    session: orm.Session,
    rows: Sequence[Row],
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    shared: _Shared,
    bar: Bar,
    done: int,
    origins: Origins | None,
) -> Chunk:
    seen = dict.fromkeys(row.observation for row in rows)
    ids: dict[str, Any] = {
        "datasets": [row.dataset for row in rows],
        "pairs": list(dict.fromkeys((row.target_id, row.observation) for row in rows)),
        "observations": [observation for observation in seen if shared.is_missing(observation)],
    }
    versions = [*seen] if shared.keep_versions else []
    parameters = stars.parameters(session, {row.target_id for row in rows})
    positions = layout.of(session).positions
    further = [] if origins is None else [*origins.queries(session, rows)]

    def tick(received: int) -> None:
        bar.show(done + received)

    def fetched(unreadable: Unreadable | None = None, **readable: Any) -> Chunk:
        chunk = Chunk(rows, found.observations, missions, unreadable, parameters, positions)
        shared.copy_into(seen, chunk)
        fetch(
            session,
            **readable,
            versions=versions,
            further=further,
            meanwhile=tick,
            into=chunk.arrays,
            take=chunk.take,
        )
        return chunk

    try:
        chunk = fetched(**ids)
    except WireError:
        unreadable = find_unreadable(session, **ids)
        if unreadable == Unreadable():
            raise
        readable = {
            what: [id_ for id_ in some if id_ not in getattr(unreadable, what)]
            for what, some in ids.items()
        }
        chunk = fetched(unreadable, **readable)
    return chunk
