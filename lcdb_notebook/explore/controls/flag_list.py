"""FlagList: the quality flags with their numbers of cadences, chosen singly or by preset."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from lcdb_notebook import flags
from lcdb_notebook.explore.view.settings import PRESETS
from lcdb_notebook.explore.widget.lightcurve_style import labelled
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.flagged import count

__all__ = ["Entry", "FlagList", "entries", "naming"]

_PRESET_TOOLTIPS = {
    "none": "No cadence is removed",
    "default": "Remove cadences with severe quality issues, as lightkurve does",
    "hard": "Remove more cadences; some of them may be good",
    "hardest": "Remove every cadence with any flag of the mission",
}


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
        parts.append(_source(self.flag_type))
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


class FlagList(widgets.VBox):  # type: ignore[misc]
    """Buttons for the presets, and a checkbox for each flag.

    Attributes
    ----------
    quality_bitmask : str, int or tuple of str
        Trait: the flags chosen, as in ``Settings``.
    """

    quality_bitmask = traitlets.Any("default")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._boxes: list[widgets.Checkbox] = []
        self._quiet = False
        self._presets = widgets.ToggleButtons(
            options=list(PRESETS),
            value="default",
            description="Flags",
            tooltips=[_PRESET_TOOLTIPS[name] for name in PRESETS],
            style={"button_width": "auto", "description_width": "auto"},
        )
        self._presets.add_class("lcdb-presets")
        self._presets.observe(self._preset_chosen, "value")
        self._list = widgets.VBox()
        self._list.add_class("lcdb-flags")
        super().__init__([self._presets, self._list])
        self.add_class("lcdb-flag-list")

    def show(self, records: Sequence[LightCurveData]) -> None:
        """List the flags of light curves, with their numbers of cadences.

        Parameters
        ----------
        records : sequence of LightCurveData
            The light curves.
        """
        found = entries(records)
        if found == self._entries:
            return
        self._entries = found
        while len(self._boxes) < len(found):
            box = widgets.Checkbox(indent=False, layout={"width": "auto"})
            box.observe(self._toggled, "value")
            self._boxes.append(box)
        self._tick()
        self._list.children = self._boxes[: len(found)]

    @traitlets.observe("quality_bitmask")
    def _bitmask_changed(self, _change: Any) -> None:
        self._tick()

    def _bits(self, flag_type: str, *, own: bool) -> int:
        bitmask = self.quality_bitmask
        preset = bitmask is None or (isinstance(bitmask, str) and bitmask in PRESETS)
        return flags.bitmask(bitmask, flag_type) if own or preset else 0

    def _tick(self) -> None:
        """Set the buttons and the checkboxes from ``quality_bitmask``."""
        self._quiet = True
        try:
            bitmask = self.quality_bitmask
            preset = isinstance(bitmask, str) and bitmask in PRESETS
            self._presets.value = bitmask if preset else None
            chosen: dict[str, int] = {}
            for entry, box in zip(self._entries, self._boxes, strict=False):
                if entry.flag_type not in chosen:
                    chosen[entry.flag_type] = self._bits(entry.flag_type, own=entry.own)
                with box.hold_sync():
                    box.description = labelled(f"{entry.name} ({entry.cadences:,})", entry.meaning)
                    box.disabled = not entry.own
                    box.value = bool(chosen[entry.flag_type] & entry.bits)
                _only_if(box, "lcdb-absent", entry.cadences == 0)
        finally:
            self._quiet = False

    def _preset_chosen(self, change: Any) -> None:
        if not self._quiet and change["new"] is not None:
            self.quality_bitmask = change["new"]

    def _toggled(self, change: Any) -> None:
        if self._quiet:
            return
        entry = self._entries[self._boxes.index(change["owner"])]
        bits = self._bits(entry.flag_type, own=True) & ~entry.bits
        bits |= entry.bits if change["new"] else 0
        kinds = {e.flag_type for e in self._entries}
        # A preset applies to all types of flags, but only a flag of one type was chosen.
        named = naming(bits, entry.flag_type)
        self.quality_bitmask = bits if named in PRESETS and len(kinds) > 1 and bits else named


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


def _source(flag_type: str) -> str:
    """Return the sources paragraph of the docstring of a flag class."""
    if flag_type not in flags.types():
        return ""
    paragraphs = (inspect.getdoc(flags.flag_class(flag_type)) or "").split("\n\n")
    found = [p for p in paragraphs if re.match(r"Sources?:", p)]
    return re.sub(r"\s+", " ", found[0]).replace("``", "") if found else ""


def _only_if(widget: widgets.DOMWidget, css: str, condition: bool) -> None:
    has = css in widget._dom_classes
    if condition and not has:
        widget.add_class(css)
    elif has and not condition:
        widget.remove_class(css)
