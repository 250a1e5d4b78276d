"""Extend models for missions with single-table and joined-table inheritance."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterable
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm.decl_api import DeclarativeAttributeIntercept

from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models.orm.base import Base

_DIALECT: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


class _Claims(UserDict[Any, "orm.Mapper[Any]"]):
    """Classes by the ``type`` that they claim; other types map to the class being loaded."""

    def __init__(self, claimed: Any, fallback: orm.Mapper[Any]) -> None:
        # All subclasses of a base share it, so that each class has the claims of the others.
        self.data = claimed.data if isinstance(claimed, _Claims) else dict(claimed)
        self._fallback = fallback

    def __missing__(self, identity: Any) -> orm.Mapper[Any]:
        return self._fallback


class _Redefinable(DeclarativeAttributeIntercept):
    """Metaclass that allows running a notebook cell that defines a mission's class twice.

    If a class with the same name and identity is defined again, the first class is updated. Two
    classes may use the same column name if the column has the same type.
    """

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> Any:
        parents: list[Any] = [sa.inspect(base, raiseerr=False) for base in bases]
        parent = next((p for p in parents if isinstance(p, orm.Mapper)), None)
        if parent is None:
            return super().__new__(cls, name, bases, namespace, **kwargs)
        columns = _declared_columns(name, namespace)
        arguments = namespace.get("__mapper_args__")
        identity = arguments.get("polymorphic_identity") if isinstance(arguments, dict) else None
        if identity in parent.polymorphic_map:
            return _same_class_again(parent.polymorphic_map[identity], name, namespace, columns)
        if not {"__tablename__", "__table__"} & namespace.keys():
            _share_columns(parent, name, namespace, columns)
            namespace["__required__"] = parent.class_.__required__ | {
                column.name for column in columns.values() if not column.nullable
            }
        return super().__new__(cls, name, bases, namespace, **kwargs)


class Extensible(metaclass=_Redefinable):
    """Mixin of the three models that missions extend with subclasses.

    It avoids problems of inheritance in a shared table:

    - A row whose ``type`` does not belong to any imported class is loaded as the queried class;
      SQLAlchemy would fail.
    - A field declared ``Mapped[int]`` is nullable in the shared table. Otherwise it would be
      required in the rows of all other missions. A CHECK requires it in rows of this type and of
      types derived from it.
    - A row in a subclass's separate table is deleted together with the row in the shared table.
    - A class can be defined again, for example when a notebook cell is run twice.
    """

    #: Columns of the shared table that are required in rows of this type.
    __required__: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        mapper = sa.inspect(cls, raiseerr=False)
        if not isinstance(mapper, orm.Mapper):
            return
        # SQLAlchemy looks identities up in this attribute.
        mapper.polymorphic_map = _Claims(mapper.polymorphic_map, mapper)  # type: ignore[assignment]
        if mapper.inherits is None:
            _keep_unclaimed_types(mapper)
        else:
            _require_of_own_type(mapper)


def _keep_unclaimed_types(mapper: orm.Mapper[Any]) -> None:
    # SQLAlchemy warns when it saves a row whose type differs from that of its class. This is
    # expected here, unless another class claims the type.
    validate = mapper._validate_polymorphic_identity
    assert validate is not None

    def warn_of_claimed_types(own: orm.Mapper[Any], state: Any, loaded: dict[str, Any]) -> None:
        if loaded.get("type") in mapper.polymorphic_map:
            validate(own, state, loaded)

    mapper._validate_polymorphic_identity = warn_of_claimed_types


def _require_of_own_type(mapper: orm.Mapper[Any]) -> None:
    assert mapper.inherits is not None
    shared, table = mapper.base_mapper.local_table, mapper.local_table
    assert isinstance(shared, sa.Table)
    required = set(mapper.class_.__required__)
    if table is mapper.inherits.local_table:
        inherited = set(mapper.inherits.columns)
        for column in mapper.columns:
            if column.table is table and column not in inherited and not column.nullable:
                column.nullable = True
                required.add(column.name)
    else:
        _delete_with_shared_row(table)
    # The separate table of a subclass has no type column to which a CHECK could refer.
    mapper.class_.__required__ = frozenset(name for name in required if name in shared.c)
    identity, discriminator = mapper.polymorphic_identity, mapper.polymorphic_on
    if identity is None or discriminator is None:
        return
    existing_checks = {constraint.info.get("requires") for constraint in shared.constraints}
    for name in sorted(mapper.class_.__required__):
        if (identity, name) not in existing_checks:
            # References to the columns attach the constraint to their table.
            sa.CheckConstraint(
                sa.or_(discriminator != identity, shared.c[name].is_not(None)),
                name=f"{identity}_{name}",
                info={"requires": (identity, name)},
            )


def _delete_with_shared_row(table: sa.FromClause) -> None:
    """By default, delete a row of a subclass's separate table with the row in the shared table.

    Otherwise the database would refuse to delete an observation that has such flags.
    """
    for column in table.primary_key:
        for key in column.foreign_keys:
            if key.constraint is not None and key.constraint.ondelete is None:
                key.constraint.ondelete = "CASCADE"


def _declared_columns(name: str, namespace: dict[str, Any]) -> dict[str, sa.Column[Any]]:
    """Find the columns that a class body declares, by declaring them on a temporary base."""
    fields = {k: v for k, v in namespace.items() if isinstance(v, orm.MappedColumn)}
    annotations = {
        key: annotation
        for key, annotation in namespace.get("__annotations__", {}).items()
        if key in fields or (key not in namespace and _is_mapped(annotation))
    }
    if not annotations and not fields:
        return {}

    class Elsewhere(orm.DeclarativeBase):
        type_annotation_map = Base.type_annotation_map

    module = {"__module__": namespace.get("__module__")}
    mixin = type(name, (), {**module, "__annotations__": annotations, **fields})
    key = orm.mapped_column("_", sa.Integer, primary_key=True)
    own = {**module, "__tablename__": "elsewhere", "_key": key}
    model: Any = type(name, (mixin, Elsewhere), own)
    return {name: c for name, c in sa.inspect(model).columns.items() if name != "_key"}


def _is_mapped(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return "Mapped[" in annotation
    return getattr(annotation, "__origin__", None) is orm.Mapped


def _share_columns(
    parent: orm.Mapper[Any],
    name: str,
    namespace: dict[str, Any],
    columns: dict[str, sa.Column[Any]],
) -> None:
    """Reuse columns that another mission's class has already added to the shared table."""
    table = parent.local_table
    for key, column in columns.items():
        if column.name in table.c and not parent.has_property(key):
            _refuse_other_type(f"{name}.{key}", column, table.c[column.name])
            namespace.setdefault(key, orm.mapped_column(use_existing_column=True))


def _refuse_other_type(field: str, column: sa.Column[Any], existing: Any) -> None:
    declared, found = (c.type.compile(dialect=_DIALECT) for c in (column, existing))
    if declared != found:
        raise SchemaError(
            f"{field} is declared as {declared}, but column {existing.table.name}.{existing.name} "
            f"already exists as {found}; rename the field"
        )


def _same_class_again(
    mapper: orm.Mapper[Any],
    name: str,
    namespace: dict[str, Any],
    columns: dict[str, sa.Column[Any]],
) -> type:
    """Update a class that is defined again, and return it instead of a second class."""
    known = mapper.class_
    if known.__name__ != name:
        raise SchemaError(
            f"polymorphic_identity {mapper.polymorphic_identity!r} of {name} is already used by "
            f"{known.__module__}.{known.__name__}; choose another"
        )
    for key, column in columns.items():
        if key in mapper.columns:
            _refuse_other_type(f"{name}.{key}", column, mapper.columns[key])
        else:
            added: sa.Column[Any] = sa.Column(
                column.name, column.type, nullable=column.nullable, index=column.index
            )
            setattr(known, key, added)
            if not column.nullable and mapper.local_table is mapper.base_mapper.local_table:
                added.nullable = True
                known.__required__ |= {column.name}
    for below in mapper.self_and_descendants:
        below.class_.__required__ |= known.__required__
        _require_of_own_type(below)
    for key, value in _behaviour(namespace):
        if key not in columns and not mapper.has_property(key):
            setattr(known, key, value)
    if "__classcell__" in namespace:
        # super() in a method of the new body must refer to the class that is kept.
        namespace["__classcell__"].cell_contents = known
    return known


def _behaviour(namespace: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    ours = ("__shown__", "__chronology__")
    special = (key for key in namespace if key.startswith("__") and key not in ours)
    return ((key, namespace[key]) for key in namespace.keys() - set(special))
