"""selection.map: give shares out, take what came of them in, and lose nothing on the way."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lcdb_notebook.errors import (
    ConfigurationError,
    ConnectionFailedError,
    LCDBError,
    SchemaError,
    optional,
)
from lcdb_notebook.read.parallel.address import Source, source
from lcdb_notebook.read.parallel.batches import Share, Shares
from lcdb_notebook.read.parallel.executors import Crew, Here, OnCluster, Processes
from lcdb_notebook.read.parallel.results import Outcome, frame_of
from lcdb_notebook.read.parallel.task import (
    ENDS,
    Done,
    Job,
    Of,
    Packed,
    identity,
    own_flags,
    own_observations,
    work,
)
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.search.results import Found, Search

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

__all__ = ["OnFailure", "map_light_curves"]

#: What becomes of a light curve whose function fails: a row with the error, or the end.
OnFailure: TypeAlias = Literal["row", "raise"]

# Shares that wait at each worker, so that none is idle while its answer is on the way.
_AHEAD = 2


def map_light_curves(
    search: Search,
    function: Callable[[Any], Any],
    *,
    client: Client | None = None,
    workers: int | None = None,
    of: Of = "lightcurve",
    settings: Mapping[str, Any],
    on_error: OnFailure = "row",
    database: str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Call a function for every light curve of a search: see :meth:`Selection.map`."""
    import cloudpickle

    _check(function, client, workers, of, on_error)
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
        where = source(session, database)
        url = session.get_bind().engine.url
    packed = Packed(
        function, of, settings, own_observations(found), own_flags(), on_error == "raise"
    )
    try:
        job = Job(where, cloudpickle.dumps(packed), getattr(function, "__name__", "function"))
    except Exception as error:
        raise ConfigurationError(
            f"the function cannot be sent to workers, because something that it uses cannot be "
            f"pickled ({type(error).__name__}: {error}); open files and connections inside of it"
        ) from error
    crew: Crew
    if client is not None:
        crew = OnCluster(where, client)
    else:
        number = _workers(workers, len(found.rows))
        crew = Here(where) if number == 1 else Processes(where, url, number)
    at_once = True
    try:
        with Progress(len(found.rows), "light curve", progress) as bar:
            outcomes = _Run(crew, job, found, bar).outcomes()
        at_once = False
    finally:
        crew.end(at_once=at_once)
    return frame_of(found, [outcomes[row.dataset] for row in found.rows])


def _check(function: Any, client: Any, workers: Any, of: Any, on_error: Any) -> None:
    if not callable(function):
        raise TypeError(f"map() takes a function of one light curve, not {function!r}")
    if of not in ("lightcurve", "record"):
        raise TypeError(f"of= is 'lightcurve' or 'record', not {of!r}")
    if on_error not in ("row", "raise"):
        raise TypeError(f"on_error= is 'row' or 'raise', not {on_error!r}")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int)):
        raise TypeError(f"workers= is a number of processes, not {workers!r}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} are none that could work")
    if client is None:
        return
    if workers is not None:
        raise TypeError("workers= is for this machine alone; a client= has workers of its own")
    client_class = optional.required(
        "distributed", extra="dask", needed_by="map(client=...)"
    ).Client
    if not isinstance(client, client_class):
        raise TypeError(f"client= is a dask.distributed.Client, not {client!r}")
    if client.asynchronous:
        raise TypeError("client= is asynchronous; give map() one that is not")


def _workers(asked: int | None, light_curves: int) -> int:
    """Say how many processes there shall be: the cores that this process may use, if not told."""
    from loky import cpu_count

    cores: int = cpu_count()
    return min(cores if asked is None else asked, light_curves)


class _Run:
    """One call of map()."""

    def __init__(self, crew: Crew, job: Job, found: Found, bar: Progress) -> None:
        self._crew = crew
        self._job = job
        self._bar = bar
        self._keys = {row.dataset: identity(row) for row in found.rows}
        self._shares = Shares([*self._keys], crew.losses)
        self._under_way: dict[Future[Done], Share] = {}
        self._outcomes: dict[int, Outcome] = {}

    def outcomes(self) -> dict[int, Outcome]:
        """Have everything done, and say what became of each DataSet."""
        while True:
            self._give_out()
            pause = self._shares.pause()
            if not self._under_way:
                if pause is None:
                    return self._outcomes
                time.sleep(pause)
                continue
            done, _ = wait(self._under_way, timeout=pause or None, return_when=FIRST_COMPLETED)
            lost = [share for one in done if (share := self._take_in(one)) is not None]
            if lost and self._crew.breaks:
                # The others fall with it, as soon as the pool has noticed.
                for one in [*wait(self._under_way).done]:
                    share = self._take_in(one)
                    lost += [share] if share is not None else []
                self._crew.renew()
            for share in lost:
                self._lose(share)
            self._bar.show(len(self._outcomes))

    def _give_out(self) -> None:
        workers = self._crew.size()
        most = 1 if workers == 1 and not self._crew.lost else _AHEAD * workers
        while len(self._under_way) < most:
            share = self._shares.next(workers, [*self._under_way.values()])
            if share is None:
                return
            self._under_way[self._crew.submit(work, self._job, share.datasets)] = share

    def _take_in(self, future: Future[Done]) -> Share | None:
        """Take in what came of a share; give it back if its worker was lost."""
        share = self._under_way.pop(future)
        try:
            done = future.result()
        except self._crew.lost:
            return share
        except CancelledError as error:
            raise LCDBError(
                "the Dask cluster was closed or restarted while it worked; connect a client again "
                "and repeat the call"
            ) from error
        except LCDBError as error:
            self._fall_back(share, error)
            return None
        try:
            reports = pickle.loads(done.reports)
        except Exception as error:
            # A class may say how it is pickled, and be wrong.
            self._halve(share, LCDBError(f"its result cannot be read here: {error}"))
            return None
        self._shares.done(share, done.seconds)
        for dataset, key, outcome in reports:
            if key is not None and key != self._keys[dataset]:
                raise ConfigurationError(
                    f"a worker found another DataSet {dataset} than this database has: it reads "
                    "from another database. Say which with database=, or in the workers' own "
                    "configuration"
                )
            self._outcomes[dataset] = outcome
        return None

    def _fall_back(self, share: Share, error: LCDBError) -> None:
        """Do what can be done where a share could not be read as a whole."""
        # What is of one light curve was to end everything.
        if isinstance(error, ConfigurationError | SchemaError) or ENDS in _notes(error):
            raise error
        if not isinstance(error, ConnectionFailedError):
            self._halve(share, error)
        elif not self._outcomes:
            raise _with_advice(error, self._job.source) from None
        elif not self._shares.unanswered(share):
            self._fail(share, error)

    def _halve(self, share: Share, error: Exception) -> None:
        if len(share.datasets) > 1:
            self._shares.halve(share)
        else:
            self._fail(share, error)

    def _lose(self, share: Share) -> None:
        cause = self._shares.lost(share)
        if cause is not None:
            text = "its worker died of it, repeatedly: killed, out of memory, or crashed"
            self._outcomes[cause] = Outcome({}, text)

    def _fail(self, share: Share, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self._outcomes.update(dict.fromkeys(share.datasets, Outcome({}, text)))


def _notes(error: Exception) -> list[str]:
    return getattr(error, "__notes__", [])


def _with_advice(error: ConnectionFailedError, where: Source) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"{error} Workers read from PostgreSQL themselves, and no password is sent to them: they "
        "take it from their own db.conf, LCDB_URL, PG* variables or ~/.pgpass"
        + (f", and were told database={where.told!r}." if where.told else ", or database=.")
    )
