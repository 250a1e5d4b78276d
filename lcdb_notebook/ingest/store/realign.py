"""Realign the stored arrays of an observation with a longer cadence reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lcdb_notebook.ingest.store.align import Placement
from lcdb_notebook.ingest.store.copying import Types, integers, read_rows, rewrite
from lcdb_notebook.ingest.store.planned import ObservationPlan
from lcdb_notebook.server import wire

CHUNK_BYTES = 32 * 1024 * 1024
"""Total size of arrays that are realigned at a time, to limit memory."""


@dataclass(frozen=True)
class _Arrays:
    """A table with arrays of one element per cadence."""

    table: str
    columns: tuple[str, ...]
    field: wire.Field


_ARRAYS = (
    _Arrays("dataset", ("values", "errors"), wire.FLOAT_ARRAY),
    _Arrays("target_specific_time", ("barycentric_julian_dates",), wire.FLOAT_ARRAY),
    _Arrays("quality_flag_array", ("quality_flags",), wire.INT_ARRAY),
)


def misfits(
    connection: sa.Connection, observations: Iterable[ObservationPlan]
) -> dict[ObservationPlan, str]:
    """Find the observations that cannot grow, because the length of an array is wrong.

    Returns
    -------
    dict
        Problems by observation; only observations that have to grow are checked.
    """
    grown = {o.id: o for o in observations if o.grown}
    if not grown:
        return {}
    arms = [
        f"SELECT '{arrays.table}', a.id, a.observation_id, cardinality(a.\"{column}\") AS size "
        f"FROM grown JOIN {arrays.table} a USING (observation_id) "
        f'WHERE cardinality(a."{column}") <> grown.size'
        for arrays in _ARRAYS
        for column in arrays.columns
    ]
    rows = connection.exec_driver_sql(
        f"WITH grown AS (SELECT unnest({integers(grown)}) AS observation_id, "
        f"unnest({integers(o.stored.size for o in grown.values())}) AS size) "
        + " UNION ALL ".join(arms)
    )
    return {
        grown[observation]: f"{table} {id_} has {size} values for the "
        f"{grown[observation].stored.size} cadences of observation {observation}, so it cannot be "
        "aligned with new cadences; correct or delete it first"
        for table, id_, observation, size in rows
    }


def realign(
    connection: sa.Connection, observations: Sequence[ObservationPlan], types: Types
) -> None:
    """Align all stored arrays of observations with their new references, and write both.

    Parameters
    ----------
    connection
        Connection. Until its transaction is committed, other connections see the old arrays with
        the old reference, and then the new arrays with the new reference.
    observations
        The observations that have grown.
    types
        From :func:`~lcdb_notebook.ingest.store.copying.column_types`.
    """
    if not observations:
        return
    placements = {o.id: Placement(o.stored, o.reference) for o in observations}
    sizes = {o.id: o.reference.size for o in observations}
    for arrays in _ARRAYS:
        rows = connection.execute(
            sa.text(
                f"SELECT id, observation_id FROM {arrays.table} "
                "WHERE observation_id = ANY(CAST(:ids AS bigint[])) ORDER BY observation_id, id"
            ),
            {"ids": list(placements)},
        )
        width = 12 * len(arrays.columns)
        for chunk in _chunks([(id_, width * sizes[o]) for id_, o in rows]):
            _realign_rows(connection, arrays, chunk, placements, types)
    references = [(o.id, o.reference) for o in observations]
    rewrite(connection, "observation", ("cadence_reference",), references, types)


def _realign_rows(
    connection: sa.Connection,
    arrays: _Arrays,
    ids: Sequence[int],
    placements: dict[int | None, Placement],
    types: Types,
) -> None:
    names = ", ".join(f'"{column}"' for column in arrays.columns)
    stored = read_rows(
        connection,
        f"SELECT id, observation_id, {names} FROM {arrays.table} WHERE id = ANY({integers(ids)})",
        (wire.INT, wire.INT, *(arrays.field.named(column) for column in arrays.columns)),
    )

    def placed() -> Iterator[tuple[Any, ...]]:
        for id_, observation, *values in stored:
            place = placements[observation]
            yield (id_, *(None if array is None else place(array) for array in values))

    rewrite(connection, arrays.table, arrays.columns, placed(), types)


def _chunks(rows: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Split a list of (id, bytes) into chunks of :data:`CHUNK_BYTES`."""
    chunk: list[int] = []
    size = 0
    for id_, bytes_ in rows:
        if chunk and size + bytes_ > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(id_)
        size += bytes_
    if chunk:
        yield chunk
