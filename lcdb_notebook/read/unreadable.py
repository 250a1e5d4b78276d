"""Find the rows whose arrays cannot be read, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.fetch import CADENCES, DATASET, FLAGS, POSITIONS, TIMES, Pair
from lcdb_notebook.read.keys import (
    array_state,
    is_for_all,
    literal,
    of_datasets,
    of_flags,
    of_pairs,
    of_positions,
    parts,
)
from lcdb_notebook.search import layout

__all__ = ["Unreadable", "find_unreadable"]


@dataclass(slots=True)
class Unreadable:
    """Reasons why arrays of DataSets, of targets in observations or of observations are invalid."""

    datasets: dict[DataSetId, str] = field(default_factory=dict)
    pairs: dict[Pair, str] = field(default_factory=dict)
    observations: dict[int, str] = field(default_factory=dict)


def find_unreadable(
    session: orm.Session,
    *,
    datasets: Sequence[DataSetId],
    pairs: Sequence[Pair],
    observations: Sequence[int],
) -> Unreadable:
    """Find the rows that caused an error in :func:`fetch`, in one statement.

    PostgreSQL enforces neither the number of dimensions nor elements that are not NULL, so tables
    may contain arrays that are not valid in a light curve.

    Parameters
    ----------
    session, datasets, pairs, observations
        As for :func:`fetch`.
    """
    arranged = layout.of(session)
    if arranged.keyed is None:
        return _find_unreadable(session, datasets, pairs, observations, arranged)
    found = Unreadable()
    for part in parts(datasets, pairs, observations):
        some = _find_unreadable(session, *part, arranged)
        found.datasets |= {part[0][int(place) - 1]: why for place, why in some.datasets.items()}
        found.pairs |= some.pairs
        found.observations |= some.observations
    return found


def _find_unreadable(
    session: orm.Session,
    datasets: Sequence[DataSetId],
    pairs: Sequence[Pair],
    observations: Sequence[int],
    arranged: layout.Layout,
) -> Unreadable:
    keyed, by_type = arranged.keyed, arranged.flags_by_type
    here = f"ANY ('{literal(observations)}'::int[])"
    arms = [
        f"SELECT {CADENCES} AS kind, id::int8 AS id, NULL::int8 AS observation_id, "
        f"'cadence numbers' AS what, {array_state('cadence_reference', integers=True)} AS state "
        f"FROM observation WHERE id = {here}",
        f"SELECT {FLAGS}, target_id, observation_id, type, "
        f"{array_state('quality_flags', integers=True)} FROM quality_flag_array "
        f"WHERE {is_for_all(f'= {here}', by_type=by_type)}",
        f"SELECT {FLAGS}, f.target_id, f.observation_id, f.type, "
        f"{array_state('f.quality_flags', integers=True)} "
        f"FROM {of_flags(pairs, by_type=by_type)} f",
        f"SELECT {TIMES}, t.target_id, t.observation_id, 'times', "
        f"{array_state('t.barycentric_julian_dates')} "
        f"FROM {of_pairs('target_specific_time', pairs, pruned=keyed is not None)} t",
    ]
    if arranged.positions:
        arms.append(
            f"SELECT {POSITIONS}, p.target_id, p.observation_id, 'positions', "
            f"{array_state('p.values')} FROM {of_positions(pairs, arranged.positions, keyed)} p"
        )
    id_, rows_of = of_datasets(datasets, keyed)
    arms += [
        f"SELECT {DATASET}, {id_}, NULL, '{name}', {array_state(name)} FROM {rows_of}"
        for name in ("values", "errors")
    ]
    everything = " UNION ALL ".join(arms)
    states = sa.text(f"SELECT * FROM ({everything}) a WHERE state IS NOT NULL")
    rows = session.execute(layout.present(session, states))
    unreadable = Unreadable()
    for kind, id_, observation, what, state in rows:
        why = f"its {what} {state}"
        if kind == DATASET:
            unreadable.datasets[id_] = why
        elif kind == CADENCES or id_ is None:
            unreadable.observations[id_ if kind == CADENCES else observation] = why
        else:
            unreadable.pairs[id_, observation] = why
    return unreadable
