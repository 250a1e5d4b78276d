"""The spacecraft: its clock, and the systematics of a sector that affect all stars."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcdb_notebook.demo.stars import START
from lcdb_notebook.flags import TESSFlag
from lcdb_notebook.ingest.product import FloatVector, IntVector

# Full-frame images every half hour, as in the primary mission: a sector begins every 27.4 days and
# has two orbits of 12.5 days of data, with 1.2 days of downlink between them. The cadence number is
# 4697 at the start of sector 1 (TESS-SPOC's files of sectors 1 and 24).
HALF_HOURS = 1200
FIRST_CADENCE, PER_SECTOR, DOWNLINK = 4697, 1315, 58
DAYS_OF_DATA = HALF_HOURS / 48

QUIET_BACKGROUND = 60.0
STRAY_BACKGROUND = 300.0
"""Electrons per second and pixel: without stray light, and where SPOC's flag is set."""


@dataclass(frozen=True, eq=False)
class Pointing:
    """Times, flags and systematics of one sector; arrays have shape (cadences,).

    Attributes
    ----------
    cadence, time
        Cadence number, and BTJD at the spacecraft in mid-exposure (days).
    exposure
        Days.
    quality
        TESS flags of all stars.
    loss
        Relative flux lost from the aperture.
    jitter
        Factor of the noise.
    background
        Electrons per second and pixel.
    trends
        Shape (2, cadences): slow systematics, of order 1.
    blackout
        Cadences without time and flux.
    orbits
        Slices of the two orbits.
    """

    cadence: IntVector
    time: FloatVector
    exposure: float
    quality: npt.NDArray[np.int32]
    loss: FloatVector
    jitter: FloatVector
    background: FloatVector
    trends: FloatVector
    blackout: npt.NDArray[np.bool_]
    orbits: tuple[slice, slice]


@functools.lru_cache(maxsize=8)
def pointing(sector: int, cadences: int, seed: int) -> Pointing:
    """Return a sector; its events do not depend on the number of cadences."""
    per_sector = round(PER_SECTOR * cadences / HALF_HOURS)
    downlink = round(DOWNLINK * cadences / HALF_HOURS)
    first = round(FIRST_CADENCE * cadences / HALF_HOURS)
    half = cadences - cadences // 2
    exposure = DAYS_OF_DATA / cadences

    row = np.arange(cadences)
    elapsed = row + np.where(row < half, 0, downlink)
    cadence = first + (sector - 1) * per_sector + elapsed
    time = START + (cadence - first + 0.5) * exposure
    day = (elapsed + 0.5) * exposure
    orbits = (slice(0, half), slice(half, cadences))
    begins = np.where(row < half, 0.0, (half + downlink) * exposure)
    into = day - begins
    length = DAYS_OF_DATA / 2

    quality = np.zeros(cadences, dtype=np.int32)
    loss = np.zeros(cadences)
    jitter = np.ones(cadences)
    rng = np.random.default_rng([seed, 0, sector])

    def during(start: float, days: float) -> npt.NDArray[np.bool_]:
        return (day > start - exposure / 2) & (day < start + days + exposure / 2)

    # Momentum dumps every 2.5 days, as in the first sectors.
    for start in np.arange(rng.uniform(1, 2), 27.4, 2.5):
        dump = during(start, 0.03)
        quality[dump] |= TESSFlag.DESAT
        loss[dump] += rng.uniform(0.02, 0.04)
        jitter[dump] = 5

    coarse = during(rng.uniform(2, 10), 0.15)
    quality[coarse] |= TESSFlag.COARSE_POINT
    loss[coarse] += 0.015
    jitter[coarse] = 15

    flare_up = during(rng.uniform(15, 25), 0.002)
    quality[flare_up] |= TESSFlag.ARGABRIGHTENING
    loss[flare_up] -= 0.05
    jitter[flare_up] = 10

    stopped = rng.uniform(16, 22)
    blackout = np.zeros(cadences, dtype=bool)
    if sector % 2 == 0:
        blackout = during(stopped, 0.5)
        quality[blackout] |= TESSFlag.SAFE_MODE
        warming = during(stopped, 0.9) & ~blackout
        quality[warming] |= TESSFlag.MANUAL_EXCLUDE
        loss[warming] += 0.03 * np.exp(-(day[warming] - stopped - 0.5) / 0.3)

    glare = 1500 * np.exp((into - length) / 0.25) + 900 * np.exp(-into / 0.12)
    background = QUIET_BACKGROUND + glare * rng.uniform(0.8, 1.2)
    quality[background > STRAY_BACKGROUND] |= TESSFlag.STRAYLIGHT2

    drift = np.sin(2 * np.pi * (day / rng.uniform(20, 40) + rng.uniform()))
    settling = np.exp(-into / 1.5)
    made = Pointing(
        cadence=cadence,
        time=np.asarray(time, dtype=np.float64),
        exposure=exposure,
        quality=quality,
        loss=loss,
        jitter=jitter,
        background=background,
        trends=np.stack([drift, settling]),
        blackout=blackout,
        orbits=orbits,
    )
    # All stars of the sector share these arrays.
    for shared in (cadence, time, quality, loss, jitter, background, made.trends, blackout):
        shared.flags.writeable = False
    return made
