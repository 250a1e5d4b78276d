"""Where cadences stand in an observation's reference: pure numpy, and never by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError
from lcdb_notebook.models.orm.array import as_vector

_NAMED = 5  # so many wrong cadences a message lists


def places(cadences: npt.ArrayLike, reference: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Find the place of each cadence in a reference.

    Parameters
    ----------
    cadences
        Cadence numbers, strictly ascending, of shape (n,).
    reference
        Cadence numbers of the observation, each once, in any order, of shape (m,).

    Returns
    -------
    intp array of shape (n,)
        Indices into the reference.

    Raises
    ------
    DataError
        If cadences are no whole numbers, unsorted, there twice or not in the reference, or the
        reference holds one twice.

    Examples
    --------
    >>> places([7, 9], np.array([6, 7, 8, 9]))
    array([1, 3])
    """
    wanted = as_vector(cadences, np.dtype(np.int64), "a list of cadence numbers")
    before, after = wanted[:-1], wanted[1:]
    if (after < before).any():
        raise DataError(
            f"cadence numbers must ascend, but {_first(after[after < before])} come after larger "
            "ones; sort them, and the values with them"
        )
    if (after == before).any():
        raise DataError(f"cadence numbers there twice: {_first(after[after == before])}")
    order = np.argsort(reference, kind="stable")
    ascending = reference[order]
    twice = ascending[1:] == ascending[:-1]
    if twice.any():
        raise DataError(
            f"the observation's cadence_reference has {_first(ascending[1:][twice])} "
            "more than once, so nothing can be placed in it"
        )
    position = np.searchsorted(ascending, wanted)
    known = position < ascending.size
    known[known] = ascending[position[known]] == wanted[known]
    if not known.all():
        raise DataError(
            f"cadence numbers not in the observation's cadence_reference: {_first(wanted[~known])}"
        )
    found: npt.NDArray[np.intp] = order[position]
    return found


def placed(
    values: npt.NDArray[np.float64], where: npt.NDArray[np.intp], length: int
) -> npt.NDArray[np.float64]:
    """Put values of shape (n,) at their places in an array of shape (length,), NaN elsewhere.

    Examples
    --------
    >>> placed(np.array([0.5, 1.5]), np.array([1, 3]), 4)
    array([nan, 0.5, nan, 1.5])
    """
    everywhere = np.full(length, np.nan)
    everywhere[where] = values
    return everywhere


def _first(cadences: npt.NDArray[Any]) -> str:
    more = f" and {cadences.size - _NAMED} more" if cadences.size > _NAMED else ""
    return ", ".join(map(str, cadences[:_NAMED].tolist())) + more
