"""Criteria on small tables, turned into the ids that they mean in the large tables.

With ids the planner knows from its statistics how many DataSets there are about, and reads few
through ``ix_dataset_observation_id``, ``ix_dataset_photometric_method_id`` or
``ix_dataset_processing_method_id``. With names it would have to guess.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.lightcurve.record import RAW
from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.models import (
    DataSet,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.criteria import Criteria

__all__ = ["Constants", "constants", "constants_column", "constants_of", "parametrised"]

_dataset = DataSet.__table__
_target = Target.__table__

Ids = Sequence[int] | str


@dataclass(frozen=True)
class Constants:
    """Ids that DataSets and targets must have; None where all match.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    observations, photometry, processing, catalogs : sequence of int or str, optional
        Ids to match, or the name of a parameter for them.
    raw : bool, default False
        Whether raw photometry matches, too.
    positions : sequence of int or str, default ()
        Ids of processing methods that are left out, or the name of a parameter for them.
    """

    criteria: Criteria
    observations: Ids | None = None
    photometry: Ids | None = None
    processing: Ids | None = None
    catalogs: Ids | None = None
    raw: bool = False
    positions: Ids = ()

    def of_target(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on the table of targets."""
        by_number = sql.shape_of(dataclasses.replace(self.criteria, catalogs=()))
        matches = sql.target_matches(by_number)
        if self.catalogs is not None:
            matches.append(sql.any_of(_target.c.catalog_id, self.catalogs))
        return matches

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on the table of DataSets."""
        matches = []
        if self.observations is not None:
            matches.append(sql.any_of(_dataset.c.observation_id, self.observations))
        if self.photometry is not None:
            matches.append(sql.any_of(_dataset.c.photometric_method_id, self.photometry))
        method = _dataset.c.processing_method_id
        if self.processing is not None:
            processed = sql.any_of(method, self.processing)
            raw = method.is_(None)
            if not self.raw:
                matches.append(processed)
            else:
                matches.append(sa.or_(raw, processed) if self.processing else raw)
        if self.positions:
            matches.append(method.is_(None) | sa.not_(sql.any_of(method, self.positions)))
        return matches

    def select(
        self, column: Any = _dataset.c.id, further: Sequence[sa.ColumnElement[bool]] = ()
    ) -> sa.Select[Any]:
        """Select a column of the matching DataSets, in no particular order.

        Parameters
        ----------
        column : sqlalchemy.Column, default DataSet.id
            A column of the table of DataSets.
        further : sequence of sqlalchemy.ColumnElement, default ()
            Other conditions on the table of targets.
        """
        rows = sa.select(column).select_from(_dataset)
        of_target = [*self.of_target(), *further]
        if of_target:
            rows = rows.join(_target, _target.c.id == _dataset.c.target_id)
        return rows.where(*of_target, *self.conditions())


def constants(session: orm.Session, criteria: Criteria) -> Constants:
    """Look up the ids that the criteria of a search mean, in at most one statement."""
    arms = _arms(criteria)
    found: list[tuple[str, int]] = []
    if arms:
        statements = [*arms.values()]
        statement = layout.present(
            session, sa.union_all(*statements) if len(statements) > 1 else statements[0]
        )
        given = sql.parameters(criteria)
        found = [(kind, id_) for kind, id_ in session.connection().execute(statement, given)]
    return constants_of(criteria, found)


def constants_column(criteria: Criteria) -> sa.ColumnElement[Any]:
    """Return a column with the ids that criteria mean, for another statement."""
    arms = [*_arms(criteria).values()]
    if not arms:
        return sa.literal_column("NULL::json")
    ids = (sa.union_all(*arms) if len(arms) > 1 else arms[0]).subquery("meant")
    pairs = sa.func.json_build_array(ids.c.kind, ids.c.id)
    return sa.select(sa.func.json_agg(pairs)).select_from(ids).scalar_subquery()


def constants_of(criteria: Criteria, found: Iterable[tuple[str, int]]) -> Constants:
    """Return the ids that criteria mean.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    found : iterable of tuple of (str, int)
        What :func:`constants_column` contains.
    """
    ids: dict[str, list[int]] = {kind: [] for kind in _arms(criteria)}
    for kind, id_ in found:
        ids[kind].append(id_)
    return Constants(
        criteria,
        **{name: tuple(sorted(some)) for name, some in ids.items()},
        raw=None in criteria.processing,
    )


def parametrised(criteria: Criteria) -> tuple[Constants, sa.Select[Any] | None]:
    """Return the ids that criteria mean as parameters, and a query for their values.

    Returns
    -------
    Constants
        Its ids are parameters, named like the columns of the query.
    sqlalchemy.Select or None
        A query with one row, of arrays of ids; None if there are no parameters.
    """
    arms = {f"{kind}_ids": (kind, arm) for kind, arm in _arms(criteria).items()}
    given: dict[str, Any] = {kind: name for name, (kind, _) in arms.items()}
    meant = Constants(criteria, **given, raw=None in criteria.processing)
    if not arms:
        return meant, None
    arrays = [
        sa.func.array(arm.with_only_columns(arm.selected_columns.id).scalar_subquery()).label(name)
        for name, (_, arm) in arms.items()
    ]
    return meant, sa.select(*arrays)


def _arms(criteria: Criteria) -> dict[str, sa.Select[Any]]:
    """Return the statements that find the ids of each kind of criterion."""
    processing = [name for name in criteria.processing if name is not None]
    of_observation = sql.observation_matches(sql.shape_of(criteria))
    raw_names = sa.func.lower(ProcessingMethod.name) == RAW
    arms: dict[str, tuple[Any, list[sa.ColumnElement[bool]]]] = {
        "observations": (Observation.id, of_observation),
        "photometry": (
            PhotometricSource.id,
            [PhotometricSource.name.in_(criteria.photometry)] if criteria.photometry else [],
        ),
        "processing": (
            ProcessingMethod.id,
            [
                sa.or_(
                    ProcessingMethod.name.in_(processing),
                    *([raw_names] if criteria.raw_by_word else []),
                )
            ]
            if criteria.processing
            else [],
        ),
        "catalogs": (
            MissionCatalog.id,
            [MissionCatalog.name.in_(criteria.catalogs)] if criteria.catalogs else [],
        ),
        "positions": (
            ProcessingMethod.id,
            [ProcessingMethod.name.in_([*POSITIONS])] if criteria.without_positions else [],
        ),
    }
    return {
        kind: sa.select(sa.literal(kind).label("kind"), id_.label("id")).where(*conditions)
        for kind, (id_, conditions) in arms.items()
        if conditions
    }
