"""Accept the arguments and values of ``lightkurve.search_lightcurve`` in a search."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.missions import CATALOGS, MISSIONS

__all__ = ["AUTHORS", "WORDS", "catalog_name", "mission_names", "translated"]

WORDS = frozenset({"mission", "cadence"})
"""Arguments that are not fields of observations."""

AUTHORS = (
    "SPOC",
    "TESS-SPOC",
    "QLP",
    "TGLC",
    "Kepler",
    "K2",
    "ELEANOR",
    "GSFC-ELEANOR-LITE",
    "PATHOS",
    "TASOC",
    "CDIPS",
    "K2SFF",
    "EVEREST",
    "KEPSEISMIC",
    "KBONUS-BKG",
)
"""Names of the pipelines whose files are supported."""

_EXPOSURES = {seconds for mission in MISSIONS.values() for seconds in mission.exposures.values()}
# The limits of lightkurve.search._mask_by_exptime.
_EXPTIMES = {
    "fast": sorted(seconds for seconds in _EXPOSURES if seconds < 60),
    "short": sorted(seconds for seconds in _EXPOSURES if 60 <= seconds < 200),
    "long": sorted(seconds for seconds in _EXPOSURES if seconds >= 200),
}
_EXPTIMES["ffi"] = _EXPTIMES["long"]

_CATALOGS = {name.casefold(): name for name in CATALOGS} | {"kplr": "KIC", "ktwo": "EPIC"}
_ANY_AUTHOR = ("any", "all")
_AUTHORS = {name.casefold(): name for name in AUTHORS}


def translated(fields: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Translate lightkurve's words for fields of observations.

    Parameters
    ----------
    fields
        Arguments of a search: ``exptime="short"``, ``cadence=120``, ``author="spoc"``.
    known
        The fields of observations in the database, which take precedence over ``WORDS``.

    Returns
    -------
    dict of str to object
        Without ``mission``.

    Raises
    ------
    ArgumentError
        If ``cadence`` and ``exptime`` are both given, or a word for an exposure time is unknown.

    Examples
    --------
    >>> translated({"author": "spoc", "cadence": "short"}, ["author", "exptime"])
    {'author': ['spoc', 'SPOC'], 'exptime': [60, 120]}
    """
    words = dict(fields)
    if "mission" not in known:
        words.pop("mission", None)
    if "cadence" in words and "cadence" not in known and "exptime" in known:
        if "exptime" in words:
            raise ArgumentError("cadence and exptime are the same; pass one of them")
        words["exptime"] = words.pop("cadence")
    if "exptime" in words:
        words["exptime"] = _expanded(words["exptime"], _exptimes)
    if str(words.get("author")).lower() in _ANY_AUTHOR:
        del words["author"]
    if "author" in words:
        words["author"] = _expanded(words["author"], _spellings)
    return words


def mission_names(value: Any) -> tuple[str, ...]:
    """Return the names of missions in lower case, as in the types of observations.

    Raises
    ------
    ArgumentError
        If a value is not a name.

    Examples
    --------
    >>> mission_names(["TESS", "Kepler"])
    ('tess', 'kepler')
    """
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple | set | frozenset) or not all(
        isinstance(one, str) for one in values
    ):
        raise ArgumentError(f"mission must be a name such as 'TESS' or a list, got {value!r}")
    if not values:
        raise ArgumentError("mission must not be an empty list: nothing would match")
    return tuple(one.strip().lower() for one in values)


def catalog_name(written: str) -> str:
    """Return the name of a catalog from its spelling before a number.

    Examples
    --------
    >>> catalog_name("tic-"), catalog_name("kplr"), catalog_name("ktwo"), catalog_name("Mine")
    ('TIC', 'KIC', 'EPIC', 'Mine')
    """
    name = written.rstrip(" -_")
    return _CATALOGS.get(name.casefold(), name)


def _expanded(value: Any, expand: Any) -> Any:
    if isinstance(value, str):
        return expand(value)
    if not isinstance(value, list | tuple | set | frozenset):
        return value
    found = [expand(one) if isinstance(one, str) else one for one in value]
    return [one for part in found for one in (part if isinstance(part, list) else [part])]


def _exptimes(word: str) -> list[int]:
    found = _EXPTIMES.get(word.strip().lower())
    if found is None:
        raise ArgumentError(
            f"exptime must be a number of seconds, 'fast', 'short' or 'long', got {word!r}"
        )
    return found


def _spellings(author: str) -> Any:
    known = _AUTHORS.get(author.strip().casefold(), author)
    # The name as given is kept, since other databases may spell it like that.
    return author if known == author else [author, known]
