"""Arrays of one target in one observation to LightCurveData: checked before they are joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt

from lcdb_notebook.clock import SMALLEST_BJD, Clock
from lcdb_notebook.errors import DataError
from lcdb_notebook.fetch import Arrays, Pair, Unfit
from lcdb_notebook.record import LightCurveData, ObservationData

__all__ = ["Assembly", "Row"]

Vector = npt.NDArray[Any]


class Row(Protocol):
    """A row of :func:`lcdb_notebook.query.datasets`."""

    dataset: int
    target_id: int
    target: int
    catalog: str
    host_mission_id: UUID
    observation: int
    photometry: str | None
    processing: str | None
    unit: str


class Assembly:
    """The light curves of one target in one observation; what they share is checked once.

    Parameters
    ----------
    arrays, unfit
        What was fetched, and what could not be.
    pair
        The target and the observation, by id.
    observation
        What is known of it.
    """

    def __init__(
        self, arrays: Arrays, unfit: Unfit, pair: Pair, observation: ObservationData
    ) -> None:
        self._arrays = arrays
        self._unfit = unfit
        self._observation = observation
        self._pair = pair
        self._ready: tuple[Any, ...] | None = None

    def light_curve(self, row: Row, mission: str, clock: Clock) -> LightCurveData:
        """Make one of them.

        Raises
        ------
        DataError
            If its arrays are missing or contradict each other; it names the DataSet, the
            observation and the lengths.
        """
        where = f"DataSet {row.dataset} ({row.catalog} {row.target}, observation {row.observation})"
        values, errors = self._values(row, where)
        if self._ready is None:
            self._ready = self._prepare(where, clock)
        cadence, time, stored, quality = self._ready
        size = cadence.size
        if not (values.size == time.size == size and (errors is None or errors.size == size)):
            sizes = {"cadence numbers": cadence, "times": time, "values": values, "errors": errors}
            raise DataError(_lengths(where, sizes, quality))
        return LightCurveData(
            row.dataset,
            row.target,
            row.catalog,
            mission,
            clock,
            self._observation,
            row.photometry,
            row.processing,
            row.unit,
            cadence,
            time,
            values,
            errors,
            quality,
            stored,
        )

    def _values(self, row: Row, where: str) -> tuple[Vector, Vector | None]:
        unfit = self._unfit
        why = (
            unfit.datasets.get(row.dataset)
            or unfit.pairs.get(self._pair)
            or unfit.observations.get(row.observation)
        )
        if why:
            raise DataError(f"{where} cannot be read: {why}")
        if row.dataset not in self._arrays.datasets:
            raise DataError(f"{where} cannot be read: it was deleted meanwhile")
        values, errors = self._arrays.datasets[row.dataset]
        if values is None:
            raise DataError(f"{where} cannot be read: its values are NULL")
        return values, errors

    def _prepare(self, where: str, clock: Clock) -> tuple[Any, ...]:
        """Check and convert what all light curves of the pair share, in read-only arrays."""
        target, observation = self._pair
        if observation not in self._arrays.cadences:
            raise DataError(f"{where} cannot be read: its observation was deleted meanwhile")
        cadence = self._arrays.cadences[observation]
        times = self._arrays.times.get(self._pair, [])
        if len(times) != 1:
            raise DataError(f"{where} has {len(times) or 'no'} arrays of times, not one")
        if cadence is None or times[0] is None:
            what = "times" if cadence is not None else "cadence numbers"
            raise DataError(f"{where} cannot be read: its {what} are NULL")
        latest = _latest(times[0])
        if latest is None:
            raise DataError(
                f"{where}: its times do not ascend with the cadences, so they cannot be trusted"
            )
        is_bjd = latest >= SMALLEST_BJD
        time = clock.from_bjd(times[0]) if is_bjd else times[0]
        quality: dict[str, Vector] = {}
        for key in ((None, observation), (target, observation)):
            for flag_type, flags in self._arrays.flags.get(key, {}).items():
                if flags is None:
                    raise DataError(f"{where} cannot be read: its {flag_type} is NULL")
                everyones = quality.get(flag_type)
                if everyones is not None and everyones.size != flags.size:
                    raise DataError(
                        f"{where}: lengths disagree: {everyones.size} flags of {flag_type} for the "
                        f"observation, {flags.size} for the target; nothing is joined by position"
                    )
                own = flags.astype(np.int64, copy=False)
                quality[flag_type] = own if everyones is None else everyones | own
        if any(flags.size != cadence.size for flags in quality.values()):
            raise DataError(_lengths(where, {"cadence numbers": cadence, "times": time}, quality))
        for array in (cadence, time, *quality.values()):
            array.flags.writeable = False
        return cadence, time, "bjd" if is_bjd else "mission", quality


def _lengths(where: str, sizes: Mapping[str, Vector | None], quality: Mapping[str, Vector]) -> str:
    told = [f"{array.size} {name}" for name, array in sizes.items() if array is not None]
    told += [f"{flags.size} flags of {flag_type}" for flag_type, flags in quality.items()]
    return f"{where}: lengths disagree: {', '.join(told)}; nothing is joined by position"


def _latest(time: Vector) -> float | None:
    """Give the last time, NaN where there is none; None if they do not ascend."""
    latest = float(time.max(initial=-np.inf))
    if latest != latest:
        time = time[~np.isnan(time)]
        latest = float(time.max(initial=-np.inf))
    return None if (time[1:] < time[:-1]).any() else latest
