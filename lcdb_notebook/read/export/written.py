"""The report of an export: what was done with each light curve, in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

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

_NAMED = ("catalog", "photometry", "processing", "file", "status", "reason")


class Written:
    """What was done with each light curve, in about 50 bytes each if many share a file."""

    def __init__(self) -> None:
        self._ids: ManyIds[DataSetId] = ManyIds()
        self._targets: ManyIds[int] = ManyIds()
        # Each different text once, and for each light curve its place among them.
        self._texts: dict[str, dict[str | None, int]] = {name: {} for name in _NAMED}
        self._places = {name: array("i") for name in _NAMED}
        self._bytes = array("q")

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, rows: Iterable[Row], *statuses: Status) -> None:
        """Add rows with their statuses."""
        for row, (file, status, size, reason) in zip(rows, statuses, strict=True):
            self._ids.append(row.dataset)
            self._targets.append(row.target)
            texts = (row.catalog, row.photometry, processing_label(row.processing))
            for name, text in zip(_NAMED, (*texts, file, status, reason), strict=True):
                known = self._texts[name]
                self._places[name].append(known.setdefault(text, len(known)))
            self._bytes.append(-1 if size is None else size)

    def report(self, order: Sequence[DataSetId] | None = None) -> pd.DataFrame:
        """Return a DataFrame of the rows and statuses; warn of skipped ones.

        Parameters
        ----------
        order : sequence of int, optional
            The DataSets in the order of the rows; by default that in which they were added.
        """
        import pandas as pd

        sizes = np.array(self._bytes)
        columns = {
            "dataset": self._ids.numbers(),
            "target": self._targets.numbers(),
            **{name: self._column(name) for name in _NAMED[:-1]},
            "bytes": pd.arrays.IntegerArray(sizes, sizes < 0),
            "reason": self._column("reason"),
        }
        frame = pd.DataFrame(columns, copy=False)
        if order is not None:
            places = pd.Index(frame["dataset"]).get_indexer(order)
            frame = frame.iloc[places].reset_index(drop=True)
        reasons = frame.loc[frame["status"] == "skipped", "reason"]
        if len(reasons):
            warn(f"{len(reasons)} of {len(frame)} light curves were skipped: {'; '.join(reasons)}")
        return frame

    def _column(self, name: str) -> pd.Categorical:
        import pandas as pd

        # A name that a row does not have is a missing value, not a category.
        texts = [text for text in self._texts[name] if text is not None]
        missing = self._texts[name].get(None, len(texts))
        places = np.array(self._places[name])
        codes = np.where(places == missing, -1, places - (places > missing))
        return pd.Categorical.from_codes(codes.astype(np.int32), pd.Index(texts, dtype="str"))
