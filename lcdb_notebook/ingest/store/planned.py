"""Records of stored and planned light curves, targets and observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import (
    Curve,
    FloatVector,
    IntVector,
    ObservationKey,
    Release,
    SharedData,
)
from lcdb_notebook.ingest.store.align import Sampling, agree, join, union

TargetKey = tuple[str, int]
CurveKey = tuple[str, str | None]


@dataclass(eq=False)
class LightCurve:
    """A light curve that is or will be in the database.

    ``dataset`` is its id, or a negative number before it is stored. The arrays belong to the
    light curve's ``cadence``.
    """

    dataset: int
    key: CurveKey
    cadence: IntVector
    flux: FloatVector
    flux_err: FloatVector | None

    def equals(self, cadence: IntVector, curve: Curve | LightCurve) -> bool:
        """Return whether a curve has the same values."""
        return agree(self.cadence, self.flux, cadence, curve.flux) and agree(
            self.cadence, self.flux_err, cadence, curve.flux_err
        )

    def joined(self, cadence: IntVector, curve: Curve) -> LightCurve:
        """Return a copy with the values of another part of the same observation.

        Returns
        -------
        LightCurve
            ``self`` if the part has no new values.

        Raises
        ------
        ConflictError
            If both have different values at a cadence.
        """
        flux = join(self.cadence, self.flux, cadence, curve.flux)
        flux_err = None
        if self.flux_err is not None or curve.flux_err is not None:
            flux_err = join(self.cadence, self.flux_err, cadence, curve.flux_err)
        joined = LightCurve(self.dataset, self.key, union(self.cadence, cadence), flux, flux_err)
        return self if self.equals(joined.cadence, joined) else joined

    def cadences_without(self, cadence: IntVector, curve: Curve) -> IntVector:
        """Return the cadences of its values at which a curve has none."""
        known, others = np.isfinite(self.flux), np.isfinite(curve.flux)
        return np.setdiff1d(self.cadence[known], cadence[others], assume_unique=True)


@dataclass(eq=False)
class PairPlan:
    """One target in one observation.

    Parameters
    ----------
    sampling
        Planned times and flags; None if the target is new in the observation.
    epoch
        Difference of stored times and mission times: 0, or the epoch if BJD are stored.
    stored
        Times and flags as stored.
    times, quality
        Ids of the stored rows; None, or no entry, if there are none.
    light_curves
        Light curves by photometry and processing. Databases of other programs may have several per
        key.
    release, stored_release
        Planned and stored version of the file; None if it is unknown.
    dependents
        Ids of all stored DataSets of the target in the observation, and of those that were derived
        from them. Only read to replace a file.
    problem
        The reason why nothing can be added; "" if there is none.
    """

    sampling: Sampling | None = None
    stored: Sampling | None = None
    epoch: float = 0.0
    times: int | None = None
    quality: dict[str, int] = field(default_factory=dict)
    light_curves: dict[CurveKey, list[LightCurve]] = field(default_factory=dict)
    release: Release | None = None
    stored_release: Release | None = None
    dependents: set[int] = field(default_factory=set)
    problem: str = ""

    @property
    def datasets(self) -> set[int]:
        """Ids of the light curves, negative before they are stored."""
        return {
            light_curve.dataset for several in self.light_curves.values() for light_curve in several
        }


@dataclass(frozen=True, eq=False)
class SharedPlan:
    """Stored and planned data of a whole observation.

    Parameters
    ----------
    sampling, stored
        Planned and stored flags of all targets together; None if there are none. Their times are
        NaN, because times belong to targets.
    rows
        Ids of the stored flags, by type.
    fields, stored_fields
        Values of columns of the class that do not identify the observation.
    problem
        The reason why nothing can be added; "" if there is none.
    """

    sampling: Sampling | None = None
    stored: Sampling | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    stored_fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def cadence(self) -> IntVector:
        """The cadences of the flags, which the observation must have."""
        return np.empty(0, np.int64) if self.sampling is None else self.sampling.cadence

    def joined(self, shared: SharedData | None) -> SharedPlan:
        """Merge with the shared data of another product.

        Flags are combined, because a stored 0 may mean that the flags of a cadence are unknown.

        Returns
        -------
        SharedPlan
            ``self`` if there are no new data.

        Raises
        ------
        IngestError
            If a field has another value.
        """
        if shared is None:
            return self
        if self.problem:
            raise IngestError(self.problem)
        sampling, fields = self.sampling, dict(self.fields)
        if shared.quality:
            no_times = np.full(shared.cadence.size, np.nan)
            new = Sampling(shared.cadence, no_times, shared.quality)
            sampling = new if sampling is None else sampling.merged(new, "in the stored data")
        for name, value in shared.fields.items():
            known = fields.setdefault(name, value)
            if known is not value and known != value:
                raise IngestError(
                    f"the {name} of its files differs from the one stored for the observation; "
                    "set the stored one to NULL to replace it"
                )
        if sampling is self.sampling and fields.keys() == self.fields.keys():
            return self
        return replace(self, sampling=sampling, fields=fields)


@dataclass(eq=False)
class ObservationPlan:
    """An observation that is or will be in the database.

    Parameters
    ----------
    id
        None before it is stored.
    stored
        The stored ``cadence_reference``.
    reference
        The planned reference: sorted, with all cadences of the batch.
    shared
        Data for all its targets.
    problem
        The reason why nothing can be added; "" if there is none.
    """

    key: ObservationKey
    id: int | None
    stored: IntVector
    reference: IntVector
    pairs: dict[TargetKey, PairPlan] = field(default_factory=dict)
    shared: SharedPlan = field(default_factory=SharedPlan)
    problem: str = ""

    @property
    def grown(self) -> bool:
        """Whether stored arrays have to be realigned."""
        return self.id is not None and self.reference.size != self.stored.size

    @property
    def final(self) -> IntVector:
        """The cadences in the order in which arrays are written."""
        return self.reference if self.id is None or self.grown else self.stored
