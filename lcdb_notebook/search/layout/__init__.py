"""How a database arranges its tables, and statements fitted to that.

Statements are written for the tables of this package. Where a database arranges them otherwise, a
statement gets common table expressions in front that present its tables in that shape: a WITH query
named ``observation`` takes the place of the table. Statements for this package's own tables are not
changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.units import POSITIONS
from lcdb_notebook.models import Base, DataSet, Observation
from lcdb_notebook.models.tables.access import explain_rights
from lcdb_notebook.models.tables.catalog import Catalog
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS
from lcdb_notebook.models.tables.stored import by_table, has_keys, qualified
from lcdb_notebook.search.criteria import Criteria, Fields, observation_fields
from lcdb_notebook.search.layout.keyed import Keyed
from lcdb_notebook.search.layout.missing import is_plain, is_readable, missing_parts
from lcdb_notebook.search.layout.presenting import presentations
from lcdb_notebook.search.layout.side_tables import SideTables, find_side_tables, target_side_tables

__all__ = ["Layout", "Statement", "learn", "learn_fields", "of", "parts", "present"]

Statement = TypeVar("Statement", bound=sa.Executable)


@dataclass(frozen=True, eq=False)
class Layout:
    """What is particular about a database.

    Parameters
    ----------
    presented : dict of str to sqlalchemy.CTE
        The tables that it arranges otherwise, by name.
    fields : dict of str to tuple of sqlalchemy.ColumnClause
        Fields of its observations.
    side_fields : frozenset of str
        Those that are in tables beside ``observation``.
    side_tables : tuple of (str, str)
        Schema and name of the tables beside ``observation``.
    missing : frozenset of str
        Tables that the database does not have.
    lacking : tuple of str
        Those tables, and columns, in which this package writes light curves.
    versioned : bool
        Whether observations and flags are in plain tables, whose rows have the version numbers
        ``xmin`` and ``ctid``.
    positions : dict of int to str
        By id, the processing methods whose DataSets are positions of the star instead of fluxes,
        with the name of the column.
    keyed : Keyed, optional
        The partitioned tables of LightcurveDB 3.
    parameters : sqlalchemy.TextClause, optional
        The query for parameters of stars, if the database has any.
    has_aliases : bool
        Whether it knows which targets are the same star.
    flags_by_type : bool
        Whether the index of quality flags begins with their type, as LightcurveDB's own does.
    by_number : bool
        Whether an index of targets begins with their number, and DataSets are found by target.
    has_contents : bool
        Whether it has this package's tables for header cards and further columns of files.
    unreadable : dict of str to set of str
        Fields of observations that the role may not read, with the tables.
    is_small : bool
        Whether the table of DataSets had no room for more than 20,000 rows.
    has_plpgsql : bool
        Whether the role may run blocks of PL/pgSQL.
    """

    presented: Mapping[str, sa.CTE]
    fields: Fields
    side_fields: frozenset[str] = frozenset()
    side_tables: tuple[tuple[str, str], ...] = ()
    missing: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()
    versioned: bool = True
    positions: Mapping[int, str] = field(default_factory=dict)
    keyed: Keyed | None = None
    parameters: sa.TextClause | None = None
    has_aliases: bool = False
    flags_by_type: bool = False
    by_number: bool = True
    has_contents: bool = False
    unreadable: Mapping[str, set[str]] = field(default_factory=dict)
    is_small: bool = False
    has_plpgsql: bool = False

    def present(self, statement: Statement, *others: sa.CTE) -> Statement:
        """Fit a statement to the database.

        Parameters
        ----------
        statement : sqlalchemy.Executable
            A query.
        *others : sqlalchemy.CTE
            Tables that are presented to this query alone.
        """
        if not (self.presented or others):
            return statement
        if isinstance(statement, sa.TextClause):
            # Only what has columns can have a WITH.
            statement = statement.columns()  # type: ignore[assignment]
        fitted: Statement = statement.add_cte(*self.presented.values(), *others)  # type: ignore[attr-defined]
        return fitted


# Tables without which light curves are read, and what is then missing.
_OPTIONAL = (
    (("datasethierarchy",), "light curves have no lineage"),
    (("astro_parameter", "parameter_kind"), "light curves have no parameters of stars"),
)

# Which classes were mapped when a layout was read, and the layout.
_known: WeakKeyDictionary[sa.Engine, tuple[int, Layout]] = WeakKeyDictionary()
_own: dict[int, Layout] = {}


def of(bind: orm.Session | sa.Connection) -> Layout:
    """Return the layout of the database of a session or connection.

    Parameters
    ----------
    bind : sqlalchemy.orm.Session or sqlalchemy.Connection
        Of an engine whose layout was learnt; others count as having this package's tables.
    """
    mapped = _mapped()
    known = _known.get((bind.get_bind() if isinstance(bind, orm.Session) else bind).engine)
    if known is None:
        if mapped not in _own:
            _own[mapped] = Layout({}, observation_fields())
        return _own[mapped]
    # A class that was mapped since may have columns in the database.
    if known[0] == mapped:
        return known[1]
    return learn(bind.connection() if isinstance(bind, orm.Session) else bind)


def _mapped() -> int:
    """Count the columns of all observation classes, which only ever become more."""
    return sum(len(mapper.columns) for mapper in sa.inspect(Observation).self_and_descendants)


def present(
    session: orm.Session, statement: Statement, *, ids: Sequence[DataSetId] | None = None
) -> Statement:
    """Fit a statement to the database of a session.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    statement : sqlalchemy.Executable
        A query.
    ids : sequence of int or str, optional
        The DataSets that it reads. A query that reads others is fitted by :func:`parts`.
    """
    layout = of(session)
    if layout.keyed is None or ids is None:
        return layout.present(statement)
    return layout.present(statement, layout.keyed.among(session, ids))


def parts(
    session: orm.Session, statement: Statement, criteria: Criteria, *, everywhere: bool = False
) -> list[Statement]:
    """Fit a statement on DataSets to the database of a session.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session.
    statement : sqlalchemy.Executable
        A query.
    criteria : Criteria
        What its DataSets match.
    everywhere : bool, default False
        Whether it reads DataSets of other observations, too.

    Returns
    -------
    list of sqlalchemy.Executable
        One statement; or of a large database of LightcurveDB 3, whose partitions must not be opened
        all at once, one for every few observations. Their results are to be merged.
    """
    layout = of(session)
    if layout.keyed is None or not _reads_datasets(statement):
        return [layout.present(statement)]
    tables = layout.keyed.matching(session, criteria, everywhere=everywhere)
    return [layout.present(statement, table) for table in tables]


def _reads_datasets(statement: sa.Executable) -> bool:
    assert isinstance(statement, sa.ClauseElement)
    elements = sa.sql.visitors.iterate(statement)
    return any(element is DataSet.__table__ for element in elements)


def learn(connection: sa.Connection, *engines: sa.Engine, catalog: Catalog | None = None) -> Layout:
    """Find the layout of a database, and remember it for its engine.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        An open connection; nothing is changed.
    *engines : sqlalchemy.Engine
        Others of the same database.
    catalog : Catalog, optional
        What the database contains, if it was read before. Only tables beside ``observation`` are
        then read, in a statement, if there are any.
    """
    mapped = observation_fields()
    catalog = catalog or Catalog.read(connection)
    tables = by_table(catalog.every_column)
    kept = [tables.pop(name, {}) for name in (HEADERS, COLUMNS)]
    for names, without in _OPTIONAL:
        unreadable = [name for name in names if not is_readable(tables.get(name, {}))]
        for name in unreadable:
            del tables[name]
        if unreadable and connection.engine not in _known:
            warn(f"{without}: {explain_rights(connection, unreadable)}")
    side_tables = find_side_tables(connection) if catalog.has_side_tables else SideTables({}, "")
    fields: dict[str, tuple[sa.Column[Any], ...]] = {}
    for name, columns in mapped.items():
        there = tuple(
            column
            for column in columns
            if column.name in tables.get(column.table.name, {})
            or (column.table is Observation.__table__ and name in side_tables.fields)
        )
        if there:
            fields[name] = there
    for name, (_, type_) in side_tables.fields.items():
        if name not in fields:
            column = sa.ColumnClause(name, type_, _selectable=Observation.__table__)
            fields[name] = (cast("sa.Column[Any]", column),)
    by_number, flags_by_type = True, False
    if "processing_method" in tables:
        by_number, flags_by_type = catalog.targets_by_number, not catalog.flags_by_target
    presented = presentations(connection.dialect, tables, side_tables, by_number=by_number)
    keyed = None
    if has_keys(tables):
        hierarchy = qualified(tables, "datasethierarchy")
        keyed = Keyed(qualified(tables, "dataset") or "", hierarchy, tuple(presented.values()))
    layout = Layout(
        presented,
        fields,
        frozenset(side_tables.fields),
        side_tables.tables,
        frozenset(Base.metadata.tables.keys() - tables.keys()),
        tuple(missing_parts(tables)),
        all(is_plain(tables.get(name, {})) for name in ("observation", "quality_flag_array")),
        {int(id_): POSITIONS[name] for id_, name in catalog.positions.items()},
        keyed,
        *target_side_tables(tables),
        flags_by_type,
        by_number and keyed is None,
        all(columns and all(c.readable for c in columns.values()) for columns in kept),
        {name: tables for name, tables in side_tables.unreadable.items() if name not in fields},
        catalog.has_few_datasets,
        catalog.has_plpgsql,
    )
    for engine in (connection.engine, *engines):
        _known[engine] = _mapped(), layout
    return layout


def learn_fields(connection: sa.Connection, named: Iterable[str], *engines: sa.Engine) -> Fields:
    """Read the layout again, and return the fields of observations.

    Raises
    ------
    SchemaError
        If the role may not read a named field; the message has the GRANT that permits it.
    """
    layout = learn(connection, *engines)
    for name in named:
        if name in layout.unreadable:
            why = explain_rights(connection, sorted(layout.unreadable[name]))
            raise SchemaError(f"the field {name} cannot be searched: {why}")
    return layout.fields
