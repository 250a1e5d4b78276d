"""What makes two products belong to one observation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lcdb_notebook.ingest.product import Product


class ObservationKey(NamedTuple):
    """What makes two products belong to one observation."""

    type: str
    fields: tuple[tuple[str, str], ...]
    instrument: tuple[str, ...]
    numbered: bool


def observation_key(product: Product) -> ObservationKey:
    """Say which observation a product belongs to."""
    fields = sorted((name, repr(plain(v))) for name, v in product.observation_fields.items())
    return ObservationKey(
        product.observation_type, tuple(fields), tuple(product.instrument), product.numbered
    )


def plain(value: object) -> object:
    """Give a numpy scalar as Python's own number."""
    return value.item() if isinstance(value, np.generic) else value
