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


# Seconds for which the server may work on one statement.
_LONGEST = 10.0

# Seconds after which a task that waits for its turn notices that it was stopped.
_STEP = 0.05

# Local to the transaction, so that a pooler's other clients are not affected. A shorter timeout of
# the user's remains. What an explorer reads is the beginning of something, for which an index is
# always right; the planner would sometimes look for it from the beginning of a table.
_SETTINGS = sa.text(
    "SELECT set_config('statement_timeout', CASE WHEN CAST(setting AS int) BETWEEN 1 AND :most "
    "THEN setting ELSE CAST(:most AS text) END, true), set_config('enable_seqscan', 'off', true), "
    "set_config('jit', 'off', true) FROM pg_settings WHERE name = 'statement_timeout'"
)


@contextmanager
def own_connection(
    sessions: Sessions, task: Task, *, seconds: float = _LONGEST
) -> Iterator[orm.Session]:
    """Open a session on a separate connection; stopping the task cancels its statement.

    Reading a light curve therefore need not wait for a slow count. All explorers of a database and
    all other calls take turns, so that they keep the server busy with one statement at most.
    Uncommitted rows of the database's session are invisible to other connections, so while that
    session is in a transaction, the session itself is used instead.

    Parameters
    ----------
    sessions : Sessions
        The database.
    task : Task
        The work that queries.
    seconds : float, default 10
        How long the server may work on one statement.

    Yields
    ------
    sqlalchemy.orm.Session

    Raises
    ------
    LCDBError
        Instead of errors of the driver; a StatementTimeoutError for a statement that takes longer.
    """
    with _turn(sessions, task):
        with sessions.session_scope() as session:
            bind = session.get_bind()
            engine = bind if isinstance(bind, sa.Engine) else None
            if session.in_transaction():
                engine = None
            if engine is None:
                yield session
        if engine is None:
            return
        with translated("the database"), orm.Session(engine) as own:
            # Settings of a transaction need one; reading is otherwise in autocommit.
            connection = own.connection(execution_options={"isolation_level": "READ COMMITTED"})
            driver: Any = connection.connection.driver_connection
            with task.cancelled_by(driver.cancel):
                own.execute(_SETTINGS, {"most": round(1000 * seconds)})
                yield own


@contextmanager
def _turn(sessions: Sessions, task: Task) -> Iterator[None]:
    """Wait until no other thread uses this database."""
    lock = sessions._lock
    while not lock.acquire(timeout=_STEP):
        task.check()
    try:
        yield
    finally:
        lock.release()
