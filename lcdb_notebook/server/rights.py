"""Check whether the role of a connection may do more than read."""

from __future__ import annotations

import sqlalchemy as sa

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.models import Base

__all__ = ["warn_of_rights"]

# Row security and rules aside, only the owner of a table or a superuser can do what PostgreSQL's
# read-only mode permits (ANALYZE, EXPLAIN ANALYZE SELECT INTO, COPY TO PROGRAM).
_RIGHTS = sa.text("""
SELECT rolname, rolsuper, EXISTS (
    SELECT FROM unnest(CAST(:tables AS text[])) AS name JOIN pg_class ON pg_class.oid = to_regclass(
        quote_ident(name)) WHERE pg_has_role(relowner, 'USAGE'))
FROM pg_roles WHERE rolname = current_user
""")

_warned: set[tuple[str, str]] = set()


def warn_of_rights(connection: sa.Connection, where: str) -> None:
    """Warn once if the role may make changes that PostgreSQL's read-only mode does not prevent.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Connection to a LightcurveDB that was opened for reading.
    where : str
        Name of the database for messages, without a password.

    Warns
    -----
    UserWarning
        If the role is a superuser or owns tables of the LightcurveDB; once for each role, database
        and process.
    """
    row = connection.execute(_RIGHTS, {"tables": [*Base.metadata.tables]}).one_or_none()
    if row is None:
        return
    role, superuser, owner = row
    if not (superuser or owner) or (where, role) in _warned:
        return
    _warned.add((where, role))
    what = "is a superuser" if superuser else "owns tables of this LightcurveDB"
    warn(
        f"{where} is opened for reading, but the role {role!r} {what} and could do more than read "
        "(for example EXPLAIN ANALYZE SELECT INTO), which PostgreSQL's read-only mode does not "
        "prevent. Connect as a role that may only read: CREATE ROLE reader LOGIN; GRANT "
        "pg_read_all_data TO reader"
    )
