"""The period of the strongest peak of a periodogram, searched in steps that can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError
from lcdb_notebook.explore.view.prepare import prepare
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.levels import on_one_level

__all__ = ["METHODS", "Method", "Peak", "find_period", "strongest_period"]

Method: TypeAlias = Literal["bls", "lombscargle"]

#: The names are those of lightkurve's ``to_periodogram(method=...)``.
METHODS: dict[str, str] = {
    "bls": "transits and eclipses (box least squares: Kovács, Zucker & Mazeh 2002, A&A 391, 369)",
    "lombscargle": "sine waves (Lomb 1976, Ap&SS 39, 447; Scargle 1982, ApJ 263, 835)",
}

# Days. Transits last from half an hour to half a day; bins of ten minutes resolve the shortest.
_DURATIONS = (0.02, 0.04, 0.08, 0.16, 0.32)
_FINEST = 10 / 1440
_SHORTEST = {"bls": 0.4, "lombscargle": 0.05}
_MOST_PERIODS = 300_000
_DRIFT, _PEAK_SAMPLES = 0.005, 8
_STEPS = 100
_FEWEST_CADENCES = 20

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """The strongest peak of a periodogram.

    Parameters
    ----------
    period : float
        Days.
    epoch : float
        A time of phase 0, in the time of the light curve: the middle of a transit, or the maximum
        of the sine wave.
    """

    period: float
    epoch: float


def find_period(
    records: Sequence[LightCurveData], settings: Settings, method: Method, task: Task
) -> Peak:
    """Find the strongest peak of what the settings draw, before folding and binning.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves, in order of time.
    settings : Settings
        The quality flags and the processing.
    method : {"bls", "lombscargle"}
        As for :func:`strongest_period`.
    task : Task
        Stops the search, and receives its progress.

    Returns
    -------
    Peak

    Raises
    ------
    DataError
        If there are too few cadences, or they span too little time.
    """
    settings = replace(settings, period=None, epoch=None, bin=None, apart=False)
    times, fluxes = [], []
    prepared = prepare(records, settings, task.check).records
    # Sectors have different levels.
    for data in on_one_level(prepared, settings.quality_bitmask):
        good = ~flagged_mask(data, settings.quality_bitmask) & np.isfinite(data.flux)
        times.append(data.time[good])
        fluxes.append(data.flux[good])
    return strongest_period(np.concatenate(times), np.concatenate(fluxes), method, task.progress)


def strongest_period(
    time: Floats,
    flux: Floats,
    method: Method = "bls",
    progress: Callable[[float], object] = lambda _: None,
) -> Peak:
    """Find the strongest peak of a periodogram.

    Cadences are first averaged in bins of ten minutes. Trial periods of transits run from 0.4 days
    to half the baseline, so that at least two transits are seen; one step in frequency changes the
    phase of the last cadence by half a per cent. Trial periods of sine waves run from 0.05 days to
    the baseline, with eight steps for the width of a peak. The neighbourhood of the best period is
    then searched with steps ten times, and a hundred times, as fine. Very long baselines are
    searched with 300,000 periods, which may miss a narrow peak.

    Parameters
    ----------
    time, flux : numpy.ndarray
        float64 of shape (cadences,), time in days; cadences with NaN are ignored.
    method : {"bls", "lombscargle"}, optional
        Box least squares (Kovács, Zucker & Mazeh 2002, A&A 391, 369), or Lomb-Scargle (Lomb 1976,
        Ap&SS 39, 447; Scargle 1982, ApJ 263, 835).
    progress : callable, optional
        Called with the fraction done, 0 to 1. An exception that it raises ends the search.

    Returns
    -------
    Peak

    Raises
    ------
    DataError
        If there are too few cadences, or they span too little time.

    Examples
    --------
    >>> time = np.arange(0, 20, 0.02)
    >>> flux = np.where((time - 1) % 3.5 < 0.1, 0.99, 1.0)
    >>> round(strongest_period(time, flux).period, 2)
    3.5
    """
    measured = np.isfinite(time) & np.isfinite(flux)
    if np.count_nonzero(measured) < _FEWEST_CADENCES:
        raise DataError(
            f"a period search needs at least {_FEWEST_CADENCES} cadences with a flux, got "
            f"{np.count_nonzero(measured)}"
        )
    start = float(time[measured].min())
    when, level = _in_bins(time[measured] - start, flux[measured])
    baseline = float(np.ptp(when))
    periods = 2 if method == "bls" else 1
    longest = baseline / periods
    if longest <= _SHORTEST[method]:
        raise DataError(
            f"a period search with {method} needs a light curve at least "
            f"{_SHORTEST[method] * periods:.2g} days long, got {baseline:.2g} days"
        )
    step = (_DRIFT if method == "bls" else 1 / _PEAK_SAMPLES) / baseline
    slowest, fastest = 1 / longest, 1 / _SHORTEST[method]
    needed = int(np.ceil((fastest - slowest) / step)) + 1
    number = min(max(needed, _STEPS), _MOST_PERIODS)
    search = _Boxes(when, level) if method == "bls" else _Sines(when, level)
    best = search.best(np.linspace(slowest, fastest, number), lambda done: progress(0.9 * done))
    width = (fastest - slowest) / (number - 1)
    for begun, reach in ((0.9, 2 * width), (0.95, 0.2 * width)):
        near = np.linspace(max(best - reach, slowest), min(best + reach, fastest), 41)
        best = search.best(near, partial(_progress_from, progress, begun))
    return Peak(float(1 / best), start + search.epoch(best))


def _progress_from(progress: Callable[[float], object], begun: float, done: float) -> None:
    progress(begun + 0.05 * done)


class _Boxes:
    def __init__(self, time: Floats, flux: Floats) -> None:
        from astropy.timeseries import BoxLeastSquares

        self._model = BoxLeastSquares(time, flux)

    def best(self, frequencies: Floats, progress: Callable[[float], object]) -> float:
        """Return the frequency of the highest peak."""
        found = (-np.inf, frequencies[0])
        parts = np.array_split(frequencies, min(_STEPS, frequencies.size))
        for number, part in enumerate(parts):
            progress(number / len(parts))
            # With "snr" one outlier does not outweigh many shallow transits.
            power = self._model.power(1 / part, _durations(1 / part), objective="snr")
            depth = np.where(power.depth > 0, power.power, -np.inf)
            at = int(np.nanargmax(depth))
            found = max(found, (float(depth[at]), float(part[at])))
        return float(found[1])

    def epoch(self, frequency: float) -> float:
        """Return the middle of a transit."""
        period = np.array([1 / frequency])
        power = self._model.power(period, _durations(period), objective="snr")
        return float(power.transit_time[0])


class _Sines:
    def __init__(self, time: Floats, flux: Floats) -> None:
        from astropy.timeseries import LombScargle

        self._model = LombScargle(time, flux)

    def best(self, frequencies: Floats, progress: Callable[[float], object]) -> float:
        """Return the frequency of the highest peak."""
        found = (-np.inf, frequencies[0])
        parts = np.array_split(frequencies, min(_STEPS // 4, frequencies.size))
        for number, part in enumerate(parts):
            progress(number / len(parts))
            power = self._model.power(part, assume_regular_frequency=part.size > 1)
            at = int(np.nanargmax(power))
            found = max(found, (float(power[at]), float(part[at])))
        return float(found[1])

    def epoch(self, frequency: float) -> float:
        """Return the time of a maximum of the sine wave."""
        _, of_sine, of_cosine = self._model.model_parameters(frequency)
        return float(np.arctan2(of_sine, of_cosine) / (2 * np.pi * frequency) % (1 / frequency))


def _durations(periods: Floats) -> list[float]:
    # A box must be shorter than the period.
    return [d for d in _DURATIONS if d < 0.5 * float(periods.min())]


def _in_bins(time: Floats, flux: Floats) -> tuple[Floats, Floats]:
    """Average over ten minutes, if cadences are faster."""
    which = np.floor(time / _FINEST).astype(np.int64)
    _, where, number = np.unique(which, return_inverse=True, return_counts=True)
    if number.max() == 1:
        return time, flux
    return np.bincount(where, time) / number, np.bincount(where, flux) / number
