"""Results of a search: rows and their observations, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import LCDBError, LightCurveNotFoundError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import ObservationData, processing_label
from lcdb_notebook.lightcurve.units import known_unit
from lcdb_notebook.models import Mission, Observation, Target
from lcdb_notebook.search import explain, layout, sql, stars
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.numbered import Seen, in_groups, numbered
from lcdb_notebook.search.rows import FoundRow, Row
from lcdb_notebook.server.engine import BEFORE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Found", "find", "find_again", "missions"]


#: Name and clock of missions, by id.
Missions = Mapping[UUID, tuple[str, Clock]]

# Rows of a page at most whose observations are read in the same statement. As the fields of an
# observation are then sent with each of its rows, larger pages would take more bytes than time.
_READ_TOGETHER = 1_001


@dataclass(frozen=True, eq=False)
class Found:
    """The rows of a search.

    Parameters
    ----------
    rows : sequence of Row
        One row per DataSet, in the order of the search.
    observations : mapping of int to tuple of (ObservationData, int)
        The observations of the rows by id, each with its number of cadences.
    why : LCDBError, optional
        The error that explains why there are no rows, if that is known.
    is_page : bool, default False
        Whether other rows of the search follow.
    missions : mapping of uuid.UUID to tuple of (str, Clock), optional
        Name and clock of the missions of the rows by id, if they were read.
    further : object, optional
        The value of a further column that was requested, if there are rows.
    """

    rows: Sequence[Row]
    observations: Mapping[int, tuple[ObservationData, int]]
    why: LCDBError | None = None
    is_page: bool = False
    missions: Missions | None = None
    further: Any = None

    def part(self, start: int, stop: int | None) -> Found:
        """Return the rows from ``start`` up to, and excluding, ``stop``."""
        return Found(self.rows[start:stop], self.observations, missions=self.missions)

    def require(self) -> None:
        """Raise the error that explains why there are no rows, if this is the case."""
        if not self.rows:
            if self.why is None:
                raise LightCurveNotFoundError("this part of the selection is empty")
            # A copy: an exception that is raised twice has both tracebacks.
            raise type(self.why)(*self.why.args)

    def table(self) -> pd.DataFrame:
        """Return a DataFrame of the rows, one per DataSet."""
        import pandas as pd

        known = [self.observations[row.observation] for row in self.rows]
        seen = {about.id: about for about, _ in known}
        fields = dict.fromkeys(
            name
            for about in seen.values()
            for name, value in about.fields.items()
            if value is not None
        )
        columns: dict[str, list[Any]] = {
            "dataset": [row.dataset for row in self.rows],
            "target": [row.target for row in self.rows],
            "catalog": [row.catalog for row in self.rows],
            "observation": [row.observation for row in self.rows],
            **{name: [about.fields.get(name) for about, _ in known] for name in fields},
            "instrument": [" / ".join(about.instrument) for about, _ in known],
            "photometry": [row.photometry for row in self.rows],
            "processing": [processing_label(row.processing) for row in self.rows],
            "unit": [known_unit(row.unit, row.photometry, row.processing) for row in self.rows],
            "cadences": [cadences for _, cadences in known],
        }
        return pd.DataFrame(columns)


def find(
    session: orm.Session,
    criteria: Criteria,
    *,
    limit: int | None,
    offset: int,
    backwards: bool = False,
    after: int | None = None,
    column: sa.ColumnElement[Any] | None = None,
    block: str | None = None,
) -> Found:
    """Run a search, in at most two statements, or four if nothing is found.

    A page of at most 1,001 rows takes one statement.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session; its uncommitted rows are included.
    criteria : Criteria
        The criteria of the search.
    limit : int or None
        Number of rows at most; None for all.
    offset : int
        Number of rows to skip.
    backwards : bool, default False
        Begin at the last row.
    after : int, optional
        Find only larger catalog numbers.
    column : sqlalchemy.ColumnElement, optional
        A further column with the same value for all rows, for a page of at most 1,001 rows; not in
        LightcurveDB 3.
    block : str, optional
        A block of PL/pgSQL that sets what the column reads, sent together with the statement.

    Raises
    ------
    NotFoundError
        If a requested name or number does not exist in the database.
    AmbiguousError
        If ``processing="raw"`` could mean light curves without processing, or a method.
    """
    resolved = stars.with_aliases(session, criteria)
    statement, values = sql.datasets(
        resolved, limit=limit, offset=offset, backwards=backwards, after=after
    )
    arranged = layout.of(session)
    together = limit is not None and limit <= _READ_TOGETHER and arranged.keyed is None
    if together:
        statement = sql.with_observations(statement, arranged.fields)
        if column is not None:
            statement = statement.add_columns(column.label("further"))
    fitted = layout.parts(session, statement, resolved)
    rows: Sequence[Any]
    if len(fitted) == 1:
        # A cursor on the server has one statement.
        here = {"stream_results": False, "yield_per": None}
        options = {} if block is None else {BEFORE: block, **here}
        rows = session.connection().execute(fitted[0], values, execution_options=options).all()
    else:
        most = None if limit is None else offset + limit
        further = [] if after is None else [Target.name > after]
        targets = numbered(session, resolved, most=most, backwards=backwards, further=further)
        rows = _of_targets(session, resolved, targets or [], offset, backwards=backwards)[:limit]
    if not rows:
        is_first = offset == 0 and limit != 0 and after is None
        why = explain.explain(session, criteria) if is_first else None
        if why is not None and not isinstance(why, LightCurveNotFoundError):
            raise why
        return Found((), {}, why)
    if criteria.raw_by_word:
        explain.check_raw(rows)
    if not together:
        return _described(session, rows)
    found = _divided(rows, arranged)
    return found if column is None else replace(found, further=rows[0].further)


def _of_targets(
    session: orm.Session,
    criteria: Criteria,
    targets: Sequence[Seen],
    offset: int,
    *,
    backwards: bool,
) -> list[Any]:
    """Return the rows of targets in the order of a search, without the first ones."""
    rows: list[Any] = []
    for some in in_groups(targets):
        number = sum(target.datasets for target in some)
        if number <= offset:
            offset -= number
            continue
        of_some = replace(criteria, numbers=None, target_ids=tuple(target.id for target in some))
        statement, values = sql.datasets(of_some, backwards=backwards)
        (fitted,) = layout.parts(session, statement, of_some)
        rows += session.connection().execute(fitted, values).all()[offset:]
        offset = 0
    return rows


def find_again(session: orm.Session, datasets: Sequence[DataSetId]) -> Found:
    """Find DataSets by id, in the order of the ids; those deleted meanwhile are left out."""
    statement, values = sql.datasets_of(datasets)
    fitted = layout.present(session, statement, ids=datasets)
    found = session.connection().execute(fitted, values)
    rows = {row.dataset: row for row in found}
    return _described(session, [rows[id_] for id_ in datasets if id_ in rows])


def _divided(rows: Sequence[Any], arranged: layout.Layout) -> Found:
    """Divide rows of :func:`sql.with_observations` into DataSets, observations and missions."""
    observations: dict[int, tuple[ObservationData, int]] = {}
    missions: dict[UUID, tuple[str, Clock]] = {}
    for row in rows:
        if row.observation not in observations:
            observations[row.observation] = observation_of(row, arranged)
        values = row._mapping
        id_ = values["mission.id"]
        if id_ is not None and id_ not in missions:
            columns = {name: values[f"mission.{name}"] for name in sql.CLOCK}
            missions[id_] = columns["name"], _clock(**columns)
    kept: list[Any] = [FoundRow(*row[: len(FoundRow._fields)]) for row in rows]
    return Found(kept, observations, missions=missions)


def _described(session: orm.Session, rows: Sequence[Any]) -> Found:
    """Read the observations of rows."""
    ids = list(dict.fromkeys(row.observation for row in rows))
    arranged = layout.of(session)
    statement, values = sql.observations(ids, arranged.fields)
    described = session.connection().execute(arranged.present(statement), values).all()
    observations = {row.id: observation_of(row, arranged) for row in described}
    if len(observations) < len(ids):
        # An observation and its DataSets were deleted between the two statements.
        rows = [row for row in rows if row.observation in observations]
    return Found(rows, observations)


def missions(session: orm.Session) -> dict[UUID, tuple[str, Clock]]:
    """Read the name and the clock of every mission."""
    found = session.connection().execute(layout.present(session, sql.missions()))
    return {row.id: (row.name, _clock(**row._mapping)) for row in found}


@lru_cache
def _clock(**columns: Any) -> Clock:
    # Cached so that equal clocks are one object: light curves are compared by it.
    return Mission(**columns).clock


def observation_of(row: Any, arranged: layout.Layout) -> tuple[ObservationData, int]:
    """Return the observation of a row of :func:`sql.observations`, and its number of cadences."""
    values = row._mapping
    mapper = sa.inspect(Observation).polymorphic_map[row.type]
    labels = {
        name: f"{getattr(column.table, 'name', '')}.{column.name}"
        for name, column in mapper.columns.items()
    }
    fields = {name: values[label] for name, label in labels.items() if label in values}
    chronology = mapper.class_.__chronology__
    if arranged.side_fields:
        found = {name: values[f"observation.{name}"] for name in arranged.side_fields}
        fields |= {name: value for name, value in found.items() if value is not None}
        chronology = tuple(name for name in sql.chronology() if name in fields)
    about = ObservationData(row.id, row.type, fields, tuple(row.instrument or ()), chronology)
    return about, row.cadences
