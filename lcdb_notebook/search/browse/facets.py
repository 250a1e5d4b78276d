"""Values of filters, and how many targets match each."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
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
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.browse.counting import ENOUGH, count
from lcdb_notebook.search.browse.estimating import in_parts
from lcdb_notebook.search.browse.spread import sample
from lcdb_notebook.search.browse.target_filter import (
    TargetFilter,
    fitted,
    flag_conditions,
    number_conditions,
    parameters,
    target_conditions,
    with_catalogs,
)
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.search.listings import instruments
from lcdb_notebook.search.size import Size

__all__ = ["choices", "counts"]

_dataset = DataSet.__table__
_target = Target.__table__
_catalog = MissionCatalog.__table__
_observation = Observation.__table__


def counts(
    session: orm.Session, target_filter: TargetFilter, facet: str, whole: Size | None = None
) -> dict[Any, Size]:
    """Count the targets that match each value of a facet, with all other filters applied.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are included. Estimates may use a sample of targets that
        is up to ten seconds old.
    target_filter : TargetFilter
        The filter; its criterion for this facet is ignored.
    facet : str
        "catalog", "instrument", "photometry", "processing", "flags", or a field of an observation
        class.
    whole : Size, optional
        The number of targets that match all other filters, if it is known.

    Returns
    -------
    dict
        Counts by value: a name, the id of an instrument (its parts are included), None for raw,
        True and False for flags, or the value of the field. Values without targets are omitted.
        Of at most 10,000 targets the counts are exact; others may be estimates.
    """
    target_filter = target_filter.without(facet)
    if whole is None:
        whole = count(session, target_filter)
    if facet == "flags":
        flagged = count(session, dataclasses.replace(target_filter, flagged=True))
        exact = whole.exact and flagged.exact
        return {True: flagged, False: Size(max(0, whole - flagged), exact=exact)}
    if whole.exact and not in_parts(session, target_filter):
        numbers = _grouped(session, target_filter, facet)
        return {value: Size(number) for value, number in numbers.items()}
    found = _in_sample(session, target_filter, facet, whole)
    sizes = _each_value(session, target_filter, facet, known=found.keys())
    return found | {value: size for value, size in sizes if size or not size.exact}


def _in_sample(
    session: orm.Session, target_filter: TargetFilter, facet: str, whole: Size
) -> dict[Any, Size]:
    """Estimate the counts of the values that occur in a sample, by one statement for all."""
    some = sample(session, target_filter)
    if some is None:
        return {}
    found: dict[Any, Size] = {}
    size = sa.select(sa.func.count()).select_from(some.matching).correlate(None).scalar_subquery()
    for select in _facet_statements(target_filter, facet, layout.of(session), some.matching):
        grouped = fitted(session, select.add_columns(size), target_filter)
        for value, number, matched in session.execute(grouped, parameters(target_filter)):
            if matched >= ENOUGH:
                share = found.get(value, 0) + whole * number / matched
                found[value] = Size(max(1, round(share)), exact=False)
    return found


def _grouped(
    session: orm.Session,
    target_filter: TargetFilter,
    facet: str,
) -> dict[Any, int]:
    """Count the targets that match each value."""
    found: dict[Any, int] = {}
    for select in _facet_statements(target_filter, facet, layout.of(session)):
        grouped = fitted(session, select, target_filter)
        for value, number in session.execute(grouped, parameters(target_filter)):
            found[value] = found.get(value, 0) + number
    return found


def _each_value(
    session: orm.Session, target_filter: TargetFilter, facet: str, known: Collection[Any]
) -> Iterator[tuple[Any, Size]]:
    """Count the targets of each further value by itself; the values are those in small tables."""
    criteria = target_filter.criteria
    arranged = layout.of(session)
    if facet == "catalog":
        names = session.scalars(arranged.present(sa.select(_catalog.c.name))).all()
        for name in (name for name in names if name not in known):
            chosen = dataclasses.replace(criteria, catalogs=(name,))
            yield name, count(session, dataclasses.replace(target_filter, criteria=chosen))
        return
    if facet in ("photometry", "processing"):
        model = PhotometricSource if facet == "photometry" else ProcessingMethod
        names = sorted(session.scalars(arranged.present(sa.select(model.name))))
        values = [None, *names] if facet == "processing" else names
        for value in (value for value in values if value not in known):
            changed: dict[str, Any] = {facet: (value,)}
            chosen = dataclasses.replace(criteria, **changed)
            yield value, count(session, dataclasses.replace(target_filter, criteria=chosen))
        return
    observations: dict[Any, set[int]] = {}
    matches = sql.observation_matches(sql.shape_of(criteria))
    for select in _observations_by_value(facet, arranged.fields):
        statement = arranged.present(select.where(*matches))
        for value, id_ in session.execute(statement, parameters(target_filter)):
            if value not in known:
                observations.setdefault(value, set()).add(id_)
    for value, ids in observations.items():
        chosen = dataclasses.replace(
            criteria, observations=tuple(sorted(ids)), types=(), instruments=(), fields={}
        )
        yield value, count(session, dataclasses.replace(target_filter, criteria=chosen))


def _observations_by_value(facet: str, fields: Fields) -> Iterator[sa.Select[Any]]:
    """Yield statements that select the values of a facet and the observations that have them."""
    if facet == "instrument":
        within = _instruments_within()
        joined = _observation.join(within, within.c.part == _observation.c.instrument_id)
        yield sa.select(within.c.whole, _observation.c.id).select_from(joined)
        return
    for column in fields[facet]:
        source: sa.FromClause = _observation
        if column.table is not _observation:
            source = _observation.join(column.table, sql.same_row(column.table))
        yield sa.select(column, _observation.c.id).select_from(source).where(column.is_not(None))


def _instruments_within() -> sa.CTE:
    """Pair each instrument with itself and everything that contains it."""
    instrument = Instrument.__table__
    within = sa.select(instrument.c.id.label("part"), instrument.c.id.label("whole")).cte(
        "within", recursive=True
    )
    return within.union(
        sa.select(within.c.part, instrument.c.parent_id)
        .join(instrument, instrument.c.id == within.c.whole)
        .where(instrument.c.parent_id.is_not(None))
    )


def _facet_statements(
    target_filter: TargetFilter,
    facet: str,
    arranged: layout.Layout,
    some: sa.CTE | None = None,
) -> Iterator[sa.Select[Any]]:
    """Yield statements that count distinct targets by value, one per class that has the field.

    They count the targets of a filter, or those of a sample of them.
    """
    by_target, by_type = arranged.by_number, arranged.flags_by_type
    if facet == "catalog":
        counted = sa.select(_catalog.c.name, sa.func.count()).group_by(_catalog.c.name)
        if some is not None:
            yield counted.select_from(some.join(_catalog, _catalog.c.id == some.c.catalog_id))
            return
        joined = _target.join(_catalog, _catalog.c.id == _target.c.catalog_id)
        conditions = target_conditions(target_filter, one_by_one=by_target, by_type=by_type)
        yield counted.select_from(joined).where(*number_conditions(target_filter), *conditions)
        return
    if facet in ("photometry", "processing"):
        by: Any = PhotometricSource if facet == "photometry" else ProcessingMethod
        key = (
            _dataset.c.photometric_method_id
            if facet == "photometry"
            else _dataset.c.processing_method_id
        )
        seen = _each(target_filter, key, some, arranged)
        kind = by.__table__
        yield (
            sa.select(kind.c.name, sa.func.count())
            .select_from(seen.outerjoin(kind, kind.c.id == seen.c.value))
            .group_by(kind.c.name)
        )
        return
    # A target has many light curves in an observation, which need not be joined one by one.
    seen = _each(target_filter, _dataset.c.observation_id, some, arranged)
    observed = seen.join(_observation, _observation.c.id == seen.c.value)
    number: Any = sa.func.count(seen.c.target_id.distinct())
    if facet == "instrument":
        within = _instruments_within()
        joined = observed.join(within, within.c.part == _observation.c.instrument_id)
        yield sa.select(within.c.whole, number).select_from(joined).group_by(within.c.whole)
        return
    for column in arranged.fields[facet]:
        joined = observed
        if column.table is not _observation:
            joined = observed.join(column.table, sql.same_row(column.table))
        yield (
            sa.select(column, number)
            .select_from(joined)
            .where(column.is_not(None))
            .group_by(column)
        )


def _each(
    target_filter: TargetFilter,
    value: Any,
    some: sa.CTE | None,
    arranged: layout.Layout,
) -> sa.Subquery:
    """Select the distinct pairs of values and targets that have light curves with them.

    The DataSets of each target are looked up by ``ix_dataset_target_id_observation_id`` if there is
    one; the planner might read those of all targets instead.
    """
    shape = sql.shape_of(target_filter.criteria)
    of_observation = sql.observation_matches(shape)
    source: sa.FromClause = _dataset
    if of_observation:
        source = source.join(_observation, _observation.c.id == _dataset.c.observation_id)
    rows = (
        sa.select(value.label("value"), _dataset.c.target_id)
        .select_from(source)
        .where(*of_observation, *sql.dataset_matches(shape))
        .distinct()
    )
    targets: sa.FromClause = _target if some is None else some
    target_id = _target.c.id if some is None else some.c.target_id
    if by_target := some is not None or arranged.by_number:
        rows = rows.where(_dataset.c.target_id == target_id).offset(0).correlate(targets)
    seen = rows.lateral("seen") if by_target else rows.subquery("seen")
    conditions: list[sa.ColumnElement[bool]] = []
    if some is None:
        targets = with_catalogs(targets, target_filter)
        conditions += number_conditions(target_filter)
        conditions += sql.target_matches(shape)
        conditions += flag_conditions(target_filter, by_type=arranged.flags_by_type)
    return (
        sa.select(seen.c.value, seen.c.target_id)
        .select_from(targets.join(seen, seen.c.target_id == target_id))
        .where(*conditions)
        # Joined as a whole with the few observations, and not row by row.
        .offset(0)
        .subquery("each")
    )


def choices(session: orm.Session) -> dict[str, list[Any]]:
    """List the values that facets may take; only small tables are read.

    Returns
    -------
    dict
        By facet: names of catalogs, photometry and processing (None is raw), sorted;
        ``(id, path)`` of instruments, each below the one it is part of; and for each field of an
        observation class the values that occur, in increasing order, if there are any.
    """
    names = {}
    arranged = layout.of(session)
    for facet, model in (
        ("catalog", MissionCatalog),
        ("photometry", PhotometricSource),
        ("processing", ProcessingMethod),
    ):
        naming = sa.select(model.name).order_by(model.name)
        names[facet] = list(session.scalars(arranged.present(naming)))
    found: dict[str, list[Any]] = {**names, "processing": [None, *names["processing"]]}
    tree = instruments(session)
    found["instrument"] = [
        (row.id, " / ".join(str(part) for part in (row.part_of, row.name) if part))
        for row in tree.itertuples()
    ]
    for name, columns in arranged.fields.items():
        values: set[Any] = set()
        for column in columns:
            occurring = sa.select(column).where(column.is_not(None)).distinct()
            values.update(session.scalars(arranged.present(occurring)))
        if values:
            found[name] = sorted(values)
    return found
