"""Observe the synthetic stars and build light curves, like a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.demo.detrending import flattened
from lcdb_notebook.demo.spacecraft import HALF_HOURS, QUIET_BACKGROUND, Pointing, pointing
from lcdb_notebook.demo.stars import KINDS, SEED, Star, star
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.ingest.product import Curve, FloatVector, Named, Product
from lcdb_notebook.lightcurve.missions import TESS

SHORT_CADENCES = 15 * HALF_HOURS
SHORT_TARGETS = 2
STEPS = 2

# Zero point of TESS: T = -2.5 log10(electrons per second) + 20.44; read noise: 10 electrons per
# pixel and 2-second image (TESS Instrument Handbook, Vanderspek et al. 2018). On-board cosmic-ray
# mitigation drops 2 of every 10 images.
ZERO_POINT = 20.44
READ_VARIANCE = 10.0**2 / 2
OPEN = 0.8
# Noise floor: 60 parts per million in one hour (Ricker et al. 2015, JATIS 1, 014003).
FLOOR = 60e-6 * np.sqrt(1 / 24)

SYSTEMATICS = Named("DEMO SYS_RM", "[electron / s] Systematics removed: 95% of the simulated ones")
DETRENDED = Named(
    "DEMO DET", "[] Detrended: divided by a cosine series that preserves variations faster than 2 d"
)


def products(
    targets: int = 24,
    *,
    sectors: Iterable[int] = (1, 2),
    seed: int = SEED,
    cadences: int | None = None,
    apertures: int = 2,
    steps: int = STEPS,
) -> Iterator[Product]:
    """Observe the synthetic sky, one product at a time, sector by sector.

    Memory does not depend on ``targets``, and the products of a target depend only on ``seed``, the
    target, the sector and ``cadences``. For benchmarks, ``products(20_000, sectors=[1],
    cadences=1200, apertures=1, steps=0)`` yields one raw light curve per star.

    Parameters
    ----------
    targets : int, default 24
        Number of stars, which are numbered from 1 in the catalog ``DEMO``.
        :func:`~lcdb_notebook.demo.truth` has their kinds.
    sectors : iterable of int, default (1, 2)
        Sectors to observe, from 1.
    seed : int, default SEED
        Seed of the random numbers, a non-negative integer.
    cadences : int, optional
        Number of cadences in 25 days: 1,200 cadences have 30 minutes, 18,000 have 2 minutes. By
        default 1,200, and 18,000 in a second light curve of targets 1 and 2.
    apertures : int, default 2
        Number of circular apertures, with radii of 2, 3, ... pixels.
    steps : int, default 2
        Number of processing steps after the raw photometry: 0, 1 (``DEMO SYS_RM``) or 2 (``DEMO
        DET``, derived from that).

    Returns
    -------
    iterator of Product
        Flags of type ``tess_quality_flag``; times in BTJD (TDB, at the barycentre); raw and
        SYS_RM flux in electron / s, DET flux relative.

    Raises
    ------
    ArgumentError
        At once, if a number is out of range.

    Examples
    --------
    >>> for product in products(1, sectors=[1]):
    ...     print(product.label, len(product.cadence), len(product.curves))
    DEMO 1, sector 1, 1800 s 1200 6
    DEMO 1, sector 1, 120 s 18000 6
    """
    sectors = tuple(sectors)
    for name, value, least in (
        ("targets", targets, 0),
        *(("sectors", sector, 1) for sector in sectors),
        ("seed", seed, 0),
        ("cadences", HALF_HOURS if cadences is None else cadences, 1),
        ("apertures", apertures, 1),
        ("steps", steps, 0),
    ):
        if value < least:
            raise ArgumentError(f"{name} must be at least {least}, got {value}")
    if steps > STEPS:
        raise ArgumentError(f"steps must be at most {STEPS} (DEMO SYS_RM, DEMO DET), got {steps}")
    lengths = (
        ((HALF_HOURS, targets), (SHORT_CADENCES, min(targets, SHORT_TARGETS)))
        if cadences is None
        else ((cadences, targets),)
    )
    return (
        _observe(star(target, seed=seed), sector, length, seed, apertures, steps)
        for sector in sectors
        for length, number in lengths
        for target in range(1, number + 1)
    )


def _observe(
    observed: Star, sector: int, cadences: int, seed: int, apertures: int, steps: int
) -> Product:
    craft = pointing(sector, cadences, seed)
    # One generator for the star and its position in this sector, independent of the cadence, and
    # one for the noise of exposures.
    fate = np.random.default_rng([seed, observed.target, sector])
    noise = np.random.default_rng([seed, observed.target, sector, cadences])

    time = craft.time + observed.light_travel(craft.time)
    light = observed.brightness(time, craft.exposure)
    if observed.kind == "flares":
        light += _flares(fate, time, craft.exposure)
    trend = 1 + fate.normal(0, 0.003, size=2) @ craft.trends
    loss = craft.loss * fate.uniform(0.7, 1.3)
    glare = 0.03 * ((craft.background - QUIET_BACKGROUND) / 1500) ** 3 * fate.uniform(0.7, 1.3)

    quality, spikes = _hits(noise, craft)
    missing, untimed = _losses(noise, craft, quality)
    time[untimed] = np.nan

    shared = noise.standard_normal(cadences)
    hard = flags.mask(quality, "hard")
    curves: list[Curve] = []
    for radius in range(2, 2 + apertures):
        rate, error = _count_rate(observed, radius, craft)
        # Most of the noise is photon noise of the star, which is the same in all apertures.
        scatter = 0.9 * shared + np.sqrt(1 - 0.9**2) * noise.standard_normal(cadences)
        flux = rate * (light * trend * (1 - loss) + glare) + error * (
            craft.jitter * scatter + spikes
        )
        flux[missing] = np.nan
        error[missing] = np.nan
        photometry = Named(
            f"DEMO aperture {radius}px",
            f"[electron / s] Synthetic photometry in a circle of {radius} pixels in radius",
        )
        curves.append(Curve(photometry, None, None, flux, error))
        if steps >= 1:
            known = 0.95 * trend + 0.05
            curves.append(
                Curve(photometry, SYSTEMATICS, len(curves) - 1, flux / known, error / known)
            )
        if steps >= 2:
            smooth = curves[-1].flux
            level = flattened(smooth, ~hard & ~missing, craft.orbits)
            curves.append(
                Curve(photometry, DETRENDED, len(curves) - 1, smooth / level, error / level)
            )
    exptime = round(craft.exposure * 86400)
    return Product(
        label=f"DEMO {observed.target}, sector {sector}, {exptime} s",
        mission=TESS.telescope,
        catalog="DEMO",
        target=observed.target,
        observation_type=TESS.observation_type,
        observation_fields={
            "sector": sector,
            "orbit_number": None,
            "cosmic_ray_mitigation": True,
            "spacecraft_quaternion": None,
            "author": "DEMO",
            "exptime": exptime,
        },
        # One star of each kind on a CCD, then the next CCD.
        instrument=(
            TESS.telescope,
            "Camera 1",
            f"CCD {1 + (observed.target - 1) // len(KINDS) % 4}",
        ),
        cadence=craft.cadence,
        time=time,
        quality={TESS.flag_type: quality},
        curves=tuple(curves),
    )


def _count_rate(observed: Star, radius: int, craft: Pointing) -> tuple[float, FloatVector]:
    """Compute the electrons per second in an aperture, and their standard error."""
    # A Gaussian star image of one pixel's standard deviation.
    inside = 1 - np.exp(-(radius**2) / 2)
    rate = float(inside * 10 ** (0.4 * (ZERO_POINT - observed.tess_magnitude)))
    pixels = np.pi * radius**2
    seconds = OPEN * craft.exposure * 86400
    photons = (rate + pixels * (craft.background + READ_VARIANCE)) / seconds
    return rate, np.sqrt(photons + (rate * FLOOR) ** 2 / craft.exposure)


def _flares(fate: np.random.Generator, time: FloatVector, exposure: float) -> FloatVector:
    """Compute flares: sudden rises that decay exponentially, averaged over each exposure."""
    number = 4 + fate.poisson(4)
    starts = time[0] + fate.uniform(size=number) * (time[-1] - time[0])
    heights = np.minimum(0.01 * (1 + fate.pareto(1.2, size=number)), 0.3)
    decays = fate.uniform(0.02, 0.06, size=number)
    light = np.zeros_like(time)
    for start, height, decay in zip(starts, heights, decays, strict=True):
        opened = np.maximum(time - exposure / 2 - start, 0) / decay
        closed = np.maximum(time + exposure / 2 - start, 0) / decay
        light += height * decay / exposure * (np.exp(-opened) - np.exp(-closed))
    return light


def _hits(noise: np.random.Generator, craft: Pointing) -> tuple[npt.NDArray[np.int32], FloatVector]:
    """Return one star's flags, and its outliers and cosmic rays in units of the error."""
    quality = craft.quality.copy()
    spikes = np.zeros(len(quality))
    for flag, low, high, share in (
        (flags.TESSFlag.IMPULSIVE_OUTLIER, -60, -20, 0.003),
        (flags.TESSFlag.APERTURE_COSMIC, 8, 25, 0.003),
    ):
        hit = noise.integers(len(quality), size=round(share * len(quality)))
        quality[hit] |= flag
        spikes[hit] = noise.uniform(low, high, size=len(hit))
    return quality, spikes


def _losses(
    noise: np.random.Generator, craft: Pointing, quality: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Choose cadences without flux and cadences without time; some of both have no flag."""
    clean = np.flatnonzero(quality == 0)
    number = round(0.003 * len(quality))
    gone = noise.choice(clean, size=min(2 * number, len(clean)), replace=False)
    missing, untimed = craft.blackout.copy(), craft.blackout.copy()
    missing[gone] = True
    untimed[gone[:number]] = True
    return missing, untimed
