"""Read the rows of a search over several connections, in the order of the search."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from uuid import UUID

from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.assemble import Chunk
from lcdb_notebook.read.chunks import CHUNK_BYTES, Part, SharedArrays, chunks, read_chunk
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Bar, Progress
from lcdb_notebook.search.results import Found
from lcdb_notebook.server.snapshot import Snapshot

__all__ = ["concurrent_outcomes"]

# Seconds between drawings of the progress bar, and within which a cancelled statement must end.
_DRAW_EVERY, _CANCEL_WITHIN = 0.1, 1.0


def concurrent_outcomes(
    snapshot: Snapshot,
    pages: Iterable[Found],
    missions: Mapping[UUID, tuple[str, Clock]],
    *,
    bar: Bar,
    origins: Origins | None = None,
) -> Iterator[LightCurveData | DataError]:
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
    threads = [ThreadPoolExecutor(1, "lcdb-connection") for _ in range(number)]
    shared = [SharedArrays() for _ in range(number)]
    silent = Progress(0, "light curve", False)
    under_way: deque[tuple[Part, Future[Chunk]]] = deque()
    done = 0

    def read(part: Part, which: int) -> Chunk:
        scope = partial(snapshot.session_scope, which)
        made = read_chunk(scope, part, missions, shared[which], bar=silent, done=0, origins=origins)
        shared[which].forget()
        return made

    def finished() -> Iterator[LightCurveData | DataError]:
        nonlocal done
        part, future = under_way.popleft()
        while not wait([future], timeout=_DRAW_EVERY).done:
            snapshot.require_own()
            bar.show(done)
        made = future.result()
        for row in part.rows:
            yield made.light_curve(row)
            # The loop of the caller may have gone on in a forked process.
            snapshot.require_own()
        done += len(part.rows)
        bar.show(done)

    try:
        for place, part in enumerate(chunks(pages, CHUNK_BYTES // number)):
            which = place % number
            under_way.append((part, threads[which].submit(read, part, which)))
            if len(under_way) > number:
                yield from finished()
        while under_way:
            yield from finished()
    finally:
        if snapshot.is_own():
            _end(snapshot, threads, [future for _, future in under_way])


def _end(
    snapshot: Snapshot, threads: list[ThreadPoolExecutor], futures: list[Future[Chunk]]
) -> None:
    """End the threads and their statements, and close the connections."""
    try:
        running = [future for future in futures if not future.cancel()]
        if running and not all(future.done() for future in running):
            snapshot.cancel()
            if wait(running, timeout=_CANCEL_WITHIN).not_done:
                snapshot.abandon()
        for thread in threads:
            thread.shutdown(cancel_futures=True)
    finally:
        snapshot.close()
