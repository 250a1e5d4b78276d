"""The attributes of a Database that its methods in other files use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search.criteria import Fields
from lcdb_notebook.server.trace import Tracer

__all__ = ["Open"]


class Open(Protocol):
    """An open Database."""

    _description: str
    _engine: sa.Engine
    _tracer: Tracer
    _write: bool

    def session_scope(self) -> AbstractContextManager[orm.Session]:
        """Return a context with the session."""

    def search(self, target: Any = None, **criteria: Any) -> Selection:
        """Find light curves."""

    def _fields(self, named: Iterable[str]) -> Fields: ...

    def _has_positions(self) -> bool: ...

    def _require_write(self, what: str) -> None: ...

    def _require_columns(self, what: str) -> None: ...
