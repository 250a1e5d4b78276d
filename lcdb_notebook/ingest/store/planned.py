"""What is stored and what is planned: light curves, targets, observations and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.identity import ObservationKey
from lcdb_notebook.ingest.product import Curve, FloatVector, IntVector, Shared
from lcdb_notebook.ingest.store.align import Sampling, agree

TargetKey = tuple[str, int]
CurveKey = tuple[str, str | None]


@dataclass(eq=False)
class LightCurve:
    """A light curve that is in the database, or is about to be.

    ``dataset`` is its id, negative as long as it has none; the arrays are on cadences of its own.
    """

    dataset: int
    key: CurveKey
    cadence: IntVector
    flux: FloatVector
    flux_err: FloatVector | None

    def says(self, cadence: IntVector, curve: Curve) -> bool:
        """Whether a curve of a product has the same values."""
        return agree(self.cadence, self.flux, cadence, curve.flux) and agree(
            self.cadence, self.flux_err, cadence, curve.flux_err
        )


@dataclass(eq=False)
class Pair:
    """One target in one observation.

    Parameters
    ----------
    sampling
        Its times and flags; None if the target is new there.
    epoch
        What stored times have more than the mission's: 0, or the epoch where they are BJD.
    stored
        Its times and flags as they are in the database.
    times, quality
        Ids of the stored rows; None and no entry where there is none.
    light_curves
        By photometry and processing. A database that was written by somebody else may have several.
    problem
        Why nothing can be added to it; empty if it can.
    """

    sampling: Sampling | None = None
    stored: Sampling | None = None
    epoch: float = 0.0
    times: int | None = None
    quality: dict[str, int] = field(default_factory=dict)
    light_curves: dict[CurveKey, list[LightCurve]] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, eq=False)
class SharedPlan:
    """What is stored for a whole observation, and what will be.

    Parameters
    ----------
    sampling, stored
        Flags of all targets together, as they will be and as they are in the database; None where
        there are none. Their times are NaN, since each target has its own.
    rows
        Ids of the stored flags, by type.
    fields, stored_fields
        Values of the class's columns that do not tell observations apart.
    problem
        Why nothing can be added to it; empty if it can.
    """

    sampling: Sampling | None = None
    stored: Sampling | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    stored_fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def cadence(self) -> IntVector:
        """The cadences of the flags, which the observation has to have."""
        return np.empty(0, np.int64) if self.sampling is None else self.sampling.cadence

    def joined(self, shared: Shared | None) -> SharedPlan:
        """Add what another product has to share.

        Flags are united: a stored 0 may as well be a cadence of which nothing was known.

        Returns
        -------
        SharedPlan
            ``self`` if nothing is added.

        Raises
        ------
        IngestError
            If a field is there with another value.
        """
        if shared is None:
            return self
        if self.problem:
            raise IngestError(self.problem)
        sampling, fields = self.sampling, dict(self.fields)
        if shared.quality:
            nothing = np.full(shared.cadence.size, np.nan)
            new = Sampling(shared.cadence, nothing, shared.quality)
            sampling = new if sampling is None else sampling.merged(new, "in what is stored")
        for name, value in shared.fields.items():
            known = fields.setdefault(name, value)
            if known is not value and known != value:
                raise IngestError(
                    f"the {name} beside it is not the one that is stored for its observation; "
                    "if the new one is right, set that to NULL first"
                )
        if sampling is self.sampling and fields.keys() == self.fields.keys():
            return self
        return replace(self, sampling=sampling, fields=fields)


@dataclass(eq=False)
class ObservationPlan:
    """An observation that is there, or is about to be.

    Parameters
    ----------
    id
        None as long as it has none.
    stored
        Its ``cadence_reference`` as it is in the database.
    reference
        What it will be: ascending, with every cadence of the batch.
    shared
        What holds for all its targets.
    problem
        Why nothing can be added to it; empty if it can.
    """

    key: ObservationKey
    id: int | None
    stored: IntVector
    reference: IntVector
    pairs: dict[TargetKey, Pair] = field(default_factory=dict)
    shared: SharedPlan = field(default_factory=SharedPlan)
    problem: str = ""

    @property
    def grown(self) -> bool:
        """Whether what is stored has to be realigned."""
        return self.id is not None and self.reference.size != self.stored.size

    @property
    def final(self) -> IntVector:
        """The order in which arrays are to be written."""
        return self.reference if self.id is None or self.grown else self.stored
