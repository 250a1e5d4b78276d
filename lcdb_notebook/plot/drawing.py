"""Points, titles and legends of one Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude
from lcdb_notebook.plot.flagged import Bools, Flag, Mark, count, legend_entries
from lcdb_notebook.plot.labels import flux_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

# Black and the cool colours of Okabe and Ito's palette; flags have the warm ones.
CURVE_COLOURS = ("#000000", "#0072B2", "#CC79A7", "#56B4E9", "#999999")
_LEGEND_POINTS = 8.0

Floats = npt.NDArray[np.float64]


def draw(
    ax: Axes,
    records: Sequence[LightCurveData],
    *,
    title: str,
    labels: Sequence[str],
    flagged: Mapping[str, Flag],
    marks: Mapping[str, Mark],
    hidden: Sequence[Bools],
    colours: Sequence[str] = CURVE_COLOURS,
) -> list[Artist]:
    """Draw light curves of one unit on an Axes whose y limits are already set.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The Axes.
    records : sequence of LightCurveData
        The light curves.
    title : str
        The title, if the Axes do not have one.
    labels : sequence of str
        A label for each light curve. Those with the same label share a colour and a legend entry.
    flagged : mapping
        Masks of cadences in each record, by name of the flag to mark.
    marks : mapping
        The colour and the shape of each flag, by name.
    hidden : sequence of numpy.ndarray
        For each record, bool of shape (cadences,): cadences not to draw as points.
    colours : sequence of str, optional
        The colours of light curves, repeated if there are more labels.

    Returns
    -------
    list of matplotlib.artist.Artist
        The artists, so that they can be removed.
    """
    from matplotlib.lines import Line2D

    drawn: list[Artist] = []
    legend: list[Line2D] = []
    size = point_size(records)
    colour_of = dict(zip(dict.fromkeys(labels), cycle(colours), strict=False))
    for data, label, apart in zip(records, labels, hidden, strict=True):
        style: dict[str, Any] = {"marker": ".", "color": colour_of[label], "ls": "none"}
        style |= {"markersize": size, "markeredgewidth": 0}
        drawn += points(ax, data.time[~apart], data.flux[~apart], style, label=label, zorder=2)
        if label and label not in {line.get_label() for line in legend}:
            legend.append(Line2D([], [], **{**style, "markersize": 8}, label=label))
    for name, (colour, marker), masks in legend_entries(flagged, marks):
        time = np.concatenate([data.time[m] for data, m in zip(records, masks, strict=True)])
        flux = np.concatenate([data.flux[m] for data, m in zip(records, masks, strict=True)])
        label = f"{name} ({count(records, masks):,})"
        style = {"marker": marker, "color": colour, "ls": "none"}
        style |= {"markersize": 4, "markerfacecolor": "none"}
        drawn += points(ax, time, flux, style, label=label, zorder=3)
        legend.append(Line2D([], [], **style, label=label))
    literal(ax.yaxis.label).set_text(flux_label(records[0].unit))
    # An offset such as "+1.4e6" in a corner is easily overlooked, and overlaps the legend.
    ax.ticklabel_format(axis="both", useOffset=False, style="plain")
    return drawn + head(ax, title, legend)


def point_size(records: Sequence[LightCurveData]) -> float:
    """Return the diameter of points in 1/72 inch, smaller for more cadences."""
    cadences = max(1, sum(data.flux.size for data in records))
    return float(np.clip(8 - 1.5 * np.log10(cadences), 1.8, 5.0))


def points(
    ax: Axes, time: Floats, flux: Floats, style: dict[str, Any], *, label: str, zorder: float
) -> list[Artist]:
    """Draw points, and triangles at the edges for points outside of the y limits."""
    finite = np.isfinite(time) & np.isfinite(flux)
    time, flux = time[finite], flux[finite]
    drawn: list[Artist] = [
        *ax.plot(time, flux, **style, label=label, zorder=zorder, rasterized=True)
    ]
    at_bottom, at_top = ax.get_ylim()
    downwards = at_top < at_bottom
    low, high = sorted((at_bottom, at_top))
    for beyond, upwards in ((flux > high, not downwards), (flux < low, downwards)):
        if beyond.any():
            drawn += ax.plot(
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
    return drawn


def literal(text: Text) -> Text:
    """Return a Text after turning off mathtext and TeX, for names from a database."""
    text.set_parse_math(False)
    text.set_usetex(False)
    return text


def head(ax: Axes, title: str, legend: Sequence[Line2D]) -> list[Artist]:
    """Put the legend above the Axes, where it does not hide data, and the title above the legend.

    Returns
    -------
    list of matplotlib.artist.Artist
        The legend; empty if there is none.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not ax.get_title():
        literal(ax.title).set_text(title)
    if not legend:
        return []
    font = FontProperties(size=_LEGEND_POINTS)
    longest = max(
        text_to_path.get_text_width_height_descent(str(line.get_label()), font, ismath=False)[0]
        for line in legend
    )
    available = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted()).width * 72
    # Marks and the space between columns are as wide as 3.5 letters.
    columns = int(np.clip(available // (longest + 3.5 * _LEGEND_POINTS), 1, len(legend)))
    rows = -(-len(legend) // columns)
    shown = ax.legend(
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
    for text in shown.get_texts():
        literal(text)
    # Formulas in a title that the user has set are kept.
    ax.set_title(ax.get_title(), pad=(1.5 * rows + 1) * _LEGEND_POINTS)
    return [shown]


def limits(records: Sequence[LightCurveData], bad: Sequence[Bools]) -> tuple[float, float]:
    """Return bottom and top of the y axis.

    They include the percentiles 0.5 to 99.5 of the good cadences, and points outside this range by
    less than twice its size.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves of the Axes.
    bad : sequence of numpy.ndarray
        For each record, bool of shape (cadences,): cadences to ignore.

    Returns
    -------
    tuple of float
        The limits; reversed for magnitudes.
    """
    finite = [np.isfinite(data.flux) & np.isfinite(data.time) for data in records]
    kept = [f & ~b for f, b in zip(finite, bad, strict=True)]
    # If all cadences are flagged, use all.
    chosen = kept if any(k.any() for k in kept) else finite
    flux = np.concatenate([data.flux[c] for data, c in zip(records, chosen, strict=True)])
    if flux.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(flux, [0.5, 99.5])
    near = flux[(flux >= low - 2 * (high - low)) & (flux <= high + 2 * (high - low))]
    low, high = float(near.min()), float(near.max())
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    bottom, top = low - margin, high + margin
    return (top, bottom) if is_magnitude(records[0].unit) else (bottom, top)


def wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return limits that contain both, in the direction of the first."""
    low, high = min(*one, *other), max(*one, *other)
    return (low, high) if one[0] < one[1] else (high, low)
