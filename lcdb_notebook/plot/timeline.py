"""Draw when each quality flag was set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.convert.columns import bitmask_text
from lcdb_notebook.lightcurve.quality import flagged_bits
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.curves import LightCurves, records_of
from lcdb_notebook.plot.drawing import head, literal
from lcdb_notebook.plot.flagged import Bools
from lcdb_notebook.plot.labels import distinguishing_fields, star, time_label, title
from lcdb_notebook.plot.panels import new_figure, one_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["quality_timeline"]

# Vermilion and blue of Okabe and Ito's palette; the bars also differ in height.
_BAD, _GOOD = ("#D55E00", 0.76), ("#0072B2", 0.3)
_FONT = 8.0

Floats = npt.NDArray[np.float64]


class _Sampling(NamedTuple):
    """The cadences of a target in an observation, and masks of the cadences with each flag."""

    time: Floats
    cadence: npt.NDArray[np.int64]
    flagged: dict[tuple[str, str], Bools]


def quality_timeline(
    light_curves: LightCurves,
    ax: Axes | None = None,
    *,
    quality_bitmask: flags.Bitmask = "default",
) -> Axes:
    """Draw when each quality flag was set, with one row per flag, in order of the bits.

    A bar spans consecutive cadences. The number on the right counts cadences; if several light
    curves of an observation and target share cadences, each is counted once. Flags that make a
    cadence bad have high bars. Cadences without a time are placed by their number.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable of these
        The light curves. Read LightCurves with ``flagged="keep"``, because dropped cadences cannot
        be shown.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure. Clear it before drawing on it again.
    quality_bitmask : str, int or iterable, optional
        Which flags make a cadence bad: "none", "default", "hard" or "hardest", bits, a flag, or
        several flags or names.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the drawing.

    Raises
    ------
    LightCurveNotFoundError
        If there are no light curves.
    AmbiguousError
        If their time formats differ.

    Examples
    --------
    >>> ax = quality_timeline(db.search(1, sector=1, exptime=1800, processing="raw"))
    >>> [label.get_text() for label in ax.get_yticklabels()][:3]
    ['COARSE_POINT', 'ARGABRIGHTENING', 'DESAT']
    """
    records = records_of(light_curves)
    one_panel([data for data in records if data.unit == records[0].unit])
    samplings = _samplings(records)
    rows = _rows(samplings)
    bad = _bad_rows(records, quality_bitmask)
    if ax is None:
        ax = new_figure(1.1 + 0.27 * max(len(rows), 3)).add_subplot()
    for number, row in enumerate(rows):
        colour, height = _BAD if row in bad else _GOOD
        bars, cadences = [], 0
        for sampling in samplings:
            if row in sampling.flagged:
                bars += _bars(sampling, sampling.flagged[row])
                cadences += int(np.count_nonzero(sampling.flagged[row]))
        # With an edge, a single cadence is visible among thousands.
        ax.broken_barh(
            bars, (number - height / 2, height), facecolors=colour, edgecolors=colour, lw=0.6
        )
        ax.text(
            1.008,
            number,
            f"{cadences:,}",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=_FONT,
        )
    types = {flag_type for flag_type, _ in rows}
    names = [name if len(types) == 1 else f"{_short(kind)}: {name}" for kind, name in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=_FONT, parse_math=False, usetex=False)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    start, end = _span(samplings)
    ax.set_xlim(start, end)
    if not rows:
        ax.text(0.5, 0.5, "no flags are set", transform=ax.transAxes, ha="center", va="center")
    name = title(records, distinguishing_fields(records), joined=True)
    head(ax, name, _legend(rows, bad, quality_bitmask))
    ax.ticklabel_format(axis="x", useOffset=False, style="plain")
    ax.grid(axis="y", color="#dddddd", lw=0.6)
    ax.set_axisbelow(True)
    literal(ax.xaxis.label).set_text(time_label(records[0]))
    return ax


def _samplings(records: Sequence[LightCurveData]) -> list[_Sampling]:
    gathered: dict[tuple[Any, ...], list[LightCurveData]] = {}
    for data in records:
        gathered.setdefault((*star(data), data.observation.id, data.cadence.size), []).append(data)
    found = []
    for members in gathered.values():
        flagged: dict[tuple[str, str], Bools] = {}
        for data in members:
            for flag_type, bits in data.quality.items():
                for name, column in flags.decode(bits, flag_type).items():
                    which = column.to_numpy()
                    if which.any():
                        key = (flag_type, str(name))
                        flagged[key] = flagged[key] | which if key in flagged else which
        found.append(_Sampling(_times(members[0]), members[0].cadence, flagged))
    return found


def _times(data: LightCurveData) -> Floats:
    """Return the times, with missing ones interpolated by cadence number."""
    known = np.isfinite(data.time)
    if known.all() or np.count_nonzero(known) < 2:
        return data.time
    number, time = data.cadence[known].astype(np.float64), data.time[known]
    step = float(np.median(np.diff(time) / np.maximum(np.diff(number), 1)))
    placed: Floats = np.interp(data.cadence, number, time)
    before, after = data.cadence < number[0], data.cadence > number[-1]
    placed[before] = time[0] + (data.cadence[before] - number[0]) * step
    placed[after] = time[-1] + (data.cadence[after] - number[-1]) * step
    return placed


def _rows(samplings: Sequence[_Sampling]) -> list[tuple[str, str]]:
    """Return the rows: flag types, and their flags from the lowest bit to the highest."""
    seen = dict.fromkeys(key for sampling in samplings for key in sampling.flagged)

    def place(row: tuple[str, str]) -> tuple[str, int]:
        flag_type, name = row
        if flag_type in flags.types():
            for flag in flags.flag_class(flag_type):
                if flag.name == name:
                    return flag_type, flag.value
        number = name.rpartition("_")[2]
        return flag_type, 2 ** int(number) if number.isdecimal() else 2**63

    return sorted(seen, key=place)


def _bad_rows(
    records: Sequence[LightCurveData], quality_bitmask: flags.Bitmask
) -> set[tuple[str, str]]:
    return {
        (flag_type, str(name))
        for data in records
        for flag_type, bits in flagged_bits(data, quality_bitmask).items()
        for name, column in flags.decode(bits, flag_type).items()
        if column.any()
    }


def _bars(sampling: _Sampling, flagged: Bools) -> list[tuple[float, float]]:
    """Return start and length of each run of flagged cadences; a missing cadence ends a run."""
    which = np.flatnonzero(flagged & np.isfinite(sampling.time))
    if which.size == 0:
        return []
    step = _step(sampling.time)
    ends = np.flatnonzero((np.diff(which) > 1) | (np.diff(sampling.time[which]) > 1.5 * step))
    first = sampling.time[which[np.concatenate([[0], ends + 1])]] - step / 2
    last = sampling.time[which[np.concatenate([ends, [which.size - 1]])]] + step / 2
    return list(zip(first.tolist(), (last - first).tolist(), strict=True))


def _step(time: Floats) -> float:
    known = time[np.isfinite(time)]
    return float(np.median(np.diff(known))) if known.size > 1 else 0.0


def _span(samplings: Sequence[_Sampling]) -> tuple[float, float]:
    finite = [s.time[np.isfinite(s.time)] for s in samplings]
    finite = [time for time in finite if time.size]
    if not finite:
        return 0.0, 1.0
    start, end = min(float(t.min()) for t in finite), max(float(t.max()) for t in finite)
    margin = 0.01 * (end - start) or 0.5
    return start - margin, end + margin


def _short(flag_type: str) -> str:
    """Return a short name of a flag type: ``qlp v2``."""
    return flag_type.replace("_quality", "").replace("_flag", "").replace("_", " ")


def _legend(
    rows: Sequence[tuple[str, str]],
    bad: set[tuple[str, str]],
    quality_bitmask: flags.Bitmask,
) -> list[Line2D]:
    from matplotlib.lines import Line2D

    mask = bitmask_text(quality_bitmask)
    return [
        Line2D([], [], marker="s", ls="none", markersize=6, color=colour, label=label)
        for (colour, _), label, shown in (
            (_BAD, f"removed by quality_bitmask={mask!r}", bad.intersection(rows)),
            (_GOOD, "not removed", set(rows) - bad),
        )
        if shown
    ]
