"""A Dask DataFrame of light curves: each worker reads its partitions from PostgreSQL itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from lcdb_notebook.errors import optional
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.read.parallel.address import Source, reading_once, source
from lcdb_notebook.read.parallel.task import own_observations
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.search import lineage, results
from lcdb_notebook.search.results import Found, Search

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

__all__ = ["to_dask"]

PARTITION_BYTES = 128 * 2**20
"""About what a partition takes as a DataFrame; Dask's documentation advises some 100 MB."""

# Of a row of the DataFrame: time, flux, error and cadence number, then flags and labels.
_ROW_BYTES = 64


def to_dask(
    search: Search,
    *,
    settings: Mapping[str, Any],
    on_error: OnError = "raise",
    database: str | None = None,
) -> dd.DataFrame:
    """Make a Dask DataFrame of the light curves of a search: see :meth:`Selection.to_dask`."""
    dataframe = optional.required("dask.dataframe", extra="dask", needed_by="to_dask()")
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
        missions = results.missions(session)
        types = results.flag_types(session, found)
        where = source(session, database)
    meta = _meta(found, missions, types, settings)
    own = own_observations(found)
    frame: dd.DataFrame = dataframe.from_map(
        read_partition,
        [*_partitions(found)],
        where=where,
        own=own,
        settings=dict(settings),
        on_error=on_error,
        meta=meta,
        as_it_is=meta,
        label="light-curves",
        enforce_metadata=False,
    )
    return frame


def read_partition(
    datasets: tuple[int, ...],
    *,
    where: Source,
    own: Mapping[int, ObservationData],
    settings: Mapping[str, Any],
    on_error: OnError,
    as_it_is: pd.DataFrame,
) -> pd.DataFrame:
    """Read DataSets into one DataFrame with the columns of another; runs in a worker."""
    import pandas as pd

    made: list[LightCurveData] = []
    with reading_once(where) as session_scope, Progress(0, "light curve", False) as silent:
        with session_scope() as session:
            found = results.find_again(session, datasets)
            missions = results.missions(session)
            told = lineage.histories(session, found.rows)
        known = {id_: (own.get(id_, one), size) for id_, (one, size) in found.observations.items()}
        for data in outcomes(session_scope, Found(found.rows, known), missions, bar=silent):
            if isinstance(data, LightCurveData):
                made.append(data)
            elif on_error == "raise":
                raise data
            else:
                warn(f"a light curve was skipped: {data}")
    frame = convert.to_pandas(made, histories=told, **settings)
    names = [str(name) for name in as_it_is]
    flags = names[names.index("quality") : names.index("dataset")]
    columns = {}
    for name, dtype in zip(names, as_it_is.dtypes, strict=True):
        if name in frame:
            columns[name] = frame[name].astype(dtype)
        else:
            value = 0 if name in flags else _same_for_all(name, made)
            columns[name] = pd.Series([value] * len(frame), index=frame.index, dtype=dtype)
    whole = pd.DataFrame(columns, copy=False)
    whole.attrs = frame.attrs
    return whole


def _same_for_all(name: str, made: list[LightCurveData]) -> str | None:
    """Give the value of a column that to_pandas leaves out where all its rows have the same."""
    if not made:
        return None
    return {"catalog": made[0].catalog, "flag_type": primary_type(made[0])}.get(name)


def _partitions(found: Found) -> Iterator[tuple[int, ...]]:
    """Cut the rows by observation, and an observation of many light curves further."""
    groups: dict[int, list[int]] = {}
    for row in found.rows:
        groups.setdefault(row.observation, []).append(row.dataset)
    for observation, datasets in groups.items():
        each = max(1, found.observations[observation][1]) * _ROW_BYTES
        many = max(1, PARTITION_BYTES // each)
        for start in range(0, len(datasets), many):
            yield tuple(datasets[start : start + many])


def _meta(
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    types: set[frozenset[str]],
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """Make the empty DataFrame that has the columns and types of the whole, without reading."""
    samples: dict[tuple[Any, ...], LightCurveData] = {}
    nothing = np.zeros(1)
    for row in found.rows:
        about, _ = found.observations[row.observation]
        key = (row.catalog, row.observation, row.photometry, row.processing)
        if key not in samples:
            mission, clock = missions[row.host_mission_id]
            for number, some in enumerate(types or {frozenset[str]()}):
                quality = {name: np.zeros(1, np.int64) for name in sorted(some)}
                samples[*key, number] = samples[key] = LightCurveData(
                    row.dataset,
                    row.target,
                    row.catalog,
                    mission,
                    clock,
                    about,
                    row.photometry,
                    row.processing,
                    row.unit,
                    np.zeros(1, np.int64),
                    nothing,
                    nothing,
                    nothing,
                    quality,
                    "mission",
                )
    distinct = list({id(data): data for data in samples.values()}.values())
    told = {**settings, "quality_bitmask": "none", "flagged": "keep"}
    frame: pd.DataFrame = convert.to_pandas(distinct, **told)
    empty = frame.iloc[:0].copy()
    empty.attrs = {}
    return empty
