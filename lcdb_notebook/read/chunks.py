"""Read the arrays of some rows of a search at a time, and keep what the next ones share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import orm

from lcdb_notebook.errors import WireError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.assemble import Chunk
from lcdb_notebook.read.fetch import Arrays, Pair, fetch
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Bar
from lcdb_notebook.read.unreadable import Unreadable, find_unreadable
from lcdb_notebook.search import layout, stars
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = [
    "CHUNK_BYTES",
    "Part",
    "SharedArrays",
    "by_pair",
    "bytes_in_memory",
    "chunks",
    "read_chunk",
]

#: Bytes fetched at a time when streaming: large enough to make the cost of a statement
#: negligible, and small enough for any laptop.
CHUNK_BYTES = 24 * 2**20

# Bytes of arrays that take as long, and as much memory, as one more light curve takes by itself:
# about 30 us, and 20 kB. Without it, ten thousand light curves of a few cadences would be read
# before the first could be used, and be in memory together.
_BYTES_OF_A_RECORD = 16 * 2**10

# Bytes of cadence numbers and observation-wide flags that are kept from one chunk to the next.
_KEPT_BYTES = 16 * 2**20


class Part(NamedTuple):
    """Rows whose arrays are read together.

    Parameters
    ----------
    found : Found
        The page that they belong to.
    rows : sequence of Row
        The rows.
    """

    found: Found
    rows: Sequence[Row]


def read_chunk(
    session_scope: Callable[[], AbstractContextManager[orm.Session]],
    part: Part,
    missions: Mapping[UUID, tuple[str, Clock]],
    shared: SharedArrays,
    *,
    bar: Bar,
    done: int,
    origins: Origins | None = None,
) -> Chunk:
    """Read the arrays of some rows.

    Parameters
    ----------
    session_scope : callable
        Context manager with the session.
    part : Part
        The rows.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    shared : SharedArrays
        What earlier chunks had in common with this one.
    bar : Bar
        Shows the progress.
    done : int
        Number of light curves that were read before.
    origins : Origins, optional
        Filled with the header cards and histories of the light curves.
    """
    found, rows = part
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
    return chunk


class SharedArrays:
    """Cadence numbers and observation-wide flags that are kept for the next chunk.

    They have a version, so that the next chunk can detect changes.
    """

    def __init__(self) -> None:
        self.arrays = Arrays()
        self.unreadable: dict[int, str] = {}
        self.keep_versions = False

    def is_missing(self, observation: int) -> bool:
        """Return whether the arrays of an observation must be read."""
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
        """Keep what the next chunks may share with this one."""
        if not self.keep_versions:
            return
        self.arrays.versions |= chunk.arrays.versions
        self.arrays.cadences |= chunk.arrays.cadences
        self.arrays.flags |= {
            key: found for key, found in chunk.arrays.flags.items() if key[0] is None
        }
        self.unreadable |= chunk.unreadable.observations

    def copy_into(self, observations: Iterable[int], chunk: Chunk) -> None:
        """Copy what was kept of some observations into a chunk."""
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


def bytes_in_memory(data: LightCurveData) -> int:
    """Return about how much memory a light curve takes, for limits of parts and row groups.

    Parameters
    ----------
    data : LightCurveData
        The light curve; a cadence has 32 bytes of numbers, and 4 for each type of quality flags.
    """
    return data.time.size * (32 + 4 * max(1, len(data.quality))) + _BYTES_OF_A_RECORD


def chunks(pages: Iterable[Found], chunk_bytes: int | None) -> Iterator[Part]:
    """Split rows between targets and observations, so that times are never read twice."""
    for found in pages:
        if chunk_bytes is None:
            yield Part(found, found.rows)
            continue
        chunk: list[Row] = []
        size = 0
        for (_, observation), group in by_pair(found.rows):
            # In the stream, a cadence has 12 bytes as value, error or time, and 8 bytes as flags.
            bytes_ = found.observations[observation][1] * (24 * len(group) + 20)
            bytes_ += _BYTES_OF_A_RECORD * len(group)
            if chunk and size + bytes_ > chunk_bytes:
                yield Part(found, chunk)
                chunk, size = [], 0
            chunk += group
            size += bytes_
        if chunk:
            yield Part(found, chunk)


def _fetch(
    session: orm.Session,
    rows: Sequence[Row],
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    shared: SharedArrays,
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
