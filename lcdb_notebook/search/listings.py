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
    "summary",
    "targets",
]

# Larger numbers of rows are the planner's estimate, because counting reads the whole table.
_COUNTED = 1_000_000


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
    if of_observation or of_dataset:
        seen = sa.select(DataSet.id).where(DataSet.target_id == Target.id, *of_dataset)
        if of_observation:
            seen = seen.join(Observation, Observation.id == DataSet.observation_id)
            seen = seen.where(*of_observation)
        statement = statement.where(seen.exists())
    frame = _frame(session, statement.limit(limit).offset(offset), criteria)
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
        sa.select(Observation.id)
        .where(*sql.observation_matches(shape))
        .order_by(Observation.id)
        .limit(limit)
        .offset(offset)
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
    fitted = layout.present(session, statement, criteria)
    ids = list(session.scalars(fitted, sql.parameters(criteria)))
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


def summary(session: orm.Session) -> pd.DataFrame:
    """Summarise a database, in four statements: ``what``, ``number``, ``exact`` and ``which``.

    There is one row each for targets (with catalogs), observations (with sectors, quarters, ...),
    light curves, photometric sources and processing methods (with names). Above a million rows, the
    number is PostgreSQL's estimate and not ``exact``.
    """
    import pandas as pd

    tables = {"targets": Target, "observations": Observation, "light curves": DataSet}
    arranged = layout.of(session)
    plain = [model for model in tables.values() if arranged.keyed is None or model is not DataSet]
    counting = sa.select(
        *(_counted(model).label(f"{model.__tablename__}_counted") for model in plain),
        *(_estimated(model).label(model.__tablename__) for model in tables.values()),
    )
    counts = dict(session.execute(arranged.present(counting)).one()._mapping)
    if arranged.keyed is not None:
        counts["dataset_counted"] = arranged.keyed.count(session, _COUNTED)
    naming_catalogs = sa.select(MissionCatalog.name).order_by(MissionCatalog.name)
    catalogs = list(session.scalars(layout.present(session, naming_catalogs)))
    kinds = (PhotometricSource, ProcessingMethod)
    naming = sa.union_all(
        *(sa.select(sa.literal(kind.__tablename__).label("kind"), kind.name) for kind in kinds)
    ).order_by("name")
    named = session.execute(layout.present(session, naming)).all()
    which = {"targets": ", ".join(catalogs), "observations": _seasons(session), "light curves": ""}
    rows: list[tuple[str, int, bool, str]] = []
    for what, model in tables.items():
        counted, estimate = counts[f"{model.__tablename__}_counted"], counts[model.__tablename__]
        exact = counted <= _COUNTED
        rows.append((what, counted if exact else max(counted, estimate), exact, which[what]))
    for what, kind in zip(("photometry", "processing"), kinds, strict=True):
        names = [row.name for row in named if row.kind == kind.__tablename__]
        rows.append((what, len(names), True, ", ".join(names)))
    return pd.DataFrame(rows, columns=["what", "number", "exact", "which"])


def _counted(model: type[Base]) -> sa.ScalarSelect[int]:
    some = sa.select(sa.literal(1)).select_from(model).limit(_COUNTED + 1).subquery()
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()


def _estimated(model: type[Base]) -> sa.ScalarSelect[int]:
    relation = sa.func.to_regclass(model.__tablename__)
    estimate = sa.cast(sa.literal_column("reltuples"), sa.BigInteger)
    return (
        sa.select(estimate)
        .select_from(sa.table("pg_class", sa.column("oid")))
        .where(sa.column("oid") == relation)
        .scalar_subquery()
    )


def _seasons(session: orm.Session) -> str:
    """Return the range of each class's chronology: ``sector 1 to 26, quarter 0 to 17``."""
    names = dict.fromkeys(
        mapper.class_.__chronology__[0]
        for mapper in sa.inspect(Observation).self_and_descendants
        if mapper.class_.__chronology__
    )
    table = Observation.__table__
    fields = [table.c[name] for name in names if name in table.c]
    if not fields:
        return ""
    ending = sa.select(*(end(field) for field in fields for end in (sa.func.min, sa.func.max)))
    ends = session.execute(layout.present(session, ending)).one()
    ranges = [
        f"{field.name} {first}" if first == last else f"{field.name} {first} to {last}"
        for field, first, last in zip(fields, ends[::2], ends[1::2], strict=True)
        if first is not None
    ]
    return ", ".join(ranges)


def _whole_table(session: orm.Session, model: type[Base]) -> pd.DataFrame:
    columns = [c for c in model.__table__.c if not isinstance(c.type, NumpyArray)]
    return _frame(session, sa.select(*columns).order_by(sa.text("name")))


def _frame(
    session: orm.Session, statement: sa.Executable, criteria: Criteria | None = None
) -> pd.DataFrame:
    import pandas as pd

    fitted = layout.present(session, statement, criteria)
    result = session.execute(fitted, None if criteria is None else sql.parameters(criteria))
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
