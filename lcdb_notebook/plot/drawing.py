"""Points, edges, titles and legends on one Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.plot.flagged import Flag, Mark, count, legend_entries
from lcdb_notebook.plot.wording import curve_labels, flux_label
from lcdb_notebook.quality import condemned
from lcdb_notebook.record import LightCurveData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The cool half of the palette in flagged.py.
_CURVE_COLOURS = ("#000000", "#0072B2", "#CC79A7", "#56B4E9", "#999999")
_LEGEND_POINTS = 8.0

Floats = npt.NDArray[np.float64]


def draw(
    ax: Axes,
    records: Sequence[LightCurveData],
    title: str,
    flagged: Mapping[str, Flag],
    marks: Mapping[str, Mark],
    quality_bitmask: flags.Bitmask,
) -> None:
    """Draw light curves of one unit into an Axes whose y limits are set already."""
    from matplotlib.lines import Line2D

    legend: list[Line2D] = []
    cadences = max(1, sum(data.flux.size for data in records))
    size = float(np.clip(8 - 1.5 * np.log10(cadences), 1.8, 5.0))
    for number, (data, label) in enumerate(zip(records, curve_labels(records), strict=True)):
        colour = _CURVE_COLOURS[number % len(_CURVE_COLOURS)]
        good = ~condemned(data, quality_bitmask)
        style: dict[str, Any] = {"marker": ".", "color": colour, "ls": "none"}
        style |= {"markersize": size, "markeredgewidth": 0}
        _points(ax, data.time[good], data.flux[good], style, label=label, zorder=2)
        if label:
            legend.append(Line2D([], [], **{**style, "markersize": 8}, label=label))
    for name, (colour, marker), masks in legend_entries(flagged, marks):
        time = np.concatenate([data.time[m] for data, m in zip(records, masks, strict=True)])
        flux = np.concatenate([data.flux[m] for data, m in zip(records, masks, strict=True)])
        label = f"{name} ({count(records, masks):,})"
        style = {"marker": marker, "color": colour, "ls": "none"}
        style |= {"markersize": 4, "markerfacecolor": "none"}
        _points(ax, time, flux, style, label=label, zorder=3)
        legend.append(Line2D([], [], **style, label=label))
    ax.set_ylabel(flux_label(records[0].unit))
    # matplotlib's "+1.4e6" in a corner is easily overlooked, and stands in the legend's way.
    ax.ticklabel_format(axis="both", useOffset=False, style="plain")
    _head(ax, title, legend)


def _points(
    ax: Axes, time: Floats, flux: Floats, style: dict[str, Any], *, label: str, zorder: float
) -> None:
    """Draw single points, and triangles at the edge below or above which some of them are."""
    finite = np.isfinite(time) & np.isfinite(flux)
    time, flux = time[finite], flux[finite]
    ax.plot(time, flux, **style, label=label, zorder=zorder, rasterized=True)
    at_bottom, at_top = ax.get_ylim()
    downwards = at_top < at_bottom
    low, high = sorted((at_bottom, at_top))
    for beyond, upwards in ((flux > high, not downwards), (flux < low, downwards)):
        if beyond.any():
            ax.plot(
                time[beyond],
                np.full(np.count_nonzero(beyond), 0.985 if upwards else 0.015),
                marker="^" if upwards else "v",
                color=style["color"],
                markersize=4,
                markeredgewidth=0,
                ls="none",
                label="_beyond the edge",
                zorder=zorder,
                rasterized=True,
                transform=ax.get_xaxis_transform(),
            )


def _head(ax: Axes, title: str, legend: Sequence[Line2D]) -> None:
    """Put the title over the legend, and both over the Axes, where they hide no data."""
    from matplotlib.textpath import TextPath

    if not legend:
        ax.set_title(ax.get_title() or title)
        return
    longest = max(
        TextPath((0, 0), str(line.get_label()), size=_LEGEND_POINTS).get_extents().width
        for line in legend
    )
    available = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted()).width * 72
    # Marks, and the space between columns, take 3.5 letters' width.
    columns = int(np.clip(available // (longest + 3.5 * _LEGEND_POINTS), 1, len(legend)))
    rows = -(-len(legend) // columns)
    ax.legend(
        handles=list(legend),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        fontsize=_LEGEND_POINTS,
        frameon=False,
        borderaxespad=0,
        borderpad=0.4,
        labelspacing=0.4,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    ax.set_title(ax.get_title() or title, pad=(1.5 * rows + 1) * _LEGEND_POINTS)


def limits(
    records: Sequence[LightCurveData], quality_bitmask: flags.Bitmask
) -> tuple[float, float]:
    """Choose bottom and top of the y axis; the docstring of :func:`plot` says how."""
    finite = [np.isfinite(data.flux) & np.isfinite(data.time) for data in records]
    kept = [f & ~condemned(d, quality_bitmask) for d, f in zip(records, finite, strict=True)]
    # Where everything is flagged there is nothing better to go by.
    chosen = kept if any(k.any() for k in kept) else finite
    flux = np.concatenate([data.flux[c] for data, c in zip(records, chosen, strict=True)])
    if flux.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(flux, [0.5, 99.5])
    near = flux[(flux >= low - 2 * (high - low)) & (flux <= high + 2 * (high - low))]
    low, high = float(near.min()), float(near.max())
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    bottom, top = low - margin, high + margin
    return (top, bottom) if records[0].unit.strip() == "mag" else (bottom, top)


def wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Span both, in the direction of the first."""
    low, high = min(*one, *other), max(*one, *other)
    return (low, high) if one[0] < one[1] else (high, low)
