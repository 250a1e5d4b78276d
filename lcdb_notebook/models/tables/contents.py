"""Tables of this package beside those of the specification: the other contents of files.

They are created with the tables of this package, and do not exist in databases of other programs.
Nothing else refers to them.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = ["COLUMNS", "HEADERS", "create"]

HEADERS = "lcdb_notebook_header"
COLUMNS = "lcdb_notebook_column"

_STATEMENTS = f"""
CREATE TABLE IF NOT EXISTS {HEADERS} (
    target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
    observation_id integer NOT NULL REFERENCES observation ON DELETE CASCADE,
    ra double precision,
    declination double precision,
    cards jsonb NOT NULL,
    curves jsonb NOT NULL,
    cadences bytea NOT NULL,
    PRIMARY KEY (target_id, observation_id)
);
CREATE INDEX IF NOT EXISTS ix_{HEADERS}_declination ON {HEADERS} (declination);
CREATE INDEX IF NOT EXISTS ix_{HEADERS}_observation_id ON {HEADERS} (observation_id);
CREATE TABLE IF NOT EXISTS {COLUMNS} (
    target_id bigint NOT NULL,
    observation_id integer NOT NULL,
    name text NOT NULL,
    unit text NOT NULL,
    type text NOT NULL,
    "values" bytea NOT NULL,
    PRIMARY KEY (target_id, observation_id, name),
    FOREIGN KEY (target_id, observation_id) REFERENCES {HEADERS} ON DELETE CASCADE
);
ALTER TABLE {HEADERS} ALTER cadences SET STORAGE EXTERNAL;
ALTER TABLE {COLUMNS} ALTER "values" SET STORAGE EXTERNAL;
"""


def create(connection: sa.Connection) -> None:
    """Create the tables, unless they exist."""
    connection.exec_driver_sql(_STATEMENTS)
