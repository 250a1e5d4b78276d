"""DataFrames of targets, observations, instruments, missions, methods, frames and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors.arguments import check_page
from lcdb_notebook.models import (
    Base,
    DataSet,
    FITSFrame,
    Instrument,
    Mission,
    MissionCatalog,
    NumpyArray,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    QualityFlagArray,
    Target,
)
from lcdb_notebook.search import layout, sql, stars
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.layout.flag_types import FLAG_TYPES
from lcdb_notebook.search.numbered import numbered

if TYPE_CHECKING:
    import pandas as pd

    from lcdb_notebook.search.instruments import InstrumentTree

__all__ = [
    "frames",
    "instruments",
    "missions",
    "observations",
    "photometric_sources",
    "processing_methods",
    "quality_flags",
    "targets",
]


def targets(
    session: orm.Session, criteria: Criteria, limit: int | None, offset: int
) -> pd.DataFrame:
    """List targets: ``target`` (number), ``catalog``, ``mission``, ``id``, and ``aliases``."""
    check_page(limit, offset)
    listed_aliases, criteria = criteria.aliases, stars.with_aliases(session, criteria)
    statement = (
        sa.select(
            Target.name.label("target"),
            MissionCatalog.name.label("catalog"),
            Mission.name.label("mission"),
            Target.id.label("id"),
        )
        .join(Target.catalog)
        .join(MissionCatalog.host_mission)
        .where(*sql.target_matches(sql.shape_of(criteria)))
        .order_by(Target.name, Target.id)
    )
    shape = sql.shape_of(criteria)
    of_observation = sql.observation_matches(shape)
    of_dataset = sql.dataset_matches(shape)
    page = statement.limit(limit).offset(offset)
    if of_observation or of_dataset:
        seen = sa.select(DataSet.id).where(DataSet.target_id == Target.id, *of_dataset)
        if of_observation:
            seen = seen.join(Observation, Observation.id == DataSet.observation_id)
            seen = seen.where(*of_observation)
        page = page.where(seen.exists())
    fitted = layout.parts(session, page, criteria)
    if len(fitted) > 1:
        most = None if limit is None else offset + limit
        found = numbered(session, criteria, most=most, each_once=True) or []
        ids = [target.id for target in found[offset:most]]
        fitted = [layout.present(session, statement.where(sql.any_of(Target.id, ids)))]
    frame = _as_frame(session.execute(fitted[0], sql.parameters(criteria)))
    if listed_aliases:
        names = stars.aliases(session, frame["id"].tolist())
        frame["aliases"] = [", ".join(names.get(id_, ())) for id_ in frame["id"]]
    return frame


def observations(
    session: orm.Session, criteria: Criteria, limit: int | None, offset: int
) -> pd.DataFrame:
    """List observations: id, type, the fields of their classes, instrument path, cadences."""
    check_page(limit, offset)
    import pandas as pd

    shape = sql.shape_of(criteria)
    statement = (
        sa.select(Observation.id).where(*sql.observation_matches(shape)).order_by(Observation.id)
    )
    of_target = sql.target_matches(shape)
    if of_target:
        seen = (
            sa.select(DataSet.id)
            .join(Target, Target.id == DataSet.target_id)
            .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
            .where(DataSet.observation_id == Observation.id, *of_target)
        )
        statement = statement.where(seen.exists())
    arranged = layout.of(session)
    given = sql.parameters(criteria)
    fitted = layout.parts(session, statement.limit(limit).offset(offset), criteria)
    if len(fitted) == 1:
        ids = list(session.scalars(fitted[0], given))
    else:
        of_parts = layout.parts(session, statement, criteria)
        found = {id_ for part in of_parts for id_ in session.scalars(part, given)}
        ids = sorted(found)[offset : None if limit is None else offset + limit]
    described, values_given = sql.observations(ids, arranged.fields)
    result = session.execute(arranged.present(described), values_given)
    # Labels are table.column; a field of several classes becomes one column.
    frame = pd.DataFrame(result.all(), columns=list(result.keys()))
    frame["instrument"] = [" / ".join(path or ()) for path in frame["instrument"]]
    merged = frame[["id", "type"]].copy()
    for label in frame.columns.drop(["id", "type", "cadences", "instrument"]):
        name = label.partition(".")[2]
        values = frame[label].convert_dtypes()
        merged[name] = merged[name].combine_first(values) if name in merged else values
    merged[["instrument", "cadences"]] = frame[["instrument", "cadences"]]
    used = [c for c in merged if c in ("id", "type") or len(merged) == 0 or merged[c].notna().any()]
    return merged[used].sort_values("id", ignore_index=True)


def instruments(session: orm.Session) -> InstrumentTree:
    """List instruments as a tree: ``name``, ``part_of``, ``depth``, ``id``."""
    from lcdb_notebook.search.instruments import as_tree

    statement = sa.select(Instrument.id, Instrument.name, Instrument.parent_id)
    rows = session.execute(layout.present(session, statement.order_by(Instrument.name)))
    return as_tree([(row.id, row.name, row.parent_id) for row in rows])


def missions(session: orm.Session) -> pd.DataFrame:
    """List missions with their time formats and catalogs."""
    catalogs = (
        sa.select(sa.func.string_agg(MissionCatalog.name, ", "))
        .where(MissionCatalog.host_mission_id == Mission.id)
        .scalar_subquery()
    )
    columns = [c for c in Mission.__table__.c if c.name != "id"]
    return _frame(session, sa.select(*columns, catalogs.label("catalogs")).order_by(Mission.name))


def photometric_sources(session: orm.Session) -> pd.DataFrame:
    """List photometric sources: id, name, description."""
    return _whole_table(session, PhotometricSource)


def processing_methods(session: orm.Session) -> pd.DataFrame:
    """List processing methods: id, name, description."""
    return _whole_table(session, ProcessingMethod)


def frames(
    session: orm.Session, criteria: Criteria, limit: int | None, offset: int
) -> pd.DataFrame:
    """List FITS frames by observation and cadence, with their paths."""
    check_page(limit, offset)
    statement = sa.select(FITSFrame.__table__).order_by(FITSFrame.observation_id, FITSFrame.cadence)
    statement = _of_observations(statement, FITSFrame.observation_id, criteria)
    return _frame(session, statement.limit(limit).offset(offset), criteria)


def quality_flags(
    session: orm.Session, criteria: Criteria, limit: int | None, offset: int
) -> pd.DataFrame:
    """List quality-flag arrays without their contents: type, observation, target, date."""
    check_page(limit, offset)
    statement = (
        sa.select(
            QualityFlagArray.id,
            QualityFlagArray.type,
            QualityFlagArray.observation_id.label("observation"),
            Target.name.label("target"),
            MissionCatalog.name.label("catalog"),
            QualityFlagArray.created_on,
        )
        .outerjoin(Target, Target.id == QualityFlagArray.target_id)
        .outerjoin(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .where(*sql.target_matches(sql.shape_of(criteria)))
        .order_by(QualityFlagArray.id)
    )
    statement = _of_observations(statement, QualityFlagArray.observation_id, criteria)
    if layout.of(session).flags_by_type:
        statement = statement.where(*_in_index_by_type(criteria))
    return _frame(session, statement.limit(limit).offset(offset), criteria)


def _in_index_by_type(criteria: Criteria) -> list[sa.ColumnElement[bool]]:
    """Return conditions that hold for the flags of targets, on all columns of the index."""
    shape = sql.shape_of(criteria)
    of_target = sql.target_matches(shape)
    if not of_target:
        return []
    targets = sa.select(Target.id).join(Target.catalog).where(*of_target)
    seen_in = sa.select(Observation.id).where(*sql.observation_matches(shape))
    types = sa.literal_column(FLAG_TYPES, sa.ARRAY(sa.Text))
    return [
        QualityFlagArray.type == sa.any_(types),
        QualityFlagArray.observation_id == sa.any_(_array(seen_in)),
        sa.func.coalesce(QualityFlagArray.target_id, sa.literal_column("-1"))
        == sa.any_(_array(targets)),
    ]


def _array(ids: sa.Select[Any]) -> sa.ColumnElement[Any]:
    kind = sa.ARRAY(sa.BigInteger)
    array: sa.ColumnElement[Any] = sa.func.array(ids.scalar_subquery(), type_=kind)
    return array


def _of_observations(statement: Any, observation_id: Any, criteria: Criteria) -> Any:
    matches = sql.observation_matches(sql.shape_of(criteria))
    if matches:
        joined = statement.join(Observation, Observation.id == observation_id)
        statement = joined.where(*matches)
    return statement


def _whole_table(session: orm.Session, model: type[Base]) -> pd.DataFrame:
    columns = [c for c in model.__table__.c if not isinstance(c.type, NumpyArray)]
    return _frame(session, sa.select(*columns).order_by(sa.text("name")))


def _frame(
    session: orm.Session, statement: sa.Executable, criteria: Criteria | None = None
) -> pd.DataFrame:
    fitted = layout.present(session, statement)
    return _as_frame(session.execute(fitted, {} if criteria is None else sql.parameters(criteria)))


def _as_frame(result: sa.Result[Any]) -> pd.DataFrame:
    import pandas as pd

    names = list(result.keys())
    columns = list(zip(*result.all(), strict=True)) or [()] * len(names)
    # With a None, pandas would convert integers to float64, which cannot represent Gaia numbers.
    kinds = [object if any(value is None for value in values) else None for values in columns]
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=kind)
            for name, values, kind in zip(names, columns, kinds, strict=True)
        }
    )
