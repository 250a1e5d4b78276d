"""The last step of the synthetic pipeline: divide by slow variations."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from lcdb_notebook.ingest.product import FloatVector

TERMS = 12
"""Number of half waves in an orbit of 12.5 days; the shortest period is 2.1 days."""


def flattened(
    flux: FloatVector, good: npt.NDArray[np.bool_], orbits: tuple[slice, ...]
) -> FloatVector:
    """Fit the slow variations of flux, orbit by orbit.

    A cosine series is fitted by least squares to the good cadences. Two more iterations exclude
    outliers of more than 3 standard deviations (Mazeh & Faigler 2010, A&A 521, L59).

    Parameters
    ----------
    flux
        Flux of shape (cadences,); may be NaN where ``good`` is False.
    good
        The cadences to fit, of shape (cadences,).
    orbits
        The parts to fit separately.

    Returns
    -------
    numpy.ndarray
        Shape (cadences,), in the unit of flux.
    """
    level = np.full(len(flux), np.nan)
    for orbit in orbits:
        values, used = flux[orbit], good[orbit].copy()
        waves = _cosines(len(values))
        fit = np.full(len(values), np.median(values[used]) if used.any() else np.nan)
        for _ in range(3):
            if np.count_nonzero(used) <= waves.shape[1]:
                break
            part = waves[used]
            # Regularized, so that the fit stays bounded in gaps longer than the shortest wave.
            normal = part.T @ part + 1e-4 * len(part) * np.eye(waves.shape[1])
            middle = values[used].mean()
            fit = middle + waves @ np.linalg.solve(normal, part.T @ (values[used] - middle))
            residual = values - fit
            spread = 1.4826 * np.median(np.abs(residual[used]))
            used &= np.abs(residual) < 3 * spread
        level[orbit] = fit
    return level


@functools.lru_cache(maxsize=8)
def _cosines(cadences: int) -> FloatVector:
    phase = np.pi * (np.arange(cadences) + 0.5) / max(cadences, 1)
    terms = np.arange(1 + min(TERMS, cadences // 4))
    return np.asarray(np.cos(phase[:, np.newaxis] * terms), dtype=np.float64)
