"""Read and write the data of whole observations: flags of all targets, and further fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from lcdb_notebook.ingest.product import SharedData
from lcdb_notebook.ingest.store.align import Placement, Sampling
from lcdb_notebook.ingest.store.copying import Types, integers, read_rows, rewrite, write_rows
from lcdb_notebook.ingest.store.field_tables import FieldTables
from lcdb_notebook.ingest.store.planned import ObservationPlan, SharedPlan
from lcdb_notebook.server import wire


def look_up(
    connection: sa.Connection,
    tables: FieldTables,
    found: Iterable[tuple[ObservationPlan, SharedData]],
) -> None:
    """Read the stored flags and fields of observations that have shared data in products."""
    searched: dict[ObservationPlan, set[str]] = defaultdict(set)
    for observation, shared in found:
        searched[observation] |= shared.fields.keys()
    by_id = {observation.id: observation for observation in searched}
    if not by_id:
        return
    rows = read_rows(
        connection,
        "SELECT id, observation_id, type, quality_flags FROM quality_flag_array "
        f"WHERE target_id IS NULL AND observation_id = ANY({integers(by_id)}) ORDER BY id",
        (wire.INT, wire.INT, wire.TEXT.named("type"), wire.INT_ARRAY.named("quality_flags")),
    )
    for observation, names in searched.items():
        flags = {type_: (i, array) for i, o, type_, array in rows if o == observation.id}
        fields = _fields(connection, tables, observation, sorted(names))
        observation.shared = _planned(observation, flags, fields)


def _fields(
    connection: sa.Connection, tables: FieldTables, observation: ObservationPlan, names: list[str]
) -> dict[str, Any]:
    if not names:
        return {}
    columns = [tables.column(observation.key.type, name) for name in names]
    row = connection.execute(
        sa.select(*(column for column, _ in columns)).where(columns[0][1] == observation.id)
    ).one()
    return {name: v for name, v in zip(names, row, strict=True) if v is not None}


def _planned(
    observation: ObservationPlan, flags: Mapping[str, tuple[int, Any]], fields: dict[str, Any]
) -> SharedPlan:
    known = SharedPlan(fields=fields, stored_fields=fields)
    for id_, array in flags.values():
        if array is None or array.size != observation.stored.size:
            problem = (
                f"quality_flag_array {id_} does not have a value for each of the "
                f"{observation.stored.size} cadences of observation {observation.id}; correct or "
                "delete it first"
            )
            return replace(known, problem=problem)
    if not flags or observation.problem:
        return known
    order = np.argsort(observation.stored)
    no_times = np.full(observation.reference.size, np.nan)
    quality = {name: array[order].astype(np.int32) for name, (_, array) in flags.items()}
    sampling = Sampling(observation.reference, no_times, quality)
    rows = {name: id_ for name, (id_, _) in flags.items()}
    return replace(known, sampling=sampling, stored=sampling, rows=rows)


def write(
    connection: sa.Connection,
    tables: FieldTables,
    observations: Iterable[ObservationPlan],
    types: Types,
) -> None:
    """Write the new flags and fields of realigned observations."""
    changed: list[tuple[Any, ...]] = []
    new: list[tuple[Any, ...]] = []
    for observation in observations:
        shared = observation.shared
        if shared.sampling is not None and shared.sampling is not shared.stored:
            place = Placement(shared.sampling.cadence, observation.final)
            for flag_type, flags in shared.sampling.quality.items():
                if flag_type in shared.rows:
                    changed.append((shared.rows[flag_type], place(flags)))
                else:
                    new.append((flag_type, observation.id, None, place(flags)))
        for name, value in shared.fields.items():
            if name not in shared.stored_fields:
                column, id_ = tables.column(observation.key.type, name)
                changing = sa.update(column.table).where(id_ == observation.id)
                connection.execute(changing.values({column: value}))
    if changed:
        rewrite(connection, "quality_flag_array", ("quality_flags",), changed, types)
    if new:
        columns = ("type", "observation_id", "target_id", "quality_flags")
        write_rows(connection, "quality_flag_array", columns, new, types)
