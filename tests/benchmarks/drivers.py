"""The same light curves by other drivers, each in its best ordinary use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import sqlalchemy as sa
from plain import DataSet, Observation, QualityFlagArray, Target, TargetSpecificTime
from sqlalchemy import orm

Read = tuple[int, int]
"""Light curves, and the numbers in their fluxes, errors, times and flags."""

# How a user of SQL gets the same in one query, with any driver.
QUERY = """
SELECT t.name, d.values, d.errors, s.barycentric_julian_dates, q.quality_flags
FROM dataset d
JOIN observation o ON o.id = d.observation_id
JOIN target t ON t.id = d.target_id
JOIN target_specific_time s USING (target_id, observation_id)
JOIN quality_flag_array q USING (target_id, observation_id)
WHERE o.sector = {sector} AND t.name <= {targets}
ORDER BY t.name
"""
ROWS_AT_A_TIME = 50
"""Rows that the ORM and psycopg 3 fetch at a time: of those tried the fastest for both."""


def counted(light_curves: Iterable[Sequence[Any]]) -> Read:
    """Consume light curves (flux, error, time and flags), and return their number and size."""
    number = size = 0
    for flux, flux_err, time, quality in light_curves:
        number += 1
        size += flux.size + flux_err.size + time.size + quality.size
    return number, size


def by_orm(engine: sa.Engine, sector: int, targets: int) -> Read:
    """Read with SQLAlchemy's ORM over psycopg2: one object a row, one list an array."""
    query = (
        sa.select(DataSet, TargetSpecificTime, QualityFlagArray)
        .join(Observation, Observation.id == DataSet.observation_id)
        .join(TargetSpecificTime, _same_pair(TargetSpecificTime))
        .join(QualityFlagArray, _same_pair(QualityFlagArray))
        .join(DataSet.target)
        .where(Observation.sector == sector, Target.name <= targets)
        .options(orm.contains_eager(DataSet.target))
        .order_by(Target.name)
        # All rows at once would be ten times the memory, and slower.
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    with orm.Session(engine) as session:
        return counted(
            (
                np.array(dataset.values),
                np.array(dataset.errors),
                np.array(time.barycentric_julian_dates),
                np.array(flags.quality_flags),
            )
            for dataset, time, flags in session.execute(query)
        )


def _same_pair(other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(
        other.target_id == DataSet.target_id, other.observation_id == DataSet.observation_id
    )


def by_psycopg(connection: Any, sector: int, targets: int) -> Read:
    """Read with psycopg 3, which takes arrays in binary and makes lists of them."""
    query = QUERY.format(sector=sector, targets=targets)
    with connection.cursor(binary=True) as cursor:
        # As fast as fetching all at once, without holding it twice.
        rows = cursor.stream(query, binary=True, size=ROWS_AT_A_TIME)
        return counted(tuple(map(np.array, arrays)) for _, *arrays in rows)


def by_adbc(connection: Any, sector: int, targets: int) -> Read:
    """Read with ADBC, which issues the COPY itself and makes Arrow's arrays of it."""
    with connection.cursor() as cursor:
        cursor.execute(QUERY.format(sector=sector, targets=targets))
        return counted(
            row
            for batch in cursor.fetch_record_batch()
            for row in zip(*map(_rows_of, batch.columns[1:]), strict=True)
        )


def _rows_of(column: Any) -> list[Any]:
    """Cut Arrow's one long array into rows; nothing is copied."""
    values = column.values.to_numpy(zero_copy_only=False)
    return [values[start:stop] for start, stop in pairwise(column.offsets.to_pylist())]
