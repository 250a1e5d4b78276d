"""Find flagged cadences, and assign marks to flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.quality import flagged_bits
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.labels import star

Bools: TypeAlias = npt.NDArray[np.bool_]
Flag: TypeAlias = list[Bools]
"""Masks of the cadences with a flag, for each record of a panel."""
Mark: TypeAlias = tuple[str, str]
"""Colour and shape."""

# The colour-blind safe palette of Okabe & Ito 2008 (https://jfly.uni-koeln.de/color/): cool colours
# for light curves, warm ones and green for flags, which also differ in shape.
_FLAG_MARKS = (
    ("#D55E00", "x"),
    ("#009E73", "s"),
    ("#E69F00", "D"),
    ("#D55E00", "o"),
    ("#009E73", "+"),
    ("#E69F00", "^"),
)
_OTHER_MARK = ("#000000", "*")
OTHERS = "other flags"


def flagged_cadences(
    records: Sequence[LightCurveData], quality_bitmask: flags.Bitmask
) -> dict[str, Flag]:
    """Return masks of the bad cadences with a flux, by flag."""
    found: dict[str, Flag] = {}
    for number, data in enumerate(records):
        drawn = np.isfinite(data.time) & np.isfinite(data.flux)
        for flag_type, bits in flagged_bits(data, quality_bitmask).items():
            for name, column in flags.decode(bits, flag_type).items():
                which = column.to_numpy() & drawn
                if which.any():
                    none = [np.zeros(d.time.size, dtype=bool) for d in records]
                    found.setdefault(str(name), none)[number] |= which
    return found


def marks_of(flagged_of: Iterable[Mapping[str, Flag]]) -> dict[str, Mark]:
    """Assign marks to the most frequent flags, and one mark to all others, for all panels."""
    points: Counter[str] = Counter()
    for flagged in flagged_of:
        for name, masks in flagged.items():
            points[name] += sum(int(np.count_nonzero(mask)) for mask in masks)
    names = [name for name, _ in points.most_common()]
    if len(names) == len(_FLAG_MARKS) + 1:
        # Name a single remaining flag instead of "other flags", which would take the same space.
        return dict(zip(names, (*_FLAG_MARKS, _OTHER_MARK), strict=True))
    return {**dict(zip(names, _FLAG_MARKS, strict=False)), OTHERS: _OTHER_MARK}


def legend_entries(
    flagged: Mapping[str, Flag], marked: Mapping[str, Mark]
) -> Iterator[tuple[str, Mark, Flag]]:
    """Yield the flags of one panel in the order of the marks; flags without a mark are combined."""
    unmarked = [masks for name, masks in flagged.items() if name not in marked]
    for name, mark in marked.items():
        if name in flagged:
            yield name, mark, flagged[name]
        elif name == OTHERS and unmarked:
            yield name, mark, [np.logical_or.reduce(masks) for masks in zip(*unmarked, strict=True)]


def count(records: Sequence[LightCurveData], masks: Sequence[Bools]) -> int:
    """Count cadences, once each if several light curves of an observation and target share them."""
    of_sampling: dict[tuple[Any, ...], Bools] = {}
    for data, mask in zip(records, masks, strict=True):
        key = (*star(data), data.observation.id)
        of_sampling[key] = of_sampling[key] | mask if key in of_sampling else mask
    return sum(int(np.count_nonzero(mask)) for mask in of_sampling.values())
