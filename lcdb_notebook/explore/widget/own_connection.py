"""Queries beside the database's session: they hold nobody up, and end when nobody wants them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.explore.widget.protocols import Sessions
from lcdb_notebook.server.driver_errors import translated

__all__ = ["apart"]


@contextmanager
def apart(sessions: Sessions, task: Task) -> Iterator[orm.Session]:
    """Lend a session for one piece of work; when that is stopped, its statement is cancelled.

    It has a connection of its own, so a light curve is not kept waiting by a count. What the
    database's session has not committed would not be seen there; so where there is such a
    transaction under way, that session itself is lent.

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
