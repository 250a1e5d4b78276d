"""LightCurveData: one light curve as numpy arrays, between reading and conversion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.dataset_id import DataSetId

__all__ = [
    "RAW",
    "LightCurveData",
    "ObservationData",
    "StarParameter",
    "observation_names",
    "processing_label",
]


class _Raw(str):
    """The text "raw" as an object that is not identical to any other text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "lcdb.RAW"

    def __str__(self) -> str:
        return "raw"


RAW: Final = _Raw("raw")
"""Selects light curves without a processing method: ``db.search(processing=lcdb.RAW)``.

The text "raw" has the same effect, unless the database has a processing method of that name.
"""


def processing_label(processing: str | None) -> str:
    """Return the name of a processing method in tables: "raw" if there is none.

    A method that is named "raw" is marked, to distinguish it.

    Examples
    --------
    >>> processing_label(None), processing_label("PDCSAP"), processing_label("raw")
    ('raw', 'PDCSAP', 'raw (processing method)')
    """
    if processing is None:
        return str(RAW)
    return f"{processing} (processing method)" if processing.lower() == RAW else processing


@dataclass(frozen=True, eq=False)
class ObservationData:
    """An observation; all its light curves share one object.

    Parameters
    ----------
    id : int
        Id of its row.
    type : str
        Polymorphic identity of its class.
    fields : mapping of str to object
        Values of the class's columns, such as ``{"sector": 1, "author": "SPOC"}``.
    instrument : tuple of str
        Names from the root of the instrument tree, such as ``("TESS", "Camera 4", "CCD 2")``.
    chronology : tuple of str
        The fields that increase with time, such as ``("sector",)``.
    """

    id: int
    type: str
    fields: Mapping[str, Any]
    instrument: tuple[str, ...]
    chronology: tuple[str, ...] = ()

    @property
    def chronology_labels(self) -> list[str]:
        """The fields that increase with time, in words; empty if the database has none.

        Examples
        --------
        >>> fields = {"sector": 1, "orbit_number": 9}
        >>> about = ObservationData(1, "tess_observation", fields, (), ("sector", "orbit_number"))
        >>> about.chronology_labels
        ['sector 1', 'orbit 9']
        """
        return [
            f"{name.removesuffix('_number').replace('_', ' ')} {self.fields[name]}"
            for name in self.chronology
            if self.fields.get(name) is not None
        ]


def observation_names(
    observations: Iterable[ObservationData], *, complete: bool = False
) -> dict[int, str]:
    """Name observations by sector and orbit, or the other fields that increase with time.

    Pipeline, exposure time and the place in the instrument are added where simultaneous
    observations differ in them, and the id if that is not enough.

    Parameters
    ----------
    observations : iterable of ObservationData
        The observations.
    complete : bool, default False
        Always include pipeline and exposure time.

    Returns
    -------
    dict of int to str
        Names by id of the observation, such as ``sector 1, orbit 9, 1800 s``.

    Examples
    --------
    >>> found = db.search(1, sector=(1, 2), exptime=1800, processing="raw").read()
    >>> list(observation_names(data.observation for data in found).values())
    ['sector 1', 'sector 2']
    """
    known = {about.id: about for about in observations}
    when = {id_: tuple(about.chronology_labels) for id_, about in known.items()}
    names = {id_: [*(when[id_] or (f"observation {id_}",))] for id_ in known}
    for describe in (_author, _exposure, _instrument):
        words = {id_: describe(about) for id_, about in known.items()}
        simultaneous: dict[tuple[str, ...], set[str]] = {}
        for id_, word in words.items():
            simultaneous.setdefault(when[id_], set()).add(word)
        differ = any(len(different) > 1 for different in simultaneous.values())
        if differ or (complete and describe is not _instrument):
            for id_, word in words.items():
                names[id_] += [word] if word else []
    joined = {id_: ", ".join(parts) for id_, parts in names.items()}
    often = Counter(joined.values())
    return {id_: f"{name} #{id_}" if often[name] > 1 else name for id_, name in joined.items()}


def _author(about: ObservationData) -> str:
    return str(about.fields.get("author") or "")


def _exposure(about: ObservationData) -> str:
    exptime = about.fields.get("exptime")
    return "" if exptime is None else f"{exptime:g} s"


def _instrument(about: ObservationData) -> str:
    # Without the root, which is the telescope.
    return " ".join(about.instrument[1:])


@dataclass(frozen=True, slots=True)
class StarParameter:
    """A measured quantity of a star.

    Parameters
    ----------
    value : float
        The number, in ``unit``.
    unit : str
        Unit as astropy reads it; "" if the quantity has none.
    upper_error, lower_error : float or None
        One standard deviation upwards and downwards, in ``unit``; None if unknown.
    """

    value: float
    unit: str
    upper_error: float | None = None
    lower_error: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class LightCurveData:
    """One light curve; all arrays have shape (cadences,), in the order of the observation.

    Parameters
    ----------
    dataset : int
        Id of the DataSet.
    target : int
        Number of the target in its catalog.
    catalog, mission : str
        Names, such as "TIC" and "TESS".
    clock : Clock
        Time format of the mission, used for ``time``.
    observation : ObservationData
        The observation that it belongs to.
    photometry, processing : str or None
        Names; None if the database has no name, and for raw photometry.
    unit : str
        Unit of flux and error, in astropy's notation; "" is dimensionless.
    cadence : numpy.ndarray of int64
        Cadence numbers.
    time : numpy.ndarray of float64
        Barycentric times in the mission's format (``clock.format_name``), scale TDB; NaN for
        missing times.
    flux : numpy.ndarray of float64
        Flux in ``unit``; NaN for missing measurements.
    flux_err : numpy.ndarray of float64 or None
        One standard deviation, in ``unit``; None if the database has no errors.
    quality : mapping of str to numpy.ndarray of int64
        Flags by flag type; bits of the observation and of the target are combined.
    stored_time : {"bjd", "mission"}
        Whether the database stores BJD or the mission's own time format.
    unit_inferred : bool, default False
        Whether the unit was inferred from names and values, because the database has none.
    parameters : mapping of str to StarParameter
        Measured quantities of the star, by name: "effective_temperature".
    positions : mapping of str to numpy.ndarray of float64
        Pixel positions of the star, by lightkurve's name of the column: "centroid_col".

    Examples
    --------
    >>> data = next(db.search(3, sector=1, processing="raw").read())
    >>> data.photometry, data.unit, data.flux.shape
    ('DEMO aperture 2px', 'electron / s', (1200,))
    """

    dataset: DataSetId
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
    unit_inferred: bool = False
    parameters: Mapping[str, StarParameter] = field(default_factory=dict)
    positions: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<LightCurveData dataset={self.dataset} {self.catalog} {self.target} "
            f"observation={self.observation.id} photometry={self.photometry!r} "
            f"processing={self.processing!r} cadences={self.time.size}>"
        )
