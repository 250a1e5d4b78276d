"""Distribute batches of DataSets, collect the results, and repeat lost batches."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Literal, TypeAlias

import sqlalchemy as sa

from lcdb_notebook.errors import (
    ConfigurationError,
    ConnectionFailedError,
    LCDBError,
    SchemaError,
)
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.parallel.address import Source
from lcdb_notebook.read.parallel.batches import PATIENCE, Batch, Batches
from lcdb_notebook.read.parallel.executors import Executor
from lcdb_notebook.read.parallel.results import Outcome
from lcdb_notebook.read.parallel.task import (
    ENDS,
    Done,
    Job,
    identity,
    work,
)
from lcdb_notebook.search.results import Found

__all__ = ["OnFailure", "Run"]

#: What to do if the function fails: write the error into the row, or raise it.
OnFailure: TypeAlias = Literal["row", "raise"]

# Number of batches that wait at each worker, so that it has work while a result is sent.
_AHEAD = 2


class Run:
    """The work on some light curves.

    Parameters
    ----------
    executor : Executor
        The workers.
    job : Job
        The function and the database.
    found : Found
        The light curves.
    take : callable
        Called with the outcomes of each finished batch.
    engine : sqlalchemy.Engine
        The database of this process.
    on_error : {"row", "raise"}
        What to do if the function fails.
    stops : bool
        Whether to raise an error if the server has not answered for a minute, instead of writing
        it into the rows.
    """

    def __init__(
        self,
        executor: Executor,
        job: Job,
        found: Found,
        take: Callable[[Mapping[DataSetId, Outcome]], object],
        engine: sa.Engine,
        on_error: OnFailure,
        *,
        stops: bool = False,
    ) -> None:
        self._executor = executor
        self._job = job
        self._take = take
        self._engine = engine
        self._raises = on_error == "raise" or stops
        self._keys = {row.dataset: identity(row) for row in found.rows}
        self._batches = Batches([*self._keys], executor.losses)
        self._under_way: dict[Future[Done], Batch] = {}
        self._outcomes: dict[DataSetId, Outcome] = {}
        self._new: dict[DataSetId, Outcome] = {}
        self._answers_here = False
        self._given_up: ConnectionFailedError | None = None

    def outcomes(self) -> dict[DataSetId, Outcome]:
        """Run everything, and return the outcome of each DataSet."""
        try:
            return self._all()
        finally:
            # What is finished is kept, even if an error or an interrupt ends the rest.
            self._submit()

    def _all(self) -> dict[DataSetId, Outcome]:
        while True:
            self._hand_out()
            pause = self._batches.pause()
            if not self._under_way:
                if pause is None:
                    return self._all_outcomes()
                time.sleep(pause)
                continue
            done, _ = wait(self._under_way, timeout=pause or None, return_when=FIRST_COMPLETED)
            lost = [batch for one in done if (batch := self._collect(one)) is not None]
            if lost and self._executor.breaks:
                # The other batches fail, too, as soon as the pool detects the loss.
                for one in [*wait(self._under_way).done]:
                    batch = self._collect(one)
                    lost += [batch] if batch is not None else []
                self._executor.renew()
            for batch in lost:
                self._lose(batch)
            self._submit()

    def _submit(self) -> None:
        new, self._new = self._new, {}
        if new:
            self._take(new)

    def _note(self, outcomes: Mapping[DataSetId, Outcome]) -> None:
        self._outcomes.update(outcomes)
        self._new.update(outcomes)

    def _all_outcomes(self) -> dict[DataSetId, Outcome]:
        if self._given_up is not None and all(one.error for one in self._outcomes.values()):
            raise self._given_up
        return self._outcomes

    def _hand_out(self) -> None:
        workers = self._executor.size()
        limit = 1 if workers == 1 and not self._executor.lost else _AHEAD * workers
        while len(self._under_way) < limit:
            batch = self._batches.next(workers, [*self._under_way.values()])
            if batch is None:
                return
            self._under_way[self._executor.submit(work, self._job, batch.datasets)] = batch

    def _collect(self, future: Future[Done]) -> Batch | None:
        """Collect the results of a batch; return the batch if its worker was lost."""
        batch = self._under_way.pop(future)
        try:
            done = future.result()
        except self._executor.lost:
            return batch
        except CancelledError as error:
            raise LCDBError(
                "the Dask cluster was closed or restarted while it worked; connect a client again "
                "and repeat the call"
            ) from error
        except LCDBError as error:
            self._fall_back(batch, error)
            return None
        except Exception as error:
            if ENDS in _notes(error):
                raise
            raise LCDBError(
                f"the workers cannot run the function ({type(error).__name__}: {error}); they need "
                "the same packages as this process, and the modules that the function imports"
            ) from error
        try:
            reports = pickle.loads(done.reports)
        except Exception as error:
            # A class may define pickling incorrectly.
            self._halve(batch, LCDBError(f"the result cannot be unpickled here: {error}"))
            return None
        self._batches.done(batch, done.seconds)
        for dataset, key, outcome in reports:
            if key is not None and key != self._keys[dataset]:
                raise ConfigurationError(
                    f"a worker found a different DataSet {dataset} than this database has, so it "
                    "reads from another database; pass database=, or set it in the workers' own "
                    "configuration"
                )
            self._note({dataset: outcome})
        return None

    def _fall_back(self, batch: Batch, error: LCDBError) -> None:
        """Handle a batch that could not be read."""
        if isinstance(error, ConfigurationError | SchemaError) or ENDS in _notes(error):
            raise error
        if isinstance(error, ConnectionFailedError):
            self._wait_for_server(batch, error)
        else:
            self._halve(batch, error)

    def _wait_for_server(self, batch: Batch, error: ConnectionFailedError) -> None:
        if self._given_up is not None:
            self._fail(batch, error)
            return
        if not self._outcomes and self._answers_here and batch.waits:
            # The server answers this process, but again did not answer the worker.
            raise _with_advice(error, self._job.source) from None
        self._answers_here = self._answers()
        if self._batches.silent():
            self._end(error)
        elif not self._batches.unanswered(batch):
            self._fail(batch, error)

    def _answers(self) -> bool:
        """Return whether the server answers this process; restart an embedded server."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (LCDBError, sa.exc.DBAPIError):
            return False
        return True

    def _end(self, error: ConnectionFailedError) -> None:
        """Keep the available results; the server has not answered for :data:`PATIENCE`."""
        self._given_up = error
        read = {id_ for batch in self._under_way.values() for id_ in batch.datasets}
        rest = tuple(set(self._keys) - set(self._outcomes) - read)
        self._batches = Batches((), self._executor.losses)
        self._fail(Batch(rest), error)

    def _halve(self, batch: Batch, error: Exception) -> None:
        if len(batch.datasets) > 1:
            self._batches.halve(batch)
        else:
            self._fail(batch, error)

    def _lose(self, batch: Batch) -> None:
        cause = self._batches.lost(batch)
        if cause is not None:
            text = (
                "the worker process crashed repeatedly on this light curve (killed, out of memory "
                "or a segmentation fault)"
            )
            self._note({cause: Outcome({}, text)})

    def _fail(self, batch: Batch, error: Exception) -> None:
        if isinstance(error, ConnectionFailedError):
            if self._raises:
                raise error
            error.add_note(f"no server answered for {PATIENCE:g} s")
        text = "; ".join([f"{type(error).__name__}: {error}", *_notes(error)])
        self._note(dict.fromkeys(batch.datasets, Outcome({}, text)))


def _notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


def _with_advice(error: ConnectionFailedError, where: Source) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"{error}. Workers connect to PostgreSQL directly, and passwords are not sent to them: "
        "they use their own db.conf, LCDB_URL, PG* variables or ~/.pgpass"
        + (f"; they were given database={where.database!r}" if where.database else ", or database=")
    )
