"""Statements whose tables are to be joined in the order in which they are written."""

from __future__ import annotations

from typing import Any, Final

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

__all__ = ["AS_WRITTEN", "planned_as_written"]

#: The execution option of a statement whose joins are written in their best order.
AS_WRITTEN: Final = "lcdb_as_written"

# The planner then compares no other orders (PostgreSQL manual, "Controlling the Planner with
# Explicit JOIN Clauses"), which takes it longer than to run a search for one target.
_SETTING: Final = "SET LOCAL join_collapse_limit = 1"


def planned_as_written(connection: Any) -> str | None:
    """Return what to send before a statement, in the same message, to plan it as written.

    Parameters
    ----------
    connection : OwnConnection
        The connection.

    Returns
    -------
    str or None
        None in a transaction, for whose other statements the setting would remain, and behind a
        pooler, where each statement takes a transaction of several messages. Otherwise the message
        is its own transaction, at whose end the server forgets the setting.
    """
    alone = connection.autocommit and not connection.shared
    if alone and connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
        return _SETTING
    return None
