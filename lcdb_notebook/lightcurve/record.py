"""LightCurveData: one light curve as numpy arrays, between the database and everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lcdb_notebook.lightcurve.clock import Clock

__all__ = ["LightCurveData", "ObservationData"]


@dataclass(frozen=True, eq=False)
class ObservationData:
    """What is known of an observation; one object serves all its light curves.

    Parameters
    ----------
    id, type
        Its row, and the polymorphic identity of its class.
    fields
        Values of the class's own columns, such as ``{"sector": 1, "author": "SPOC"}``.
    instrument
        Names from the root of the instrument tree down: ``("TESS", "Camera 4", "CCD 2")``.
    chronology
        Which of the fields grow with time, and so tell observations apart: ``("sector",)``.
    """

    id: int
    type: str
    fields: Mapping[str, Any]
    instrument: tuple[str, ...]
    chronology: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class LightCurveData:
    """One light curve: every array has one element a cadence, in the observation's order.

    Parameters
    ----------
    dataset, target
        Id of the DataSet, and the target's number in its catalog.
    catalog, mission
        Names: "TIC", "TESS".
    clock
        The mission's clock, in which ``time`` is counted.
    observation
        The observation it belongs to.
    photometry, processing
        Names; None where not said, and for raw photometry.
    unit
        Unit of flux and error, as astropy reads it; "" is dimensionless.
    cadence
        int64, the cadence numbers.
    time
        float64, in the mission's format (``clock.format_name``), TDB; NaN where there is none.
    flux, flux_err
        float64; NaN where nothing was measured. ``flux_err`` is None where none is stored.
    quality
        One integer array for each flag type; bits of the observation and the target together.
    stored_time
        Whether the database holds BJD or the mission's own numbers.
    """

    dataset: int
    target: int
    catalog: str
    mission: str
    clock: Clock
    observation: ObservationData
    photometry: str | None
    processing: str | None
    unit: str
    cadence: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    flux: npt.NDArray[np.float64]
    flux_err: npt.NDArray[np.float64] | None
    quality: Mapping[str, npt.NDArray[np.int64]]
    stored_time: Literal["bjd", "mission"]

    def __repr__(self) -> str:
        return (
            f"<LightCurveData dataset={self.dataset} {self.catalog} {self.target} "
            f"observation={self.observation.id} photometry={self.photometry!r} "
            f"processing={self.processing!r} cadences={self.time.size}>"
        )
