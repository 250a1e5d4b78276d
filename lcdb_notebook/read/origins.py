"""Header cards of files and histories of light curves, read in one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from sqlalchemy import orm

from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.models.tables.contents import HEADERS
from lcdb_notebook.read.fetch import CARDS, LINK, Arrays, Pair, fetch
from lcdb_notebook.read.keys import literal, of_pairs
from lcdb_notebook.search import layout, lineage
from lcdb_notebook.search.rows import Row

__all__ = ["Origins"]

Vector = npt.NDArray[Any]


@dataclass
class Origins:
    """Where light curves come from: cards by target and observation, histories by DataSet.

    Parameters
    ----------
    cards : dict
        Keyword and value of each header card, by the ids of target and observation; none of files
        whose cards are not stored.
    histories : dict
        Histories by id of the DataSet.
    """

    cards: dict[Pair, dict[str, Any]] = field(default_factory=dict)
    histories: dict[DataSetId, str] = field(default_factory=dict)

    @classmethod
    def of(cls, session: orm.Session, rows: Sequence[Row]) -> Origins:
        """Fetch the cards and histories of some rows without their arrays, in one statement."""
        origins = cls()
        if rows:
            further = list(origins.queries(session, rows))
            origins.keep(session, rows, fetch(session, further=further) if further else Arrays())
        return origins

    def queries(self, session: orm.Session, rows: Sequence[Row]) -> Iterator[str]:
        """Yield further queries for the statement that fetches the arrays of some rows."""
        arranged = layout.of(session)
        if arranged.has_contents:
            pairs = list(dict.fromkeys((row.target_id, row.observation) for row in rows))
            yield (
                f"SELECT {CARDS}, h.target_id, h.observation_id, "
                "CASE WHEN h.ra IS NOT NULL THEN ARRAY[h.ra] END, "
                "CASE WHEN h.declination IS NOT NULL THEN ARRAY[h.declination] END, "
                f"NULL::int8[], NULL::int4[], h.cards::text FROM {of_pairs(HEADERS, pairs)} h"
            )
        if arranged.keyed is None:
            ids = literal(row.dataset for row in rows)
            yield (
                f"SELECT {LINK}, l.child::int8, NULL, NULL::float8[], NULL::float8[], "
                "NULL::int8[], NULL::int4[], "
                "json_build_array(l.source, l.photometry, l.processing)::text "
                f"FROM ({lineage.links_sql(session, ids)}) l"
            )

    def keep(self, session: orm.Session, rows: Sequence[Row], arrays: Arrays) -> None:
        """Keep what was fetched with the arrays of some rows."""
        links: list[lineage.Link] = []
        for kind, id_, observation, ra, declination, written in arrays.origins:
            if kind == CARDS:
                # A card has a value and a comment.
                cards = {key: value for key, (value, _) in written.items()}
                position = {"RA": _only(ra), "DEC": _only(declination)}
                self.cards[id_, observation] = cards | position
            else:
                links.append(lineage.Link(id_, *written))
        if layout.of(session).keyed is None:
            self.histories |= lineage.written(rows, links)
        else:
            self.histories |= lineage.histories(session, rows)


def _only(array: Vector | None) -> float | None:
    return None if array is None else float(array[0])
