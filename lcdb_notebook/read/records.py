"""Read the rows of a search as LightCurveData, in chunks and in the order of the search."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Literal
from uuid import UUID

from sqlalchemy import orm

from lcdb_notebook.errors import DataError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import CHUNK_BYTES, SharedArrays, chunks, read_chunk
from lcdb_notebook.read.concurrent import concurrent_outcomes
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Bar, Progress
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.streaming import Pages
from lcdb_notebook.server.snapshot import Snapshot

__all__ = ["OnError", "outcomes", "records"]

OnError = Literal["raise", "skip"]


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
    snapshot: Snapshot | None = None,
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
    snapshot : Snapshot, optional
        The connections to read with, instead of ``session_scope``; they are closed at the end.

    Raises
    ------
    DataError
        If arrays contradict each other; it names the DataSet, the observation and the lengths.
    """
    refused: list[str] = []
    number = 0
    with ExitStack() as ending:
        bar = ending.enter_context(Progress(rows.size, "light curve", progress))
        made_in_order = (
            outcomes(
                session_scope,
                rows.found,
                missions,
                chunk_bytes=chunk_bytes,
                bar=bar,
                origins=origins,
            )
            if snapshot is None
            else concurrent_outcomes(snapshot, rows.found, missions, bar=bar, origins=origins)
        )
        # Otherwise the traceback of an error would keep its connections open.
        ending.callback(made_in_order.close)
        for made in made_in_order:
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
) -> Generator[LightCurveData | DataError]:
    """Read each row, in order, as a light curve or the reason why it cannot be read.

    The parameters are those of :func:`records`, with the rows in pages; ``bar`` shows the progress.
    """
    shared = SharedArrays()
    done = 0
    for part in chunks(pages, chunk_bytes):
        made = read_chunk(
            session_scope, part, missions, shared, bar=bar, done=done, origins=origins
        )
        for row in part.rows:
            yield made.light_curve(row)
        done += len(part.rows)
        bar.show(done)
        shared.forget()
