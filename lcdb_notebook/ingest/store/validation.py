"""What every Product has to fulfil before the store looks at it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError, LineageError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.align import ascends, time_ascends


def check_product(product: Product) -> None:
    """Refuse a product whose arrays or names contradict its contract.

    Raises
    ------
    IngestError
        If something is missing, or of the wrong shape, order or range.
    LineageError
        If a curve would descend from itself, or from a later one.
    """
    for what in ("mission", "catalog", "observation_type"):
        name = getattr(product, what)
        if not isinstance(name, str) or not name:
            raise IngestError(f"{what} has to be a name, not {name!r}")
    if not product.instrument or not all(product.instrument):
        raise IngestError(f"the instrument has to have a name at each level: {product.instrument}")
    number = product.target
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise IngestError(f"a target is a catalog number, not {number!r}")
    if not 0 <= number < 2**63:
        raise IngestError(f"{number} is no catalog number: they go from 0 to 2**63 - 1")
    _check_cadence(product)
    size = product.cadence.size
    _check_vector(product.time, size, "f", "time")
    if not time_ascends(product.time) or np.isinf(product.time).any():
        raise IngestError("its times are not finite and ascending with the cadence numbers")
    for name, flags in product.quality.items():
        _check_vector(flags, size, "i", f"quality array {name}")
        if flags.dtype.itemsize > 4:
            raise IngestError(f"quality array {name} has to be int32, not {flags.dtype}")
    _check_curves(product, size)


def _check_cadence(product: Product) -> None:
    cadence = product.cadence
    _check_vector(cadence, cadence.size, "i", "cadence")
    if cadence.size == 0:
        raise IngestError("it has no cadences")
    if not ascends(cadence):
        raise IngestError("its cadence numbers do not strictly ascend")
    if product.numbered and cadence[0] < 0:
        raise IngestError(f"cadence number {cadence[0]} is negative")
    if not product.numbered and not _counts_rows(product):
        raise IngestError(
            "cadences without numbers have to count the rows, from 0 on, or be the negative "
            "numbers under which they are stored"
        )


def _counts_rows(product: Product) -> bool:
    cadence = product.cadence
    # Strictly ascending already, so the two ends say it all.
    return bool(cadence[-1] < 0 or (cadence[0] == 0 and cadence[-1] == cadence.size - 1))


def _check_curves(product: Product, size: int) -> None:
    if not product.curves:
        raise IngestError("it has no light curve")
    seen: set[tuple[str, str | None]] = set()
    for position, curve in enumerate(product.curves):
        processing = curve.processing.name if curve.processing else None
        key = (curve.photometry.name, processing)
        name = f"light curve {position} ({key[0]}, {processing or 'raw'})"
        if key in seen:
            raise IngestError(f"{name} is there twice")
        seen.add(key)
        _check_vector(curve.flux, size, "f", f"flux of {name}")
        if curve.flux_err is not None:
            _check_vector(curve.flux_err, size, "f", f"flux_err of {name}")
        if curve.source is not None and not 0 <= curve.source < position:
            raise LineageError(
                f"{name} has light curve {curve.source} as its source; a source has to come "
                "before what is derived from it"
            )


def _check_vector(array: Any, size: int, kind: str, what: str) -> None:
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind != kind:
        found = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else type(array)
        kinds = {"f": "floating-point numbers", "i": "integers"}
        raise IngestError(f"{what} has to be a vector of {kinds[kind]}, not {found}")
    if array.size != size:
        raise IngestError(f"{what} has {array.size} values for {size} cadences")
