"""Version 0002: one array of times for each target in an observation.

Two of them made every light curve of the pair unreadable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from lcdb_notebook.errors import UpgradeError

revision = "0002"
down_revision = "0001"

MOST_NAMED = 10
"""Duplicates that the message names; a statement in it lists all of them."""

# No other client can add a duplicate before the end of the transaction.
LOCK = "LOCK TABLE target_specific_time IN ACCESS EXCLUSIVE MODE"

DUPLICATES = sa.text("""
SELECT concat_ws(' ', c.name, t.name) AS target, d.observation_id, d.ids, d.pairs FROM (
    SELECT target_id, observation_id, array_agg(id ORDER BY id) AS ids, count(*) OVER () AS pairs
    FROM target_specific_time GROUP BY target_id, observation_id HAVING count(*) > 1
) d JOIN target t ON t.id = d.target_id JOIN mission_catalog c ON c.id = t.catalog_id
ORDER BY d.observation_id, d.target_id LIMIT :most
""")

LIST = (
    "SELECT target_id, observation_id, array_agg(id ORDER BY id) FROM target_specific_time "
    "GROUP BY target_id, observation_id HAVING count(*) > 1"
)

DELETE_COPIES = (
    "DELETE FROM target_specific_time a USING target_specific_time b WHERE a.id > b.id "
    "AND a.target_id = b.target_id AND a.observation_id = b.observation_id "
    "AND a.barycentric_julian_dates = b.barycentric_julian_dates"
)

STATEMENTS = """
ALTER TABLE target_specific_time
    ADD CONSTRAINT uq_target_specific_time_target_id_observation_id
        UNIQUE (target_id, observation_id);
DROP INDEX IF EXISTS ix_target_specific_time_target_id_observation_id;
"""


def upgrade() -> None:
    """Add the unique key, or name the rows that contradict it."""
    op.execute(LOCK)
    duplicates = op.get_bind().execute(DUPLICATES, {"most": MOST_NAMED}).all()
    if duplicates:
        raise UpgradeError(_explained(duplicates))
    op.execute(STATEMENTS)


def _explained(duplicates: Sequence[Any]) -> str:
    named = "; ".join(
        f"{row.target} in observation {row.observation_id} (rows {', '.join(map(str, row.ids))})"
        for row in duplicates
    )
    more = duplicates[0].pairs - len(duplicates)
    first = duplicates[0].ids
    return (
        "these tables cannot be upgraded, because target_specific_time has several arrays of times "
        f"for one target and observation: {named}{f'; and {more} more' if more else ''}. Nothing "
        "was changed, and everything else can be read as before. To correct it, open the database "
        "with write=True but without create=True, and run SQL with db.session.execute("
        "sqlalchemy.text(...)) and db.session.commit(). List all of them:\n"
        f"{LIST};\n"
        "Look at one:\n"
        "SELECT id, barycentric_julian_dates FROM target_specific_time "
        f"WHERE id IN ({', '.join(map(str, first))});\n"
        "Delete exact copies of others:\n"
        f"{DELETE_COPIES};\n"
        "Delete one of those that differ:\n"
        f"DELETE FROM target_specific_time WHERE id = {first[-1]};\n"
        "Then db.create() upgrades the tables"
    )
