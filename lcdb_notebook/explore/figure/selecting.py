"""Which cadences lie in ranges that were selected in a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lcdb_notebook.plot.folding import phases

__all__ = ["within"]


def within(
    time: npt.NDArray[np.float64],
    ranges: Sequence[tuple[float, float]],
    period: float | None,
    epoch: float,
) -> npt.NDArray[np.bool_]:
    """Return which times lie in ranges of time, or of phase if folded.

    Parameters
    ----------
    time : numpy.ndarray
        float64 of shape (cadences,), in the mission's time.
    ranges : sequence of (float, float)
        Both ends are included.
    period : float or None
        The period of the fold.
    epoch : float
        The time of phase 0.

    Returns
    -------
    numpy.ndarray
        bool of shape (cadences,).
    """
    x = time if period is None else phases(time, period, epoch)
    found = np.zeros(time.size, dtype=bool)
    for start, stop in ranges:
        found |= (x >= start) & (x <= stop)
    return found
