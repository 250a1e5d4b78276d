"""The task of a worker: read a batch of DataSets, and call the function for each."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from lcdb_notebook.errors import LCDBError, LightCurveNotFoundError
from lcdb_notebook.flags import registry
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.read.parallel.address import Source, reading
from lcdb_notebook.read.parallel.results import Outcome, values
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import outcomes
from lcdb_notebook.search import lineage, results
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = [
    "ENDS",
    "Done",
    "Given",
    "Job",
    "Packed",
    "Report",
    "identity",
    "own_flags",
    "own_observations",
    "work",
]

#: The argument of the function.
Given: TypeAlias = Literal["lightcurve", "record"]

Identity = tuple[Any, ...]
"""Identity of a DataSet, independent of ids: target, observation, photometry and processing."""

Report = tuple[DataSetId, Identity | None, Outcome]
"""The id of a DataSet, its identity in the database of the worker, and its outcome."""


class Packed(NamedTuple):
    """Data that all batches share, pickled once with cloudpickle.

    Parameters
    ----------
    function : callable
        The user's function.
    datasets : {"lightcurve", "record"}
        The argument of the function.
    settings : mapping
        Arguments of :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`.
    observations : mapping
        Observations, by id, whose class is defined outside the package, and may be missing on
        workers.
    flag_types : tuple
        Flag types that were registered outside the package.
    raises : bool
        Whether the first exception of the function ends everything.
    """

    function: Callable[[Any], Any]
    datasets: Given
    settings: Mapping[str, Any]
    observations: Mapping[int, ObservationData]
    flag_types: tuple[tuple[str, Any, dict[str, int]], ...]
    raises: bool


@dataclass(frozen=True)
class Job:
    """The database and the :class:`Packed` data; Dask's dashboard shows the ``repr``."""

    source: Source
    packed: bytes
    name: str

    def __repr__(self) -> str:
        return f"<{self.name} over light curves>"


ENDS = "on_error='raise' ended map() here"
"""Note of an exception that ends everything."""


@dataclass(frozen=True)
class Done:
    """The results of a batch: pickled :data:`Report`, and the seconds it took."""

    reports: bytes
    seconds: float


def work(job: Job, datasets: tuple[DataSetId, ...]) -> Done:
    """Call the function for each of some DataSets; runs in a worker.

    Raises
    ------
    LCDBError
        If the database cannot be read from.
    Exception
        The exception of the function, if the first one ends everything.
    """
    import cloudpickle

    began = time.perf_counter()
    reports = list(_reports(job.source, _unpack(job.packed), datasets))
    try:
        packed = cloudpickle.dumps(reports)
    except Exception:
        packed = cloudpickle.dumps([_picklable(one) for one in reports])
    return Done(packed, time.perf_counter() - began)


def _reports(source: Source, packed: Packed, datasets: tuple[DataSetId, ...]) -> Iterator[Report]:
    with reading(source) as session:
        found = results.find_again(session, datasets)
        missions = results.missions(session)
        histories = (
            lineage.histories(session, found.rows) if packed.datasets == "lightcurve" else {}
        )
    known = {
        id_: (packed.observations.get(id_, about), cadences)
        for id_, (about, cadences) in found.observations.items()
    }
    found = Found(found.rows, known)
    rows = iter(found.rows)
    with Progress(0, "light curve", False) as silent:
        for data in outcomes(lambda: reading(source), [found], missions, bar=silent):
            row = next(rows)
            yield (
                row.dataset,
                identity(row),
                _call(packed, data, row, histories.get(row.dataset, "")),
            )
    for gone in set(datasets) - {row.dataset for row in found.rows}:
        error = LightCurveNotFoundError(f"no DataSet {gone}; it was deleted meanwhile")
        yield gone, None, _failure(packed, error, f"of DataSet {gone}")


def identity(row: Row) -> Identity:
    """Return the identity of a DataSet, independent of ids."""
    return row.catalog, row.target, row.observation, row.photometry, row.processing


def _call(packed: Packed, data: LightCurveData | Exception, row: Row, history: str) -> Outcome:
    try:
        if not isinstance(data, LightCurveData):
            raise data
        given: Any = data
        if packed.datasets == "lightcurve":
            given = convert.to_lightcurve(data, history=history, **packed.settings)
        return Outcome(values(packed.function(given)))
    except Exception as error:
        return _failure(packed, error, f"of DataSet {row.dataset}, {row.catalog} {row.target}")


def _failure(packed: Packed, error: Exception, where: str) -> Outcome:
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if not packed.raises:
        return Outcome({}, text)
    error.add_note(where)
    error.add_note(ENDS)
    import cloudpickle

    try:
        pickle.loads(cloudpickle.dumps(error))
    except Exception:
        # An exception that cannot be pickled cannot be returned.
        error = LCDBError(f"{text}; {where}")
        error.add_note(ENDS)
    raise error


def _picklable(one: Report) -> Report:
    """Replace a result that cannot be pickled with an error."""
    import cloudpickle

    try:
        cloudpickle.dumps(one)
    except Exception as error:
        text = f"the result cannot be pickled: {type(error).__name__}: {error}"
        return one[0], one[1], Outcome({}, text)
    return one


@lru_cache(maxsize=4)
def _unpack(packed: bytes) -> Packed:
    """Unpickle once per process, so that data cached by the function (a model) are kept."""
    made: Packed = pickle.loads(packed)
    for name, flag_class, presets in made.flag_types:
        if registry.found(name) is None:
            registry.register(name, flag_class, presets)
    return made


def own_observations(found: Found) -> dict[int, ObservationData]:
    """Return the observations whose class is defined outside the package, such as in a notebook."""
    import sqlalchemy as sa

    from lcdb_notebook.models import Observation

    classes = sa.inspect(Observation).polymorphic_map
    return {
        id_: about
        for id_, (about, _) in found.observations.items()
        if not _is_ours(classes[about.type].class_)
    }


def own_flags() -> tuple[tuple[str, Any, dict[str, int]], ...]:
    """Return the flag types that were registered outside the package."""
    known = [registry.found(name) for name in registry.types()]
    return tuple(_described(one) for one in known if one is not None and not _is_ours(one.flags))


def _described(one: registry.FlagType) -> tuple[str, Any, dict[str, int]]:
    return one.name, one.flags, {name: one.presets[name] for name in registry.PRESETS}


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]
