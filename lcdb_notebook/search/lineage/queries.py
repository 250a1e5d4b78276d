"""The SQL of a lineage: ancestors and descendants to any depth, in one recursive statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.lightcurve.dataset_id import DataSetId, dataset_id
from lcdb_notebook.lightcurve.record import ObservationData
from lcdb_notebook.models import (
    DataSet,
    DataSetHierarchy,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.search.lineage.graph import Lineage, Row
from lcdb_notebook.search.lineage.outputs import CARRIED
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids
from lcdb_notebook.search.results import observation_of
from lcdb_notebook.search.sql import any_of, are_keys
from lcdb_notebook.search.sql.observations import columns_of, described

__all__ = ["ancestry", "family", "lineage", "links_sql"]

_dataset = DataSet.__table__
_link = DataSetHierarchy.__table__
_observation = Observation.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__

_ABOUT = ("target_id", "observation_id", "photometric_method_id", "processing_method_id")


def lineage(session: orm.Session, datasets: Any) -> Lineage:
    """Find the ancestors and descendants of DataSets, in one statement.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are included.
    datasets : int, DataSet, LightCurveData, LightCurve, or iterable of these
        DataSets, their ids, or light curves read by this package.

    Raises
    ------
    LightCurveNotFoundError
        If ids do not exist; the message lists them.
    """
    ids = resolve_ids(datasets)
    arranged = layout.of(session)
    keyed = arranged.keyed
    # Ids of the other kind do not identify DataSets in this database.
    known = [id_ for id_ in ids if isinstance(id_, str) == (keyed is not None)]
    presented = () if keyed is None else keyed.family(session, known, everywhere=True)
    statement = arranged.present(family(known, arranged.fields), *presented)
    rows = []
    observations: dict[int, ObservationData] = {}
    for found in session.execute(statement) if known else ():
        sources = found.sources.split(",") if found.sources else ()
        rows.append(Row._make((*found[: len(CARRIED) + 1], map(dataset_id, sources))))
        if found.observation not in observations:
            observations[found.observation], _ = observation_of(found, arranged)
    there = {row.dataset for row in rows}
    absent = [id_ for id_ in ids if id_ not in there]
    if absent:
        listed = ", ".join(map(str, absent[:10])) + (", ..." if len(absent) > 10 else "")
        raise LightCurveNotFoundError(
            f"no DataSet {listed} in this database; db.search(...).table lists the ids"
        )
    recorded = "datasethierarchy" not in arranged.missing
    return Lineage(rows, ids, recorded=recorded, observations=observations)


def family(ids: Sequence[DataSetId], fields: Fields) -> sa.Select[tuple[Any, ...]]:
    """Select DataSets with all their ancestors and descendants, one row each, without arrays.

    ``sources`` are the ids of the sources of a DataSet, separated by commas. The columns of its
    observation follow. UNION drops rows that were found before, so that the recursion ends even if
    the data contain a cycle.
    """
    ancestors = _closure(
        ids, "ancestor", of=_link.c.child_dataset_id, give=_link.c.source_dataset_id
    )
    descendants = _closure(
        ids, "descendant", of=_link.c.source_dataset_id, give=_link.c.child_dataset_id
    )
    known = sa.union(sa.select(ancestors.c.id), sa.select(descendants.c.id)).cte("known")
    made = _for_each(
        known, sa.select(*_columns(_dataset)).where(_dataset.c.id == known.c.id), "made"
    )
    member = (
        sa.select(known.c.id, *_columns(made))
        .select_from(known.join(made, sa.true()))
        .cte("member")
    )
    # Once per observation, because the cardinality of a cadence_reference requires reading the
    # array.
    each = sa.select(member.c.observation_id).distinct().cte("each")
    among = _observation.c.id == sa.any_(sa.func.array(sa.select(each).scalar_subquery()))
    seen = described(among, columns_of(fields)).cte("seen").prefix_with("MATERIALIZED")
    links = _for_each(
        member,
        sa.select(
            sa.func.string_agg(sa.cast(_link.c.source_dataset_id, sa.Text), ",").label("sources")
        ).where(_link.c.child_dataset_id == member.c.id),
        "links",
    )
    return sa.select(
        member.c.id.label("dataset"),
        Target.name.label("target"),
        MissionCatalog.name.label("catalog"),
        member.c.observation_id.label("observation"),
        PhotometricSource.name.label("photometry"),
        ProcessingMethod.name.label("processing"),
        seen.c.cadences,
        links.c.sources,
        *(column for column in seen.c if column.name != "cadences"),
    ).select_from(
        member.join(Target, Target.id == member.c.target_id)
        .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .join(seen, seen.c.id == member.c.observation_id)
        .outerjoin(PhotometricSource, PhotometricSource.id == member.c.photometric_method_id)
        .outerjoin(ProcessingMethod, ProcessingMethod.id == member.c.processing_method_id)
        .outerjoin(links, sa.true())
    )


@lru_cache(maxsize=2)
def ancestry(*, keys: bool = False) -> sa.Select[tuple[Any, ...]]:
    """Select all links above DataSets: ``child``, ``source``, and the source's methods.

    The ids of the DataSets are the parameter ``ids``.
    """
    child, source = _link.c.child_dataset_id, _link.c.source_dataset_id
    links = (
        sa.select(child, source).where(any_of(child, "ids", keys=keys)).cte("links", recursive=True)
    )
    further = _for_each(
        links, sa.select(child, source).where(child == links.c.source_dataset_id), "further"
    )
    links = links.union(sa.select(further).select_from(links.join(further, sa.true())))
    made = _for_each(
        links,
        sa.select(*_columns(_dataset)).where(_dataset.c.id == links.c.source_dataset_id),
        "made",
    )
    return sa.select(
        links.c.child_dataset_id.label("child"),
        links.c.source_dataset_id.label("source"),
        _photometry.c.name.label("photometry"),
        _processing.c.name.label("processing"),
    ).select_from(
        links.join(made, sa.true())
        .outerjoin(_photometry, _photometry.c.id == made.c.photometric_method_id)
        .outerjoin(_processing, _processing.c.id == made.c.processing_method_id)
    )


def links_sql(session: orm.Session, ids: str) -> str:
    """Return the SQL of :func:`ancestry`, for a statement without parameters.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session, of a database whose DataSets have an id.
    ids : str
        The literal of an array of the ids.
    """
    text = _ancestry_text(layout.of(session), session.get_bind().dialect)
    return text.replace(_IDS, f"'{ids}'")


# The place of the ids in a statement that is kept.
_IDS = ":ids:"


@lru_cache(maxsize=8)
def _ancestry_text(arranged: layout.Layout, dialect: sa.Dialect) -> str:
    """Compile the statement, with its values other than ``ids``."""
    compiled = arranged.present(ancestry()).compile(dialect=dialect)
    # The others are the zeros of OFFSET.
    values = {name: int(value) for name, value in compiled.params.items() if name != "ids"}
    return str(compiled) % (values | {"ids": _IDS})


def _closure(
    ids: Sequence[DataSetId], name: str, *, of: sa.ColumnElement[int], give: sa.ColumnElement[int]
) -> sa.CTE:
    """Collect the ids of DataSets, and of all DataSets that can be reached from them by links."""
    requested = any_of(_dataset.c.id, ids, keys=are_keys(ids))
    found = sa.select(_dataset.c.id).where(requested).cte(name, recursive=True)
    step = _for_each(found, sa.select(give.label("id")).where(of == found.c.id), f"{name}_next")
    return found.union(sa.select(step.c.id).select_from(found.join(step, sa.true())))


def _for_each(rows: sa.FromClause, found: sa.Select[Any], name: str) -> sa.FromClause:
    """Look up rows for each row of a recursive query, by an index.

    The planner overestimates the number of rows of a recursion a hundredfold, and would scan whole
    tables for a few rows in an ordinary join. LATERAL with OFFSET 0 prevents this.
    """
    return found.offset(0).correlate(rows).lateral(name)


def _columns(table: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    """List the columns of DataSets that a lineage needs, without arrays."""
    return [table.c[name] for name in _ABOUT]
