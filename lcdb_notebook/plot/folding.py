"""Draw flux against phase, with binned points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.curves import LightCurves, records_of
from lcdb_notebook.plot.drawing import draw, limits, literal, points
from lcdb_notebook.plot.flagged import flagged_cadences, marks_of
from lcdb_notebook.plot.labels import curve_labels, distinguishing_fields, time_unit, title
from lcdb_notebook.plot.levels import mission_epoch, on_one_level
from lcdb_notebook.plot.lightcurves import Flagged, hidden_cadences
from lcdb_notebook.plot.panels import new_figure, one_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fold", "phase_bins", "phases"]

# Vermilion of Okabe and Ito's palette, in contrast to the cool colours of light curves.
_BINNED = "#D55E00"

Floats = npt.NDArray[np.float64]


def fold(
    light_curves: LightCurves,
    period: Any,
    ax: Axes | None = None,
    *,
    epoch: Any = None,
    bins: int | None = 200,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
) -> Axes:
    """Draw flux against phase, with binned points.

    Phase is the time since the nearest epoch, from minus half a period to half a period. Several
    light curves (sectors, apertures, processing steps) are folded together, after each is divided
    by the median of its good cadences. For magnitudes, and if any median is zero or negative, the
    median is subtracted instead. A single light curve is not normalized.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable of these
        The light curves, in one unit and one time format.
    period : float or astropy.units.Quantity
        The period, as a number in the unit of the mission's time (days) or a Quantity.
    ax : matplotlib.axes.Axes, optional
        The Axes; by default in a new figure. Clear it before drawing another period on it.
    epoch : float or astropy.time.Time, optional
        A time of phase 0, such as the middle of a transit: a number in the mission's time format, a
        BJD (a number of at least 1e6), or a Time (in TDB at the barycentre, like the light curves).
        None is the first cadence.
    bins : int or None, optional
        The number of bins in phase. The median of each is drawn; None draws no bins.
    quality_bitmask : str, int or iterable, optional
        Which flags make a cadence bad: "none", "default", "hard" or "hardest", bits, a flag, or
        several flags or names.
    flagged : {"drop", "apart", "keep"}, optional
        "drop" omits bad cadences, "apart" draws them with a mark for each flag, "keep" treats them
        like all others. The bins include bad cadences only with "keep".

    Returns
    -------
    matplotlib.axes.Axes
        The Axes with the drawing.

    Raises
    ------
    LightCurveNotFoundError
        If there are no light curves.
    AmbiguousError
        If units or clocks differ.
    ArgumentError
        If ``period`` is not positive and finite, ``epoch`` is not finite, or ``bins`` is below 1.
        If ``flagged`` has another value.

    Examples
    --------
    >>> found = db.search(1, exptime=1800, photometry="DEMO aperture 2px", processing="DEMO DET")
    >>> ax = fold(found, 3.6, epoch=1326.0, quality_bitmask="hard")
    >>> ax.get_title(), ax.get_xlabel()
    ('DEMO 1, sectors 1–2, DEMO aperture 2px, DEMO DET, folded on 3.6 days', 'Phase [days]')
    """
    records = records_of(light_curves)
    one_panel(records)
    length = _in_unit(period, records[0])
    if not (np.isfinite(length) and length > 0):
        raise ArgumentError(f"period must be a positive number, got {period!r}")
    if bins is not None and bins < 1:
        raise ArgumentError(f"bins must be at least 1, or None for no bins, got {bins!r}")
    start = _epoch(epoch, records)
    if len(records) > 1:
        records = on_one_level(records, quality_bitmask)
    bad = [flagged_mask(data, quality_bitmask) for data in records]
    hidden = [hidden_cadences(one, flagged) for one in bad]
    folded = [replace(data, time=phases(data.time, length, start)) for data in records]
    if ax is None:
        ax = new_figure(4.0).add_subplot()
    ax.set_ylim(*limits(folded, bad))
    apart = flagged_cadences(folded, quality_bitmask) if flagged == "apart" else {}
    name = title(records, distinguishing_fields(records), joined=True)
    unit = time_unit(records[0])
    draw(
        ax,
        folded,
        title=f"{name}, folded on {length:.7g} {unit}".removeprefix(", "),
        labels=curve_labels(records, joined=True),
        flagged=apart,
        marks=marks_of([apart]),
        hidden=hidden,
    )
    if bins is not None:
        _draw_binned(ax, folded, hidden, length, bins)
    ax.set_xlim(-length / 2, length / 2)
    literal(ax.xaxis.label).set_text(f"Phase [{unit}]")
    left = records[0].unit.strip()
    if len(records) > 1 and left:
        what = "Magnitude − median" if left == "mag" else f"Flux − median [{left}]"
        literal(ax.yaxis.label).set_text(what)
    return ax


def _in_unit(period: Any, data: LightCurveData) -> float:
    """Return a period in the unit of the mission's time."""
    from astropy.units import Quantity

    return float(period.to_value(data.clock.unit) if isinstance(period, Quantity) else period)


def _epoch(epoch: Any, records: Sequence[LightCurveData]) -> float:
    """Return the time of phase 0 in the mission's time."""
    if epoch is None:
        first = min(float(np.fmin.reduce(data.time, initial=np.inf)) for data in records)
        return first if np.isfinite(first) else 0.0
    if hasattr(epoch, "to_value") and hasattr(epoch, "tdb"):
        records[0].clock.time_format()
        epoch = epoch.tdb.to_value(records[0].clock.format_name)
    if not np.isfinite(float(epoch)):
        raise ArgumentError(f"epoch must be a finite time in the mission's format, got {epoch!r}")
    return mission_epoch(float(epoch), records)


def phases(time: Floats, period: float, epoch: float) -> Floats:
    """Return the time since the nearest epoch, from -period / 2 to period / 2.

    Parameters
    ----------
    time : numpy.ndarray
        float64 of shape (cadences,).
    period, epoch : float
        In the unit and format of ``time``.

    Returns
    -------
    numpy.ndarray
        float64 of shape (cadences,).
    """
    phase: Floats = (time - epoch + period / 2) % period - period / 2
    return phase


def phase_bins(phase: Floats, flux: Floats, period: float, bins: int) -> tuple[Floats, Floats]:
    """Return centres and median fluxes of equal bins of phase; empty bins are left out.

    Parameters
    ----------
    phase, flux : numpy.ndarray
        float64 of shape (cadences,); cadences with NaN are ignored.
    period : float
        The period.
    bins : int
        The number of bins.

    Returns
    -------
    tuple of numpy.ndarray
        float64 of shape (bins with cadences,).
    """
    import pandas as pd

    finite = np.isfinite(phase) & np.isfinite(flux)
    which = np.floor((phase[finite] / period + 0.5) * bins).clip(0, bins - 1)
    medians = pd.Series(flux[finite]).groupby(which).median()
    centres: Floats = ((medians.index.to_numpy() + 0.5) / bins - 0.5) * period
    return centres, np.asarray(medians, np.float64)


def _draw_binned(
    ax: Axes,
    folded: Sequence[LightCurveData],
    hidden: Sequence[npt.NDArray[np.bool_]],
    period: float,
    bins: int,
) -> None:
    phase = np.concatenate([d.time[~h] for d, h in zip(folded, hidden, strict=True)])
    flux = np.concatenate([d.flux[~h] for d, h in zip(folded, hidden, strict=True)])
    centres, medians = phase_bins(phase, flux, period, bins)
    if not centres.size:
        return
    style = {"marker": "o", "color": _BINNED, "ls": "none", "markersize": 4.5}
    style |= {"markeredgecolor": "white", "markeredgewidth": 0.5}
    points(ax, centres, medians, style, label="binned", zorder=4)
