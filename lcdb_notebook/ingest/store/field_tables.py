"""Write the fields of observations into the tables beside them in which another program keeps them.

LightcurveDB has no column for the sector of an observation. Its users have a table whose primary
key is the observation's id, such as ``tess_observation`` with a column ``sector``, or
``tess_orbit_observation``, which refers to a row of ``orbit``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.schema import CreateColumn

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import (
    IntVector,
    ObservationKey,
    Product,
    observation_key,
    python_value,
)
from lcdb_notebook.ingest.store.observation_classes import observation_class, observation_mapper
from lcdb_notebook.models import NumpyArray, Observation
from lcdb_notebook.models.tables.stored import by_table, stored_columns
from lcdb_notebook.search import layout

DESCRIPTIVE = frozenset({"author", "exptime", "cosmic_ray_mitigation", "spacecraft_quaternion"})
"""Fields that a database may do without, since they do not identify when it was observed."""

_OBSERVATION = sa.table(
    "observation",
    sa.column("id", sa.Integer),
    sa.column("type", sa.Text),
    sa.column("cadence_reference", NumpyArray("int64")),
    sa.column("instrument_id", sa.Uuid),
)

Fields = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class FieldTable:
    """A table whose primary key is an observation's id.

    Parameters
    ----------
    table
        Its columns in the database.
    key
        Its primary key.
    links
        The keys of the tables that it refers to, by its own columns.
    types
        Types of the observations that it has rows of, the most frequent one first.
    """

    table: sa.Table
    key: sa.Column[Any]
    links: Mapping[str, sa.Column[Any]]
    types: tuple[str, ...]

    @property
    def own(self) -> dict[str, sa.Column[Any]]:
        """Columns with fields, by name."""
        return {c.name: c for c in self.table.c if c is not self.key and c.name not in self.links}

    @property
    def fields(self) -> set[str]:
        """Names of all fields, those of the tables that it refers to included."""
        referred = {c.name for key in self.links.values() for c in key.table.c if c is not key}
        return self.own.keys() | referred

    def type_of(self, product: Product) -> str:
        """Return the type that the other program gives to such observations."""
        if product.observation_type in (*self.types, self.table.name):
            return product.observation_type
        return self.types[0] if self.types else self.table.name


class FieldTables:
    """Where a database keeps the fields of observations.

    Parameters
    ----------
    connection
        Connection that has the writers' lock.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._layout = layout.of(connection)
        self._used: dict[str, FieldTable] = {}
        self._dropped: dict[ObservationKey, tuple[str, ...]] = {}
        self._inserted: set[ObservationKey] = set()
        self._read: tuple[dict[str, Any], list[FieldTable]] | None = None

    def fit(self, product: Product) -> Product:
        """Return a product with the type and the fields that the database stores.

        Raises
        ------
        IngestError
            If no class has its type or fields, or the database cannot store one of the fields; the
            message has the SQL with which it can.
        """
        mapper = observation_mapper(product)
        if "observation" not in self._layout.presented or (mapper and not self._missing(mapper)):
            observation_class(product)
            return product
        columns = mapper.column_attrs.keys() if mapper else ()
        base = Observation.__mapper__.column_attrs.keys()
        fields = {name: None for name in columns if name not in base} | dict(
            product.observation_fields
        )
        table = self._choose(product, fields)
        type_ = table.type_of(product)
        self._used[type_] = table
        shared = product.shared
        if shared is not None:
            kept = {name: value for name, value in shared.fields.items() if name in table.own}
            fields |= {name: value for name, value in shared.fields.items() if name not in kept}
            shared = replace(shared, fields=kept)
            fields = {name: value for name, value in fields.items() if name not in kept}
        dropped = sorted(
            name for name, value in fields.items() if value is not None and name not in table.fields
        )
        stored = {name: value for name, value in fields.items() if name in table.fields}
        fitted = replace(product, observation_type=type_, observation_fields=stored, shared=shared)
        self._dropped[observation_key(fitted)] = tuple(dropped)
        return fitted

    @property
    def incomplete(self) -> set[ObservationKey]:
        """Keys of fitted products without fields that identify their observations elsewhere."""
        return {key for key, names in self._dropped.items() if {"author", "exptime"} & {*names}}

    def unstored(self, product: Product) -> tuple[str, ...]:
        """Name the fields for which the database has no columns, if the observation is new."""
        key = observation_key(product)
        return self._dropped.get(key, ()) if key in self._inserted else ()

    def selected(self, product: Product) -> type[Observation]:
        """Return the class with which the observation of a fitted product is queried."""
        if product.observation_type in self._used:
            return Observation
        return observation_class(product)

    def queried(self, cls: type[Observation], name: str) -> Any:
        """Return the column of a field in queries that are fitted to the database."""
        if hasattr(cls, name):
            return getattr(cls, name)
        table = Observation.__table__
        return table.c[name] if name in table.c else self._layout.fields[name][0]

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        """Return the rows of a query on observations, which is fitted to the database."""
        return list(self._connection.execute(self._layout.present(statement)))

    def column(self, type_: str, name: str) -> tuple[sa.Column[Any], sa.Column[Any]]:
        """Return the column of a field that is stored once, and the key of its table."""
        if type_ in self._used:
            table = self._used[type_]
            return table.own[name], table.key
        column: Any = Observation.__mapper__.polymorphic_map[type_].column_attrs[name].columns[0]
        return column, column.table.c.id

    def insert(self, product: Product, instrument: Any, reference: IntVector) -> int | None:
        """Store the observation of a product, and return its id; None if it is for the ORM."""
        table = self._used.get(product.observation_type)
        if table is None:
            return None
        row = {
            "type": product.observation_type,
            "cadence_reference": reference,
            "instrument_id": instrument,
        }
        self._inserted.add(observation_key(product))
        adding = sa.insert(_OBSERVATION).values(row).returning(_OBSERVATION.c.id)
        id_: int = self._connection.execute(adding).scalar_one()
        fields = {name: python_value(value) for name, value in product.observation_fields.items()}
        values = {name: fields[name] for name in table.own.keys() & fields.keys()}
        for name, key in table.links.items():
            values[name] = self._referred(key, fields)
            if values[name] is None and (part := _part(key, fields)):
                made = sa.insert(key.table).values(part).returning(key)
                values[name] = self._connection.execute(made).scalar_one()
        self._connection.execute(sa.insert(table.table).values({table.key.name: id_} | values))
        return id_

    def _missing(self, mapper: orm.Mapper[Any]) -> list[sa.Column[Any]]:
        """List the columns of a class that the table observation does not have."""
        table = Observation.__table__
        there, _ = self._reflected()
        return [c for c in mapper.columns if c.table is table and c.name not in there]

    def _reflected(self) -> tuple[dict[str, Any], list[FieldTable]]:
        """Read the columns of the table observation, and the tables beside it."""
        if self._read is None:
            own = by_table(stored_columns(self._connection)).get("observation", {})
            metadata = sa.MetaData()
            tables = [
                _field_table(
                    self._connection,
                    sa.Table(name, metadata, schema=schema, autoload_with=self._connection),
                )
                for schema, name in self._layout.side_tables
            ]
            self._read = dict(own), tables
        return self._read

    def _choose(self, product: Product, fields: Fields) -> FieldTable:
        needed = {n for n, value in fields.items() if value is not None} - DESCRIPTIVE
        problems = []
        suitable = []
        for table in self._reflected()[1]:
            missing = needed - table.fields
            if missing:
                problems.append(f"{table.table.name} has no column {', '.join(sorted(missing))}")
                continue
            empty = self._empty(table, fields)
            if empty:
                problems.append(f"{table.table.name} requires {', '.join(empty)}")
            else:
                suitable.append(table)
        if suitable:
            # The first of those that are equally good.
            return min(
                suitable,
                key=lambda table: (
                    product.observation_type not in (*table.types, table.table.name),
                    -len(table.fields & fields.keys()),
                ),
            )
        raise IngestError(
            f"this database has no place for observations of type {product.observation_type!r} "
            f"with {', '.join(f'{n}={python_value(fields[n])!r}' for n in sorted(needed))}"
            + (f": {'; '.join(problems)}" if problems else "")
            + self._advice(product)
        )

    def _advice(self, product: Product) -> str:
        mapper = observation_mapper(product)
        if mapper is None:
            return ". Define a class of observations of this type, and call db.create(alter=True)"
        columns = ", ".join(
            f"ADD COLUMN {CreateColumn(column).compile(dialect=self._connection.dialect)}"
            for column in self._missing(mapper)
        )
        return (
            ". If the tables are yours, db.create(alter=True) adds the columns; else ask their "
            f"owner for: ALTER TABLE observation {columns}"
        )

    def _empty(self, table: FieldTable, fields: Fields) -> list[str]:
        """List the required columns for which there is no value."""
        given = {name for name, value in fields.items() if value is not None}
        empty = [c.name for c in table.own.values() if _is_required(c) and c.name not in given]
        for name, key in table.links.items():
            part = _part(key, fields)
            if not part:
                empty += [name] if _is_required(table.table.c[name]) else []
            elif self._referred(key, fields) is None:
                others = (c for c in key.table.c if c is not key and c.name not in part)
                empty += [f"{key.table.name}.{c.name}" for c in others if _is_required(c)]
        return empty

    def _referred(self, key: sa.Column[Any], fields: Fields) -> Any:
        """Find the row that has the fields, those without a value included."""
        names = [c.name for c in key.table.c if c is not key and c.name in fields]
        if not _part(key, fields):
            return None
        same = [key.table.c[n].is_not_distinct_from(python_value(fields[n])) for n in names]
        return self._connection.scalar(sa.select(key).where(*same).order_by(key).limit(1))


def _part(key: sa.Column[Any], fields: Fields) -> dict[str, Any]:
    """Return the fields that the table of a key has columns and the product has values for."""
    return {
        c.name: python_value(fields[c.name])
        for c in key.table.c
        if c is not key and fields.get(c.name) is not None
    }


def _field_table(connection: sa.Connection, table: sa.Table) -> FieldTable:
    (key,) = table.primary_key
    links = {}
    for constraint in table.foreign_key_constraints:
        if len(constraint.elements) == 1 and constraint.columns[0] is not key:
            links[constraint.columns[0].name] = constraint.elements[0].column
    types = connection.scalars(
        sa.select(_OBSERVATION.c.type)
        .join_from(_OBSERVATION, table, _OBSERVATION.c.id == key)
        .group_by(_OBSERVATION.c.type)
        .order_by(sa.func.count().desc(), _OBSERVATION.c.type)
    )
    return FieldTable(table, key, links, tuple(types))


def _is_required(column: sa.Column[Any]) -> bool:
    filled = column.server_default or column.identity or column.computed
    return not (column.nullable or filled)
