"""Draw a light curve before and after a processing step, and the ratio or difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import ArgumentError, DataError
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude
from lcdb_notebook.plot.curves import LightCurves, one_of
from lcdb_notebook.plot.drawing import draw, limits, literal
from lcdb_notebook.plot.flagged import flagged_cadences, marks_of
from lcdb_notebook.plot.labels import curve_labels, distinguishing_fields, time_label, title
from lcdb_notebook.plot.levels import median_flux, normalized
from lcdb_notebook.plot.lightcurves import Flagged, hidden_cadences
from lcdb_notebook.plot.panels import WIDTH, one_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["before_after", "common_cadences", "comparable", "comparison"]

# The two colours of Okabe and Ito's palette that differ most in lightness.
_COLOURS = ("#56B4E9", "#000000")


def before_after(
    before: LightCurves,
    after: LightCurves,
    axes: Sequence[Axes] | None = None,
    *,
    compare: Literal["ratio", "difference"] | None = None,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
) -> Axes:
    """Draw a light curve before and after a processing step, and their ratio or difference below.

    If the units differ (for example electron / s and relative flux), each light curve is divided by
    the median of its good cadences, and magnitudes become relative flux (Pogson 1856).

    Parameters
    ----------
    before, after : LightCurveData, lightkurve.LightCurve or Selection
        One light curve each, for example a source and one derived from it, or a LightCurve and its
        ``flatten()``.
    axes : sequence of matplotlib.axes.Axes, optional
        The upper and the lower Axes; by default in a new figure. Clear both before drawing on
        them again.
    compare : {"ratio", "difference"}, optional
        Whether the lower Axes show before / after or before − after. The default is the ratio, or
        the difference for magnitudes and if the median of ``after`` is zero or negative.
    quality_bitmask : str, int or iterable, optional
        Which flags make a cadence bad: "none", "default", "hard" or "hardest", bits, a flag, or
        several flags or names.
    flagged : {"drop", "apart", "keep"}, optional
        "drop" omits bad cadences, "apart" draws them with a mark for each flag, "keep" draws them
        like all others.

    Returns
    -------
    matplotlib.axes.Axes
        The upper Axes. In a new figure the lower ones are ``ax.figure.axes[1]``.

    Raises
    ------
    LightCurveNotFoundError
        If ``before`` or ``after`` is empty.
    AmbiguousError
        If ``before`` or ``after`` has several light curves, or their clocks differ.
    DataError
        If they have no cadence in common, or if a median flux to divide by is zero or negative.
    ArgumentError
        If ``compare`` or ``flagged`` has another value.

    Examples
    --------
    >>> one = dict(sector=1, exptime=1800, photometry="DEMO aperture 2px")
    >>> raw = db.search(1, processing="raw", **one)
    >>> ax = before_after(raw, db.search(1, processing="DEMO DET", **one))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['before: raw', 'after: DEMO DET']
    """
    source, derived = one_of(before, "before"), one_of(after, "after")
    if compare not in ("ratio", "difference", None):
        raise ArgumentError(f"compare must be 'ratio', 'difference' or None, got {compare!r}")
    source, derived = comparable(source, derived, quality_bitmask)
    both = [source, derived]
    one_panel(both)
    how = comparison(derived, compare, quality_bitmask)
    first, second = common_cadences(source, derived)
    upper, lower = _new_axes() if axes is None else axes
    bad = [flagged_mask(data, quality_bitmask) for data in both]
    upper.set_ylim(*limits(both, bad))
    apart = flagged_cadences(both, quality_bitmask) if flagged == "apart" else {}
    draw(
        upper,
        both,
        title=title(both, distinguishing_fields(both)),
        labels=_labels(both),
        flagged=apart,
        marks=marks_of([apart]),
        hidden=[hidden_cadences(one, flagged) for one in bad],
        colours=_COLOURS,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = source.flux[first], derived.flux[second]
        values = one / other if how == "ratio" else one - other
    compared = replace(
        source,
        cadence=source.cadence[first],
        time=source.time[first],
        flux=values,
        unit="" if how == "ratio" else source.unit,
        flux_err=None,
        quality={},
    )
    either = [bad[0][first] | bad[1][second]]
    lower.set_ylim(*limits([compared], either))
    lower.axhline(1 if how == "ratio" else 0, color="#999999", lw=0.8, zorder=1)
    hidden = [hidden_cadences(either[0], "keep" if flagged == "keep" else "drop")]
    draw(lower, [compared], title="", labels=[""], flagged={}, marks={}, hidden=hidden)
    literal(lower.yaxis.label).set_text(_label(how, source.unit))
    literal(lower.xaxis.label).set_text(time_label(source))
    return upper


def comparison(derived: LightCurveData, compare: str | None, quality_bitmask: flags.Bitmask) -> str:
    """Return "ratio" or "difference"; nothing is divided by a median that is not positive."""
    if is_magnitude(derived.unit):
        return compare or "difference"
    median = median_flux(derived, quality_bitmask)
    if compare == "ratio" and median <= 0:
        raise DataError(
            f"the median flux of {derived!r} must be positive for the ratio before / after, got "
            f"{median:g}; pass compare='difference'"
        )
    return compare or ("difference" if median <= 0 else "ratio")


def _label(how: str, unit: str) -> str:
    if how == "ratio":
        return "Before / after"
    return f"Before − after{f' [{unit.strip()}]' if unit.strip() else ''}"


def _labels(both: Sequence[LightCurveData]) -> list[str]:
    """Return "before" and "after", with the names that distinguish the light curves."""
    names = curve_labels(both)
    if any(name.startswith("dataset ") for name in names):
        names = ["" if name.startswith("dataset ") else name for name in names]
    words = zip(("before", "after"), names, strict=True)
    return [f"{when}: {name}" if name else when for when, name in words]


def comparable(
    source: LightCurveData, derived: LightCurveData, quality_bitmask: flags.Bitmask
) -> tuple[LightCurveData, LightCurveData]:
    """Return two light curves in the same unit, as relative flux if their units differ."""
    if source.unit.strip() == derived.unit.strip():
        return source, derived
    return (
        normalized(_as_flux(source), quality_bitmask),
        normalized(_as_flux(derived), quality_bitmask),
    )


def _as_flux(data: LightCurveData) -> LightCurveData:
    if not is_magnitude(data.unit):
        return data
    return replace(data, flux=10 ** (-0.4 * (data.flux - np.nanmedian(data.flux))), unit="")


def common_cadences(
    one: LightCurveData, other: LightCurveData
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the indices of common cadences, matched by number in an observation, else by time.

    Times of the same cadence differ by seconds between pipelines, so times match within a quarter
    of a cadence.
    """
    numbered = all(np.unique(data.cadence).size == data.cadence.size for data in (one, other))
    if numbered and one.observation.id == other.observation.id:
        _, first, second = np.intersect1d(
            one.cadence, other.cadence, assume_unique=True, return_indices=True
        )
    else:
        first, second = _nearest(one.time, other.time)
    if first.size == 0:
        raise DataError(
            "the two light curves have no cadence in common; choose light curves of the same star, "
            "sector and exposure time"
        )
    return first, second


def _nearest(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    first, second = (np.flatnonzero(np.isfinite(time)) for time in (one, other))
    if first.size == 0 or second.size == 0:
        return first[:0], second[:0]
    second = second[np.argsort(other[second], kind="stable")]
    times = other[second]
    after = np.clip(np.searchsorted(times, one[first]), 1, max(1, times.size - 1))
    after = np.minimum(after, times.size - 1)
    below = np.maximum(after - 1, 0)
    closer = np.abs(times[below] - one[first]) < np.abs(times[after] - one[first])
    at = np.where(closer, below, after)
    spacing = min(
        (float(np.median(np.diff(np.sort(t)))) for t in (times, one[first]) if t.size > 1),
        default=0.0,
    )
    same = np.abs(times[at] - one[first]) <= spacing / 4
    return first[same], second[at[same]]


def _new_axes() -> Sequence[Axes]:
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(
        2,
        1,
        sharex=True,
        figsize=(WIDTH, 5.2),
        layout="constrained",
        gridspec_kw={"height_ratios": (2, 1)},
    )
    return tuple(axes)
