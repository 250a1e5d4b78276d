"""Align arrays with an observation's reference by cadence number, never by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError
from lcdb_notebook.models.orm.array import as_vector

_NAMED = 5  # Number of wrong cadences that a message lists.


def cadence_indices(
    cadences: npt.ArrayLike, reference: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Find the index of each cadence in a reference.

    Parameters
    ----------
    cadences : array_like of int
        Cadence numbers, strictly increasing, of shape (n,).
    reference : numpy.ndarray of int64
        Cadence numbers of the observation, without repetition, in any order, of shape (m,).

    Returns
    -------
    numpy.ndarray of intp
        Indices into the reference, of shape (n,).

    Raises
    ------
    DataError
        If the cadences are not integers, unsorted, repeated or not in the reference, or the
        reference contains a cadence more than once.

    Examples
    --------
    >>> cadence_indices([7, 9], np.array([6, 7, 8, 9]))
    array([1, 3])
    """
    numbers = as_vector(cadences, np.dtype(np.int64), "a list of cadence numbers")
    before, after = numbers[:-1], numbers[1:]
    if (after < before).any():
        raise DataError(
            f"cadence numbers must be increasing, but {_first(after[after < before])} follow "
            "larger ones; sort the cadences together with the values"
        )
    if (after == before).any():
        raise DataError(f"repeated cadence numbers: {_first(after[after == before])}")
    ascending = np.sort(reference)
    twice = ascending[1:] == ascending[:-1]
    if twice.any():
        raise DataError(
            f"the observation's cadence_reference contains {_first(ascending[1:][twice])} "
            "more than once; cannot align with it"
        )
    found, known = find_cadences(numbers, reference)
    if not known.all():
        raise DataError(
            f"cadence numbers not in the observation's cadence_reference: {_first(numbers[~known])}"
        )
    return found


def find_cadences(
    cadences: npt.NDArray[np.int64], reference: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Look up cadence numbers in a reference, without checks.

    Parameters
    ----------
    cadences
        int64 of shape (n,), in any order.
    reference
        int64 of shape (m,), unique numbers in any order.

    Returns
    -------
    tuple of intp array and bool array, both of shape (n,)
        Indices into the reference, and which of them are valid.

    Examples
    --------
    >>> found, known = find_cadences(np.array([9, 5]), np.array([9, 8, 7]))
    >>> found[known], known
    (array([0]), array([ True, False]))
    """
    order = None
    if not (reference[1:] > reference[:-1]).all():
        order = np.argsort(reference)
        reference = reference[order]
    position = np.searchsorted(reference, cadences)
    known = position < reference.size
    known[known] = reference[position[known]] == cadences[known]
    if order is not None and order.size:
        position = order[np.minimum(position, order.size - 1)]
    return position, known


def fill_at(
    indices: npt.NDArray[np.intp], values: npt.NDArray[np.float64], length: int
) -> npt.NDArray[np.float64]:
    """Return an array of shape (length,) with values at some indices and NaN elsewhere.

    Examples
    --------
    >>> fill_at(np.array([1, 3]), np.array([0.5, 1.5]), 4)
    array([nan, 0.5, nan, 1.5])
    """
    filled = np.full(length, np.nan)
    filled[indices] = values
    return filled


def _first(cadences: npt.NDArray[Any]) -> str:
    more = f" and {cadences.size - _NAMED} more" if cadences.size > _NAMED else ""
    return ", ".join(map(str, cadences[:_NAMED].tolist())) + more
