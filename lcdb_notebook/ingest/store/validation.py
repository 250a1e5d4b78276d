"""Check that a Product is valid before it is stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError, LineageError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.align import ascends, time_ascends


def check_product(product: Product) -> None:
    """Check the names and arrays of a product.

    Raises
    ------
    IngestError
        If a name or array is missing, or has the wrong shape, order or range.
    LineageError
        If a curve would be derived from itself or from a later one.
    """
    for what in ("mission", "catalog", "observation_type"):
        name = getattr(product, what)
        if not isinstance(name, str) or not name:
            raise IngestError(f"{what} must be a non-empty str, got {name!r}")
    if not product.instrument or not all(product.instrument):
        raise IngestError(f"instrument must have a name at each level, got {product.instrument}")
    number = product.target
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise IngestError(f"target must be a catalog number, got {number!r}")
    if not 0 <= number < 2**63:
        raise IngestError(f"target must be from 0 to 2**63 - 1, got {number}")
    _check_cadence(product)
    size = product.cadence.size
    _check_vector(product.time, size, "f", "time")
    if not time_ascends(product.time) or np.isinf(product.time).any():
        raise IngestError("times must increase with the cadence numbers, and not be infinite")
    for name, flags in product.quality.items():
        _check_vector(flags, size, "i", f"quality array {name}")
        if flags.dtype.itemsize > 4:
            raise IngestError(f"quality array {name} must be int32, got {flags.dtype}")
    _check_curves(product, size)


def _check_cadence(product: Product) -> None:
    cadence = product.cadence
    _check_vector(cadence, cadence.size, "i", "cadence")
    if cadence.size == 0:
        raise IngestError("no cadences")
    if not ascends(cadence):
        raise IngestError("cadence numbers must be strictly increasing")
    if product.numbered and cadence[0] < 0:
        raise IngestError(f"cadence number {cadence[0]} is negative")
    if not product.numbered and not _counts_rows(product):
        raise IngestError(
            "a light curve without cadence numbers must have cadence = 0, 1, 2, ..., or the "
            "negative numbers with which its rows are stored"
        )


def _counts_rows(product: Product) -> bool:
    cadence = product.cadence
    # It is strictly increasing, so the first and last number are sufficient.
    return bool(cadence[-1] < 0 or (cadence[0] == 0 and cadence[-1] == cadence.size - 1))


def _check_curves(product: Product, size: int) -> None:
    if not product.curves:
        raise IngestError("no light curve")
    seen: set[tuple[str, str | None]] = set()
    for position, curve in enumerate(product.curves):
        processing = curve.processing.name if curve.processing else None
        key = (curve.photometry.name, processing)
        name = f"light curve {position} ({key[0]}, {processing or 'raw'})"
        if key in seen:
            raise IngestError(f"duplicate {name}")
        seen.add(key)
        _check_vector(curve.flux, size, "f", f"flux of {name}")
        if curve.flux_err is not None:
            _check_vector(curve.flux_err, size, "f", f"flux_err of {name}")
        if curve.source is not None and not 0 <= curve.source < position:
            raise LineageError(
                f"{name} has the source {curve.source}; a source must come before the curves "
                "derived from it"
            )


def _check_vector(array: Any, size: int, kind: str, what: str) -> None:
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind != kind:
        found = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else type(array)
        kinds = {"f": "floating-point numbers", "i": "integers"}
        raise IngestError(f"{what} must be a vector of {kinds[kind]}, got {found}")
    if array.size != size:
        raise IngestError(f"{what} has {array.size} values for {size} cadences")
