"""Read the stored observations and light curves of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Product, observation_key
from lcdb_notebook.ingest.store import releases, shared
from lcdb_notebook.ingest.store.align import Sampling, time_ascends
from lcdb_notebook.ingest.store.copying import integers, read_rows
from lcdb_notebook.ingest.store.field_tables import FieldTables
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.observations import find_observations
from lcdb_notebook.ingest.store.plan import Plan
from lcdb_notebook.ingest.store.planned import LightCurve, ObservationPlan, PairPlan, TargetKey
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD
from lcdb_notebook.models import PhotometricSource, ProcessingMethod
from lcdb_notebook.server import wire

_PAIR = (wire.INT.named("target_id"), wire.INT.named("observation_id"))


def look_up(
    connection: sa.Connection,
    tables: FieldTables,
    names: Names,
    products: Sequence[Product],
    derived_from: int | None = None,
    *,
    release: bool = False,
    dependents: bool = False,
) -> Plan:
    """Read the data to compare a batch with, in a fixed number of statements.

    Parameters
    ----------
    connection
        Connection that has the writers' lock.
    tables
        The tables with the fields of observations.
    names
        Ids by the names in products.
    products
        Products with known classes of observations.
    derived_from
        A dataset whose ancestors are needed.
    release, dependents
        Whether to read the releases of files, and the DataSets that depend on them.

    Raises
    ------
    IngestError
        If ``derived_from`` does not exist.
    WireError
        If stored arrays are two-dimensional, or integers with NULLs.
    """
    observations = find_observations(tables, names, products)
    shared.look_up(
        connection,
        tables,
        (
            (observation, product.shared)
            for product in products
            if product.shared is not None
            for observation in observations.get(observation_key(product), ())
        ),
    )
    by_id = {o.id: o for several in observations.values() for o in several if o.id is not None}
    clocks: dict[tuple[int, int], Any] = {}
    keys_of_batch: list[tuple[int, int, int | None, int | None]] = []
    targets: dict[int, TargetKey] = {}
    for product in products:
        target = (product.catalog, int(product.target))
        target_id = names.targets.get(target)
        if target_id is None:
            continue
        targets[target_id] = target
        for observation in observations.get(observation_key(product), ()):
            assert observation.id is not None
            clocks[target_id, observation.id] = names.clock(product)
            for curve in product.curves:
                photometry = names.methods.get((PhotometricSource, curve.photometry.name))
                if curve.processing is None:
                    keys_of_batch.append((target_id, observation.id, photometry, None))
                elif (ProcessingMethod, curve.processing.name) in names.methods:
                    method = names.methods[ProcessingMethod, curve.processing.name]
                    keys_of_batch.append((target_id, observation.id, photometry, method))
    if clocks:
        for target_id, observation_id in clocks:
            by_id[observation_id].pairs[targets[target_id]] = PairPlan()
        _samplings(connection, by_id, targets, clocks)
        _light_curves(connection, names, by_id, targets, keys_of_batch)
        if release:
            for (target_id, seen_by), found in releases.look_up(connection, clocks).items():
                pair = by_id[seen_by].pairs[targets[target_id]]
                pair.release = pair.stored_release = found
        if dependents:
            for (target_id, seen_by), ids in releases.dependents(connection, clocks).items():
                by_id[seen_by].pairs[targets[target_id]].dependents = ids
        for observation in by_id.values():
            # Files without cadence numbers have separate observations, and this is another file's.
            observation.pairs = {
                target: pair
                for target, pair in observation.pairs.items()
                if pair.times is not None or observation.key.numbered
            }
    datasets = {
        light_curve.dataset
        for observation in by_id.values()
        for pair in observation.pairs.values()
        for several in pair.light_curves.values()
        for light_curve in several
    }
    sources = _sources(connection, datasets, derived_from)
    return Plan(observations, sources, tables.incomplete)


def _samplings(
    connection: sa.Connection,
    by_id: Mapping[int, ObservationPlan],
    targets: Mapping[int, TargetKey],
    clocks: Mapping[tuple[int, int], Any],
) -> None:
    """Read the times and flags of pairs of target and observation."""
    ids, seen_by = integers(t for t, _ in clocks), integers(o for _, o in clocks)
    pairs = f"(SELECT unnest({ids}) AS target_id, unnest({seen_by}) AS observation_id) pair"
    rows = read_rows(
        connection,
        f"SELECT t.id, t.target_id, t.observation_id, t.barycentric_julian_dates FROM {pairs} "
        "JOIN target_specific_time t USING (target_id, observation_id)",
        (wire.INT.named("id"), *_PAIR, wire.FLOAT_ARRAY.named("barycentric_julian_dates")),
    )
    for id_, target, observation, time in rows:
        _take_times(by_id[observation], targets[target], id_, time, clocks[target, observation])
    flags = read_rows(
        connection,
        f"SELECT f.id, f.target_id, f.observation_id, f.type, f.quality_flags FROM {pairs} "
        "JOIN quality_flag_array f USING (target_id, observation_id)",
        (wire.INT, *_PAIR, wire.TEXT.named("type"), wire.INT_ARRAY.named("quality_flags")),
    )
    for id_, target, observation, flag_type, quality in flags:
        _take_flags(by_id[observation], targets[target], id_, flag_type, quality)
    for target, observation in clocks:
        pair = by_id[observation].pairs[targets[target]]
        pair.stored = pair.sampling


def _take_times(
    observation: ObservationPlan, target: TargetKey, id_: int, time: Any, clock: Any
) -> None:
    pair = observation.pairs[target]
    if pair.times is not None:
        pair.problem = f"{_name(observation, target)} has several arrays of times"
        return
    pair.times = id_
    if not _fits(observation, pair, time, f"target_specific_time {id_}"):
        return
    if time.size and np.fmax.reduce(time) >= SMALLEST_BJD:
        if clock.unit not in ("d", "day", "days"):
            pair.problem = (
                f"the times stored for {_name(observation, target)} are BJD in days, but the "
                f"mission's unit of time is {clock.unit}"
            )
            return
        pair.epoch = -float(clock.from_bjd(np.zeros(1))[0])
        time = time - pair.epoch
    time = time[np.argsort(observation.stored)]
    if not time_ascends(time):
        pair.problem = f"the stored times of {_name(observation, target)} are not increasing"
    pair.sampling = Sampling(observation.reference, time)


def _take_flags(
    observation: ObservationPlan, target: TargetKey, id_: int, flag_type: str, quality: Any
) -> None:
    pair = observation.pairs[target]
    pair.quality[flag_type] = id_
    if pair.problem or not _fits(observation, pair, quality, f"quality_flag_array {id_}"):
        return
    no_times = np.full(observation.reference.size, np.nan)
    sampling = pair.sampling or Sampling(observation.reference, no_times)
    flags = quality[np.argsort(observation.stored)].astype(np.int32)
    pair.sampling = Sampling(
        sampling.cadence, sampling.time, {**sampling.quality, flag_type: flags}
    )


def _light_curves(
    connection: sa.Connection,
    names: Names,
    by_id: Mapping[int, ObservationPlan],
    targets: Mapping[int, TargetKey],
    keys_of_batch: Sequence[tuple[int, int, int | None, int | None]],
) -> None:
    """Read the light curves of the keys in a batch."""
    photometries = {id_: name for (m, name), id_ in names.methods.items() if m is PhotometricSource}
    processings = {id_: name for (m, name), id_ in names.methods.items() if m is ProcessingMethod}
    keys = [key for key in keys_of_batch if key[2] is not None]
    if not keys:
        return
    columns = ("target_id", "observation_id", "photometry", "processing")
    unnested = ", ".join(
        f"unnest({integers(key[i] for key in keys)}) AS {column}"
        for i, column in enumerate(columns)
    )
    rows = read_rows(
        connection,
        "SELECT d.id, d.target_id, d.observation_id, d.photometric_method_id, "
        f"d.processing_method_id, d.values, d.errors FROM (SELECT DISTINCT {unnested}) key "
        "JOIN dataset d USING (target_id, observation_id) "
        "WHERE d.photometric_method_id = key.photometry "
        "AND d.processing_method_id IS NOT DISTINCT FROM key.processing ORDER BY d.id",
        (
            wire.INT,
            *_PAIR,
            *(wire.INT, wire.INT),
            *(wire.FLOAT_ARRAY.named("values"), wire.FLOAT_ARRAY.named("errors")),
        ),
    )
    for id_, target, seen_by, photometry, processing, values, errors in rows:
        observation = by_id[seen_by]
        pair = observation.pairs[targets[target]]
        what = f"dataset {id_}"
        if not _fits(observation, pair, values, what):
            continue
        if errors is not None and not _fits(observation, pair, errors, f"{what}, errors"):
            continue
        order = np.argsort(observation.stored)
        key = (photometries[photometry], processings.get(processing))
        light_curve = LightCurve(
            id_,
            key,
            observation.reference,
            values[order],
            None if errors is None else errors[order],
        )
        pair.light_curves.setdefault(key, []).append(light_curve)


def _fits(observation: ObservationPlan, pair: PairPlan, array: Any, what: str) -> bool:
    if array is not None and array.size == observation.stored.size:
        # Duplicate cadence numbers are a problem of the whole observation.
        return not observation.problem
    size = "no" if array is None else array.size
    pair.problem = (
        f"{what} has {size} values for the {observation.stored.size} cadences of observation "
        f"{observation.id}; correct or delete it first"
    )
    return False


def _sources(
    connection: sa.Connection, datasets: Iterable[int], derived_from: int | None
) -> dict[int, set[int]]:
    """Find the sources of datasets, their sources, and so on."""
    known = set(datasets)
    if derived_from is not None:
        known.add(derived_from)
        found = connection.scalar(
            sa.text("SELECT id FROM dataset WHERE id = :id"), {"id": derived_from}
        )
        if found is None:
            raise IngestError(f"derived_from={derived_from}: no such DataSet")
    sources: dict[int, set[int]] = {}
    if known:
        rows = connection.execute(
            sa.text(
                "WITH RECURSIVE line AS ("
                "SELECT child_dataset_id, source_dataset_id FROM datasethierarchy "
                "WHERE child_dataset_id = ANY(CAST(:ids AS bigint[])) UNION "
                "SELECT h.child_dataset_id, h.source_dataset_id FROM datasethierarchy h "
                "JOIN line ON h.child_dataset_id = line.source_dataset_id) SELECT * FROM line"
            ),
            {"ids": sorted(known)},
        )
        for child, source in rows:
            sources.setdefault(child, set()).add(source)
    return sources


def _name(observation: ObservationPlan, target: TargetKey) -> str:
    return f"{target[0]} {target[1]} in observation {observation.id}"
