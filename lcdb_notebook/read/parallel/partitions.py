"""A Dask DataFrame of light curves; each worker reads its partitions from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lcdb_notebook.errors import optional
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.read.parallel.address import Source, reading_once, source
from lcdb_notebook.read.parallel.task import own_observations
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.read.samples import samples
from lcdb_notebook.search import layout, lineage, results
from lcdb_notebook.search.by_observation import ObservationMatches
from lcdb_notebook.search.grouped import Grouped, group
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

__all__ = ["to_dask"]

PARTITION_BYTES = 128 * 2**20
"""Approximate size of a partition as a DataFrame; Dask recommends about 100 MB."""

# Size of a row: time, flux, error and cadence number, then flags and labels.
_ROW_BYTES = 64


def to_dask(
    search: Search,
    *,
    settings: Mapping[str, Any],
    on_error: OnError = "raise",
    database: str | None = None,
    max_connections: int | None = None,
) -> dd.DataFrame:
    """Build a Dask DataFrame of the light curves of a search; no arrays are read yet.

    Parameters
    ----------
    search : Search
        The light curves.
    settings : mapping
        Arguments of :func:`lcdb_notebook.lightcurve.convert.to_pandas`.
    on_error : {"raise", "skip"}, optional
        What to do with light curves whose arrays contradict each other.
    database : str, optional
        The database for workers: a URL without a password, or the path of a ``db.conf``.
    max_connections : int, optional
        Most connections that all workers of a cluster together have open at a time.

    Returns
    -------
    dask.dataframe.DataFrame
        A DataFrame with one partition for each observation, or for a part of one.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    LightCurveNotFoundError
        If the search finds nothing.
    """
    dataframe = optional.required("dask.dataframe", extra="dask", needed_by="to_dask()")
    grouped = group(search)
    found = grouped.samples
    with search.sessions.session_scope() as session:
        missions = results.missions(session)
        where = source(session, database, max_connections=max_connections)
        placed = dict.fromkeys(layout.of(session).positions.values())
    meta = _meta(samples(found, missions, grouped.flag_types, [*placed]), settings)
    own = own_observations(found)
    frame: dd.DataFrame = dataframe.from_map(
        read_partition,
        [*_partitions(search, grouped)],
        matching=grouped.matching,
        where=where,
        own=own,
        settings=dict(settings),
        on_error=on_error,
        meta=meta,
        meta_frame=meta,
        label="light-curves",
        enforce_metadata=False,
    )
    return frame


class Partition(NamedTuple):
    """Light curves of an observation: those of a range of targets, or with certain ids.

    Parameters
    ----------
    observation : int
        Id of the observation.
    low, above : int, optional
        The lowest id of a target, and the one after the highest.
    datasets : tuple of int, optional
        The ids of DataSets, if they are few.
    """

    observation: int
    low: int | None = None
    above: int | None = None
    datasets: tuple[DataSetId, ...] | None = None


def read_partition(
    part: Partition,
    *,
    matching: ObservationMatches | None,
    where: Source,
    own: Mapping[int, ObservationData],
    settings: Mapping[str, Any],
    on_error: OnError,
    meta_frame: pd.DataFrame,
) -> pd.DataFrame:
    """Read a partition into one DataFrame with the columns of ``meta_frame``, in a worker."""
    import pandas as pd

    made: list[LightCurveData] = []
    with reading_once(where) as session_scope, Progress(0, "light curve", False) as silent:
        with session_scope() as session:
            if part.datasets is None:
                assert matching is not None
                rows = matching.datasets(session, part.observation, part.low, part.above)
                datasets: Sequence[DataSetId] = [dataset for dataset, _ in rows]
            else:
                datasets = part.datasets
            found = results.find_again(session, datasets)
            missions = results.missions(session)
            histories = lineage.histories(session, found.rows)
        known = {id_: (own.get(id_, one), size) for id_, (one, size) in found.observations.items()}
        for data in outcomes(session_scope, [Found(found.rows, known)], missions, bar=silent):
            if isinstance(data, LightCurveData):
                made.append(data)
            elif on_error == "raise":
                raise data
            else:
                warn(f"a light curve was skipped: {data}")
    frame = convert.to_pandas(made, histories=histories, **settings)
    names = [str(name) for name in meta_frame]
    flags = names[names.index("quality") : names.index("dataset")]
    columns = {}
    for name, dtype in zip(names, meta_frame.dtypes, strict=True):
        if name in frame:
            columns[name] = frame[name].astype(dtype)
        else:
            value: Any = 0 if name in flags else _same_for_all(name, made)
            value = np.nan if name in POSITIONS.values() else value
            columns[name] = pd.Series([value] * len(frame), index=frame.index, dtype=dtype)
    whole = pd.DataFrame(columns, copy=False)
    whole.attrs = frame.attrs
    return whole


def _same_for_all(name: str, made: list[LightCurveData]) -> str | None:
    """Return the value of a column that to_pandas omits because it is the same in all rows."""
    if not made:
        return None
    return {"catalog": made[0].catalog, "flag_type": primary_type(made[0])}.get(name)


def _partitions(search: Search, grouped: Grouped) -> Iterator[Partition]:
    """Divide observations with many light curves into parts."""
    if grouped.matching is None:
        for observation, datasets, _ in grouped.groups:
            most = _most(grouped, observation)
            for start in range(0, len(datasets), most):
                some = tuple(datasets[start : start + most])
                yield Partition(observation, datasets=some)
        return
    for observation, number in grouped.numbers.items():
        most = _most(grouped, observation)
        if number <= most:
            yield Partition(observation)
            continue
        with search.sessions.session_scope() as session:
            bounds = grouped.matching.bounds(session, observation, most)
        for low, above in zip(bounds, [*bounds[1:], None], strict=True):
            yield Partition(observation, low, above)


def _most(grouped: Grouped, observation: int) -> int:
    """Return how many light curves of an observation a partition has."""
    _, cadences = grouped.samples.observations[observation]
    return max(1, PARTITION_BYTES // (max(1, cadences) * _ROW_BYTES))


def _meta(kinds: Sequence[LightCurveData], settings: Mapping[str, Any]) -> pd.DataFrame:
    """Build an empty DataFrame with the columns and types of the result, without reading."""
    everything = {**settings, "quality_bitmask": "none", "flagged": "keep"}
    frame: pd.DataFrame = convert.to_pandas(kinds, **everything)
    empty = frame.iloc[:0].copy()
    empty.attrs = {}
    return empty
