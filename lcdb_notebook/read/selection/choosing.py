"""The methods of a Selection that choose among the light curves of a star."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.record import ObservationData
from lcdb_notebook.read.selection.protocol import Rows
from lcdb_notebook.search import lineage
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PREFER", "best", "coverage"]

S = TypeVar("S", bound=Rows)
Preference: TypeAlias = "str | Mapping[str, Any]"

PREFER: tuple[Preference, ...] = (
    {"author": "SPOC", "exptime": 120},
    "SPOC",
    "TESS-SPOC",
    "QLP",
)
"""The usual choice with lightkurve: 120 s light curves of SPOC, then those of full-frame images."""

# Apertures that are smaller or larger than the pipeline's choice.
_OTHER_APERTURES = ("small", "large", "background")


def best(self: S, *, per: str = "sector", prefer: Sequence[Preference] = PREFER) -> S:
    """Keep one light curve per target and sector, from the preferred pipeline.

    If the pipeline splits a sector into orbits, all orbits of the chosen light curve are kept.
    ``best().lightcurves().stitch()`` therefore contains each cadence once.

    Parameters
    ----------
    per : str, optional
        The observation field that numbers observing runs: "sector", "quarter", "campaign".
        Observations without it are separate runs.
    prefer : sequence of str or mapping, optional
        Preferences, the most important first: the name of an author, or fields of the observation
        and names of ``photometry`` and ``processing``, such as ``{"author": "QLP", "processing":
        "DET"}``. By default SPOC at 120 s, SPOC, TESS-SPOC, QLP. If several light curves are
        equally preferred, the shorter exposure time comes first, then the light curve with more
        processing steps, then apertures that are not named small, large or background.

    Returns
    -------
    Selection
        In the same order.

    Raises
    ------
    ArgumentError
        If ``per`` is not a field of the observations, or ``prefer`` has other elements than names
        and mappings.
    LightCurveNotFoundError
        If the selection is empty.

    Examples
    --------
    >>> found = db.search(3).best(prefer=[{"processing": "DEMO DET"}])
    >>> found.table[["sector", "photometry", "processing"]]
       sector         photometry processing
    0       1  DEMO aperture 2px   DEMO DET
    1       2  DEMO aperture 2px   DEMO DET
    """
    if isinstance(prefer, str) or not all(isinstance(one, str | Mapping) for one in prefer):
        raise ArgumentError(
            f"prefer must be a list of author names or mappings of field to value, got {prefer!r}"
        )
    search = self._search
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
        fields = {name for about, _ in found.observations.values() for name in about.fields}
        if per not in fields:
            raise ArgumentError(
                f"per must be a field of the observations ({', '.join(sorted(fields)) or 'none'}), "
                f"got {per!r}"
            )
        histories = lineage.histories(session, found.rows)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for position, row in enumerate(found.rows):
        about, _ = found.observations[row.observation]
        groups.setdefault((row.target_id, *_run(about, per)), []).append(position)
    kept: list[int] = []
    for positions in groups.values():
        chosen = min(positions, key=lambda place: _rank(found, place, prefer, histories))
        kept += _with_its_orbits(found, chosen, positions)
    rows = [found.rows[position] for position in sorted(kept)]
    part = Search(search.sessions, search.criteria, limit=len(rows))
    part.kept = Found(rows, found.observations)
    return type(self)(part)


def coverage(self: Rows, *, per: str = "sector") -> pd.DataFrame:
    """Count the light curves of each target in each sector; no arrays are read.

    Parameters
    ----------
    per : str, optional
        The observation field that becomes the columns: "sector", "quarter", "campaign".

    Returns
    -------
    pandas.DataFrame
        One row per target and one column per sector, with numbers of light curves, which may be 0.
        Catalog numbers of the search that were not found have a row of 0. The index is the target
        number, with the catalog if there are several.

    Raises
    ------
    ArgumentError
        If ``per`` is not a field of the observations.

    Examples
    --------
    >>> counts = db.search([1, 2, 3], processing="raw").coverage()
    >>> counts.loc[3].to_dict()
    {1: 2, 2: 2}
    """
    import pandas as pd

    with self._search.sessions.session_scope() as session:
        table = self._search.found(session).table()
    numbers = list(dict.fromkeys(self._search.criteria.numbers or ()))
    if len(table) and per not in table:
        raise ArgumentError(f"per must be a field of the observations, got {per!r}")
    several = len(set(table.get("catalog", ()))) > 1
    rows = [table["catalog"], table["target"]] if several else [table["target"]]
    if not len(table):
        counts = pd.DataFrame(index=pd.Index([], name="target"))
        counts.columns.name = per
    else:
        counts = pd.crosstab(rows, table[per])
    if numbers and not several:
        # Aliases were found without being named.
        names = [*numbers, *(name for name in counts.index if name not in set(numbers))]
        counts = counts.reindex(names, fill_value=0).rename_axis("target")
    return counts


def _run(about: ObservationData, per: str) -> tuple[Any, ...]:
    value = about.fields.get(per)
    return ("observation", about.id) if value is None else (per, value)


def _rank(
    found: Found, position: int, prefer: Sequence[Preference], histories: Mapping[Any, str]
) -> tuple[Any, ...]:
    row = found.rows[position]
    about, _ = found.observations[row.observation]
    order = next((i for i, one in enumerate(prefer) if _matches(row, about, one)), len(prefer))
    exposure = about.fields.get("exptime")
    return (
        order,
        float("inf") if exposure is None else float(exposure),
        -histories.get(row.dataset, "").count(" -> "),
        row.processing is None,
        any(word in (row.photometry or "").lower() for word in _OTHER_APERTURES),
        position,
    )


def _matches(row: Row, about: ObservationData, preference: Preference) -> bool:
    if isinstance(preference, str):
        return about.fields.get("author") == preference
    methods = {"photometry": row.photometry, "processing": row.processing}
    known = {**about.fields, **methods}
    return all(name in known and known[name] == value for name, value in preference.items())


def _with_its_orbits(found: Found, chosen: int, positions: Sequence[int]) -> list[int]:
    """Return the positions of the chosen light curve in all observations of the run."""

    def product(position: int) -> tuple[Any, ...]:
        row = found.rows[position]
        fields = found.observations[row.observation][0].fields
        return row.photometry, row.processing, fields.get("author"), fields.get("exptime")

    by_observation: dict[int, int] = {found.rows[chosen].observation: chosen}
    for position in positions:
        if product(position) == product(chosen):
            by_observation.setdefault(found.rows[position].observation, position)
    return list(by_observation.values())
