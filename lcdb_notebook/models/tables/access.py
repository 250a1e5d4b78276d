"""Explain why no tables are visible: permissions and the search path."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from lcdb_notebook.models import Base

__all__ = ["explain_absence", "explain_rights"]

# The system catalogs list all tables, even those that the role may not use.
_ELSEWHERE = sa.text("""
SELECT nspname, has_schema_privilege(pg_namespace.oid, 'USAGE'), current_user
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relname = ANY(:tables) AND relkind IN ('r', 'p', 'v', 'm', 'f')
    AND nspname <> 'information_schema' AND nspname !~ '^pg_'
GROUP BY pg_namespace.oid, nspname ORDER BY count(*) DESC LIMIT 1
""")


def explain_absence(connection: sa.Connection) -> str:
    """Return why no table of a LightcurveDB is found, and what to do.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Connection to a database without visible tables.

    Returns
    -------
    str
        A sentence with the missing GRANT, the schema, or the way to create the tables.
    """
    row = connection.execute(_ELSEWHERE, {"tables": [*Base.metadata.tables]}).one_or_none()
    quote = connection.dialect.identifier_preparer.quote
    if row is None:
        return (
            "this database is not a LightcurveDB: none of the tables exist. To create them, "
            "connect with lcdb.connect(..., write=True, create=True)."
        )
    schema, role = quote(row[0]), quote(row[2])
    if not row[1]:
        return (
            f"this database has tables of a LightcurveDB in the schema {schema}, which the role "
            f"{role} may not use. Ask its owner for: GRANT USAGE ON SCHEMA {schema} TO {role}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        )
    return (
        f"this database has tables of a LightcurveDB in the schema {schema}, which is not in your "
        f"search_path. Add it: ALTER ROLE {role} SET search_path = {schema}, public; or add "
        f"options=-csearch_path%3D{schema} to the URL"
    )


def explain_rights(connection: sa.Connection, tables: Sequence[str]) -> str:
    """Return which tables the role may not read, and the GRANT that permits it.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Its role is named.
    tables : sequence of str
        Names with their schemas, quoted.

    Returns
    -------
    str
        Two sentences.
    """
    quote = connection.dialect.identifier_preparer.quote
    role = quote(connection.scalar(sa.text("SELECT current_user")) or "")
    names = ", ".join(tables)
    return (
        f"the role {role} may not read {names}. Ask the owner for: "
        f"GRANT SELECT ON {names} TO {role}"
    )
