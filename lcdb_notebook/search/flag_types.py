"""Which types of quality flags light curves have, without reading any flags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.search import layout
from lcdb_notebook.search.layout.flag_types import indexed_conditions
from lcdb_notebook.search.results import Found

__all__ = ["flag_types", "flag_types_within"]


@lru_cache(maxsize=2)
def _types_for_all(by_type: bool) -> sa.TextClause:
    return sa.text(
        "SELECT DISTINCT observation_id, type FROM quality_flag_array "
        "WHERE target_id IS NULL AND observation_id = ANY (CAST(:observations AS int[]))"
        + indexed_conditions("-1", by_type=by_type)
    )


@lru_cache(maxsize=2)
def _types_of_targets(by_type: bool) -> sa.TextClause:
    matches = "target_id = of_target AND observation_id = seen_in"
    return sa.text(
        "SELECT DISTINCT seen_in, types FROM (SELECT seen_in, "
        "array_remove(array_agg(DISTINCT type ORDER BY type), NULL) AS types "
        "FROM unnest(CAST(:targets AS bigint[]), CAST(:observations AS int[])) AS w "
        "(of_target, seen_in) LEFT JOIN quality_flag_array "
        f"ON {matches}{indexed_conditions('of_target', by_type=by_type)} "
        "GROUP BY of_target, seen_in) of_pair"
    )


@lru_cache(maxsize=1)
def _types_of_observations() -> sa.TextClause:
    return sa.text(
        "SELECT DISTINCT observation_id, types FROM (SELECT observation_id, "
        "array_agg(DISTINCT type ORDER BY type) AS types FROM quality_flag_array "
        "WHERE observation_id = ANY (CAST(:observations AS int[])) AND target_id IS NOT NULL "
        "GROUP BY observation_id, target_id) of_pair"
    )


# Observations whose flags are looked at together.
_OBSERVATIONS = 16


def flag_types(session: orm.Session, found: Found) -> set[frozenset[str]]:
    """Find which types of quality flags the light curves have, without reading any flags.

    Returns
    -------
    set of frozenset of str
        Every combination of types that a light curve has; empty for one without flags.
    """
    pairs = {(row.target_id, row.observation) for row in found.rows}
    parameters = {
        "targets": [target for target, _ in pairs],
        "observations": [observation for _, observation in pairs],
    }
    wide: dict[int, set[str]] = {}
    by_type = layout.of(session).flags_by_type
    for_all = layout.present(session, _types_for_all(by_type))
    of_targets = layout.present(session, _types_of_targets(by_type))
    for observation, type_ in session.execute(for_all, {"observations": [*found.observations]}):
        wide.setdefault(observation, set()).add(type_)
    return {
        frozenset({*wide.get(observation, ()), *types})
        for observation, types in session.execute(of_targets, parameters)
    }


def flag_types_within(
    session: orm.Session, observations: Sequence[int], has_unflagged: Callable[[int], bool]
) -> set[frozenset[str]]:
    """Find which types of quality flags the light curves of observations have.

    Like :func:`flag_types`, without a list of the light curves. The flags are found by
    ``ix_quality_flag_array_observation_id_target_id``, those of a few observations at a time.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    observations : sequence of int
        Ids of observations.
    has_unflagged : callable
        Returns for an observation whether some of its targets have only its flags. It is called
        for observations in which others have further flags.
    """
    arranged = layout.of(session)
    for_all = arranged.present(_types_for_all(arranged.flags_by_type))
    of_each = arranged.present(_types_of_observations())
    found: set[frozenset[str]] = set()
    for start in range(0, len(observations), _OBSERVATIONS):
        some = {"observations": [*observations[start : start + _OBSERVATIONS]]}
        wide: dict[int, set[str]] = {}
        for observation, type_ in session.execute(for_all, some):
            wide.setdefault(observation, set()).add(type_)
        flagged: set[int] = set()
        for observation, types in session.execute(of_each, some):
            flagged.add(observation)
            found.add(frozenset({*wide.get(observation, ()), *types}))
        for observation in some["observations"]:
            if observation not in flagged or has_unflagged(observation):
                found.add(frozenset(wide.get(observation, ())))
    return found
