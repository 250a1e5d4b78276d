"""Placing values by cadence number: pure numpy, no database, and never by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector

FlagVector = npt.NDArray[np.int32]

SAME_TIME_DAYS = 1e-8
"""Two times of one cadence are the same up to this, 0.86 ms.

Stored BJD are spaced 4.7e-10 d, and a detour over two-part Julian dates moves the last bit only.
Pipelines that time a cadence differently do so by seconds (QLP and TESS-SPOC in sector 24: 1.98 s).
"""


def union(one: IntVector, other: IntVector) -> IntVector:
    """Unite two sets of cadence numbers, ascending.

    Parameters
    ----------
    one, other
        int64, each strictly ascending.

    Returns
    -------
    int64 array
        ``one`` itself if it holds them all.

    Examples
    --------
    >>> union(np.array([1, 2, 5]), np.array([2, 3])).tolist()
    [1, 2, 3, 5]
    """
    if other.size == 0 or (one.size == other.size and np.array_equal(one, other)):
        return one
    if one.size == 0:
        return other
    # Both are sorted, so this is many times faster than numpy's union1d.
    places = np.minimum(np.searchsorted(one, other), one.size - 1)
    new = other[one[places] != other]
    return np.sort(np.concatenate([one, new])) if new.size else one


class Placement:
    """Where the cadences of some arrays stand in a reference.

    Parameters
    ----------
    cadence
        int64 of shape (n,): the cadences of the arrays, each once.
    reference
        int64 of shape (m,): where they are to go, each cadence once, in any order.

    Raises
    ------
    ValueError
        If the reference lacks a cadence.

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
        order: npt.NDArray[np.intp] | None = None
        if not ascends(reference):
            order = np.argsort(reference)
            reference = reference[order]
        places = np.searchsorted(reference, cadence)
        found = places < reference.size
        found[found] = reference[places[found]] == cadence[found]
        if not found.all():
            raise ValueError(f"cadence {cadence[~found][0]} is not in the reference")
        self._places = places if order is None else order[places]

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Place arrays of shape (..., n): the result has shape (..., m).

        Where there is no value stands NaN in floats and 0 (no flag) in integers.
        """
        if self._places is None:
            return values
        missing = np.nan if values.dtype.kind == "f" else 0
        placed = np.full((*values.shape[:-1], self._size), missing, values.dtype)
        placed[..., self._places] = values
        return placed


def ascends(cadence: IntVector) -> bool:
    """Whether every number is larger than the one before."""
    return bool((cadence[1:] > cadence[:-1]).all())


def agree(
    cadence: IntVector, values: FloatVector | None, other: IntVector, others: FloatVector | None
) -> bool:
    """Whether two arrays say the same: equal where both have a cadence, NaN where one has none.

    An array that is not there at all says as much as one of nothing but NaN.

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


@dataclass(frozen=True, eq=False)
class Sampling:
    """When one target was observed, and what is wrong with each cadence.

    Parameters
    ----------
    cadence
        int64 of shape (cadences,), strictly ascending.
    time
        float64 of shape (cadences,), in days of the mission's format; NaN where there is none.
    quality
        int32 of shape (cadences,) for each flag type; 0 where nothing is known.
    """

    cadence: IntVector
    time: FloatVector
    quality: Mapping[str, FlagVector] = field(default_factory=dict)

    def merged(self, other: Self, reason: str) -> Self:
        """Add what another sampling of the same target in the same observation knows.

        Times have to be the same, and so have flags, at every cadence that has a time in both. Any
        other cadence may be one that never was in a file at all, so there the flags of both hold.
        The order in which samplings are merged makes no difference.

        Parameters
        ----------
        other
            What is added.
        reason
            What follows "cadence 5 has ... here and ... there" in the message of a contradiction.

        Returns
        -------
        Sampling
            ``self`` if the other one adds nothing.

        Raises
        ------
        IngestError
            If they contradict each other.
        """
        cadence = union(self.cadence, other.cadence)
        here, there = Placement(self.cadence, cadence), Placement(other.cadence, cadence)
        time, times = here(self.time), there(other.time)
        both = np.isfinite(time) & np.isfinite(times)
        wrong = both & ~(np.abs(np.where(both, time - times, 0)) <= SAME_TIME_DAYS)
        _refuse(wrong, cadence, times, time, "time", reason)
        quality = {name: here(flags) for name, flags in self.quality.items()}
        for name, own in other.quality.items():
            flags = there(own)
            known = quality.get(name)
            if known is not None:
                _refuse(both & (known != flags), cadence, flags, known, name, reason)
                flags = known | flags
            quality[name] = flags
        time = np.where(np.isfinite(time), time, times)
        if not time_ascends(time):
            raise IngestError(f"its times would not ascend with the cadence numbers {reason}")
        merged = type(self)(cadence, time, quality)
        return self if merged._says_what(self) else merged

    def _says_what(self, other: Sampling) -> bool:
        return (
            np.array_equal(self.cadence, other.cadence)
            and np.array_equal(self.time, other.time, equal_nan=True)
            and self.quality.keys() == other.quality.keys()
            and all(np.array_equal(flags, other.quality[t]) for t, flags in self.quality.items())
        )


def time_ascends(time: FloatVector) -> bool:
    """Whether no finite time lies before an earlier one."""
    finite = time[np.isfinite(time)]
    return not (finite[1:] < finite[:-1]).any()


def _refuse(
    wrong: npt.NDArray[np.bool_],
    cadence: IntVector,
    new: npt.NDArray[Any],
    known: npt.NDArray[Any],
    what: str,
    reason: str,
) -> None:
    if wrong.any():
        at = int(wrong.argmax())
        raise IngestError(
            f"cadence {cadence[at]} has {what} {new[at]} here and {known[at]} {reason}"
        )
