"""The stars of the synthetic sky: their kinds, parameters and brightness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lcdb_notebook.ingest.product import FloatVector

if TYPE_CHECKING:
    import pandas as pd

SEED = 20180725
"""Default seed: the day TESS began to observe sector 1."""

KINDS = (
    "planet",
    "constant",
    "eclipsing binary",
    "delta Scuti",
    "planet",
    "rotating",
    "RR Lyrae",
    "flares",
)
"""Kinds of the targets 1, 2, 3, ..., repeated cyclically."""

# Start of sector 1, BTJD, rounded.
START = 1325.3
# Quadratic limb darkening of a Sun-like star in TESS's band (Claret 2017, A&A 600, A30), rounded.
LIMB_1, LIMB_2 = 0.34, 0.23
# a/R of an orbit of one day around one solar mass and radius, from Kepler's third law.
ORBIT_OF_ONE_DAY = 4.21
# Light travel time over one astronomical unit, days (IAU 2012 Resolution B2; 499.004784 s).
LIGHT_TIME = 499.004784 / 86400
SUBSAMPLES = 7


@dataclass(frozen=True)
class Star:
    """One star of the synthetic sky.

    Attributes
    ----------
    target, kind
        Number in the DEMO catalog, and one of :data:`KINDS`.
    tess_magnitude
        Brightness T, in magnitudes.
    longitude, latitude
        Ecliptic coordinates in radians, which determine the light travel time.
    period
        Days; NaN for a constant star. The rotation period of a flaring star.
    epoch
        BTJD of a mid-transit or of a primary mid-eclipse; NaN for other stars.
    depth, duration
        Relative depth in mid-transit or mid-eclipse, and days from first to last contact; NaN for
        stars without transits and eclipses.
    radius_ratio, impact
        Radius of a planet, and its projected distance from the star's centre in mid-transit, in
        stellar radii; 0 for other stars.
    secondary_depth
        Relative depth of a binary's secondary eclipse; 0 for other stars.
    waves
        Rows of (frequency in 1/day, relative semi-amplitude, phase in cycles).
    """

    target: int
    kind: str
    tess_magnitude: float
    longitude: float
    latitude: float
    period: float = np.nan
    epoch: float = np.nan
    depth: float = np.nan
    duration: float = np.nan
    radius_ratio: float = 0.0
    impact: float = 0.0
    secondary_depth: float = 0.0
    waves: tuple[tuple[float, float, float], ...] = ()

    def light_travel(self, time: FloatVector) -> FloatVector:
        """Compute the light travel time from the spacecraft to the barycentre, in days.

        For a circular orbit of the Earth: at most 8.3 minutes, with an error of half a minute.

        Parameters
        ----------
        time
            BTJD at the spacecraft, shape (cadences,).
        """
        # Mean longitude of the Sun: Meeus, Astronomical Algorithms (1998), eq. 25.2, rounded.
        sun = np.radians(280.466 + 0.9856474 * (time + 2457000 - 2451545))
        distance = np.cos(self.latitude) * np.cos(sun + np.pi - self.longitude)
        return np.asarray(LIGHT_TIME * distance, dtype=np.float64)

    def brightness(self, time: FloatVector, exposure: float) -> FloatVector:
        """Compute the mean relative brightness in each exposure, without flares.

        Parameters
        ----------
        time
            BTJD of mid-exposure at the barycentre, shape (cadences,).
        exposure
            Days.
        """
        light = np.ones_like(time)
        for frequency, amplitude, phase in self.waves:
            # A sine averaged over an exposure is a smaller sine.
            smeared = amplitude * np.sinc(frequency * exposure)
            light += smeared * np.sin(2 * np.pi * (frequency * (time - START) + phase))
        if np.isfinite(self.depth):
            light *= self._eclipsed(time, exposure)
        return light

    def _eclipsed(self, time: FloatVector, exposure: float) -> FloatVector:
        step = self.period if self.secondary_depth == 0 else self.period / 2
        from_middle = (time - self.epoch + step / 2) % step - step / 2
        near = np.abs(from_middle) < (self.duration + exposure) / 2
        offsets = exposure * ((np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5)
        light = np.ones_like(time)
        light[near] = 1 - self._dip(time[near, np.newaxis] + offsets).mean(axis=1)
        return light

    def _dip(self, time: FloatVector) -> FloatVector:
        phase = 2 * np.pi * (time - self.epoch) / self.period
        if self.kind == "planet":
            across = orbit_radius(self.period) * np.sin(phase)
            dip = _hidden(np.hypot(across, self.impact * np.cos(phase)), self.radius_ratio)
            return np.where(np.cos(phase) > 0, dip, 0.0)
        depth = np.where(np.cos(phase) > 0, self.depth, self.secondary_depth)
        from_middle = self.period / (2 * np.pi) * np.arcsin(np.abs(np.sin(phase)))
        # A trapezoid: ingress and egress each last a third of the eclipse.
        return np.asarray(depth * np.clip(3 * (0.5 - from_middle / self.duration), 0, 1))


def orbit_radius(period: float) -> float:
    """Compute an orbit's radius in solar radii from the period in days (Kepler's third law)."""
    return float(ORBIT_OF_ONE_DAY * period ** (2 / 3))


def _hidden(distance: FloatVector, ratio: float) -> FloatVector:
    """Compute the light hidden by a small disc: Mandel & Agol 2002 (ApJ 580, L171), section 5.

    At the limb, the hidden area is approximated as linear, which is accurate to a few per cent of
    the depth.
    """
    slant = np.sqrt(1 - np.clip(distance, 0, 1 - ratio) ** 2)
    surface = 1 - LIMB_1 * (1 - slant) - LIMB_2 * (1 - slant) ** 2
    mean = 1 - LIMB_1 / 3 - LIMB_2 / 6
    covered = np.clip((1 + ratio - distance) / (2 * ratio), 0, 1)
    return np.asarray(ratio**2 * covered * surface / mean, dtype=np.float64)


def star(target: int, *, seed: int = SEED) -> Star:
    """Return the star with this number.

    Parameters
    ----------
    target : int
        Its number in the DEMO catalog, from 1.
    seed : int, default SEED
        Seed of the random numbers, a non-negative integer.

    Returns
    -------
    Star
        The kind and parameters of the star.

    Examples
    --------
    >>> star(3).kind
    'eclipsing binary'
    """
    kind = KINDS[(target - 1) % len(KINDS)]
    rng = np.random.default_rng([seed, target])
    latitude = float(np.radians(rng.uniform(-60, 60)))
    longitude = float(rng.uniform(0, 2 * np.pi))
    # Transits are easier to find around bright stars.
    magnitude = float(rng.uniform(8, 10.5) if kind == "planet" else rng.uniform(8, 12.5))
    return _SHAPES[kind](Star(target, kind, magnitude, longitude, latitude), rng)


def truth(targets: int = 24, *, seed: int = SEED) -> pd.DataFrame:
    """Return the true parameters of the stars, to compare with an analysis.

    Parameters
    ----------
    targets : int, default 24
        Number of stars, from target 1.
    seed : int, default SEED
        Seed of the random numbers, a non-negative integer.

    Returns
    -------
    pandas.DataFrame
        One row per star: ``target``, ``kind``, ``tess_magnitude``, ``period`` (days), ``epoch``
        (BTJD), ``depth`` (relative), ``duration`` (hours), ``amplitude`` (relative semi-amplitude
        of the largest sine). NaN for parameters that a star does not have.

    Examples
    --------
    >>> truth(8).groupby("kind")["target"].count()["planet"]
    np.int64(2)
    """
    import pandas as pd

    stars = [star(target, seed=seed) for target in range(1, targets + 1)]
    return pd.DataFrame(
        {
            "target": [s.target for s in stars],
            "kind": [s.kind for s in stars],
            "tess_magnitude": [s.tess_magnitude for s in stars],
            "period": [s.period for s in stars],
            "epoch": [s.epoch for s in stars],
            "depth": [s.depth for s in stars],
            "duration": [24 * s.duration for s in stars],
            "amplitude": [max((a for _, a, _ in s.waves), default=np.nan) for s in stars],
        }
    )


def _planet(plain: Star, rng: np.random.Generator) -> Star:
    period = float(np.exp(rng.uniform(np.log(1.5), np.log(7.5))))
    ratio = float(rng.uniform(0.05, 0.1))
    impact = float(rng.uniform(0, 0.6))
    half = np.arcsin(np.sqrt((1 + ratio) ** 2 - impact**2) / orbit_radius(period))
    return replace(
        plain,
        period=period,
        epoch=START + float(rng.uniform(0, period)),
        depth=float(_hidden(np.array([impact]), ratio)[0]),
        duration=float(period / np.pi * half),
        radius_ratio=ratio,
        impact=impact,
    )


def _binary(plain: Star, rng: np.random.Generator) -> Star:
    period = float(rng.uniform(1.2, 5))
    epoch = START + float(rng.uniform(0, period))
    depth = float(rng.uniform(0.1, 0.35))
    # Tides stretch the stars, so they are brightest twice per orbit, between the eclipses.
    phase = (-0.25 - 2 * (epoch - START) / period) % 1
    return replace(
        plain,
        period=period,
        epoch=epoch,
        depth=depth,
        duration=period * float(rng.uniform(0.05, 0.09)),
        secondary_depth=depth * float(rng.uniform(0.2, 0.7)),
        waves=((2 / period, 0.004, phase),),
    )


def _delta_scuti(plain: Star, rng: np.random.Generator) -> Star:
    scale = 0.01 * float(rng.uniform(0.3, 1))
    waves = tuple(
        (float(rng.uniform(6, 20)), scale * share, float(rng.uniform()))
        for share in (1.0, 0.6, 0.4, 0.2)
    )
    return replace(plain, period=1 / waves[0][0], waves=waves)


def _rr_lyrae(plain: Star, rng: np.random.Generator) -> Star:
    period = float(rng.uniform(0.45, 0.65))
    epoch = START + float(rng.uniform(0, period))
    amplitude = float(rng.uniform(0.1, 0.2))
    # The first terms of a sawtooth: a steep rise to the maximum, and a slow decline.
    waves = tuple(
        (k / period, amplitude / k, (-k * (epoch - START) / period) % 1) for k in range(1, 7)
    )
    return replace(plain, period=period, waves=waves)


def _rotating(plain: Star, rng: np.random.Generator) -> Star:
    period = float(rng.uniform(3, 9))
    amplitude = float(rng.uniform(0.005, 0.02))
    # The second spot is at another latitude, which rotates more slowly.
    waves = (
        (1 / period, amplitude, float(rng.uniform())),
        (0.97 / period, amplitude / 2, float(rng.uniform())),
        (2 / period, amplitude / 3, float(rng.uniform())),
    )
    return replace(plain, period=period, waves=waves)


def _flaring(plain: Star, rng: np.random.Generator) -> Star:
    period = float(rng.uniform(2.5, 6))
    return replace(plain, period=period, waves=((1 / period, 0.004, float(rng.uniform())),))


def _constant(plain: Star, _: np.random.Generator) -> Star:
    return plain


_SHAPES = {
    "planet": _planet,
    "constant": _constant,
    "eclipsing binary": _binary,
    "delta Scuti": _delta_scuti,
    "rotating": _rotating,
    "RR Lyrae": _rr_lyrae,
    "flares": _flaring,
}
