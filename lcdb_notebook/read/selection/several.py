"""Warn of several light curves of one observation that a search did not ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.search.criteria import Criteria

__all__ = ["warn_of_several"]


def warn_of_several(criteria: Criteria, light_curves: Iterable[Any]) -> bool:
    """Warn if light curves of one target and observation differ in what the search did not name.

    Parameters
    ----------
    criteria : Criteria
        The criteria of the search.
    light_curves : iterable of lightkurve.LightCurve
        What it found, with our ``meta``.

    Returns
    -------
    bool
        Whether it has warned.
    """
    together: dict[tuple[Any, Any], list[tuple[Any, Any]]] = defaultdict(list)
    for lc in light_curves:
        which = lc.meta.get("LABEL"), lc.meta.get("OBSERVATION")
        together[which].append((lc.meta.get("PHOTOMETRY"), lc.meta.get("PROCESSING")))
    named = bool(criteria.photometry), bool(criteria.processing)
    if not any(_is_ambiguous(names, named) for names in together.values()):
        return False
    number = sum(map(len, together.values()))
    warn(
        f"lightcurves() read {number} light curves of {len(together)} "
        f"observation{'s' if len(together) > 1 else ''}, so cadences are repeated; choose one "
        "light curve per sector with Selection.best(), or name their photometry and processing"
    )
    return True


def _is_ambiguous(names: list[tuple[Any, Any]], named: tuple[bool, bool]) -> bool:
    """Return whether light curves differ in a name that the search did not ask for, or in none."""
    differ = [len(set(column)) > 1 for column in zip(*names, strict=True)]
    chosen = [was_named for was_named, differs in zip(named, differ, strict=True) if differs]
    return len(names) > 1 and not (chosen and all(chosen))
