"""Get the ids of DataSets from DataSets, light curves, ids, or several of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lcdb_notebook.errors import ArgumentError, LightCurveNotFoundError
from lcdb_notebook.lightcurve.dataset_id import DataSetId, DataSetKey, dataset_id
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.models import DataSet

__all__ = ["resolve_ids"]

_LARGEST_ID = 2**63 - 1  # the largest bigint of PostgreSQL


def resolve_ids(datasets: Any) -> list[DataSetId]:
    """Return the ids of DataSets in their order, without repetition.

    Parameters
    ----------
    datasets : int, DataSet, LightCurveData, LightCurve, or iterable of these
        DataSets, their ids, or light curves read by this package (the ``meta`` of a LightCurve
        contains the id).

    Returns
    -------
    list of int or str
        The ids; in LightcurveDB 3 the texts of keys.

    Raises
    ------
    ArgumentError
        If the argument has another type, or is an empty list.
    LightCurveNotFoundError
        If a LightCurve was not read by this package, a DataSet has not been stored, or an id is out
        of range.

    Examples
    --------
    >>> resolve_ids([12, 11, 12])
    [12, 11]
    """
    ids = list(dict.fromkeys(_ids(datasets)))
    if not ids:
        raise ArgumentError("the list of DataSets is empty; pass at least one")
    for id_ in ids:
        if isinstance(id_, int) and not 0 <= id_ <= _LARGEST_ID:
            raise LightCurveNotFoundError(f"no DataSet {id_}: ids must be between 1 and 2**63 - 1")
    return ids


def _ids(datasets: Any) -> list[DataSetId]:
    if isinstance(datasets, int | np.integer | DataSetKey) and not isinstance(datasets, bool):
        return [dataset_id(datasets)]
    if isinstance(datasets, str):
        try:
            return [str(DataSetKey.parse(datasets))]
        except ValueError as error:
            raise ArgumentError(str(error)) from None
    if isinstance(datasets, LightCurveData):
        return [datasets.dataset]
    if isinstance(datasets, DataSet):
        if datasets.id is None:
            raise LightCurveNotFoundError(
                "the DataSet has no id because it is not stored yet; add it to a session and flush "
                "the session first"
            )
        return [datasets.id]
    meta = getattr(datasets, "meta", None)
    if meta is not None:
        if "DATASET" not in meta and "DATASETS" in meta:
            return [dataset_id(id_) for id_ in meta["DATASETS"].split(",")]
        if "DATASET" not in meta and "dataset" in getattr(datasets, "colnames", ()):
            # Stitched light curves have the DataSet of each cadence.
            return [int(id_) for id_ in np.unique(datasets["dataset"]) if id_ >= 0]
        if "DATASET" not in meta:
            raise LightCurveNotFoundError(
                f"this {type(datasets).__name__} has no DATASET in its meta, so it was not read "
                "from a LightcurveDB; pass the id of a DataSet"
            )
        return [dataset_id(meta["DATASET"])]
    # LightCurveCollection has no __iter__, only __getitem__.
    several = isinstance(datasets, Iterable) or hasattr(datasets, "__getitem__")
    if several and not isinstance(datasets, str | bytes | dict | np.generic):
        return [id_ for one in datasets for id_ in _ids(one)]
    raise ArgumentError(
        "expected a DataSet, its id, a Selection, a light curve read by this package, or a list of "
        f"these, got {datasets!r} ({type(datasets).__name__})"
    )
