"""Read the rows of a search over several connections, in the order of the search."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty
from uuid import UUID

from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.assemble import Chunk
from lcdb_notebook.read.chunks import CHUNK_BYTES, Part, SharedArrays, chunks, read_chunk
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Bar, Progress
from lcdb_notebook.read.task_thread import TaskThread, have_ended
from lcdb_notebook.search.results import Found
from lcdb_notebook.server.snapshot import Snapshot

__all__ = ["concurrent_outcomes"]

# Seconds between drawings of the progress bar, within which a thread without work ends, and within
# which a cancelled statement must end.
_DRAW_EVERY, _IDLE_WITHIN, _CANCEL_WITHIN = 0.1, 0.05, 1.0


def concurrent_outcomes(
    snapshot: Snapshot,
    pages: Iterable[Found],
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    bar: Bar,
    origins: Origins | None = None,
) -> Generator[LightCurveData | DataError]:
    """Read each row, in order, as a light curve or the reason why it cannot be read.

    Each connection has a thread, which reads the next chunk while the light curves of earlier ones
    are used. Together, the chunks are as large as one that is read over a single connection.

    Parameters
    ----------
    snapshot : Snapshot
        The connections, which are closed at the end.
    pages : iterable of Found
        The rows, found in the same snapshot.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    bar : Bar
        Shows the progress.
    origins : Origins, optional
        Filled with the header cards and histories of the light curves.
    """
    number = len(snapshot)
    shared = [SharedArrays() for _ in range(number)]
    silent = Progress(0, "light curve", False)
    readers: list[TaskThread[Chunk]] = []
    under_way: deque[tuple[Part, TaskThread[Chunk]]] = deque()
    done = 0

    def read(which: int, part: Part) -> Chunk:
        scope = partial(snapshot.session_scope, which)
        made = read_chunk(scope, part, missions, shared[which], bar=silent, done=0, origins=origins)
        shared[which].forget()
        return made

    def finished() -> Iterator[LightCurveData | DataError]:
        nonlocal done
        part, reader = under_way.popleft()
        made = None
        while made is None:
            snapshot.require_own()
            bar.show(done)
            with suppress(Empty):
                made = reader.result(_DRAW_EVERY)
        for row in part.rows:
            yield made.light_curve(row)
            # The loop of the caller may have gone on in a forked process.
            snapshot.require_own()
        done += len(part.rows)
        bar.show(done)

    try:
        readers += [TaskThread(f"lcdb-connection-{which}") for which in range(number)]
        for place, part in enumerate(chunks(pages, CHUNK_BYTES // number)):
            which = place % number
            readers[which].submit(partial(read, which, part))
            under_way.append((part, readers[which]))
            if len(under_way) > number:
                yield from finished()
        while under_way:
            yield from finished()
    finally:
        if snapshot.is_own():
            _end(snapshot, readers)


def _end(snapshot: Snapshot, readers: Sequence[TaskThread[Chunk]]) -> None:
    """End the threads and their statements, and close the connections."""
    try:
        for reader in readers:
            reader.end()
        if not have_ended(readers, _IDLE_WITHIN):
            snapshot.cancel()
            if not have_ended(readers, _CANCEL_WITHIN):
                snapshot.abandon()
                for reader in readers:
                    reader.join()
    finally:
        snapshot.close()
