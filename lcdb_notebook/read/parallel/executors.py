"""Run the work in this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

import sqlalchemy as sa

from lcdb_notebook.read.parallel.address import Source, register, unregister

__all__ = ["Executor", "OnCluster", "Processes", "Serial"]

# Variables with the number of threads of linear algebra libraries.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Executor(Protocol):
    """Workers, and the exceptions that indicate the loss of a worker.

    Attributes
    ----------
    lost : tuple of type
        Exceptions of a future which mean that its process has crashed.
    losses : int
        Number of losses after which a batch is a suspected cause.
    breaks : bool
        Whether the loss of one worker ends all running batches, until :meth:`renew`.
    """

    lost: tuple[type[BaseException], ...]
    losses: int
    breaks: bool

    def size(self) -> int:
        """Return the number of workers."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start work."""

    def renew(self) -> None:
        """Replace workers that were lost."""

    def end(self, *, at_once: bool) -> None:
        """Close all connections; with ``at_once``, do not wait for running batches."""


class Serial:
    """Runs one batch after the other in the process that calls map()."""

    lost: tuple[type[BaseException], ...] = ()
    losses = 1
    breaks = False

    def __init__(self, source: Source) -> None:
        self._source = source

    def size(self) -> int:
        """Return 1."""
        return 1

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run the work now."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Do nothing, because this process cannot be lost."""

    def end(self, *, at_once: bool) -> None:  # noqa: ARG002
        """Close the connection."""
        unregister(self._source)


class Processes:
    """Runs batches in processes of this machine, which end with the work.

    The processes are those of loky. Unlike those of the standard library, they can run functions of
    notebook cells, do not run the main module of a script again, and the loss of a process is
    detected.

    Parameters
    ----------
    source : Source
        The database.
    url : sqlalchemy.engine.URL
        URL of the database, which may contain a password; it is sent to each process through a
        pipe.
    workers : int
        Number of processes.
    """

    losses = 2
    breaks = True

    def __init__(self, source: Source, url: sa.URL, workers: int) -> None:
        from loky import cpu_count
        from loky.process_executor import BrokenProcessPool

        self.lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)
        self._given = (source, url)
        self._workers = workers
        each = str(max(1, cpu_count() // workers))
        # One thread per core in each process would be slower than a single thread.
        self._environment = {name: each for name in _THREADS if name not in os.environ}
        self._pool: Any = self._new()

    def size(self) -> int:
        """Return the number of processes."""
        return self._workers

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run the work in a process."""
        future: Future[Any] = Future()
        try:
            future = self._pool.submit(work, *arguments)
        except self.lost as error:
            # A process was lost since the last batch was collected.
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Start new processes."""
        self.end(at_once=True)
        self._pool = self._new()

    def end(self, *, at_once: bool) -> None:
        """End the processes and their connections."""
        self._pool.shutdown(wait=True, kill_workers=at_once)

    def _new(self) -> Any:
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor(
            self._workers, initializer=_begin, initargs=self._given, env=self._environment
        )


def _begin(source: Source, url: sa.URL) -> None:
    """Prepare a process of :class:`Processes`."""
    import signal
    import warnings

    # Ctrl-C reaches all processes of a terminal; the process that called map() ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # lightkurve issues this warning at import; the notebook has shown it once.
    warnings.filterwarnings("ignore", message="Warning: the tpfmodel submodule")
    register(source, url)


class OnCluster:
    """Runs batches on the workers of a Dask cluster; only their connections are closed at the end.

    Parameters
    ----------
    source : Source
        The database, without a password.
    client : distributed.Client
        The client of the cluster.
    """

    # The scheduler itself tries a batch on several workers before it raises KilledWorker
    # (distributed.scheduler.allowed-failures).
    losses = 1
    breaks = False

    def __init__(self, source: Source, client: Any) -> None:
        from distributed import KilledWorker

        self.lost: tuple[type[BaseException], ...] = (KilledWorker,)
        self._source = source
        self._client: Any = client
        self._pool = self._client.get_executor(pure=False)

    def size(self) -> int:
        """Return the number of threads of the cluster's workers, which may change."""
        threads: int = sum(self._client.nthreads().values())
        return max(1, threads)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run the work on a worker."""
        future: Future[Any] = self._pool.submit(work, *arguments)
        return future

    def renew(self) -> None:
        """Do nothing: Dask replaces workers itself."""

    def end(self, *, at_once: bool) -> None:
        """Close the workers' connections."""
        self._pool.shutdown(wait=not at_once)
        # A lost worker has no connection to close.
        with suppress(Exception):
            self._client.run(unregister, self._source, on_error="ignore")
        unregister(self._source)
