"""Read and write the release of the file that was stored for a target in an observation.

The table is not part of the schema. It is created when the first file with a release is stored in a
database of this package; other databases are never altered for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from lcdb_notebook.ingest.product import Release
from lcdb_notebook.ingest.store.copying import integers

TABLE = "lcdb_notebook_release"

_CREATE = f"""
CREATE TABLE {TABLE} (
    target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
    observation_id integer NOT NULL REFERENCES observation ON DELETE CASCADE,
    number integer,
    date text NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (target_id, observation_id)
)
"""

Keys = Iterable[tuple[int, int]]
"""Ids of targets and observations."""


def look_up(connection: sa.Connection, keys: Keys) -> dict[tuple[int, int], Release]:
    """Read the known releases of targets in observations."""
    keys = list(keys)
    readable = sa.text("SELECT has_table_privilege(to_regclass(:name), 'SELECT')")
    if not keys or not connection.scalar(readable, {"name": TABLE}):
        return {}
    rows = connection.exec_driver_sql(
        f"SELECT target_id, observation_id, number, date, version FROM {TABLE} JOIN "
        f"(SELECT unnest({integers(t for t, _ in keys)}) AS target_id, "
        f"unnest({integers(o for _, o in keys)}) AS observation_id) AS key "
        "USING (target_id, observation_id)"
    )
    return {(target, observation): Release(*release) for target, observation, *release in rows}


def dependents(connection: sa.Connection, keys: Keys) -> dict[tuple[int, int], set[int]]:
    """Read the ids of all DataSets of targets in observations, and of those derived from them."""
    keys = list(keys)
    rows = connection.exec_driver_sql(
        "WITH own AS (SELECT d.id, d.target_id, d.observation_id FROM "
        f"(SELECT unnest({integers(t for t, _ in keys)}) AS target_id, "
        f"unnest({integers(o for _, o in keys)}) AS observation_id) AS pair "
        "JOIN dataset d USING (target_id, observation_id)) "
        "SELECT target_id, observation_id, id FROM own UNION "
        "SELECT own.target_id, own.observation_id, h.child_dataset_id FROM own "
        "JOIN datasethierarchy h ON h.source_dataset_id = own.id"
    )
    found: dict[tuple[int, int], set[int]] = defaultdict(set)
    for target, observation, dataset in rows:
        found[target, observation].add(dataset)
    return found


def write(connection: sa.Connection, releases: Mapping[tuple[int, int], Release]) -> None:
    """Write the releases of targets in observations, if this database can store them."""
    if not releases or not _exists(connection):
        return
    rows = [
        {"target": target, "observation": observation, **release._asdict()}
        for (target, observation), release in releases.items()
    ]
    connection.execute(
        sa.text(
            f"INSERT INTO {TABLE} (target_id, observation_id, number, date, version) "
            "VALUES (:target, :observation, :number, :date, :version) "
            "ON CONFLICT (target_id, observation_id) DO UPDATE SET number = excluded.number, "
            "date = excluded.date, version = excluded.version"
        ),
        rows,
    )


def _exists(connection: sa.Connection) -> bool:
    """Return whether the table can be written; create it in a database of this package."""
    writable = sa.text(
        "SELECT has_table_privilege(to_regclass(:name), 'INSERT') "
        "AND has_table_privilege(to_regclass(:name), 'UPDATE'), "
        "to_regclass('lcdb_notebook_version') IS NOT NULL"
    )
    known, ours = connection.execute(writable, {"name": TABLE}).one()
    if known is not None or not ours:
        return bool(known)
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(_CREATE)
    except sa.exc.ProgrammingError:
        # This user may write rows but may not create tables.
        return False
    return True
