"""What one light-curve file says, in plain arrays and names: readers make it, store takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Named:
    """A photometric source or a processing method: its name and its description.

    The description of one that fixes a unit begins with it in brackets, as FITS writes units:
    ``[electron / s] Simple aperture photometry``. ``[]`` says dimensionless.
    """

    name: str
    description: str


@dataclass(frozen=True, eq=False)
class Curve:
    """One flux column of a file.

    Parameters
    ----------
    photometry
        How the light was extracted.
    processing
        What was done to it afterwards; None for raw photometry.
    source
        Position, in :attr:`Product.curves`, of the curve that this one was derived from.
    flux, flux_err
        float64 of shape (cadences,); NaN where there is no measurement. ``flux_err`` is None where
        the file has no error column for this flux.
    """

    photometry: Named
    processing: Named | None
    source: int | None
    flux: FloatVector
    flux_err: FloatVector | None = None


@dataclass(frozen=True, eq=False)
class Shared:
    """What was found beside a file and holds for its whole observation, whatever the target.

    Parameters
    ----------
    cadence
        int64 of shape (n,), strictly ascending: the cadences of ``quality``. They become cadences
        of the observation.
    quality
        One int32 array of shape (n,) for each flag type, by polymorphic identity.
    fields
        Values of columns of the observation's class that do not tell observations apart
        (``spacecraft_quaternion``); they are stored once, and never replaced.
    """

    cadence: IntVector
    quality: Mapping[str, npt.NDArray[np.int32]]
    fields: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Product:
    """All that one file (or one ``LightCurve``) says about one target in one observation.

    Parameters
    ----------
    label
        What to call it in messages: the file's path.
    mission, catalog, target
        Names of the mission ("TESS", "Kepler") and catalog ("TIC", "KIC", "EPIC", "Gaia DR3"),
        and the target's number in that catalog.
    observation_type
        Polymorphic identity of the observation's class.
    observation_fields
        Values of that class's own columns. Two products belong to one observation exactly when
        type, fields and instrument agree.
    instrument
        Names from the root of the instrument tree down: ``("TESS", "Camera 4", "CCD 2")``.
    cadence
        int64 of shape (cadences,), strictly ascending.
    time
        float64 of shape (cadences,), in the mission's own format (BTJD, BKJD) exactly as the file
        has it; NaN where the file has none.
    quality
        One int32 array of shape (cadences,) for each flag type, by polymorphic identity.
    curves
        The flux columns; each comes after the one it was derived from.
    numbered
        False where the file carries no cadence numbers: ``cadence`` then only counts this file's
        rows, so the product gets an observation of its own and is aligned with nothing.
    shared
        What holds for all targets of the observation; None if nothing is known.
    """

    label: str
    mission: str
    catalog: str
    target: int
    observation_type: str
    observation_fields: Mapping[str, Any]
    instrument: tuple[str, ...]
    cadence: IntVector
    time: FloatVector
    quality: Mapping[str, npt.NDArray[np.int32]]
    curves: tuple[Curve, ...]
    numbered: bool = True
    shared: Shared | None = None
