"""Metadata of light curves in a DataFrame's ``attrs``, from which they can be rebuilt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve import mask_runs
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert.lightcurve import by_start, middle, plain_field
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData, StarParameter
from lcdb_notebook.lightcurve.units import is_magnitude

__all__ = ["KEY", "Remembered", "recall", "remember"]

KEY = "light_curves"
"""Key in ``attrs``. The value is one string, because pandas deep-copies ``attrs`` at every step,
compares them when it joins frames, and writes them into Parquet as JSON."""

_VERSION = 2


@dataclass(frozen=True, eq=False)
class Remembered:
    """One light curve without its arrays.

    Parameters
    ----------
    about : mapping of str to object
        The identifiers, as fields of :class:`LightCurveData`.
    flag_types : tuple of str
        Types of its flags, beginning with the type of the ``quality`` column.
    good : numpy.ndarray of bool
        Cadences that were not flagged, of shape (cadences with a time,).
    middle : float or None
        Median magnitude of its good cadences; None for fluxes.
    history : str
        Its sources.
    positions : tuple of str
        Its columns of positions.
    """

    about: Mapping[str, Any]
    flag_types: tuple[str, ...]
    good: npt.NDArray[np.bool_]
    middle: float | None
    history: str
    positions: tuple[str, ...]


def remember(
    records: Sequence[LightCurveData],
    good: Sequence[npt.NDArray[np.bool_]],
    histories: Mapping[DataSetId, str],
) -> str:
    """Return, as JSON, the metadata that the columns of a DataFrame do not contain.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    good : sequence of numpy.ndarray of bool
        For each light curve, the cadences that are not flagged.
    histories : mapping of int to str
        By DataSet, what it was derived from.
    """
    clocks = {data.clock: None for data in records}
    numbers = {clock: number for number, clock in enumerate(clocks)}
    observations = {data.observation.id: data.observation for data in records}
    curves = []
    masks = dict(zip((data.dataset for data in records), good, strict=True))
    for data in by_start(records):
        kept = masks[data.dataset]
        primary = primary_type(data)
        curves.append(
            [
                data.dataset,
                data.target,
                data.catalog,
                data.mission,
                numbers[data.clock],
                data.observation.id,
                data.photometry,
                data.processing,
                data.unit,
                data.stored_time,
                sorted(data.quality, key=lambda name: (name != primary, name)),
                mask_runs.encode(kept[np.isfinite(data.time)]),
                middle(data.flux, kept) if is_magnitude(data.unit) else None,
                histories.get(data.dataset, ""),
                data.unit_inferred,
                [*data.positions],
            ]
        )
    everything = {
        "version": _VERSION,
        "clocks": [{**asdict(clock), "epoch": str(clock.epoch)} for clock in clocks],
        "observations": [
            [
                about.id,
                about.type,
                {name: _field(value) for name, value in about.fields.items()},
                list(about.instrument),
                list(about.chronology),
            ]
            for about in observations.values()
        ],
        "stars": [
            [data.catalog, data.target, {name: astuple(p) for name, p in data.parameters.items()}]
            for data in {(data.catalog, data.target): data for data in records}.values()
            if data.parameters
        ],
        "curves": curves,
    }
    return json.dumps(everything, separators=(",", ":"))


def recall(text: str) -> dict[DataSetId, Remembered]:
    """Read the text of :func:`remember`: metadata by DataSet, in the order of the first times.

    Raises
    ------
    DataError
        If the text was modified or has another version.
    """
    try:
        read = json.loads(text)
        if read["version"] != _VERSION:
            raise DataError(
                f"attrs[{KEY!r}] must have version {_VERSION}, got {read['version']}; read the "
                "light curves from the database again"
            )
        clocks = [Clock(**{**clock, "epoch": Decimal(clock["epoch"])}) for clock in read["clocks"]]
        observations = {
            id_: ObservationData(id_, type_, fields, tuple(instrument), tuple(chronology))
            for id_, type_, fields, instrument, chronology in read["observations"]
        }
        stars = {
            (catalog, target): {name: StarParameter(*one) for name, one in known.items()}
            for catalog, target, known in read["stars"]
        }
        return {
            curve[0]: Remembered(
                {
                    "dataset": curve[0],
                    "target": curve[1],
                    "catalog": curve[2],
                    "mission": curve[3],
                    "clock": clocks[curve[4]],
                    "observation": observations[curve[5]],
                    "photometry": curve[6],
                    "processing": curve[7],
                    "unit": curve[8],
                    "stored_time": curve[9],
                    "unit_inferred": curve[14],
                    "parameters": stars.get((curve[2], curve[1]), {}),
                },
                tuple(curve[10]),
                mask_runs.decode(curve[11]),
                curve[12],
                curve[13],
                tuple(curve[15]),
            )
            for curve in read["curves"]
        }
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"attrs[{KEY!r}] was modified after to_pandas() ({type(error).__name__}: {error}); "
            "read the light curves from the database again"
        ) from error


def _field(value: Any) -> Any:
    return value if value is None else plain_field(value)
