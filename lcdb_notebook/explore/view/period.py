"""The period of the strongest peak, of boxes or of sine waves, searched in steps that can stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError

__all__ = ["METHODS", "Method", "Peak", "strongest_period"]

Method: TypeAlias = Literal["bls", "lombscargle"]

#: As lightkurve's ``to_periodogram(method=...)`` calls them, and what they find.
METHODS: dict[str, str] = {
    "bls": "transits and eclipses (box least squares: Kovács, Zucker & Mazeh 2002, A&A 391, 369)",
    "lombscargle": "sine waves (Lomb 1976, Ap&SS 39, 447; Scargle 1982, ApJ 263, 835)",
}

# Days. Transits last from half an hour to half a day; ten minutes resolve the shortest of them.
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
    period, epoch
        Days, and an instant of phase 0 in the time of the light curve: the middle of a transit, or
        the maximum of the sine.
    coarse
        Whether so long a baseline would have needed more trial periods than were tried, so that
        another peak may have been missed.
    """

    period: float
    epoch: float
    coarse: bool = False


def strongest_period(
    time: Floats,
    flux: Floats,
    method: Method = "bls",
    progress: Callable[[float], object] = lambda _: None,
) -> Peak:
    """Find the strongest peak of a periodogram.

    Cadences are first gathered into bins of ten minutes. Trial periods of transits run from 0.4
    days to half the baseline, so that at least two are seen, at steps in frequency over which the
    phase of the last cadence changes by half a per cent; those of sine waves from 0.05 days to the
    baseline, at eight for each width of a peak. The neighbourhood of the best is then searched ten
    times, and a hundred times, as finely.

    Parameters
    ----------
    time, flux
        float64 of shape (cadences,), time in days; NaN are left out.
    method
        "bls" or "lombscargle": see :data:`METHODS`.
    progress
        Called with the part that is done, from 0 to 1; what it raises ends the search.

    Returns
    -------
    Peak

    Raises
    ------
    DataError
        If there are too few cadences, or they span too little time.
    """
    measured = np.isfinite(time) & np.isfinite(flux)
    if np.count_nonzero(measured) < _FEWEST_CADENCES:
        raise DataError(
            f"a period was asked of {np.count_nonzero(measured)} cadences with a flux; it takes at "
            f"least {_FEWEST_CADENCES}"
        )
    start = float(time[measured].min())
    when, level = _gathered(time[measured] - start, flux[measured])
    baseline = float(np.ptp(when))
    longest = baseline / 2 if method == "bls" else baseline
    if longest <= _SHORTEST[method]:
        raise DataError(
            f"a period was asked of {baseline:.2g} days of light curve; it takes at least "
            f"{_SHORTEST[method] * baseline / max(longest, 1e-9):.2g} days"
        )
    step = (_DRIFT if method == "bls" else 1 / _PEAK_SAMPLES) / baseline
    slowest, fastest = 1 / longest, 1 / _SHORTEST[method]
    wanted = int(np.ceil((fastest - slowest) / step)) + 1
    number = min(max(wanted, _STEPS), _MOST_PERIODS)
    search = _Boxes(when, level) if method == "bls" else _Sines(when, level)
    best = search.best(np.linspace(slowest, fastest, number), lambda done: progress(0.9 * done))
    width = (fastest - slowest) / (number - 1)
    for begun, reach in ((0.9, 2 * width), (0.95, 0.2 * width)):
        near = np.linspace(max(best - reach, slowest), min(best + reach, fastest), 41)
        best = search.best(near, partial(_onward, progress, begun))
    return Peak(float(1 / best), start + search.epoch(best), coarse=wanted > number)


def _onward(progress: Callable[[float], object], begun: float, done: float) -> None:
    progress(begun + 0.05 * done)


class _Boxes:
    def __init__(self, time: Floats, flux: Floats) -> None:
        from astropy.timeseries import BoxLeastSquares

        self._model = BoxLeastSquares(time, flux)

    def best(self, frequencies: Floats, progress: Callable[[float], object]) -> float:
        """Give the frequency of the highest peak."""
        found = (-np.inf, frequencies[0])
        parts = np.array_split(frequencies, min(_STEPS, frequencies.size))
        for number, part in enumerate(parts):
            progress(number / len(parts))
            # By signal to noise, a long series of shallow transits is not outdone by one outlier.
            power = self._model.power(1 / part, _durations(1 / part), objective="snr")
            depth = np.where(power.depth > 0, power.power, -np.inf)
            at = int(np.nanargmax(depth))
            found = max(found, (float(depth[at]), float(part[at])))
        return float(found[1])

    def epoch(self, frequency: float) -> float:
        """Give the middle of a transit."""
        period = np.array([1 / frequency])
        power = self._model.power(period, _durations(period), objective="snr")
        return float(power.transit_time[0])


class _Sines:
    def __init__(self, time: Floats, flux: Floats) -> None:
        from astropy.timeseries import LombScargle

        self._model = LombScargle(time, flux)

    def best(self, frequencies: Floats, progress: Callable[[float], object]) -> float:
        """Give the frequency of the highest peak."""
        found = (-np.inf, frequencies[0])
        parts = np.array_split(frequencies, min(_STEPS // 4, frequencies.size))
        for number, part in enumerate(parts):
            progress(number / len(parts))
            power = self._model.power(part, assume_regular_frequency=part.size > 1)
            at = int(np.nanargmax(power))
            found = max(found, (float(power[at]), float(part[at])))
        return float(found[1])

    def epoch(self, frequency: float) -> float:
        """Give a maximum of the sine."""
        _, of_sine, of_cosine = self._model.model_parameters(frequency)
        return float(np.arctan2(of_sine, of_cosine) / (2 * np.pi * frequency) % (1 / frequency))


def _durations(periods: Floats) -> list[float]:
    # No box may be as long as a period.
    return [d for d in _DURATIONS if d < 0.5 * float(periods.min())]


def _gathered(time: Floats, flux: Floats) -> tuple[Floats, Floats]:
    """Take means over ten minutes, wherever cadences come faster."""
    which = np.floor(time / _FINEST).astype(np.int64)
    _, where, number = np.unique(which, return_inverse=True, return_counts=True)
    if number.max() == 1:
        return time, flux
    return np.bincount(where, time) / number, np.bincount(where, flux) / number
