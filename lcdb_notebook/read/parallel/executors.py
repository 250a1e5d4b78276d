"""Who does the work: this process, processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

import sqlalchemy as sa

from lcdb_notebook.read.parallel.address import Source, entrust, forget

__all__ = ["Crew", "Here", "OnCluster", "Processes"]

# What libraries of linear algebra take their number of threads from.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Crew(Protocol):
    """Workers, and what is known of how they are lost.

    Attributes
    ----------
    lost
        Exceptions of a future that say that the process which worked on it has died.
    losses
        How often a share may be lost before it is suspected to be the cause.
    breaks
        Whether the loss of one worker ends all that is under way, until :meth:`renew`.
    """

    lost: tuple[type[BaseException], ...]
    losses: int
    breaks: bool

    def size(self) -> int:
        """Count the workers."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have work done."""

    def renew(self) -> None:
        """Replace workers that broke."""

    def end(self, *, at_once: bool) -> None:
        """Close all connections; at once if what is under way is not wanted any more."""


class Here:
    """One process, the one that asks: a share after the other."""

    lost: tuple[type[BaseException], ...] = ()
    losses = 1
    breaks = False

    def __init__(self, source: Source) -> None:
        self._source = source

    def size(self) -> int:
        """Count this one."""
        return 1

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """Nothing breaks here."""

    def end(self, *, at_once: bool) -> None:  # noqa: ARG002
        """Close the connection."""
        forget(self._source)


class Processes:
    """Processes of this machine, which end with the work.

    loky starts them: unlike the standard library's, they know functions of a notebook's cells, do
    not run a script's main module again, and one that is killed is noticed.

    Parameters
    ----------
    source, url
        The database. The URL, which may have a password, goes through the pipe to each process.
    workers
        How many.
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
        # As many threads as there are cores, in each of as many processes, hinder each other.
        self._environment = {name: each for name in _THREADS if name not in os.environ}
        self._pool: Any = self._new()

    def size(self) -> int:
        """As many as were asked for."""
        return self._workers

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a process do it."""
        future: Future[Any] = self._pool.submit(work, *arguments)
        return future

    def renew(self) -> None:
        """Start others."""
        self.end(at_once=True)
        self._pool = self._new()

    def end(self, *, at_once: bool) -> None:
        """End the processes, and their connections with them."""
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

    # Ctrl-C goes to all processes of a terminal; the one that was asked ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # lightkurve says so at import; the notebook has heard it once.
    warnings.filterwarnings("ignore", message="Warning: the tpfmodel submodule")
    entrust(source, url)


class OnCluster:
    """The workers of a Dask cluster, which stay; only their connections are closed in the end.

    Parameters
    ----------
    source
        The database, without a password.
    client
        The cluster's ``distributed.Client``, which is not typed.
    """

    # The scheduler has given a share to other workers several times before it gives up
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
        """Count the threads of the cluster's workers, of which there may be more by and by."""
        threads: int = sum(self._client.nthreads().values())
        return max(1, threads)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker do it."""
        future: Future[Any] = self._pool.submit(work, *arguments)
        return future

    def renew(self) -> None:
        """Dask does that by itself."""

    def end(self, *, at_once: bool) -> None:
        """Close the workers' connections."""
        self._pool.shutdown(wait=not at_once)
        # A worker that is gone has no connection either.
        with suppress(Exception):
            self._client.run(forget, self._source, on_error="ignore")
        forget(self._source)
