"""Fill the arrays of many ORM objects at once."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.models import DataSet
from lcdb_notebook.read.fetch import fetch

__all__ = ["load"]

_ARRAYS = ("values", "errors")


def load(session: orm.Session, datasets: Sequence[DataSet]) -> None:
    """Load ``values`` and ``errors`` of DataSets in one statement, without marking them as changed.

    Objects that have not been stored, arrays with unflushed changes, and arrays of deleted rows are
    left unchanged.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session of the objects.
    datasets : sequence of DataSet
        Any number of objects; an object may occur twice.

    Raises
    ------
    ArgumentError
        If one of them is not a DataSet.
    WireError
        If a stored array has two dimensions.
    """
    # By identity, because each access to the id of an expired object would be a query.
    stored: dict[DataSetId, list[DataSet]] = {}
    for dataset in datasets:
        if not isinstance(dataset, DataSet):
            raise ArgumentError(f"datasets must be DataSet objects, got {dataset!r}")
        identity = sa.inspect(dataset).identity
        if identity is not None:
            stored.setdefault(identity[0], []).append(dataset)
    if not stored:
        return
    arrays = fetch(session, datasets=list(stored))
    for id_, found in arrays.datasets.items():
        for dataset in stored[id_]:
            attributes = sa.inspect(dataset).attrs
            for name, array in zip(_ARRAYS, found, strict=True):
                if not attributes[name].history.has_changes():
                    orm.attributes.set_committed_value(dataset, name, array)
