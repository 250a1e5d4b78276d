"""Before and after a processing step: one light curve over the other, and their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.quality import condemned
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.curves import LightCurves, levelled, one_of
from lcdb_notebook.plot.drawing import draw, limits
from lcdb_notebook.plot.flagged import flagged_cadences, marks_of
from lcdb_notebook.plot.lightcurves import Flagged, hidden_cadences
from lcdb_notebook.plot.panels import WIDTH, one_panel
from lcdb_notebook.plot.wording import curve_labels, telling_fields, time_label, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["before_after"]

# Sky blue below, black above: of Okabe and Ito's palette those that differ most in lightness.
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
    """Draw a light curve, what was made of it over it, and below what the step took out.

    Where the two are of different units (electron / s, and relative flux), each is divided by the
    median of its good cadences; magnitudes beside fluxes become relative flux (Pogson 1856).

    Parameters
    ----------
    before, after
        One light curve each, as for :func:`plot`: a source and one derived from it, or a LightCurve
        and its ``flatten()``.
    axes
        Two to draw on, the upper one and the lower one; None makes a new figure. To draw again on
        the same, clear both first.
    compare
        What the lower one shows: the "ratio" before / after, or the "difference" before − after;
        None is the difference for magnitudes, else the ratio.
    quality_bitmask, flagged
        As for :func:`plot`.

    Returns
    -------
    matplotlib.axes.Axes
        The upper one; the other is ``.figure.axes[1]`` where the figure is new.

    Raises
    ------
    LightCurveNotFoundError, AmbiguousError
        If ``before`` or ``after`` is none or several, or their clocks differ.
    DataError
        If they have no cadence in common.
    TypeError
        If ``compare`` is something else.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> one = dict(sector=1, exptime=1800, photometry="DEMO aperture 2px")
    >>> raw = db.search(1, processing="raw", **one)
    >>> ax = before_after(raw, db.search(1, processing="DEMO DET", **one))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['before: raw', 'after: DEMO DET']
    """
    source, derived = one_of(before, "before"), one_of(after, "after")
    if compare not in ("ratio", "difference", None):
        raise TypeError(f"compare= is 'ratio', 'difference' or None, not {compare!r}")
    if source.unit.strip() != derived.unit.strip():
        source, derived = (levelled(_as_flux(data), quality_bitmask) for data in (source, derived))
    both = [source, derived]
    one_panel(both)
    first, second = _common(source, derived)
    upper, lower = _new_axes() if axes is None else axes
    bad = [condemned(data, quality_bitmask) for data in both]
    upper.set_ylim(*limits(both, bad))
    apart = flagged_cadences(both, quality_bitmask) if flagged == "apart" else {}
    draw(
        upper,
        both,
        title=title(both, telling_fields(both)),
        labels=_labels(both),
        flagged=apart,
        marks=marks_of([apart]),
        hidden=[hidden_cadences(one, flagged) for one in bad],
        colours=_COLOURS,
    )
    magnitudes = source.unit.strip() == "mag"
    how = compare or ("difference" if magnitudes else "ratio")
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = source.flux[first], derived.flux[second]
        values = one / other if how == "ratio" else one - other
    taken_out = replace(
        source,
        cadence=source.cadence[first],
        time=source.time[first],
        flux=values,
        unit="" if how == "ratio" else source.unit,
        flux_err=None,
        quality={},
    )
    either = [bad[0][first] | bad[1][second]]
    lower.set_ylim(*limits([taken_out], either))
    lower.axhline(1 if how == "ratio" else 0, color="#999999", lw=0.8, zorder=1)
    hidden = [hidden_cadences(either[0], "keep" if flagged == "keep" else "drop")]
    draw(lower, [taken_out], title="", labels=[""], flagged={}, marks={}, hidden=hidden)
    lower.set_ylabel(_label(how, source.unit))
    lower.set_xlabel(time_label(source))
    return upper


def _label(how: str, unit: str) -> str:
    if how == "ratio":
        return "Before / after"
    return f"Before − after{f' [{unit.strip()}]' if unit.strip() else ''}"


def _labels(both: Sequence[LightCurveData]) -> list[str]:
    """Name each by what the other is not; nothing more where they are named alike."""
    names = curve_labels(both)
    if any(name.startswith("dataset ") for name in names):
        names = ["" if name.startswith("dataset ") else name for name in names]
    words = zip(("before", "after"), names, strict=True)
    return [f"{when}: {name}" if name else when for when, name in words]


def _as_flux(data: LightCurveData) -> LightCurveData:
    if data.unit.strip() != "mag":
        return data
    return replace(data, flux=10 ** (-0.4 * (data.flux - np.nanmedian(data.flux))), unit="")


def _common(
    one: LightCurveData, other: LightCurveData
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Say which elements of both are the same cadences: by number in an observation, or by time.

    Pipelines place the same cadence seconds apart, so a quarter of a cadence is the same time.
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
            f"{one!r} and {other!r} have no cadence in common; compare light curves of the same "
            "star, sector and exposure time"
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
