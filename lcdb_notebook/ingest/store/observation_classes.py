"""Find the class of a product's observation by its type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import orm

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.models import Observation


def observation_mapper(product: Product) -> orm.Mapper[Any] | None:
    """Return the mapper of the type of a product's observation; None if no class has the type."""
    mappers = Observation.__mapper__.polymorphic_map
    if product.observation_type not in mappers:
        return None
    return mappers[product.observation_type]


def observation_class(product: Product) -> type[Observation]:
    """Find the class of a product's observation.

    Raises
    ------
    IngestError
        If no class has this identity, or the class does not have one of the fields.
    """
    mapper = observation_mapper(product)
    if mapper is None:
        known = ", ".join(sorted(Observation.__mapper__.polymorphic_map))
        raise IngestError(
            f"no class of observations has the type {product.observation_type!r}; known are {known}"
        )
    own = set(mapper.column_attrs.keys()) - {"id", "type", "cadence_reference", "instrument_id"}
    shared = product.shared.fields.keys() if product.shared else set()
    unknown = (product.observation_fields.keys() | shared) - own
    if unknown:
        raise IngestError(
            f"{mapper.class_.__name__} has no field {', '.join(sorted(unknown))}; it has "
            f"{', '.join(sorted(own)) or 'none'}"
        )
    found: type[Observation] = mapper.class_
    return found
