"""Write accepted products: new rows, realigned arrays, times, flags, light curves and links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.ingest.store import creation, realign, shared
from lcdb_notebook.ingest.store.align import Placement
from lcdb_notebook.ingest.store.copying import Types, rewrite, write_rows
from lcdb_notebook.ingest.store.field_tables import FieldTables
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.observation_classes import observation_class
from lcdb_notebook.ingest.store.plan import Accepted
from lcdb_notebook.ingest.store.planned import ObservationPlan, PairPlan, TargetKey
from lcdb_notebook.models import PhotometricSource, ProcessingMethod


def write(
    connection: sa.Connection,
    tables: FieldTables,
    names: Names,
    accepted: Sequence[Accepted],
    types: Types,
) -> None:
    """Write the accepted products."""
    creation.create(connection, names, [item.product for item in accepted])
    observations = unique(item.observation for item in accepted)
    _create_observations(connection, tables, names, accepted)
    realign.realign(connection, [o for o in observations if o.grown], types)
    _write_samplings(connection, names, accepted, types)
    shared.write(connection, tables, observations, types)
    _rewrite_extended(connection, accepted, types)
    ids = _number(connection, accepted)
    write_rows(
        connection,
        "dataset",
        (
            *("id", "target_id", "observation_id"),
            *("photometric_method_id", "processing_method_id", "values", "errors"),
        ),
        _dataset_rows(names, accepted),
        types,
    )
    links = [
        (ids.get(source, source), ids.get(child, child))
        for item in accepted
        for source, child in item.links
    ]
    if links:
        columns = ("source_dataset_id", "child_dataset_id")
        write_rows(connection, "datasethierarchy", columns, links, types)


def _rewrite_extended(
    connection: sa.Connection, accepted: Sequence[Accepted], types: Types
) -> None:
    """Rewrite stored light curves that were extended; new ones are written by the caller."""
    extended = {
        light_curve: item.observation
        for item in accepted
        for light_curve in item.extended
        if light_curve.dataset > 0
    }
    rows = []
    for light_curve, observation in extended.items():
        place = Placement(light_curve.cadence, observation.final)
        errors = light_curve.flux_err
        flux = place(light_curve.flux)
        rows.append((light_curve.dataset, flux, None if errors is None else place(errors)))
    if rows:
        rewrite(connection, "dataset", ("values", "errors"), rows, types)


def _create_observations(
    connection: sa.Connection,
    tables: FieldTables,
    names: Names,
    accepted: Sequence[Accepted],
) -> None:
    new: dict[ObservationPlan, Any] = {}
    for item in accepted:
        observation, product = item.observation, item.product
        if observation.id is None and observation not in new:
            instrument = names.instruments[product.instrument]
            observation.id = tables.insert(product, instrument, observation.reference)
            if observation.id is not None:
                continue
            cls = observation_class(product)
            new[observation] = cls(
                instrument_id=instrument,
                cadence_reference=observation.reference,
                **product.observation_fields,
            )
    if new:
        # In this mode, closing the session does not end the caller's transaction or savepoint.
        with orm.Session(connection, join_transaction_mode="rollback_only") as session:
            session.add_all(new.values())
            session.flush()
            for observation, row in new.items():
                observation.id = row.id


def _write_samplings(
    connection: sa.Connection, names: Names, accepted: Sequence[Accepted], types: Types
) -> None:
    """Write new times and flags, and rewrite those that have changed."""
    times: list[tuple[Any, ...]] = []
    new_times: list[tuple[Any, ...]] = []
    quality: list[tuple[Any, ...]] = []
    new_quality: list[tuple[Any, ...]] = []
    for pair, (target, observation) in pairs_of(accepted).items():
        sampling = pair.sampling
        if sampling is None or sampling is pair.stored:
            continue
        place = Placement(sampling.cadence, observation.final)
        time = place(sampling.time + pair.epoch if pair.epoch else sampling.time)
        target_id = names.targets[target]
        if pair.times is None:
            new_times.append((target_id, observation.id, time))
        else:
            times.append((pair.times, time))
        for flag_type, flags in sampling.quality.items():
            if flag_type in pair.quality:
                quality.append((pair.quality[flag_type], place(flags)))
            else:
                new_quality.append((flag_type, observation.id, target_id, place(flags)))
    column = "barycentric_julian_dates"
    if times:
        rewrite(connection, "target_specific_time", (column,), times, types)
    if quality:
        rewrite(connection, "quality_flag_array", ("quality_flags",), quality, types)
    if new_times:
        columns = ("target_id", "observation_id", column)
        write_rows(connection, "target_specific_time", columns, new_times, types)
    if new_quality:
        write_rows(
            connection,
            "quality_flag_array",
            ("type", "observation_id", "target_id", "quality_flags"),
            new_quality,
            types,
        )


def _number(connection: sa.Connection, accepted: Sequence[Accepted]) -> dict[int, int]:
    """Assign ids to new light curves, and return them by their provisional ids."""
    new = [light_curve for item in accepted for light_curve in item.new]
    if not new:
        return {}
    ids = connection.scalars(
        sa.text(
            "SELECT nextval(pg_get_serial_sequence('dataset', 'id')) "
            "FROM generate_series(1, :count)"
        ),
        {"count": len(new)},
    ).all()
    numbered: dict[int, int] = {}
    for light_curve, id_ in zip(new, ids, strict=True):
        if id_ is None:
            raise SchemaError("table dataset has no sequence for its ids (serial or identity)")
        numbered[light_curve.dataset] = id_
        light_curve.dataset = id_
    return numbered


def _dataset_rows(names: Names, accepted: Sequence[Accepted]) -> Iterator[tuple[Any, ...]]:
    for item in accepted:
        cadence: IntVector | None = None
        target = names.targets[item.product.catalog, int(item.product.target)]
        for light_curve in item.new:
            if cadence is not light_curve.cadence:
                cadence = light_curve.cadence
                place = Placement(cadence, item.observation.final)
            photometry, processing = light_curve.key
            method = None if processing is None else names.methods[ProcessingMethod, processing]
            errors: FloatVector | None = light_curve.flux_err
            yield (
                light_curve.dataset,
                target,
                item.observation.id,
                names.methods[PhotometricSource, photometry],
                method,
                place(light_curve.flux),
                None if errors is None else place(errors),
            )


def pairs_of(accepted: Iterable[Accepted]) -> dict[PairPlan, tuple[TargetKey, ObservationPlan]]:
    """Return the pairs of products, each with its target and observation."""
    return {
        item.pair: ((item.product.catalog, int(item.product.target)), item.observation)
        for item in accepted
    }


def unique(observations: Iterable[ObservationPlan]) -> list[ObservationPlan]:
    """Return each observation once, in order."""
    return list(dict.fromkeys(observations))
