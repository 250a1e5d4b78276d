"""Whose lineage is meant: ids out of DataSets, light curves, or several of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.models import DataSet

__all__ = ["dataset_ids"]

_LARGEST_ID = 2**63 - 1  # of PostgreSQL's bigint


def dataset_ids(asked: Any) -> list[int]:
    """Give the ids of the DataSets that are meant, each once, in their order.

    Parameters
    ----------
    asked
        The id of a DataSet, a DataSet, a LightCurveData, a LightCurve that this package made (its
        ``meta`` says which DataSet it is), or several of these.

    Raises
    ------
    TypeError
        If it is nothing of that kind, or an empty list.
    LightCurveNotFoundError
        If a LightCurve came from elsewhere, a DataSet is not stored yet, or no id can be so large.

    Examples
    --------
    >>> dataset_ids([12, 11, 12])
    [12, 11]
    """
    ids = list(dict.fromkeys(_ids(asked)))
    if not ids:
        raise TypeError("the lineage of nothing: the list of DataSets is empty")
    for id_ in ids:
        if not 0 <= id_ <= _LARGEST_ID:
            raise LightCurveNotFoundError(f"there is no DataSet {id_}; ids go from 1 to 2**63 - 1")
    return ids


def _ids(asked: Any) -> list[int]:
    if isinstance(asked, int | np.integer) and not isinstance(asked, bool):
        return [int(asked)]
    if isinstance(asked, LightCurveData):
        return [asked.dataset]
    if isinstance(asked, DataSet):
        if asked.id is None:
            raise LightCurveNotFoundError(
                "the DataSet has no id, because it is not stored yet: add it to a session and "
                "flush that first"
            )
        return [asked.id]
    meta = getattr(asked, "meta", None)
    if meta is not None:
        if "DATASET" not in meta:
            raise LightCurveNotFoundError(
                f"this {type(asked).__name__} does not say which DataSet it is (no DATASET in its "
                "meta), so it was not read from a LightcurveDB; give the id of a DataSet"
            )
        return [int(meta["DATASET"])]
    # LightCurveCollection has no __iter__, only __getitem__.
    several = isinstance(asked, Iterable) or hasattr(asked, "__getitem__")
    if several and not isinstance(asked, str | bytes | dict | np.generic):
        return [id_ for one in asked for id_ in _ids(one)]
    raise TypeError(
        "a lineage is that of a DataSet or its id, a Selection, a light curve of this package, or "
        f"a list of these, not {asked!r} ({type(asked).__name__})"
    )
