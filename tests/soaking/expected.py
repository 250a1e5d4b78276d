"""What the writers of the soak write, and what its clients therefore have to find."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lcdb_notebook import demo
from lcdb_notebook.ingest.product import Curve, Product

CATALOG = "DEMO"
SECTOR = 1
"""The sector to which the first writer adds stars."""

REVISED_SECTOR = 2
"""The sector whose light curves the second writer replaces, by longer ones each time."""

REVISED_STARS = 8
_FIRST_CADENCES = 200


class Key(NamedTuple):
    """Which light curve of the first sector."""

    target: int
    exposure: int
    photometry: str
    processing: str


class Sums(NamedTuple):
    """Checksums of all arrays of a light curve, and of what becomes a LightCurve."""

    record: int
    lightcurve: int


def stars(targets: int) -> Iterator[Product]:
    """Observe the stars of the first writer, one after another."""
    return demo.products(targets, sectors=[SECTOR])


def known(targets: int) -> list[tuple[Key, Sums]]:
    """Compute the checksums of all light curves of the first sector."""
    return [item for product in stars(targets) for item in _sums(product)]


def _sums(product: Product) -> Iterator[tuple[Key, Sums]]:
    exposure = int(product.observation_fields["exptime"])
    seen = np.isfinite(product.time)
    for curve in product.curves:
        arrays = (product.cadence.astype("i8"), product.time, curve.flux, curve.flux_err)
        yield (
            Key(product.target, exposure, curve.photometry.name, processing(curve)),
            Sums(checksum(*arrays), checksum(product.time[seen], curve.flux[seen])),
        )


def processing(curve: Curve) -> str:
    """Return the name of a curve's processing, as tables show it."""
    return curve.processing.name if curve.processing else "raw"


def checksum(*arrays: Any) -> int:
    """Compute the checksum of arrays, one after another; None is left out."""
    total = 0
    for array in arrays:
        if array is not None:
            total = zlib.crc32(np.ascontiguousarray(array).tobytes(), total)
    return total


@cache
def _templates() -> dict[int, Product]:
    coming = demo.products(REVISED_STARS, sectors=[REVISED_SECTOR], cadences=_FIRST_CADENCES)
    return {product.target: product for product in coming}


def revised(target: int, version: int) -> Product:
    """Make one version of a star's light curves in the second sector.

    Each has one cadence more than the one before, and other times and values throughout, which
    contain the star, the light curve and the version. So a mixture of two versions, or of two
    stars, is recognized, and the length of a light curve is its version.
    """
    template = _templates()[target]
    steps = np.arange(_FIRST_CADENCES + version)
    time = 1350.0 + target / 1000 + version / 1e6 + steps / 48
    return replace(
        template,
        cadence=template.cadence[0] + steps,
        time=time,
        quality={name: np.zeros(steps.size, np.int32) for name in template.quality},
        curves=tuple(
            replace(
                curve,
                flux=1000.0 * target + 100.0 * number + version / 1000 + steps / 1e6,
                flux_err=np.full(steps.size, target + number / 10 + version / 1e6),
            )
            for number, curve in enumerate(template.curves)
        ),
    )


def version_of(cadences: int) -> int:
    """Return the version of a revised light curve of this many cadences."""
    return cadences - _FIRST_CADENCES
