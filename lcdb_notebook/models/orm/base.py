"""Base of all ORM models: column types, and a short repr."""

from __future__ import annotations

import decimal
import pathlib
import uuid
from typing import Any, ClassVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.dialects import postgresql

from lcdb_notebook.models.orm.array import NumpyArray, as_vector

#: Names of constraints and indexes follow one pattern, so that later upgrades can refer to them.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class PathText(sa.TypeDecorator[pathlib.Path]):
    """A file path, stored as text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: pathlib.Path | str | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Write a path as text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> pathlib.Path | None:  # noqa: ARG002
        """Read text as a path."""
        return None if value is None else pathlib.Path(value)


class Base(orm.DeclarativeBase):
    """Declarative base of all models.

    Lists of related rows are in the order of their ids, those of instruments in the order of names.

    A class mapped later, for another mission, inherits from a model such as ``Observation`` and
    becomes part of the same metadata.
    """

    metadata = sa.MetaData(naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        # Python None is SQL NULL, not the JSON value null.
        dict: postgresql.JSON(none_as_null=True),
        dict[str, Any]: postgresql.JSON(none_as_null=True),
        decimal.Decimal: sa.Numeric,
        pathlib.Path: PathText,
        str: sa.Text,
        uuid.UUID: sa.Uuid,
    }
    #: Columns and relationships that identify a row in its ``repr``; never arrays.
    __shown__: ClassVar[tuple[str, ...]] = ("id",)

    def __repr__(self) -> str:
        # Only loaded attributes, because a repr must not start a query or fail on a detached row.
        state = sa.inspect(self)
        words = [type(self).__name__, *(f"{k}={v}" for k, v in _shown(self, state))]
        if state.identity is None:
            words.insert(1, "new")
        elif len(words) == 1:
            words.append(f"id={state.identity[0]!r}")
        return f"<{' '.join(words)}>"


def _shown(row: Base, state: orm.InstanceState[Any]) -> list[tuple[str, str]]:
    shown = []
    for name in row.__shown__:
        relationship = state.mapper.relationships.get(name)
        if relationship is not None and name not in state.dict:
            # The related row is not loaded: show the foreign key instead.
            (column,) = relationship.local_columns
            name = state.mapper.get_property_by_column(column).key
        if name in state.dict:
            shown.append((name, _label(state.dict[name])))
    return shown


def _label(value: Any) -> str:
    if not isinstance(value, Base):
        return repr(value)
    if "name" in value.__dict__:
        return repr(value.__dict__["name"])
    identity = sa.inspect(value).identity
    return "new" if identity is None else repr(identity[0])


@event.listens_for(Base, "attribute_instrument", propagate=True)
def _check_arrays_when_assigned(
    model: type[Base], key: str, attribute: orm.QueryableAttribute[Any]
) -> None:
    """Convert values on assignment to an array column, so that errors are raised there."""
    columns = getattr(attribute.property, "columns", None)
    if not columns or not isinstance(columns[0].type, NumpyArray):
        return
    dtype, what = columns[0].type.dtype, f"{model.__name__}.{key}"

    @event.listens_for(attribute, "set", retval=True)
    def _convert(_row: Base, value: Any, _old: Any, _initiator: Any) -> Any:
        if value is None or isinstance(value, sa.ClauseElement):
            return value
        return as_vector(value, np.dtype(dtype), what)
