"""The arrays of a figure in few bytes, without loss; ``encoding.mjs`` decodes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["encode"]

Arrays = list[npt.NDArray[Any]]

# Cadences for each break, below which another encoding is smaller.
_LEAST_RUN = 8


def encode(buffers: Sequence[npt.NDArray[Any]]) -> tuple[dict[str, Any], Arrays]:
    """Return a description and the arrays to send.

    Times are multiples of a power of two, and nearly equidistant: the differences of successive
    differences are small integers, except where a gap breaks them. Flags are sent where they
    change.

    Parameters
    ----------
    buffers : sequence of numpy.ndarray
        Times (float64), fluxes (float32) and planes of flags (uint16), each of shape (cadences,).

    Returns
    -------
    dict, list of numpy.ndarray
        ``unit``, ``first`` and ``bytes`` of the times, and whether flags are sent as ``runs``. Then
        fluxes, times, indices and lengths of steps after a break, starts of runs, and flags.

    Examples
    --------
    >>> time = 1325 + np.arange(1000) / 720
    >>> about, arrays = encode([time, np.ones(1000, np.float32), np.zeros(1000, np.uint16)])
    >>> about["bytes"], sum(array.nbytes for array in arrays) < 6.1 * time.size
    (2, True)
    """
    time, flux, *planes = buffers
    about, times = _times(time)
    runs, flags = _runs(planes, time.size)
    return about | {"runs": bool(runs.size)}, [flux, *times, runs, *flags]


def _times(time: npt.NDArray[np.float64]) -> tuple[dict[str, Any], Arrays]:
    none: Arrays = [np.empty(0, np.uint32), np.empty(0)]
    if time.size:
        unit = float(np.spacing(np.abs(time).max()))
        multiples = time / unit
        # Times near zero can have digits below those of the largest.
        if np.array_equal(multiples, np.rint(multiples)):
            steps = np.diff(multiples, prepend=multiples[0])
            changes = np.diff(steps, prepend=0.0)
            for dtype in (np.int16, np.int32):
                breaks = np.flatnonzero(np.abs(changes) > np.iinfo(dtype).max)
                if breaks.size * _LEAST_RUN <= time.size:
                    changes[breaks] = 0
                    about = {"unit": unit, "first": float(multiples[0])}
                    about["bytes"] = np.dtype(dtype).itemsize
                    return about, [changes.astype(dtype), breaks.astype(np.uint32), steps[breaks]]
    return {"unit": 1.0, "first": 0.0, "bytes": 8}, [time, *none]


def _runs(planes: Sequence[npt.NDArray[np.uint16]], size: int) -> tuple[Any, Arrays]:
    """Return the starts of runs of equal flags, and the flags of each; or all if they are few."""
    change = np.zeros(size, dtype=bool)
    change[:1] = True
    for plane in planes:
        change[1:] |= plane[1:] != plane[:-1]
    starts = np.flatnonzero(change).astype(np.uint32)
    if starts.size * _LEAST_RUN > size:
        return starts[:0], list(planes)
    return starts, [plane[starts] for plane in planes]
