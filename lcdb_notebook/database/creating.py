"""The methods of a Database that create tables, and check for missing columns."""

from __future__ import annotations

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import Observation
from lcdb_notebook.models.tables import migrations
from lcdb_notebook.search import layout
from lcdb_notebook.server.driver_errors import translated

__all__ = ["create", "require_columns"]

# Columns of this package that rows can be written without.
OPTIONAL = frozenset({"column mission.time_unit"})


def create(self: Open, *, alter: bool = False) -> list[str]:
    """Add the missing tables and columns of the models, including those of mission classes.

    Tables that an earlier version of this package created are upgraded to the newest version, and
    the data are kept. Tables of another program are changed only if ``alter`` is True. New columns
    may then be NULL or have a default, so that the other program can still insert rows.

    Parameters
    ----------
    alter : bool, default False
        Add to tables that another program created, too.

    Returns
    -------
    list of str
        What was added, as ``table`` or ``table.column``.

    Raises
    ------
    ReadOnlyError
        If the database was not opened with ``write=True``.
    SchemaError
        If the tables have a version that this package does not support, or belong to another
        program.
    UpgradeError
        If rows contradict the newest version of the tables; the message names them, and how to
        correct them.

    Examples
    --------
    >>> db.create()
    []
    """
    self._require_write("create()")
    with translated(self._description), self._engine.begin() as connection:
        added = migrations.create(connection, alter=alter)
    with self.session_scope() as session:
        layout.learn(session.connection(), self._engine)
    return added


def require_columns(self: Open, what: str) -> None:
    """Check that the tables have all columns that this package writes."""
    with self.session_scope() as session:
        arranged = layout.of(session)
    if arranged.keyed is not None:
        raise SchemaError(
            f"{what} cannot write to LightcurveDB 3, because LightcurveDB creates its partitions; "
            "use its own code, which also runs on db.session"
        )
    optional = OPTIONAL
    if arranged.side_tables:
        # Checked for each light curve, as the fields depend on its mission.
        optional |= {f"column {column}" for column in Observation.__table__.c}
    lacking = [one for one in arranged.lacking if one not in optional]
    if lacking:
        raise SchemaError(
            f"{what} needs {', '.join(lacking)}, which this database does not have, because "
            "another program created its tables. If they are yours, db.create(alter=True) adds "
            "what is missing, and db.create() shows the SQL that does so"
        )
