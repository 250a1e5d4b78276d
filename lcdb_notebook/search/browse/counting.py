"""How many targets each value of a filter leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    DataSet,
    Instrument,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import sql
from lcdb_notebook.search.browse.target_filter import (
    Wanted,
    flag_conditions,
    number_conditions,
    parameters,
    target_conditions,
)
from lcdb_notebook.search.criteria import observation_fields
from lcdb_notebook.search.listings import instruments

__all__ = ["choices", "count", "counts"]

_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__


def count(session: orm.Session, wanted: Wanted) -> int:
    """Count the targets that are wanted."""
    number: int = session.scalar(_count(wanted), parameters(wanted)) or 0
    return number


def _count(wanted: Wanted) -> sa.Select[Any]:
    counted = sa.select(sa.func.count()).select_from(_targets_for(wanted))
    return counted.where(*number_conditions(wanted), *target_conditions(wanted))


def counts(session: orm.Session, wanted: Wanted, facet: str) -> dict[Any, int]:
    """Count for each value of a facet how many targets it would leave, all other filters kept.

    Parameters
    ----------
    session
        Its uncommitted rows count, too.
    wanted
        Which targets; what it says of this facet is left out.
    facet
        "catalog", "instrument", "photometry", "processing", "flags", or a field of an observation
        class.

    Returns
    -------
    dict
        By value: a name, an instrument's id (what is part of it included), None for raw, True and
        False for flags, or the value of the field. Values that leave nothing are not in it.
    """
    wanted = wanted.without(facet)
    if facet == "flags":
        total = count(session, wanted)
        flagged = count(session, dataclasses.replace(wanted, flagged=True))
        return {True: flagged, False: total - flagged}
    if facet == "catalog":
        grouped = (
            sa.select(_catalog.c.name, sa.func.count())
            .select_from(_target.join(_catalog, _catalog.c.id == _target.c.catalog_id))
            .where(*number_conditions(wanted), *target_conditions(wanted))
            .group_by(_catalog.c.name)
        )
        return {row[0]: row[1] for row in session.execute(grouped, parameters(wanted))}
    found: dict[Any, int] = {}
    for select in _facet_statements(wanted, facet):
        for value, number in session.execute(select, parameters(wanted)):
            found[value] = found.get(value, 0) + number
    return found


def _facet_statements(wanted: Wanted, facet: str) -> Iterator[sa.Select[Any]]:
    """Count different targets by value; a field that several classes have is a statement each."""
    if facet in ("photometry", "processing"):
        by: Any = PhotometricSource if facet == "photometry" else ProcessingMethod
        key = (
            _dataset.c.photometric_method_id
            if facet == "photometry"
            else _dataset.c.processing_method_id
        )
        each = _each(wanted, key, _dataset)
        kind = by.__table__
        yield (
            sa.select(kind.c.name, sa.func.count())
            .select_from(each.outerjoin(kind, kind.c.id == each.c.value))
            .group_by(kind.c.name)
        )
        return
    if facet == "instrument":
        # What is part of an instrument counts for it, too.
        instrument = Instrument.__table__
        within = sa.select(instrument.c.id.label("part"), instrument.c.id.label("whole")).cte(
            "within", recursive=True
        )
        within = within.union(
            sa.select(within.c.part, instrument.c.parent_id)
            .join(instrument, instrument.c.id == within.c.whole)
            .where(instrument.c.parent_id.is_not(None))
        )
        joined = _dataset.join(_observation, _observation.c.id == _dataset.c.observation_id).join(
            within, within.c.part == _observation.c.instrument_id
        )
        each = _each(wanted, within.c.whole, joined)
        yield sa.select(each.c.value, sa.func.count()).group_by(each.c.value)
        return
    for column in observation_fields()[facet]:
        joined = _dataset.join(_observation, _observation.c.id == _dataset.c.observation_id)
        if column.table is not _observation:
            key = next(iter(column.table.primary_key.columns))
            joined = joined.join(column.table, key == _observation.c.id)
        each = _each(wanted, column, joined)
        yield (
            sa.select(each.c.value, sa.func.count())
            .where(each.c.value.is_not(None))
            .group_by(each.c.value)
        )


def _each(wanted: Wanted, value: Any, source: Any) -> sa.Subquery:
    """Pair each value once with each target that has light curves of it."""
    select = sa.select(value.label("value"), _dataset.c.target_id).distinct()
    shape = sql.shape(wanted.criteria)
    of_observation = sql.observation_matches(shape)
    if of_observation and _observation not in _tables(source):
        source = source.join(_observation, _observation.c.id == _dataset.c.observation_id)
    of_target = [*number_conditions(wanted), *sql.target_matches(shape)]
    if of_target or wanted.flagged is not None:
        source = source.join(_target, _target.c.id == _dataset.c.target_id)
        source = source.join(_catalog, _catalog.c.id == _target.c.catalog_id)
    conditions = [*of_target, *of_observation, *sql.dataset_matches(shape)]
    conditions += flag_conditions(wanted)
    return select.select_from(source).where(*conditions).subquery("each")


def _tables(source: Any) -> Sequence[Any]:
    return list(sa.sql.util.find_tables(source, include_joins=False))


def _targets_for(wanted: Wanted) -> sa.FromClause:
    if wanted.criteria.catalogs:
        return _target.join(_catalog, _catalog.c.id == _target.c.catalog_id)
    return _target


def choices(session: orm.Session) -> dict[str, list[Any]]:
    """List the values that facets may take, without counting: small tables alone are read.

    Returns
    -------
    dict
        By facet: names of catalogs, photometry and processing (None is raw), sorted;
        ``(id, path)`` of instruments, each below what it is part of; and for each field of an
        observation class the values that occur, ascending, if any do.
    """
    names = {}
    for facet, model in (
        ("catalog", MissionCatalog),
        ("photometry", PhotometricSource),
        ("processing", ProcessingMethod),
    ):
        names[facet] = list(session.scalars(sa.select(model.name).order_by(model.name)))
    found: dict[str, list[Any]] = {**names, "processing": [None, *names["processing"]]}
    tree = instruments(session)
    found["instrument"] = [
        (row.id, " / ".join(str(part) for part in (row.part_of, row.name) if part))
        for row in tree.itertuples()
    ]
    for name, columns in observation_fields().items():
        values: set[Any] = set()
        for column in columns:
            values.update(session.scalars(sa.select(column).where(column.is_not(None)).distinct()))
        if values:
            found[name] = sorted(values)
    return found
