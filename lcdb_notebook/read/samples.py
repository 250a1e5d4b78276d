"""Light curves of one cadence, which together have every column that a search may return."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import numpy as np

from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.search.results import Found

__all__ = ["samples"]


def samples(
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    types: Collection[frozenset[str]],
    placed: Iterable[str],
) -> list[LightCurveData]:
    """Build a light curve of one cadence of each kind.

    Parameters
    ----------
    found : Found
        Light curves with every observation, catalog, photometry and processing.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    types : collection of frozenset of str
        The combinations of types of quality flags.
    placed : iterable of str
        The names of positions of the star.
    """
    made: dict[tuple[Any, ...], LightCurveData] = {}
    placeholder = np.zeros(1)
    for row in found.rows:
        about, _ = found.observations[row.observation]
        key = (row.catalog, row.observation, row.photometry, row.processing)
        if key not in made:
            mission, clock = missions[row.host_mission_id]
            for number, some in enumerate(types or {frozenset[str]()}):
                quality = {name: np.zeros(1, np.int64) for name in sorted(some)}
                made[*key, number] = made[key] = LightCurveData(
                    row.dataset,
                    row.target,
                    row.catalog,
                    mission,
                    clock,
                    about,
                    row.photometry,
                    row.processing,
                    row.unit,
                    np.zeros(1, np.int64),
                    placeholder,
                    placeholder,
                    placeholder,
                    quality,
                    "mission",
                    positions=dict.fromkeys(placed, placeholder),
                )
    return list({id(data): data for data in made.values()}.values())
