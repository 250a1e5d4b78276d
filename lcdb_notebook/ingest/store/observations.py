"""Find the observations of products by the fields of their classes and their instruments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from lcdb_notebook.ingest.product import ObservationKey, Product, observation_key, python_value
from lcdb_notebook.ingest.store.align import ascends
from lcdb_notebook.ingest.store.field_tables import FieldTables
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.planned import ObservationPlan
from lcdb_notebook.models import Observation, TargetSpecificTime


def find_observations(
    tables: FieldTables, names: Names, products: Sequence[Product]
) -> dict[ObservationKey, list[ObservationPlan]]:
    """Find the observations that products belong to, with one statement per class.

    Returns
    -------
    dict
        Observations by key. There are several if rows have the same type, fields and instrument,
        and for files without cadence numbers, which have one observation each.
    """
    searched: dict[type[Observation], dict[ObservationKey, sa.ColumnElement[bool]]] = {}
    targets: dict[ObservationKey, set[int]] = defaultdict(set)
    for product in products:
        key = observation_key(product)
        target = names.targets.get((product.catalog, int(product.target)))
        if target is not None:
            targets[key].add(target)
        instrument = names.instruments.get(product.instrument)
        if instrument is not None:
            cls = tables.selected(product)
            conditions = searched.setdefault(cls, {})
            if key not in conditions:
                conditions[key] = _is_observation(tables, cls, product, instrument)
    found: dict[ObservationKey, list[ObservationPlan]] = {}
    # Files without cadence numbers are stored with negative ones.
    first: sa.ColumnElement[int] = sa.func.coalesce(
        sa.literal_column("observation.cadence_reference[1]"), 0
    )
    for cls, conditions in searched.items():
        complete = [
            condition & (first >= 0 if key.numbered else (first < 0) & _belongs(cls, targets[key]))
            for key, condition in conditions.items()
        ]
        keys = list(conditions)
        which = sa.case(*((condition, i) for i, condition in enumerate(complete)))
        rows = tables.rows(
            sa.select(cls.id, which, cls.cadence_reference)
            .where(sa.or_(*complete))
            .order_by(cls.id)
        )
        for id_, i, reference in rows:
            found.setdefault(keys[i], []).append(_planned(keys[i], id_, reference))
    return found


def _is_observation(
    tables: FieldTables, cls: type[Observation], product: Product, instrument: Any
) -> sa.ColumnElement[bool]:
    conditions = [cls.instrument_id == instrument, cls.type == product.observation_type]
    for name, value in product.observation_fields.items():
        column = tables.queried(cls, name)
        if value is None:
            conditions.append(column.is_(None))
        elif isinstance(column.type, sa.JSON):
            # json has no equality; jsonb does.
            jsonb = postgresql.JSONB
            conditions.append(sa.cast(column, jsonb) == sa.cast(sa.literal(value, jsonb), jsonb))
        else:
            conditions.append(column == python_value(value))
    return sa.and_(*conditions)


def _belongs(cls: type[Observation], targets: Iterable[int]) -> sa.ColumnElement[bool]:
    """Return the condition that an observation has times of one target only, a given one."""
    own = sa.select(TargetSpecificTime.id).where(TargetSpecificTime.observation_id == cls.id)
    mine = TargetSpecificTime.target_id.in_(targets)
    several = own.with_only_columns(sa.func.count(TargetSpecificTime.target_id.distinct()))
    return own.where(mine).exists() & (several.scalar_subquery() == 1)


def _planned(key: ObservationKey, id_: int, stored: npt.NDArray[np.int64]) -> ObservationPlan:
    reference = stored if ascends(stored) else np.unique(stored)
    problem = ""
    if reference.size != stored.size:
        problem = (
            f"observation {id_} has duplicate cadence numbers, so arrays cannot be aligned with it"
        )
    return ObservationPlan(key, id_, stored, reference, problem=problem)
