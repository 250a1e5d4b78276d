"""The Python code that makes the light curves of a figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from lcdb_notebook import flags
from lcdb_notebook.explore.view.code import name_of, selection_code
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.selection import Selection

__all__ = ["Settings", "written"]


class Settings(Protocol):
    """The attributes of a figure that the code depends on."""

    records: list[LightCurveData]
    quality_bitmask: Any
    normalize: Any
    period: Any
    epoch: Any
    selected_ranges: Sequence[tuple[float, float]] | Any
    exclude: Any
    _first: Any


def written(figure: Settings, given: Any) -> str:
    """Return lines of Python that end with ``lc`` or ``lcs``, the light curves that are drawn.

    Parameters
    ----------
    figure : Settings
        The flags, the excluded ranges, and whether to normalize and fold.
    given : object
        What the figure was made of: a Selection, or lightkurve's light curves.

    Returns
    -------
    str
    """
    several = len(figure.records) > 1
    name = "lcs" if several else "lc"
    lines = [f"{name} = {_read(figure, given, several=several)}"]
    steps = []
    if not isinstance(given, Selection):
        steps += _unflagged(figure)
    if figure.exclude and figure.selected_ranges:
        steps.append(f"lc[~({_within(figure)})]")
    calls = ".normalize()" if figure.normalize else ""
    if figure.period is not None:
        calls += f".fold(period={figure.period!r}, epoch_time={_epoch(figure)!r})"
    if calls:
        steps.append(f"lc{calls}")
    lines += [f"lcs = [{step} for lc in lcs]" if several else f"lc = {step}" for step in steps]
    return "\n".join(lines)


def _read(figure: Settings, given: Any, *, several: bool) -> str:
    if not isinstance(given, Selection):
        return name_of(given, "lcs" if several else "lc")
    database = name_of(given._search.sessions)
    mask = json.dumps(figure.quality_bitmask)
    return (
        f"{selection_code(given, name=database)}."
        f"{'lightcurves' if several else 'lightcurve'}(quality_bitmask={mask})"
    )


def _unflagged(figure: Settings) -> list[str]:
    """Return the step that removes flagged cadences of a LightCurve, if it has flags."""
    kind = primary_type(figure.records[0])
    bits = flags.bitmask(figure.quality_bitmask, kind) if kind is not None else 0
    return [f'lc[(lc["quality"] & {bits}) == 0]'] if bits else []


def _within(figure: Settings) -> str:
    x = "lc.time.value"
    if figure.period is not None:
        half = figure.period / 2
        x = f"((lc.time.value - {_epoch(figure)!r} + {half!r}) % {figure.period!r} - {half!r})"
    parts = [f"({x} >= {start!r}) & ({x} <= {stop!r})" for start, stop in figure.selected_ranges]
    return parts[0] if len(parts) == 1 else " | ".join(f"({part})" for part in parts)


def _epoch(figure: Settings) -> float:
    return figure._first if figure.epoch is None else float(figure.epoch)
