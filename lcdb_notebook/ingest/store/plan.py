"""Plan the changes of a batch in memory, so that everything is checked before writing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from lcdb_notebook.errors import IngestError, LineageError
from lcdb_notebook.ingest.product import Curve, IntVector, ObservationKey, Product, observation_key
from lcdb_notebook.ingest.store.align import ConflictError, Sampling, are_near, union
from lcdb_notebook.ingest.store.planned import (
    CurveKey,
    LightCurve,
    ObservationPlan,
    PairPlan,
    TargetKey,
)
from lcdb_notebook.ingest.store.replacing import (
    Replace,
    check_remains,
    decide,
    replaced_curve,
    replaced_sampling,
)

_COMPLETE = ", or add the light curve with all cadences (quality_bitmask='none')"


@dataclass(frozen=True, eq=False)
class Accepted:
    """A product that will be stored, and the resulting changes."""

    product: Product
    observation: ObservationPlan
    pair: PairPlan
    light_curves: tuple[LightCurve, ...]
    new: tuple[LightCurve, ...]
    extended: tuple[LightCurve, ...]
    links: tuple[tuple[int, int], ...]
    changed: bool
    replaced: bool = False


class Plan:
    """The relevant state of the database for a batch, updated product by product.

    Parameters
    ----------
    observations
        Stored observations by key; several if they are ambiguous, or for files without cadence
        numbers, which have one each.
    sources
        For each dataset, its source datasets.
    incomplete
        Keys without the author and exposure time, which the database cannot store. Observations
        are then also distinguished by the numbering of their cadences.
    """

    def __init__(
        self,
        observations: Mapping[ObservationKey, list[ObservationPlan]],
        sources: dict[int, set[int]],
        incomplete: Collection[ObservationKey] = (),
    ) -> None:
        self._observations = dict(observations)
        self._sources = sources
        self._incomplete = incomplete
        self._unwritten = 0

    def take(
        self,
        product: Product,
        derived_from: int | None = None,
        replace: Replace | None = None,
    ) -> Accepted:
        """Add a product to the plan, or raise and change nothing.

        Parameters
        ----------
        product
            A valid product.
        derived_from
            Id of the dataset from which its curves without a source were derived.
        replace
            Whether it replaces stored data that differ.

        Raises
        ------
        IngestError
            If it contradicts stored data and must not replace them.
        LineageError
            If a light curve would become its own ancestor.
        """
        target = (product.catalog, int(product.target))
        cadence = numbered(product)
        observation = self._find(product, target, cadence)
        pair = observation.pairs.get(target) or PairPlan()
        if observation.problem or pair.problem:
            raise IngestError(observation.problem or pair.problem)
        replaced = False
        try:
            sampling = Sampling(cadence, product.time, product.quality)
            if pair.sampling is not None:
                sampling = pair.sampling.merged(sampling, _where(product, observation))
            matches = [
                self._match(product, curve, pair, sampling, cadence) for curve in product.curves
            ]
            if replace:
                matched = [light_curve.dataset for light_curve, _ in matches]
                check_remains(product, cadence, pair, sampling, matched, replace)
        except ConflictError as error:
            stored = self._stored(product, pair)
            newer = tuple(light_curve for light_curve in stored if light_curve is not None)
            ids = [light_curve.dataset for light_curve in newer]
            if not decide(product, pair, ids, replace, IngestError(str(error))):
                return Accepted(product, observation, pair, newer, (), (), (), changed=False)
            replaced = True
            sampling = replaced_sampling(product, cadence, pair)
            matches = [
                self._new(curve, cadence)
                if old is None
                else (old, replaced_curve(product, curve, cadence, old))
                for curve, old in zip(product.curves, stored, strict=True)
            ]
        light_curves = [light_curve for light_curve, _ in matches]
        new = tuple(c for c in light_curves if c.key not in pair.light_curves)
        extensions = [(old, joined) for old, joined in matches if joined is not old]
        links = self._links(product, light_curves, derived_from)
        shared = observation.shared.joined(product.shared)
        reference = union(observation.reference, union(cadence, shared.cadence))
        changed = bool(
            new
            or extensions
            or links
            or sampling is not pair.sampling
            or shared is not observation.shared
            or reference.size != observation.reference.size
        )
        # No exceptions below, so that a product is planned completely or not at all.
        observation.reference = reference
        observation.shared = shared
        observation.pairs[target] = pair
        pair.sampling = sampling
        if replaced or pair.release is None:
            pair.release = product.release
        for light_curve in new:
            pair.light_curves[light_curve.key] = [light_curve]
        for old, joined in extensions:
            old.cadence, old.flux, old.flux_err = joined.cadence, joined.flux, joined.flux_err
        extended = tuple(old for old, _ in extensions)
        for source, child in links:
            self._sources.setdefault(child, set()).add(source)
        known = self._observations.setdefault(observation.key, [])
        if observation not in known:
            known.append(observation)
        return Accepted(
            product, observation, pair, tuple(light_curves), new, extended, links, changed, replaced
        )

    def _find(self, product: Product, target: TargetKey, cadence: IntVector) -> ObservationPlan:
        key = observation_key(product)
        known = self._observations.get(key, [])
        if key.numbered and key in self._incomplete:
            known = [o for o in known if are_near(o.reference, cadence)]
        if key.numbered:
            if len(known) > 1:
                ids = ", ".join(str(observation.id) for observation in known)
                raise IngestError(
                    f"observations {ids} have the same fields and instrument, so it is unclear to "
                    "which of them this light curve belongs; merge them, or change one, first"
                )
            return known[0] if known else _new_observation(key)
        own = [o for o in known if target in o.pairs]
        for observation in own:
            if _same_rows(observation.pairs[target], cadence, product):
                return observation
        keys = {_key(curve) for curve in product.curves}
        for observation in own:
            for stored in observation.pairs[target].light_curves.keys() & keys:
                dataset = observation.pairs[target].light_curves[stored][0].dataset
                raise IngestError(
                    f"{_name(stored)} already exists ({_which(dataset)}) with other rows "
                    f"({observation.reference.size} in observation {observation.id}, "
                    f"{cadence.size} here), and there are no cadence numbers; {_cure(dataset)}"
                    f"{_COMPLETE if product.without_flagged else ''}"
                )
        return _new_observation(key)

    def _match(
        self,
        product: Product,
        curve: Curve,
        pair: PairPlan,
        sampling: Sampling,
        cadence: IntVector,
    ) -> tuple[LightCurve, LightCurve]:
        """Find or create the light curve of a curve; return its current and its planned state."""
        key = _key(curve)
        stored = pair.light_curves.get(key, [])
        for light_curve in stored:
            if light_curve.equals(cadence, curve):
                return light_curve, light_curve
        if len(stored) == 1:
            (old,) = stored
            # Values that differ are reported below.
            with suppress(ConflictError):
                joined = old.joined(cadence, curve)
                same_release = pair.release in (None, product.release)
                if product.part or (same_release and joined.equals(cadence, curve)):
                    return old, joined
                lacking = old.cadences_without(cadence, curve)
                if joined is old and product.without_flagged and sampling.are_flagged(lacking):
                    return old, old
        if stored:
            raise ConflictError(
                f"{_name(key)} of {product.catalog} {product.target} differs from the stored one "
                f"({_which(stored[0].dataset)}); {_cure(stored[0].dataset)}"
            )
        return self._new(curve, cadence)

    def _new(self, curve: Curve, cadence: IntVector) -> tuple[LightCurve, LightCurve]:
        self._unwritten -= 1
        made = LightCurve(self._unwritten, _key(curve), cadence, curve.flux, curve.flux_err)
        return made, made

    def _stored(self, product: Product, pair: PairPlan) -> list[LightCurve | None]:
        """Find the stored light curve of each curve of a product."""
        found: list[LightCurve | None] = []
        for curve in product.curves:
            stored = pair.light_curves.get(_key(curve), [])
            if len(stored) > 1:
                ids = ", ".join(str(light_curve.dataset) for light_curve in stored)
                raise IngestError(
                    f"DataSets {ids} are all {_name(_key(curve))}; delete all but one first"
                )
            found.append(stored[0] if stored else None)
        return found

    def _links(
        self, product: Product, light_curves: list[LightCurve], derived_from: int | None
    ) -> tuple[tuple[int, int], ...]:
        links: list[tuple[int, int]] = []
        for curve, light_curve in zip(product.curves, light_curves, strict=True):
            child = light_curve.dataset
            source = derived_from if curve.source is None else light_curves[curve.source].dataset
            if source is None or source in self._sources.get(child, ()):
                continue
            if child in self._ancestors(source):
                raise LineageError(
                    f"{_name(light_curve.key)} ({_which(child)}) would be derived from itself by "
                    f"way of {_which(source)}"
                )
            links.append((source, child))
        return tuple(links)

    def _ancestors(self, dataset: int) -> set[int]:
        """Find a dataset's sources, their sources and so on, including itself."""
        found: set[int] = set()
        coming = [dataset]
        while coming:
            here = coming.pop()
            if here not in found:
                found.add(here)
                coming += self._sources.get(here, ())
        return found


def numbered(product: Product) -> IntVector:
    """Return the cadence numbers with which a product is stored.

    Files without cadence numbers get negative ones: -3, -2, -1. Real cadence numbers are not
    negative, so such observations are never confused with others.
    """
    if product.numbered or product.cadence[-1] < 0:
        return product.cadence.astype(np.int64, copy=False)
    return np.arange(-product.cadence.size, 0, dtype=np.int64)


def _same_rows(pair: PairPlan, cadence: IntVector, product: Product) -> bool:
    """Return whether a product without cadence numbers has the same rows as those stored."""
    assert pair.sampling is not None
    if product.cadence[-1] < 0:
        return bool(np.isin(cadence, pair.sampling.cadence).all())
    if cadence.size != pair.sampling.cadence.size:
        return False
    try:
        pair.sampling.merged(Sampling(cadence, product.time), "")
    except IngestError:
        return False
    return True


def _new_observation(key: ObservationKey) -> ObservationPlan:
    no_cadences = np.empty(0, np.int64)
    return ObservationPlan(key, None, no_cadences, no_cadences)


def _key(curve: Curve) -> CurveKey:
    return (curve.photometry.name, curve.processing.name if curve.processing else None)


def _name(key: CurveKey) -> str:
    return f"{key[0]}, {key[1] or 'raw'}"


def _which(dataset: int) -> str:
    return f"DataSet {dataset}" if dataset > 0 else "another file in this batch"


def _cure(dataset: int) -> str:
    rename = "give this light curve another name"
    return f"delete DataSet {dataset} first, or {rename}" if dataset > 0 else rename


def _where(product: Product, observation: ObservationPlan) -> str:
    number = f"observation {observation.id}" if observation.id else "another file in this batch"
    return f"in the stored data of {product.catalog} {product.target} ({number})"
