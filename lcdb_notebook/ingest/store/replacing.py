"""Replace the light curves, times and flags of an older file by those of a newer one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.ingest.product import Curve, FloatVector, IntVector, Product
from lcdb_notebook.ingest.store.align import (
    ConflictError,
    Placement,
    Sampling,
    time_ascends,
    union,
)
from lcdb_notebook.ingest.store.planned import LightCurve, PairPlan

Replace = bool | Literal["newer"]
"""The argument ``replace`` of ``db.ingest``."""


def decide(
    product: Product,
    pair: PairPlan,
    stored: Iterable[int],
    replace: Replace | None,
    error: IngestError,
) -> bool:
    """Decide whether a product that differs from the stored data replaces them.

    Parameters
    ----------
    product
        The new product.
    pair
        Its stored target and observation.
    stored
        Ids of the light curves that it would replace.
    replace
        The user's argument; None if nothing can be replaced.
    error
        The difference.

    Returns
    -------
    bool
        False if the stored release is newer, with ``replace="newer"``.

    Raises
    ------
    IngestError
        If the stored data must not be replaced. The message has the argument that allows it.
    """
    if replace is None:
        raise error
    newer = _is_newer(product, pair)
    # The other may be stored, or a file in the same batch.
    releases = f"{product.release or 'no release'}; the other is {pair.release or 'unknown'}"
    always = advice(python="replace=True", terminal="--replace always")
    if replace is False:
        if newer:
            option = advice(python='replace="newer"', terminal="--replace newer")
            cure = f"This file is newer ({releases}); pass {option} to replace it"
        elif newer is False:
            cure = f"This file is older ({releases}); pass {always} to replace the newer one"
        else:
            cure = f"It is unknown which is newer ({releases}); pass {always} to replace it"
        raise IngestError(f"{error}. {cure}")
    if replace == "newer":
        if newer is None:
            raise IngestError(
                f"{error}. It is unknown which is newer ({releases}); pass {always} to replace it"
            )
        if not newer:
            return False
        dangling = sorted(pair.dependents - set(stored))
        if dangling:
            some = ", ".join(map(str, dangling[:5])) + (", ..." if len(dangling) > 5 else "")
            raise IngestError(
                f"this file is newer than the stored one ({releases}), but DataSets {some} were "
                "derived from the stored light curve or share its times; delete them first, or "
                f"pass {always} to replace it and keep them"
            )
    return True


def check_remains(
    product: Product,
    cadence: IntVector,
    pair: PairPlan,
    merged: Sampling,
    matched: Iterable[int],
    replace: Replace,
) -> None:
    """Check that nothing of an older release would remain beside a product of the same values.

    Cadences that had times, but no flux, may be missing from it, or only its header cards and
    further columns may differ. Then no number contradicts the stored ones, and yet the result of
    merging would depend on the order of the files. Parts of an observation are always merged.

    Parameters
    ----------
    product
        The new product, whose values agree with the stored ones.
    cadence
        Its cadence numbers.
    pair
        Its stored target and observation.
    merged
        The times and flags of both.
    matched
        Ids of the light curves of the product.
    replace
        The user's argument, which is not False.

    Raises
    ------
    ConflictError
        If one of the two must replace the other, as :func:`decide` decides.
    """
    if pair.sampling is None or product.part:
        return
    newer = _is_newer(product, pair)
    matched = set(matched)
    others = (pair.dependents | pair.datasets) - matched
    if newer is False and replace == "newer":
        brings_curves = not matched <= pair.datasets
        conflict = not brings_curves and merged is not pair.sampling
    elif newer is None:
        conflict = replace is True and not others and _has_more(merged, product, cadence)
    else:
        conflict = not others or _has_more(merged, product, cadence)
    if conflict:
        raise ConflictError(
            f"{product.catalog} {product.target} has cadences, header cards or columns of another "
            "release"
        )


def _is_newer(product: Product, pair: PairPlan) -> bool | None:
    """Return whether a product is of a newer release than the stored one; None if unknown."""
    return None if product.release is None else product.release.is_newer(pair.release)


def _has_more(merged: Sampling, product: Product, cadence: IntVector) -> bool:
    """Return whether there are times or flags that a product does not have."""
    place = Placement(cadence, merged.cadence)
    return not np.array_equal(np.isfinite(merged.time), np.isfinite(place(product.time))) or any(
        not np.array_equal(merged.quality[name], place(flags))
        for name, flags in product.quality.items()
    )


def replaced_sampling(product: Product, cadence: IntVector, pair: PairPlan) -> Sampling:
    """Return the times and flags of a product, with 0 for missing flags.

    If the product is one of several parts, other cadences keep their values.
    """
    if pair.sampling is None:
        # Only databases of other programs have light curves without times.
        return Sampling(cadence, product.time, product.quality)
    old = pair.sampling
    names = old.quality.keys() | product.quality.keys()
    none = np.zeros(cadence.size, np.int32)
    new = Sampling(cadence, product.time, {name: product.quality.get(name, none) for name in names})
    if not product.part:
        return new
    everywhere = union(old.cadence, cadence)
    merged = Sampling(
        everywhere,
        _overwritten(old.cadence, old.time, cadence, new.time, everywhere),
        {
            name: _overwritten(
                old.cadence,
                old.quality.get(name, np.zeros(old.cadence.size, np.int32)),
                cadence,
                new.quality[name],
                everywhere,
            )
            for name in names
        },
    )
    if not time_ascends(merged.time):
        raise IngestError("times are not increasing together with those of other parts")
    return merged


def replaced_curve(product: Product, curve: Curve, cadence: IntVector, old: LightCurve) -> Any:
    """Return a stored light curve with the values of a product."""
    if not product.part:
        return LightCurve(old.dataset, old.key, cadence, curve.flux, curve.flux_err)
    everywhere = union(old.cadence, cadence)
    flux = _overwritten(old.cadence, old.flux, cadence, curve.flux, everywhere)
    errors: FloatVector | None = None
    if old.flux_err is not None or curve.flux_err is not None:
        before = np.full(old.cadence.size, np.nan) if old.flux_err is None else old.flux_err
        after = np.full(cadence.size, np.nan) if curve.flux_err is None else curve.flux_err
        errors = _overwritten(old.cadence, before, cadence, after, everywhere)
    return LightCurve(old.dataset, old.key, everywhere, flux, errors)


def _overwritten(
    cadence: IntVector, values: Any, other: IntVector, others: Any, everywhere: IntVector
) -> Any:
    """Return values on all cadences, replaced by those of ``other`` at its cadences."""
    return np.where(
        np.isin(everywhere, other),
        Placement(other, everywhere)(others),
        Placement(cadence, everywhere)(values),
    )
