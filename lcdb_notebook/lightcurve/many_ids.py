"""Ids of a million rows, in eight bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

__all__ = ["ManyIds"]

Id = TypeVar("Id", bound=int | str)


class ManyIds(Sequence[Id]):
    """Ids in the order in which they are added, as 64-bit integers if all of them are.

    Examples
    --------
    >>> ids = ManyIds()
    >>> for id_ in (7, 25155310):
    ...     ids.append(id_)
    >>> list(ids), ids.numbers().dtype
    ([7, 25155310], dtype('int64'))
    """

    def __init__(self) -> None:
        self._ids: Any = array("q")

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, which: int) -> Id: ...

    @overload
    def __getitem__(self, which: slice) -> Sequence[Id]: ...

    def __getitem__(self, which: int | slice) -> Id | Sequence[Id]:
        found: Id | Sequence[Id] = self._ids[which]
        return found

    def append(self, id_: Id) -> None:
        """Add an id."""
        try:
            self._ids.append(id_)
        except (TypeError, OverflowError):
            self._ids = [*self._ids, id_]

    def numbers(self) -> npt.NDArray[Any]:
        """Return the ids as an array: of int64, or of objects if one is not such a number.

        The array uses the memory of the ids, and while it exists no other can be added.
        """
        if isinstance(self._ids, array):
            return np.asarray(self._ids)
        return np.array(self._ids, dtype=object)
