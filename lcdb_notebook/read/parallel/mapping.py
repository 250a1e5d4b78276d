"""selection.map: call a function for the light curves of a search, a page at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import ArgumentError, ConfigurationError, ConnectionFailedError
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.parallel.address import Source, source
from lcdb_notebook.read.parallel.arguments import check, number_of_workers
from lcdb_notebook.read.parallel.batches import PATIENCE
from lcdb_notebook.read.parallel.checkpoint import Checkpoint, identity_of
from lcdb_notebook.read.parallel.executors import Executor, OnCluster, Processes, Serial
from lcdb_notebook.read.parallel.results import InMemory, Outcome, joined
from lcdb_notebook.read.parallel.run import OnFailure, Run
from lcdb_notebook.read.parallel.task import (
    Given,
    Job,
    Packed,
    own_flags,
    own_observations,
)
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.streaming import Pages, pages

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

__all__ = ["map_light_curves"]

# Seconds before the next page is looked for again, after no server answered.
_WAIT = 0.5


def map_light_curves(
    search: Search,
    function: Callable[[Any], Any],
    *,
    client: Client | None = None,
    workers: int | None = None,
    datasets: Given = "lightcurve",
    settings: Mapping[str, Any],
    on_error: OnFailure = "row",
    database: str | None = None,
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
    collect: bool = True,
    max_connections: int | None = None,
) -> pd.DataFrame:
    """Call a function for every light curve of a search.

    Parameters
    ----------
    search : Search
        The light curves.
    function : callable
        Function of a LightCurve or a LightCurveData that returns one value, or several by name.
    client : distributed.Client, optional
        The client of a Dask cluster.
    workers : int, optional
        Number of processes on this machine; None uses all cores.
    datasets : {"lightcurve", "record"}, optional
        What to pass to the function.
    settings : mapping
        Arguments of :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`.
    on_error : {"row", "raise"}, optional
        What to do if the function fails.
    database : str, optional
        The database for workers of a cluster; a URL or the path of a ``db.conf``.
    progress : bool, optional
        Show a progress bar; None shows it after a second.
    checkpoint : str or pathlib.Path, optional
        A folder for finished results, from which the next call continues.
    collect : bool, optional
        Return the results; False leaves them in the folder, and returns a table of its files.
    max_connections : int, optional
        Most connections that all workers together have open at a time.

    Returns
    -------
    pandas.DataFrame
        One row per DataSet; or with ``collect=False`` one row per file.

    Raises
    ------
    ArgumentError
        If an argument has the wrong type, or the function cannot be pickled.
    LightCurveNotFoundError
        If the search finds nothing.
    ConnectionFailedError
        If the workers cannot reach the database.
    ExportError
        If the folder of ``checkpoint`` has results of another search or function, or cannot be
        written to.
    """
    check(function, client, workers, datasets, on_error)
    if not collect and checkpoint is None:
        raise ArgumentError(
            "collect=False leaves the results in a folder; pass it as checkpoint='folder'"
        )
    rows = pages(search)
    rows.require()
    with search.sessions.session_scope() as session:
        where = source(session, database, max_connections=max_connections)
        engine = session.get_bind().engine
    results: InMemory | Checkpoint = InMemory()
    if checkpoint is not None:
        told = {"function": function, "datasets": datasets, **settings}
        results = Checkpoint(checkpoint, identity_of(search, engine.url, told))
    executor: Executor
    if client is not None:
        executor = OnCluster(where, client)
    else:
        # Each process has one connection.
        most = min(max(1, rows.size), max_connections or sys.maxsize)
        number = number_of_workers(workers, most)
        serial = number == 1
        executor = Serial(where) if serial else Processes(where, engine.url, number)
    packed = Packed(function, datasets, settings, {}, own_flags(), on_error == "raise")
    order: list[DataSetId] = []
    at_once = True

    def finished() -> set[DataSetId]:
        return results.datasets() if isinstance(results, Checkpoint) and not collect else {*order}

    try:
        with Progress(rows.size, "light curve", progress, before=len(results)) as bar:
            for found in _patient(search, rows, finished):
                missing = results.missing(found)
                if missing.rows:
                    job = _job(where, packed._replace(observations=own_observations(missing)))
                    take = _Take(results, missing, bar)
                    Run(
                        executor, job, missing, take, engine, on_error, stops=checkpoint is not None
                    ).outcomes()
                if collect:
                    order += [row.dataset for row in found.rows]
        at_once = False
    finally:
        try:
            results.flush()
        finally:
            executor.end(at_once=at_once)
    if isinstance(results, Checkpoint) and not collect:
        return results.files()
    return joined(results.frames(), order)


def _job(where: Source, packed: Packed) -> Job:
    import cloudpickle

    name = getattr(packed.function, "__name__", "function")
    try:
        return Job(where, cloudpickle.dumps(packed), name)
    except Exception as error:
        raise ConfigurationError(
            "the function cannot be sent to workers, because something that it uses cannot be "
            f"pickled ({type(error).__name__}: {error}); open files and connections inside it"
        ) from error


def _patient(
    search: Search, rows: Pages, finished: Callable[[], set[DataSetId]]
) -> Iterator[Found]:
    """Yield pages; if no server answers, begin again without the DataSets that are finished."""
    found = iter(rows.found)
    seen: set[DataSetId] = set()
    since: float | None = None
    while True:
        try:
            if since is not None:
                found = iter(pages(search).found)
            page = next(found, None)
        except ConnectionFailedError:
            since = time.monotonic() if since is None else since
            if time.monotonic() - since > PATIENCE:
                raise
            seen = finished()
            time.sleep(_WAIT)
            continue
        since = None
        if page is None:
            return
        if seen:
            page = replace(page, rows=[row for row in page.rows if row.dataset not in seen])
        yield page


class _Take:
    """Adds outcomes to the results, and shows how many there are."""

    def __init__(self, results: InMemory | Checkpoint, found: Found, bar: Progress) -> None:
        self._results = results
        self._observations = found.observations
        self._rows = {row.dataset: row for row in found.rows}
        self._bar = bar

    def __call__(self, outcomes: Mapping[DataSetId, Outcome]) -> None:
        rows = [self._rows[dataset] for dataset in outcomes]
        self._results.add(Found(rows, self._observations), [*outcomes.values()])
        self._bar.show(len(self._results))
