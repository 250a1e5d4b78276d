"""Cancellable queries on a separate connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.server.driver_errors import translated

__all__ = ["own_connection"]


@contextmanager
def own_connection(sessions: Sessions, task: Task) -> Iterator[orm.Session]:
    """Open a session on a separate connection; stopping the task cancels its statement.

    Reading a light curve therefore need not wait for a slow count. Uncommitted rows of the
    database's session are invisible to other connections, so while that session is in a
    transaction, the session itself is used instead.

    Parameters
    ----------
    sessions : Sessions
        The database.
    task : Task
        The work that queries.

    Yields
    ------
    sqlalchemy.orm.Session

    Raises
    ------
    LCDBError
        In place of the driver's errors.
    """
    with sessions.session_scope() as session:
        bind = session.get_bind()
        shared = session.in_transaction() or not isinstance(bind, sa.Engine)
        if shared:
            yield session
    if shared:
        return
    with translated("the database"), orm.Session(bind) as own:
        driver: Any = own.connection().connection.driver_connection
        with task.cancelled_by(driver.cancel):
            yield own
