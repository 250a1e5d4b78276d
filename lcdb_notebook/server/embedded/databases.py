"""The database of an embedded server, and the role of its readers."""

from __future__ import annotations

from pathlib import Path

import psycopg2

from lcdb_notebook.server.embedded.cluster import READER, Cluster

__all__ = ["create_database"]

# Default permissions that a reader must not have: temporary tables, large objects, blocks.
_REVOKED = """
REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat(int), lo_create(oid), lo_from_bytea(oid, bytea),
    lo_open(oid, int), lo_put(oid, bigint, bytea), lo_unlink(oid), lo_truncate(int, int),
    lo_truncate64(int, bigint), lowrite(int, bytea) FROM PUBLIC;
"""
# pg_read_all_data includes tables that are created later, by any role.
_READER_ROLE = f"""
CREATE ROLE {READER} LOGIN;
ALTER ROLE {READER} SET default_transaction_read_only = on;
GRANT pg_read_all_data TO {READER};
"""


def create_database(cluster: Cluster, sockets: Path, name: str) -> None:
    """Create a database and the role of its readers, unless they exist.

    The encoding and locale are those of the cluster: UTF-8, sorted by code point.

    Parameters
    ----------
    cluster : Cluster
        The running server.
    sockets : pathlib.Path
        The folder of its socket.
    name : str
        The name of the database.

    Raises
    ------
    EmbeddedServerError
        If the server refuses.
    """
    existing = (
        "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s), "
        "EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
    )
    opened = cluster.connect(sockets, "postgres")
    try:
        with opened.cursor() as cursor:
            cursor.execute(existing, (name, READER))
            has_database, has_reader = cursor.fetchone() or (False, False)
            if not has_database:
                cursor.execute(f'CREATE DATABASE "{name}"')
            if not (has_database and has_reader):
                _run(cluster, sockets, name, _REVOKED.format(database=f'"{name}"'))
            if not has_reader:
                # Last, so that the next process repeats everything if this one is killed.
                cursor.execute(_READER_ROLE)
    except psycopg2.Error as error:
        raise cluster.failure(f"cannot create the database {name!r}", str(error)) from error
    finally:
        opened.close()


def _run(cluster: Cluster, sockets: Path, database: str, statements: str) -> None:
    opened = cluster.connect(sockets, database)
    try:
        with opened.cursor() as cursor:
            cursor.execute(statements)
    finally:
        opened.close()
