"""What an export did with each light curve, in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.many_ids import ManyIds
from lcdb_notebook.lightcurve.record import processing_label
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Status", "Written"]

Status = tuple[str, str, int | None, str]
"""The file of a light curve, its status and size in bytes, and the reason if it was skipped."""


# The next larger type of unsigned integers in an array.
_WIDER = {"B": "H", "H": "I"}

# Rows whose values are looked up at once.
_PART = 65_536


class Written:
    """What was done with each light curve, in about 50 bytes each if many share a file."""

    def __init__(self) -> None:
        self._ids: ManyIds[DataSetId] = ManyIds()
        self._targets: ManyIds[int] = ManyIds()
        self._kinds, self._files, self._reasons = _Repeated(), _Repeated(), _Repeated()
        self._bytes = array("q")

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, rows: Iterable[Row], *statuses: Status) -> None:
        """Add rows with their statuses."""
        for row, (file, status, size, reason) in zip(rows, statuses, strict=True):
            self._ids.append(row.dataset)
            self._targets.append(row.target)
            processing = processing_label(row.processing)
            self._kinds.append((row.catalog, row.photometry, processing, status))
            self._files.append(file)
            self._reasons.append(reason)
            self._bytes.append(-1 if size is None else size)

    def report(self, order: Sequence[DataSetId] | None = None) -> pd.DataFrame:
        """Return a DataFrame of the rows and statuses; warn of skipped ones.

        Parameters
        ----------
        order : sequence of int, optional
            The DataSets in the order of the rows; by default that in which they were added.
        """
        import pandas as pd

        sizes = np.asarray(self._bytes)
        names = zip(*self._kinds.values(), strict=True) if len(self) else ((),) * 4
        catalog, photometry, processing, status = (
            pd.Categorical(each)[self._kinds.places()] for each in names
        )
        frame = pd.DataFrame(
            {
                "dataset": self._ids.numbers(),
                "target": self._targets.numbers(),
                "catalog": catalog,
                "photometry": photometry,
                "processing": processing,
                "file": self._files.each(),
                "status": status,
                "bytes": pd.arrays.IntegerArray(sizes, sizes < 0),
                "reason": self._reasons.each(),
            },
            copy=False,
        )
        if order is not None:
            places = pd.Index(frame["dataset"]).get_indexer(order)
            frame = frame.iloc[places].reset_index(drop=True)
        reasons = frame.loc[frame["status"] == "skipped", "reason"]
        if len(reasons):
            warn(f"{len(reasons)} of {len(frame)} light curves were skipped: {'; '.join(reasons)}")
        return frame


class _Repeated:
    """Values of which many are equal: each once, and a small number for each of its places.

    The number takes one byte while there are at most 256 different values, then two or four.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._places = array("B")

    def append(self, value: Any) -> None:
        """Add a value."""
        number = self._numbers.setdefault(value, len(self._numbers))
        try:
            self._places.append(number)
        except OverflowError:
            self._places = array(_WIDER[self._places.typecode], self._places)
            self._places.append(number)

    def values(self) -> list[Any]:
        """Return the different values."""
        return [*self._numbers]

    def places(self) -> npt.NDArray[Any]:
        """Return for each value that was added its place among the different ones."""
        return np.asarray(self._places)

    def each(self) -> npt.NDArray[Any]:
        """Return the values that were added."""
        different = np.empty(len(self._numbers), dtype=object)
        different[:] = self.values()
        places = self.places()
        found = np.empty(len(places), dtype=object)
        # In parts, because numpy makes an index of eight bytes of each number.
        for start in range(0, len(places), _PART):
            found[start : start + _PART] = different[places[start : start + _PART]]
        return found
