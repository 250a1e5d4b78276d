"""A pool of connections that is closed together with the connections in use."""

from __future__ import annotations

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

__all__ = ["ClosingPool"]


class ClosingPool(QueuePool):
    """Closes a connection that is returned after ``Engine.dispose()``.

    SQLAlchemy's pool keeps it until garbage is collected, because an engine that was disposed of
    has a new pool, and nothing uses the old one again.
    """

    _is_disposed = False

    def dispose(self) -> None:
        """Close the connections that are not in use, and the others when they are returned."""
        self._is_disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        # In this order: a thread that calls dispose() meanwhile misses no connection.
        if self._is_disposed:
            super().dispose()
