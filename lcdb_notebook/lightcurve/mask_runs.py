"""Encode boolean masks as run lengths, which are short in JSON because flags come in runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["decode", "encode"]


def encode(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Return a mask as run lengths; the first run is of True, and may have length 0.

    Examples
    --------
    >>> encode(np.array([False, True, True])), encode(np.array([True]))
    ([0, 1, 2], [1])
    """
    edges: list[int] = (np.flatnonzero(mask[1:] != mask[:-1]) + 1).tolist()
    # There are few runs, so a list is faster than numpy.
    lengths = [stop - start for start, stop in pairwise([0, *edges, mask.size])]
    return lengths if mask.size == 0 or mask[0] else [0, *lengths]


def decode(lengths: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return the mask that has these run lengths.

    Examples
    --------
    >>> decode([0, 1, 2]).tolist()
    [False, True, True]
    """
    return np.repeat(np.arange(len(lengths)) % 2 == 0, np.array(lengths, np.intp))
