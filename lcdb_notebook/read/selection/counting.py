"""Count the light curves of a large search, with a progress bar."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from lcdb_notebook.models import Observation
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.search import layout, sql
from lcdb_notebook.search.lazy import Search

__all__ = ["counted"]

# Rows that a statement counts, about. Progress is shown between statements.
_ROWS = 100_000


def counted(search: Search) -> int:
    """Count the rows of a search, a few observations at a time if there are many rows."""
    criteria = search.criteria
    by_target = criteria.numbers is not None or criteria.target_ids is not None
    if by_target or not search.is_whole():
        return search.count()
    size = search.size()
    if size.exact:
        return size
    of_observations = sa.select(Observation.id).where(
        *sql.observation_matches(sql.shape_of(criteria))
    )
    with search.sessions.session_scope() as session:
        statement = layout.present(session, of_observations)
        ids = sorted(session.scalars(statement, sql.parameters(criteria)))
    part = max(1, len(ids) * _ROWS // size)
    number = 0
    with Progress(len(ids), "observation", None) as bar:
        for start in range(0, len(ids), part):
            some = dataclasses.replace(
                criteria,
                observations=tuple(ids[start : start + part]),
                types=(),
                instruments=(),
                fields={},
            )
            number += Search(search.sessions, some).count()
            bar.show(min(start + part, len(ids)))
    return number
