"""Arrays into ORM objects, many at a time."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import DataSet
from lcdb_notebook.read.fetch import fetch

__all__ = ["load"]

_ARRAYS = ("values", "errors")


def load(session: orm.Session, datasets: Sequence[DataSet]) -> None:
    """Fill ``values`` and ``errors`` of DataSets in one statement, without making them dirty.

    Objects that are not stored yet, and arrays that were changed and not flushed, stay as they
    are. So do those of rows that somebody else has deleted.

    Parameters
    ----------
    session
        The one that the objects belong to.
    datasets
        Any number of objects; one may come twice.

    Raises
    ------
    WireError
        If a stored array has two dimensions.
    """
    # By identity, since an expired object would be refreshed, each by a query, for its id.
    stored: dict[int, list[DataSet]] = {}
    for dataset in datasets:
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
