"""Check whether the role of a connection may do more than read."""

from __future__ import annotations

from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.models.tables.catalog import Catalog

__all__ = ["warn_of_rights"]

_warned: set[tuple[str, str]] = set()


def warn_of_rights(catalog: Catalog, where: str) -> None:
    """Warn once if the role may make changes that PostgreSQL's read-only mode does not prevent.

    Row security and rules aside, only the owner of a table or a superuser can do what that mode
    permits: ANALYZE, EXPLAIN ANALYZE SELECT INTO, COPY TO PROGRAM.

    Parameters
    ----------
    catalog : Catalog
        What a LightcurveDB contains that was opened for reading.
    where : str
        Name of the database for messages, without a password.

    Warns
    -----
    UserWarning
        If the role is a superuser or owns tables of the LightcurveDB; once for each role, database
        and process.
    """
    role = catalog.role
    if not (catalog.is_superuser or catalog.is_owner) or (where, role) in _warned:
        return
    _warned.add((where, role))
    what = "is a superuser" if catalog.is_superuser else "owns tables of this LightcurveDB"
    warn(
        f"{where} is opened for reading, but the role {role!r} {what} and could do more than read "
        "(for example EXPLAIN ANALYZE SELECT INTO), which PostgreSQL's read-only mode does not "
        "prevent. Connect as a role that may only read: CREATE ROLE reader LOGIN; GRANT "
        "pg_read_all_data TO reader"
    )
