"""Row: a DataSet in the results of a search, without arrays."""

from __future__ import annotations

from typing import NamedTuple, Protocol
from uuid import UUID

from lcdb_notebook.lightcurve.dataset_id import DataSetId

__all__ = ["FoundRow", "Row"]


class Row(Protocol):
    """A row of :func:`lcdb_notebook.search.sql.datasets`."""

    dataset: DataSetId
    target_id: int
    target: int
    catalog: str
    host_mission_id: UUID
    observation: int
    photometry: str | None
    processing: str | None
    unit: str
    problem: str | None


class FoundRow(NamedTuple):
    """A Row of which only these columns are kept, in the order of the statement."""

    dataset: DataSetId
    target_id: int
    target: int
    catalog: str
    host_mission_id: UUID
    observation: int
    photometry: str | None
    processing: str | None
    unit: str
    problem: str | None
