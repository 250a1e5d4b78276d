"""The quality flags of light curves with their numbers of cadences, and names of bitmasks."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.explore.view.settings import PRESETS
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.flagged import count

__all__ = ["Entry", "entries", "naming"]


@dataclass(frozen=True)
class Entry:
    """A quality flag of the light curves shown.

    Parameters
    ----------
    flag_type, name : str
        The type of flags and the name of the flag.
    bits : int
        The value of the flag, a power of two.
    cadences : int
        The number of cadences with the flag, each counted once even if several light curves share
        it.
    own : bool
        Whether the flag can be chosen singly. Only flags of the type that becomes the ``quality``
        column of a LightCurve can; the others are part of presets.
    """

    flag_type: str
    name: str
    bits: int
    cadences: int
    own: bool

    @property
    def meaning(self) -> str:
        """The meaning of the flag, and the document that defines it."""
        member = next((f for f in _members(self.flag_type) if f.value == self.bits), None)
        means = getattr(member, "meaning", "") or "Undocumented bit."
        parts = [means, f"{self.flag_type}, value {self.bits}."]
        if self.flag_type in flags.types():
            parts.append(_source(flags.flag_class(self.flag_type)))
        if not self.own:
            parts.append("Part of presets; cannot be chosen singly.")
        return "\n".join(part for part in parts if part)


def entries(records: Sequence[LightCurveData]) -> list[Entry]:
    """List the quality flags of light curves: first those that can be chosen, in order of bits.

    All documented flags are listed, even if no cadence has them, and undocumented bits that are
    set.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.

    Returns
    -------
    list of Entry
    """
    primary = list(dict.fromkeys(filter(None, map(primary_type, records))))
    others = sorted({kind for data in records for kind in data.quality} - set(primary))
    listed = []
    for kind in (*primary, *others):
        named = {f.value: f.name or "" for f in _members(kind)}
        seen = [
            np.where(np.isfinite(d.time), d.quality[kind], 0) for d in records if kind in d.quality
        ]
        present = reduce(or_, (int(np.bitwise_or.reduce(bits)) for bits in seen if bits.size), 0)
        for bit in range(63):
            value = 1 << bit
            if present & value:
                named.setdefault(value, f"UNKNOWN_BIT_{bit}")
        for value, name in sorted(named.items()):
            cadences = _cadences(records, kind, value) if present & value else 0
            listed.append(Entry(kind, name, value, cadences, own=primary == [kind]))
    return listed


def naming(bits: int, flag_type: str) -> str | int | tuple[str, ...]:
    """Return the shortest name of a bitmask: a preset, a preset and flags, flags, or the number.

    Parameters
    ----------
    bits : int
        The bitmask.
    flag_type : str
        The type of its flags.

    Returns
    -------
    str, int or tuple of str

    Examples
    --------
    >>> naming(17087, "tess_quality_flag"), naming(17087 | 4096, "tess_quality_flag")
    ('default', ('default', 'STRAYLIGHT2'))
    >>> naming(32 | 128, "tess_quality_flag")
    ('DESAT', 'MANUAL_EXCLUDE')
    """
    if bits == 0:
        return "none"
    if flag_type not in flags.types():
        return bits
    presets = {name: flags.bitmask(name, flag_type) for name in PRESETS[1:]}
    for name, value in presets.items():
        if value == bits:
            return name
    names = {f.value: f.name or "" for f in _members(flag_type)}
    for name, value in reversed(presets.items()):
        if value and value & bits == value:
            more = [names.get(1 << bit) for bit in range(63) if (bits & ~value) >> bit & 1]
            if all(more):
                return (name, *map(str, more))
    known = [names.get(1 << bit) for bit in range(63) if bits >> bit & 1]
    return tuple(map(str, known)) if all(known) else bits


def _cadences(records: Sequence[LightCurveData], kind: str, value: int) -> int:
    masks = [
        np.isfinite(d.time) & ((d.quality[kind] & value) != 0)
        if kind in d.quality
        else np.zeros(d.time.size, dtype=bool)
        for d in records
    ]
    return count(records, masks)


def _members(flag_type: str) -> Sequence[enum.IntFlag]:
    """Return the flags of a type; none if the type is not registered."""
    return [*flags.flag_class(flag_type)] if flag_type in flags.types() else []


@lru_cache
def _source(flag_class: type[enum.IntFlag]) -> str:
    """Return the sources paragraph of the docstring of a flag class."""
    paragraphs = (inspect.getdoc(flag_class) or "").split("\n\n")
    found = [p for p in paragraphs if re.match(r"Sources?:", p)]
    return re.sub(r"\s+", " ", found[0]).replace("``", "") if found else ""
