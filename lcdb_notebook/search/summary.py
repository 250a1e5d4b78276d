"""Summary of a database: how many targets, observations and light curves it contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import (
    Base,
    DataSet,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summary"]

# Larger numbers of rows are the planner's estimate, because counting reads the whole table.
_COUNTED = 1_000_000


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
