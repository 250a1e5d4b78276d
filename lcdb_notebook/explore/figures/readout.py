"""The cadence nearest to the cursor, and its description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Place", "Points", "readout_text"]

# Pixels: the largest distance from the cursor.
_REACH = 40.0


@dataclass(frozen=True)
class Place:
    """A cadence: the number of its record, and its index in the record."""

    record: int
    index: int


class Points:
    """The points of one panel in order of x, for looking up the nearest to a pixel.

    Parameters
    ----------
    x, y : sequence of numpy.ndarray
        For each record, float64 of shape (cadences,), in the units of the axes.
    shown : sequence of numpy.ndarray
        For each record, bool of shape (cadences,): whether a point is drawn.
    numbers : sequence of int
        The number of each record among all those drawn.
    """

    def __init__(
        self,
        x: Sequence[npt.NDArray[np.float64]],
        y: Sequence[npt.NDArray[np.float64]],
        shown: Sequence[npt.NDArray[np.bool_]],
        numbers: Sequence[int],
    ) -> None:
        which = [
            np.flatnonzero(s & np.isfinite(a) & np.isfinite(b))
            for a, b, s in zip(x, y, shown, strict=True)
        ]
        xs = np.concatenate([a[w] for a, w in zip(x, which, strict=True)])
        # Times are increasing, phases are not.
        order = np.argsort(xs, kind="stable")
        self.x = xs[order]
        self.y = np.concatenate([a[w] for a, w in zip(y, which, strict=True)])[order]
        self._index = np.concatenate(which)[order]
        self._record = np.repeat(numbers, [w.size for w in which])[order]

    def nearest(self, ax: Axes, x: float, y: float) -> int | None:
        """Return the number of the point nearest to a pixel.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
            The panel.
        x, y : float
            Pixels of the figure.

        Returns
        -------
        int or None
            None if no point is within 40 pixels.
        """
        if self.x.size == 0:
            return None
        to_data = ax.transData.inverted()
        low, high = sorted(to_data.transform([[x - _REACH, y], [x + _REACH, y]])[:, 0])
        start, stop = np.searchsorted(self.x, [low, high])
        if start == stop:
            return None
        near = ax.transData.transform(np.column_stack([self.x[start:stop], self.y[start:stop]])) - (
            x,
            y,
        )
        distance = np.hypot(near[:, 0], near[:, 1])
        best = int(np.argmin(distance))
        return int(start) + best if distance[best] <= _REACH else None

    def place(self, number: int) -> Place:
        """Return the cadence of a point."""
        return Place(int(self._record[number]), int(self._index[number]))


def readout_text(drawn: LightCurveData, index: int, *, folded: bool, binned: bool) -> str:
    """Return a description of a cadence: number, time, flux, and the names of its flags.

    Parameters
    ----------
    drawn : LightCurveData
        The record.
    index : int
        The index of the cadence in the record.
    folded, binned : bool
        Whether times are phases, and whether points are bins.

    Returns
    -------
    str

    Examples
    --------
    >>> (data,) = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1].read()
    >>> print(readout_text(data, 5, folded=False, binned=False))
    cadence 4702 · time 1325.4090 · flux 1.00032 · STRAYLIGHT2
    """
    parts = [] if binned else [f"cadence {drawn.cadence[index]}"]
    parts.append(f"{'phase' if folded else 'time'} {drawn.time[index]:.4f}")
    parts.append(f"{_name_of_flux(drawn)} {drawn.flux[index]:.6g}")
    if not binned:
        named = [
            name
            for kind in sorted(drawn.quality, key=lambda kind: kind != primary_type(drawn))
            for name in flags.names(drawn.quality[kind][index : index + 1], kind)[0]
        ]
        parts.append(", ".join(named) or "no flag")
    return " · ".join(parts)


def _name_of_flux(drawn: LightCurveData) -> str:
    return "magnitude" if is_magnitude(drawn.unit) else "flux"
