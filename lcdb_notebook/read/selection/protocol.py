"""The attributes of a Selection that its methods in other files use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.records import OnError
from lcdb_notebook.search.lazy import Search

__all__ = ["Rows"]


class Rows(Protocol):
    """A Selection: its search, and the records of its light curves."""

    _search: Search

    def __init__(self, search: Search) -> None: ...

    def _read(
        self,
        chunk_bytes: int | None,
        on_error: OnError,
        progress: bool | None,
        check: Callable[[LightCurveData], None] | None = None,
        origins: Origins | None = None,
        connections: int = 1,
    ) -> Iterator[LightCurveData]: ...
