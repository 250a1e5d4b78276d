"""The light curves of a search, observation by observation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.models import (
    DataSet,
    MissionCatalog,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search import explain, layout, results, sql
from lcdb_notebook.search.constants import Constants, constants
from lcdb_notebook.search.criteria import Criteria
from lcdb_notebook.search.layout.flag_types import indexed_conditions
from lcdb_notebook.search.lazy import Sessions
from lcdb_notebook.search.results import Found

__all__ = [
    "FIRST_PAGE",
    "LARGEST_PAGE",
    "Kind",
    "ObservationMatches",
    "has_catalogs",
    "observations",
    "page_sizes",
    "paged",
]

#: Rows of the first page, so that the first light curve comes soon, and of the largest.
FIRST_PAGE, LARGEST_PAGE = 200, 5_000

_dataset = DataSet.__table__
_target = Target.__table__
_photometry = PhotometricSource.__table__
_processing = ProcessingMethod.__table__


class Kind(NamedTuple):
    """DataSets of an observation with the same catalog and methods.

    Parameters
    ----------
    dataset : int or str
        One of them.
    number : int
        How many there are.
    made_by : tuple
        The ids of the photometric source, the processing method and the catalog.
    """

    dataset: DataSetId
    number: int
    made_by: tuple[Any, ...]


@dataclass(frozen=True)
class ObservationMatches:
    """What the light curves of each observation of a search match; can be sent to workers.

    Parameters
    ----------
    ids : Constants
        The ids that the criteria mean.
    """

    ids: Constants

    @classmethod
    def of(cls, session: orm.Session, criteria: Criteria, ids: Constants | None = None) -> Self:
        """Look up what criteria mean, unless it is known."""
        found = constants(session, criteria) if ids is None else ids
        on_others = replace(
            criteria, observations=(), types=(), missions=(), instruments=(), fields={}, columns={}
        )
        return cls(replace(found, criteria=on_others, observations=None))

    def datasets(
        self,
        session: orm.Session,
        observation: int,
        low: int | None = None,
        end: int | None = None,
        *,
        targets: Sequence[int] | None = None,
    ) -> list[tuple[DataSetId, int]]:
        """Return the DataSets of an observation and their targets, in the order of the latter.

        They are found by ``ix_dataset_observation_id``, or by
        ``ix_dataset_target_id_observation_id`` if targets are given.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        observation : int
            Id of the observation.
        low, end : int, optional
            The lowest id of a target, and the first one that is too high.
        targets : sequence of int, optional
            The ids of targets; None for all.
        """
        order = (
            _dataset.c.target_id,
            _photometry.c.name.nulls_first(),
            _processing.c.name.nulls_first(),
            _dataset.c.id,
        )
        rows = (
            self._rows(observation, _dataset.c.id)
            .add_columns(_dataset.c.target_id)
            .outerjoin(_photometry, _photometry.c.id == _dataset.c.photometric_method_id)
            .outerjoin(_processing, _processing.c.id == _dataset.c.processing_method_id)
            .order_by(*order)
        )
        if low is not None:
            rows = rows.where(_dataset.c.target_id >= low)
        if end is not None:
            rows = rows.where(_dataset.c.target_id < end)
        if targets is not None:
            rows = rows.where(sql.any_of(_dataset.c.target_id, targets))
        found = self._run(session, observation, rows)
        return [(dataset, target) for dataset, target in found]

    def some_targets(self, session: orm.Session, observation: int, most: int) -> list[int]:
        """Return the ids of the targets of some DataSets of an observation.

        They are the first in ``ix_dataset_observation_id``, so that this takes as long for many
        DataSets as for few.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        observation : int
            Id of the observation.
        most : int
            Number of DataSets.
        """
        rows = (
            self._rows(observation, _dataset.c.target_id)
            # In the order of that index, because a planner that expects to find so few rows soon
            # would otherwise begin to read the table.
            .order_by(_dataset.c.observation_id)
            .limit(sa.literal_column(str(most)))
        )
        return sorted({target for (target,) in self._run(session, observation, rows)})

    def kinds(self, session: orm.Session, observation: int, *, catalogs: bool) -> list[Kind]:
        """Return a DataSet of each kind, and how many there are.

        They are found by ``ix_dataset_observation_id``, and counted at the server.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        observation : int
            Id of the observation.
        catalogs : bool
            Whether targets may be of several catalogs.
        """
        made_by = [_dataset.c.photometric_method_id, _dataset.c.processing_method_id]
        joined = []
        if catalogs:
            made_by.append(_target.c.catalog_id)
            joined.append(_target.c.catalog_id.is_not(None))
        rows = (
            self._rows(observation, sa.func.min(_dataset.c.id), joined)
            .add_columns(sa.func.count(), *made_by)
            .group_by(*made_by)
        )
        found = self._run(session, observation, rows)
        return [Kind(dataset, number, tuple(rest)) for dataset, number, *rest in found]

    def bounds(self, session: orm.Session, observation: int, most: int) -> list[int]:
        """Return the ids of the targets at which parts of at most so many DataSets begin.

        Parameters
        ----------
        session : sqlalchemy.orm.Session
            The session.
        observation : int
            Id of the observation.
        most : int
            DataSets of a part; those of a target are not divided.
        """
        place = sa.func.row_number().over(order_by=_dataset.c.target_id) - 1
        rows = self._rows(observation, _dataset.c.target_id).add_columns(place.label("place"))
        numbered = rows.subquery("numbered")
        first = (
            sa.select(numbered.c.target_id)
            .where(numbered.c.place % most == 0)
            .order_by(numbered.c.target_id)
            .distinct()
        )
        return [target for (target,) in self._run(session, observation, first)]

    def has_unflagged(self, session: orm.Session, observation: int) -> bool:
        """Return whether targets of an observation have no quality flags except its own.

        The flags of each are found by ``ix_quality_flag_array_target_id``.
        """
        by_type = layout.of(session).flags_by_type
        indexed = indexed_conditions("dataset.target_id", by_type=by_type)
        flags = sa.text(
            "NOT EXISTS (SELECT FROM quality_flag_array f WHERE f.target_id = dataset.target_id "
            f"AND f.observation_id = {observation:d}{indexed})"
        )
        rows = self._rows(observation, _dataset.c.target_id).where(flags)
        return bool([*self._run(session, observation, rows.limit(sa.literal_column("1")))])

    def _rows(
        self, observation: int, column: Any, further: Sequence[sa.ColumnElement[bool]] = ()
    ) -> sa.Select[Any]:
        return replace(self.ids, observations=(observation,)).select(column, further)

    def _run(self, session: orm.Session, observation: int, rows: sa.Select[Any]) -> Iterator[Any]:
        criteria = replace(self.ids.criteria, observations=(observation,))
        # The criteria name one observation.
        (statement,) = layout.parts(session, rows, criteria)
        return iter(session.connection().execute(statement, sql.parameters(self.ids.criteria)))


def observations(session: orm.Session, criteria: Criteria) -> list[int]:
    """Return the ids of the observations that a search names, in order of time."""
    statement, given = sql.observation_ids(criteria)
    return list(session.scalars(layout.present(session, statement), given))


def has_catalogs(session: orm.Session, criteria: Criteria) -> bool:
    """Return whether a search may find targets of several catalogs."""
    if len(criteria.catalogs) == 1:
        return False
    some = sa.select(MissionCatalog.id).limit(2)
    return len(session.scalars(layout.present(session, some)).all()) > 1


def page_sizes() -> Iterator[int]:
    """Yield the sizes of pages: small at first, then larger."""
    size = FIRST_PAGE
    while True:
        yield size
        size = min(4 * size, LARGEST_PAGE)


def paged(
    sessions: Sessions,
    datasets: Sequence[tuple[DataSetId, int]],
    sizes: Iterator[int],
    *,
    check_raw: bool,
) -> Iterator[Found]:
    """Find DataSets again, a page at a time.

    Parameters
    ----------
    sessions : Sessions
        The database.
    datasets : sequence of tuple of (DataSetId, int)
        The DataSets, each with its target. Those of one target come in one page.
    sizes : iterator of int
        The approximate sizes of pages.
    check_raw : bool
        Whether raw photometry was requested by a word that may also be the name of a method.
    """
    for some in _between_targets(datasets, sizes):
        with sessions.session_scope() as session:
            page = results.find_again(session, some)
        if check_raw:
            explain.check_raw(page.rows)
        if page.rows:
            yield replace(page, is_page=True)


def _between_targets(
    datasets: Sequence[tuple[DataSetId, int]], sizes: Iterator[int]
) -> Iterator[list[DataSetId]]:
    """Split DataSets with their targets into pages that do not end within a target."""
    start = 0
    while start < len(datasets):
        end = start + next(sizes)
        while end < len(datasets) and datasets[end][1] == datasets[end - 1][1]:
            end += 1
        yield [dataset for dataset, _ in datasets[start:end]]
        start = end
