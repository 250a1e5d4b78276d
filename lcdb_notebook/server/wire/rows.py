"""Runs of rows, stored by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any] | list[str] | list[UUID] | list[datetime] | None
"""A column of a run: an array of shape (rows,) for numbers and booleans, of shape (rows, length)
for arrays, and a list for other types; None if every row of the run is NULL."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of equal shape: equal lengths of arrays and texts, NULL in the same columns.

    Because all rows of a run have NULL in the same columns, columns do not need masks.

    Parameters
    ----------
    count : int
        Number of rows.
    columns : tuple of Column
        One :data:`Column` per field. Decoded numbers are contiguous, in native byte order, and
        share their memory: ``columns[1][0]`` is a view that keeps the whole run in memory, which is
        about one block of :class:`~lcdb_notebook.server.wire.RowReader` at most.
    first : int, optional
        Position of the first row in the stream, from 0.

    Examples
    --------
    >>> run = Rows(2, (np.array([7, 8]), np.array([[0.5, 1.5], [2.5, 3.5]]), None))
    >>> list(run)
    [(7, array([0.5, 1.5]), None), (8, array([2.5, 3.5]), None)]
    """

    count: int
    columns: tuple[Column, ...]
    first: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if not self.columns:
            return repeat((), self.count)
        return zip(*(self._values(column) for column in self.columns), strict=False)

    def _values(self, column: Column) -> Any:
        """Iterate over a column: Python numbers, or views of arrays."""
        if column is None:
            return repeat(None, self.count)
        if isinstance(column, np.ndarray) and column.ndim == 1:
            return column.tolist()
        return column
