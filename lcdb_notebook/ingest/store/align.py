"""Align arrays by cadence number, never by position, and merge them; no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.models.orm.alignment import find_cadences


class ConflictError(IngestError):
    """Times, flags or fluxes that differ from those stored."""


FlagVector = npt.NDArray[np.int32]

SAME_TIME_DAYS = 1e-8
"""Times of a cadence are equal if they differ by less than this, 0.86 ms.

The resolution of stored BJD is 4.7e-10 d, and conversions with two-part Julian dates change only
the last bit. Pipelines differ by seconds (QLP and TESS-SPOC in sector 24: 1.98 s).
"""


def union(one: IntVector, other: IntVector) -> IntVector:
    """Return the sorted union of two arrays of cadence numbers.

    Parameters
    ----------
    one, other
        int64, each strictly increasing.

    Returns
    -------
    int64 array
        ``one`` itself if it contains all of them.

    Examples
    --------
    >>> union(np.array([1, 2, 5]), np.array([2, 3])).tolist()
    [1, 2, 3, 5]
    """
    if other.size == 0 or (one.size == other.size and np.array_equal(one, other)):
        return one
    if one.size == 0:
        return other
    # Both are sorted, so a binary search is many times faster than numpy's union1d.
    places = np.minimum(np.searchsorted(one, other), one.size - 1)
    new = other[one[places] != other]
    return np.sort(np.concatenate([one, new])) if new.size else one


class Placement:
    """The positions of the cadences of some arrays in a reference.

    Parameters
    ----------
    cadence
        int64 of shape (n,): the unique cadences of the arrays.
    reference
        int64 of shape (m,): the unique cadences of the result, in any order.

    Raises
    ------
    IngestError
        If a cadence is not in the reference.

    Examples
    --------
    >>> placed = Placement(np.array([7, 9]), np.array([6, 7, 8, 9]))
    >>> placed(np.array([0.5, 1.5]))
    array([nan, 0.5, nan, 1.5])
    >>> placed(np.array([4, 32], dtype=np.int32))
    array([ 0,  4,  0, 32], dtype=int32)
    """

    def __init__(self, cadence: IntVector, reference: IntVector) -> None:
        self._size = reference.size
        self._places: npt.NDArray[np.intp] | None = None
        if np.array_equal(cadence, reference):
            return
        places, found = find_cadences(cadence, reference)
        if not found.all():
            raise IngestError(f"cadence {cadence[~found][0]} is not in the reference")
        self._places = places

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Align arrays of shape (..., n); the result has shape (..., m).

        Missing values are NaN in floats and 0 (no flag) in integers.
        """
        if self._places is None:
            return values
        missing = np.nan if values.dtype.kind == "f" else 0
        placed = np.full((*values.shape[:-1], self._size), missing, values.dtype)
        placed[..., self._places] = values
        return placed


def ascends(cadence: IntVector) -> bool:
    """Return whether cadence numbers are strictly increasing."""
    return bool((cadence[1:] > cadence[:-1]).all())


def are_near(one: IntVector, other: IntVector) -> bool:
    """Return whether two sets of cadence numbers can belong to one numbering of a sector.

    Pipelines number the exposures of 20 s, 120 s or 1800 s since the launch, so that their numbers
    in one sector are far apart. The orbits of a sector have shorter gaps between them.

    Examples
    --------
    >>> are_near(np.array([4697, 5325]), np.array([5340, 6013]))
    True
    >>> are_near(np.array([4697, 6013]), np.array([70444, 90519]))
    False
    """
    if one.size == 0 or other.size == 0:
        return True
    gap = max(one[0], other[0]) - min(one[-1], other[-1])
    return bool(gap <= (one[-1] - one[0]) + (other[-1] - other[0]) + 1)


def agree(
    cadence: IntVector, values: FloatVector | None, other: IntVector, others: FloatVector | None
) -> bool:
    """Return whether two arrays are equal at common cadences, and NaN at all others.

    None is the same as an array of NaN.

    Examples
    --------
    >>> agree(np.array([1, 2]), np.array([0.5, np.nan]), np.array([1]), np.array([0.5]))
    True
    """
    values = np.full(cadence.size, np.nan) if values is None else values
    others = np.full(other.size, np.nan) if others is None else others
    everywhere = union(cadence, other)
    return np.array_equal(
        Placement(cadence, everywhere)(values), Placement(other, everywhere)(others), equal_nan=True
    )


def join(
    cadence: IntVector, values: FloatVector | None, other: IntVector, others: FloatVector | None
) -> FloatVector:
    """Join two arrays on the union of their cadences.

    Parameters
    ----------
    cadence, other
        int64, each strictly increasing.
    values, others
        float64 of the same shapes; None is the same as an array of NaN.

    Returns
    -------
    float64 array
        Values on the sorted union of the cadences; NaN where both are NaN.

    Raises
    ------
    ConflictError
        If the values at a cadence differ.

    Examples
    --------
    >>> join(np.array([1, 2]), np.array([0.5, np.nan]), np.array([2, 3]), np.array([0.7, 0.9]))
    array([0.5, 0.7, 0.9])
    """
    values = np.full(cadence.size, np.nan) if values is None else values
    others = np.full(other.size, np.nan) if others is None else others
    everywhere = union(cadence, other)
    one, two = Placement(cadence, everywhere)(values), Placement(other, everywhere)(others)
    wrong = (one != two) & ~np.isnan(one) & ~np.isnan(two)
    if wrong.any():
        at = int(wrong.argmax())
        raise ConflictError(
            f"two light curves have different values at cadence {everywhere[at]}: {one[at]} and "
            f"{two[at]}"
        )
    return np.where(np.isnan(one), two, one)


@dataclass(frozen=True, eq=False)
class Sampling:
    """Times and quality flags of one target in one observation.

    Parameters
    ----------
    cadence
        int64 of shape (cadences,), strictly increasing.
    time
        float64 of shape (cadences,), in days of the mission's format; NaN for missing times.
    quality
        int32 of shape (cadences,) for each flag type; 0 if the flags are unknown.
    """

    cadence: IntVector
    time: FloatVector
    quality: Mapping[str, FlagVector] = field(default_factory=dict)

    def merged(self, other: Self, where: str) -> Self:
        """Merge with another sampling of the same target in the same observation.

        At cadences with a time in both, times and flags must be equal. At other cadences, which may
        be missing from a file, the flags of both are combined. The result does not depend on the
        order of merging.

        Parameters
        ----------
        other
            The sampling to add.
        where
            The end of the message "cadence 5 has time 1 here and time 2 ...", for differences.

        Returns
        -------
        Sampling
            ``self`` if the other has no new data.

        Raises
        ------
        IngestError
            If they differ.
        """
        cadence = union(self.cadence, other.cadence)
        here, there = Placement(self.cadence, cadence), Placement(other.cadence, cadence)
        time, times = here(self.time), there(other.time)
        both = np.isfinite(time) & np.isfinite(times)
        wrong = both & ~(np.abs(np.where(both, time - times, 0)) <= SAME_TIME_DAYS)
        _check_equal(wrong, cadence, times, time, "time", where)
        quality = {name: here(flags) for name, flags in self.quality.items()}
        for name, own in other.quality.items():
            flags = there(own)
            known = quality.get(name)
            if known is not None:
                _check_equal(both & (known != flags), cadence, flags, known, name, where)
                flags = known | flags
            quality[name] = flags
        time = np.where(np.isfinite(time), time, times)
        if not time_ascends(time):
            raise ConflictError(f"times are not increasing after merging with those {where}")
        merged = type(self)(cadence, time, quality)
        return self if merged._equals(self) else merged

    def are_flagged(self, cadence: IntVector) -> bool:
        """Return whether each of some cadences has a flag of any type."""
        flagged = np.zeros(self.cadence.size, bool)
        for flags in self.quality.values():
            flagged |= flags != 0
        return bool(np.isin(cadence, self.cadence[flagged]).all())

    def _equals(self, other: Sampling) -> bool:
        return (
            np.array_equal(self.cadence, other.cadence)
            and np.array_equal(self.time, other.time, equal_nan=True)
            and self.quality.keys() == other.quality.keys()
            and all(np.array_equal(flags, other.quality[t]) for t, flags in self.quality.items())
        )


def time_ascends(time: FloatVector) -> bool:
    """Return whether finite times are increasing, or equal."""
    finite = time[np.isfinite(time)]
    return not (finite[1:] < finite[:-1]).any()


def _check_equal(
    wrong: npt.NDArray[np.bool_],
    cadence: IntVector,
    new: npt.NDArray[Any],
    known: npt.NDArray[Any],
    what: str,
    where: str,
) -> None:
    if wrong.any():
        at = int(wrong.argmax())
        raise ConflictError(
            f"cadence {cadence[at]} has {what} {new[at]} here and {known[at]} {where}"
        )
