"""Bitmasks as numbers of the flags that the page lists, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lcdb_notebook import flags
from lcdb_notebook.explore.figure.arrays import Packed
from lcdb_notebook.explore.figure.flag_list import naming
from lcdb_notebook.explore.view.settings import PRESETS
from lcdb_notebook.flags.masking import is_preset
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["chosen_flags", "named_flags"]


def chosen_flags(
    packed: Packed, records: Sequence[LightCurveData], bitmask: flags.Bitmask
) -> list[int]:
    """Return the numbers of the flags of a bitmask.

    Parameters
    ----------
    packed : Packed
        The flags that are listed.
    records : sequence of LightCurveData
        The light curves.
    bitmask : str, int or iterable
        Presets apply to all types of flags, and others to the type that becomes the ``quality``
        column of a LightCurve.

    Returns
    -------
    list of int
    """
    preset = is_preset(bitmask)
    primary_types = {primary_type(data) for data in records}
    chosen = []
    for number, entry in enumerate(packed.entries):
        primary = entry.flag_type in primary_types
        known = entry.flag_type in flags.types() or not preset
        if (preset or primary) and known:
            bits = flags.bitmask(bitmask, entry.flag_type)
            chosen += [number] if bits & entry.bits else []
    return chosen


def named_flags(packed: Packed, chosen: Sequence[int]) -> Any:
    """Return the shortest bitmask that chooses flags.

    Parameters
    ----------
    packed : Packed
        The flags that are listed.
    chosen : sequence of int
        The numbers of the flags.

    Returns
    -------
    str, int, tuple of str, or None
        None if no flag can be chosen singly.
    """
    for name, members in packed.presets.items():
        if members == list(chosen):
            return name
    own = [entry for entry in packed.entries if entry.own]
    if not own:
        return None
    bits = sum(packed.entries[k].bits for k in chosen if packed.entries[k].own)
    named = naming(bits, own[0].flag_type)
    # A preset applies to all types of flags, but only flags of one type were chosen.
    return bits if named in PRESETS and bits else named
