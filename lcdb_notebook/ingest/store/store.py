"""Store a batch of products in the tables, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LCDBError, SchemaError
from lcdb_notebook.ingest.product import FloatVector, IntVector, Product
from lcdb_notebook.ingest.report import Outcome
from lcdb_notebook.ingest.store import creation, realign, shared, stored
from lcdb_notebook.ingest.store import names as naming
from lcdb_notebook.ingest.store.align import Placement
from lcdb_notebook.ingest.store.copying import Types, column_types, rewrite, write_rows
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.observations import observation_class
from lcdb_notebook.ingest.store.plan import Accepted
from lcdb_notebook.ingest.store.planned import ObservationPlan, Pair, TargetKey
from lcdb_notebook.ingest.store.validation import check_product
from lcdb_notebook.models import PhotometricSource, ProcessingMethod

_TABLES = (
    "dataset",
    "datasethierarchy",
    "observation",
    "quality_flag_array",
    "target_specific_time",
)


def store(
    connection: sa.Connection, products: Sequence[Product], *, derived_from: int | None = None
) -> list[Outcome]:
    """Store a batch of products in the tables.

    Arrays are aligned by cadence number with their observation's ``cadence_reference``. If the
    batch has new cadences, the reference becomes the sorted union of both, and everything that is
    stored for that observation is realigned, once per batch. The result does not depend on the
    order of the products, or on how they are split into batches.

    A product is stored completely or not at all: one that is rejected leaves no row, and the others
    are stored. Existing data are compared, never replaced.

    Parameters
    ----------
    connection
        Connection, with or without a transaction; nothing is committed. To see a session's
        uncommitted rows, pass ``session.connection()`` after ``session.flush()``; objects that the
        session has loaded are not refreshed. Other writers wait until the transaction ends.
    products
        The products. The number of statements does not depend on their number.
    derived_from
        Id of the dataset from which light curves without a source were derived.

    Returns
    -------
    list of Outcome
        One per product, in their order; rejected ones have the error.

    Raises
    ------
    IngestError
        If there is no dataset ``derived_from``.
    WireError
        If stored arrays cannot be compared: two-dimensional ones, or integers with NULL.
    sqlalchemy.exc.DBAPIError
        If the database fails; the transaction has to be rolled back.
    """
    outcomes: dict[int, Outcome] = {}
    valid: dict[int, Product] = {}
    for position, product in enumerate(products):
        try:
            check_product(product)
            observation_class(product)
            valid[position] = product
        except LCDBError as error:
            outcomes[position] = _refused(product, error)
    # Otherwise two writers could create the same target or observation twice.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.store'))"))
    names = naming.look_up(connection, list(valid.values()))
    accepted = _plan(connection, names, valid, derived_from, outcomes)
    changed = [item for item in accepted.values() if item.changed]
    if changed:
        types = column_types(connection, _TABLES)
        misfits = realign.misfits(connection, _unique(item.observation for item in changed))
        for position, item in list(accepted.items()):
            misfit = misfits.get(item.observation)
            if misfit is not None:
                outcomes[position] = _refused(item.product, IngestError(misfit))
                del accepted[position]
        changed = [item for item in accepted.values() if item.changed]
        _write(connection, names, changed, types)
    for position, item in accepted.items():
        outcomes[position] = Outcome(
            item.product.label,
            "added" if item.changed else "unchanged",
            len(item.new),
            tuple(light_curve.dataset for light_curve in item.light_curves),
        )
    return [outcomes[position] for position in range(len(products))]


def _plan(
    connection: sa.Connection,
    names: Names,
    products: dict[int, Product],
    derived_from: int | None,
    outcomes: dict[int, Outcome],
) -> dict[int, Accepted]:
    plan = stored.look_up(connection, names, list(products.values()), derived_from)
    accepted: dict[int, Accepted] = {}
    for position, product in products.items():
        try:
            names.check(product)
            accepted[position] = plan.take(product, derived_from)
            names.adopt(product)
        except LCDBError as error:
            outcomes[position] = _refused(product, error)
    return accepted


def _refused(product: Product, error: LCDBError) -> Outcome:
    named = type(error)(f"{product.label}: {error}")
    return Outcome(product.label, "skipped", error=named)


def _write(
    connection: sa.Connection, names: Names, accepted: Sequence[Accepted], types: Types
) -> None:
    """Write the accepted products."""
    creation.create(connection, names, [item.product for item in accepted])
    observations = _unique(item.observation for item in accepted)
    _create_observations(connection, names, accepted)
    realign.realign(connection, [o for o in observations if o.grown], types)
    _write_samplings(connection, names, accepted, types)
    shared.write(connection, observations, types)
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
    connection: sa.Connection, names: Names, accepted: Sequence[Accepted]
) -> None:
    new: dict[ObservationPlan, Any] = {}
    for item in accepted:
        observation, product = item.observation, item.product
        if observation.id is None and observation not in new:
            cls = observation_class(product)
            new[observation] = cls(
                instrument_id=names.instruments[product.instrument],
                cadence_reference=observation.reference,
                **product.observation_fields,
            )
    if new:
        # In this mode, closing does not end the caller's transaction or savepoint.
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
    for pair, (target, observation) in _pairs(accepted).items():
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


def _pairs(accepted: Iterable[Accepted]) -> dict[Pair, tuple[TargetKey, ObservationPlan]]:
    return {
        item.pair: ((item.product.catalog, int(item.product.target)), item.observation)
        for item in accepted
    }


def _unique(observations: Iterable[ObservationPlan]) -> list[ObservationPlan]:
    return list(dict.fromkeys(observations))
