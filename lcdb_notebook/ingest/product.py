"""Contents of a light-curve file as arrays and names, between the readers and the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError

FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Named:
    """Name and description of a photometric source or a processing method.

    The description may begin with the unit of the light curves in brackets, as in FITS:
    ``[electron / s] Simple aperture photometry``. ``[]`` means dimensionless.
    """

    name: str
    description: str


@dataclass(frozen=True, eq=False)
class Curve:
    """One flux column of a file.

    Parameters
    ----------
    photometry
        The extraction of the light.
    processing
        The processing after extraction; None for raw photometry.
    source
        Index in :attr:`Product.curves` of the curve from which this one was derived.
    flux, flux_err
        float64 of shape (cadences,), NaN for missing values. ``flux_err`` is None if the file has
        no errors of this flux.
    column, error_column
        Names of the columns in the file; "" if there are none.
    """

    photometry: Named
    processing: Named | None
    source: int | None
    flux: FloatVector
    flux_err: FloatVector | None = None
    column: str = ""
    error_column: str = ""


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of a file that are not light curves, times, cadence numbers or flags.

    Parameters
    ----------
    cards
        Value and comment of each header card by keyword; the primary header takes precedence.
    columns
        Unit and values of each further column, by name in lower case: shape (cadences,), or (0,) if
        all values are NaN.
    """

    cards: Mapping[str, tuple[Any, str]]
    columns: Mapping[str, tuple[str, npt.NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class SharedData:
    """Data for all targets of an observation, found next to a file.

    Parameters
    ----------
    cadence
        int64 of shape (n,), strictly increasing: the cadences of ``quality``, which are added to
        the observation.
    quality
        One int32 array of shape (n,) for each flag type, by polymorphic identity.
    fields
        Values of columns of the observation's class that do not identify the observation
        (``spacecraft_quaternion``); they are stored once and never replaced.
    """

    cadence: IntVector
    quality: Mapping[str, npt.NDArray[np.int32]]
    fields: Mapping[str, Any]


class Release(NamedTuple):
    """The version of a file, which determines whether it replaces another.

    Parameters
    ----------
    number
        DATA_REL, or None.
    date
        DATE, such as "2020-05-25", or "".
    version
        PROCVER, or "".
    """

    number: int | None
    date: str
    version: str

    def is_newer(self, other: Release | None) -> bool | None:
        """Return whether this release is newer than another; None if that is unknown.

        Data releases are compared first; if they are equal or missing, dates are compared.

        Examples
        --------
        >>> Release(35, "2020-05-25", "").is_newer(Release(1, "2018-09-27", ""))
        True
        >>> Release(None, "", "").is_newer(Release(1, "2018-09-27", "")) is None
        True
        """
        if other is None:
            return None
        if None not in (self.number, other.number) and self.number != other.number:
            return (self.number or 0) > (other.number or 0)
        if self.date and other.date and self.date != other.date:
            return self.date > other.date
        return None

    def __str__(self) -> str:
        parts = ["" if self.number is None else f"data release {self.number}", self.date]
        return ", ".join(part for part in (*parts, self.version) if part) or "no release"


@dataclass(frozen=True, eq=False)
class Product:
    """The contents of one file, or one ``LightCurve``: one target in one observation.

    Parameters
    ----------
    label
        Name in messages: the file's path.
    mission, catalog, target
        Name of the mission ("TESS", "Kepler") and of the catalog ("TIC", "KIC", "EPIC",
        "Gaia DR3"), and the target's number in that catalog.
    observation_type
        Polymorphic identity of the observation's class.
    observation_fields
        Values of the columns that this class adds. Two products belong to the same observation if
        and only if type, fields and instrument are equal.
    instrument
        Names from the root of the instrument tree, such as ``("TESS", "Camera 4", "CCD 2")``.
    cadence
        int64 of shape (cadences,), strictly increasing.
    time
        float64 of shape (cadences,), in the mission's format (BTJD, BKJD) exactly as in the file;
        NaN for missing times.
    quality
        One int32 array of shape (cadences,) for each flag type, by polymorphic identity.
    curves
        The flux columns; each comes after its source.
    numbered
        False if the file has no cadence numbers. ``cadence`` then only counts the rows, and the
        product is stored in a separate observation without alignment.
    shared
        Data for all targets of the observation; None if there are none.
    part
        True if the observation is split into several files (Kepler's short cadence has one per
        month), so that stored light curves are extended with the cadences of this one.
    release
        Version of the file; None if it has none.
    contents
        The other contents of the file; None if they are not kept.
    without_flagged
        True if flagged cadences may be missing, as from a light curve that lightkurve read.
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
    shared: SharedData | None = None
    part: bool = False
    release: Release | None = None
    contents: Contents | None = None
    without_flagged: bool = False


class ObservationKey(NamedTuple):
    """Key of an observation: products with equal keys belong to the same one."""

    type: str
    fields: tuple[tuple[str, str], ...]
    instrument: tuple[str, ...]
    numbered: bool


def observation_key(product: Product) -> ObservationKey:
    """Return the key of the observation that a product belongs to."""
    fields = sorted((name, repr(python_value(v))) for name, v in product.observation_fields.items())
    return ObservationKey(
        product.observation_type, tuple(fields), tuple(product.instrument), product.numbered
    )


def python_value(value: object) -> object:
    """Return a numpy scalar as a Python number, and other values unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def as_flags(values: npt.NDArray[Any], what: str) -> npt.NDArray[np.int32]:
    """Return integers as int32, including the bit patterns of unsigned 32-bit numbers.

    Bit 31 of an unsigned number becomes the sign bit of the int32, so that PostgreSQL's ``integer``
    can store it. :mod:`lcdb_notebook.flags` reads it in the same way.

    Parameters
    ----------
    values
        Integers of any type.
    what
        Name in messages.

    Raises
    ------
    IngestError
        If a number needs more than 32 bits.

    Examples
    --------
    >>> as_flags(np.array([1, 2**31 + 4], dtype=np.uint32), "QUALITY").tolist()
    [1, -2147483644]
    """
    if values.size and (values.min() < -(2**31) or values.max() >= 2**32):
        raise IngestError(f"{what} has flags that do not fit into 32 bits")
    # Through int64, since a conversion of uint32 that overflows is undefined.
    wide = values.astype(np.int64)
    return np.where(wide >= 2**31, wide - 2**32, wide).astype(np.int32)
