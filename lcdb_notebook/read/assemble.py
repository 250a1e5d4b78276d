"""Check the arrays of targets in observations, and combine them into LightCurveData."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import DataError
from lcdb_notebook.flags.masking import bits_of
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD, Clock
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData, StarParameter
from lcdb_notebook.lightcurve.units import POSITIONS, infer_unit, known_unit
from lcdb_notebook.read.fetch import DATASET, Arrays, Pair
from lcdb_notebook.read.unreadable import Unreadable
from lcdb_notebook.search.rows import Row
from lcdb_notebook.server import wire

__all__ = ["Assembly", "Chunk"]

Vector = npt.NDArray[Any]

_NO_POSITIONS: Mapping[int, str] = MappingProxyType({})


class Chunk:
    """The arrays of some rows, assembled into light curves while further arrays arrive.

    While a light curve is assembled, the server sends the next one. Shared arrays (cadences, times,
    flags) of an observation normally arrive before its light curves. If one of them arrives late,
    everything is assembled again at the end.

    Parameters
    ----------
    rows : iterable of Row
        The rows to read.
    observations : mapping of int to tuple of (ObservationData, int)
        Observations and their numbers of cadences, by id.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        Names and clocks of missions, by id.
    unreadable : Unreadable, optional
        Arrays that cannot be fetched, with reasons.
    parameters : mapping of int to mapping of str to StarParameter, optional
        Quantities of the stars, by the ids of the targets.
    positions : mapping of int to str, optional
        The processing methods of positions, with the name of the column.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        observations: Mapping[int, tuple[ObservationData, int]],
        missions: Mapping[UUID, tuple[str, Clock]],
        unreadable: Unreadable | None = None,
        parameters: Mapping[int, Mapping[str, StarParameter]] | None = None,
        positions: Mapping[int, str] = _NO_POSITIONS,
    ) -> None:
        self.arrays = Arrays()
        self._parameters = parameters or {}
        self._positions = positions
        self.unreadable = unreadable or Unreadable()
        self._rows = {row.dataset: row for row in rows}
        self._observations = observations
        self._missions = missions
        self._assemblies: dict[Pair, Assembly] = {}
        self._for_all: dict[int, dict[str, Vector]] = {}
        self._made: dict[DataSetId, LightCurveData | DataError] = {}
        self._in_order = True

    def take(self, rows: wire.Rows) -> None:
        """Store a run of rows by their ids, and assemble light curves from the DataSets."""
        self.arrays.take(rows)
        kinds, ids, *_ = rows.columns
        assert isinstance(kinds, np.ndarray)
        if not (kinds == DATASET).all():
            if self._in_order and self._are_late(rows):
                self._in_order = False
                self._made.clear()
                self._assemblies.clear()
                self._for_all.clear()
        elif self._in_order:
            assert isinstance(ids, np.ndarray)
            for id_ in map(self.arrays.dataset, ids.tolist()):
                row = self._rows.get(id_)
                if row is not None:
                    self._made[id_] = self._make(row)

    def _are_late(self, rows: wire.Rows) -> bool:
        """Return whether a light curve of one of their observations was assembled before."""
        assembled = {observation for _, observation in self._assemblies}
        return bool(assembled) and any(
            (id_ if observation is None else observation) in assembled
            for _, id_, observation, *_ in rows
        )

    def light_curve(self, row: Row) -> LightCurveData | DataError:
        """Return the light curve of a row, only once, or the reason why it cannot be read."""
        made = self._made.pop(row.dataset, None)
        return self._make(row) if made is None else made

    def _make(self, row: Row) -> LightCurveData | DataError:
        pair = (row.target_id, row.observation)
        assembly = self._assemblies.get(pair)
        if assembly is None:
            about = self._observations[row.observation][0]
            assembly = self._assemblies[pair] = Assembly(
                self.arrays,
                self.unreadable,
                pair,
                about,
                self._parameters.get(row.target_id, {}),
                self._positions,
                self._for_all,
            )
        mission = self._missions.get(row.host_mission_id)
        try:
            if row.problem is not None or mission is None:
                raise DataError(f"{_where(row)} cannot be read: {row.problem or 'unknown mission'}")
            return assembly.light_curve(row, *mission)
        except DataError as error:
            return error


class Assembly:
    """The light curves of one target in one observation; shared arrays are checked once.

    Parameters
    ----------
    arrays, unreadable
        The arrays that were fetched, and those that could not be fetched.
    pair : Pair
        The target and the observation, by id.
    observation : ObservationData
        The observation.
    parameters : mapping of str to StarParameter
        Quantities of the star.
    positions : mapping of int to str
        The processing methods of positions, with the name of the column.
    for_all : dict of int to dict of str to numpy.ndarray
        Flags of observations that apply to all targets, which the assemblies of a chunk share.
    """

    def __init__(
        self,
        arrays: Arrays,
        unreadable: Unreadable,
        pair: Pair,
        observation: ObservationData,
        parameters: Mapping[str, StarParameter],
        positions: Mapping[int, str],
        for_all: dict[int, dict[str, Vector]],
    ) -> None:
        self._arrays = arrays
        self._unfit = unreadable
        self._observation = observation
        self._pair = pair
        self._parameters = parameters
        self._columns = positions
        self._for_all = for_all
        self._ready: tuple[Any, ...] | None = None

    def light_curve(self, row: Row, mission: str, clock: Clock) -> LightCurveData:
        """Return the light curve of a row.

        Raises
        ------
        DataError
            If arrays are missing or contradict each other; the message has the DataSet, the
            observation and the lengths.
        """
        where = _where(row)
        values, errors = self._values(row, where)
        if self._ready is None:
            self._ready = self._prepare(where, clock)
        cadence, time, stored, quality, positions = self._ready
        size = cadence.size
        if not (values.size == time.size == size and (errors is None or errors.size == size)):
            sizes = {"cadence numbers": cadence, "times": time, "values": values, "errors": errors}
            raise DataError(_lengths(where, sizes, quality))
        unit = known_unit(row.unit, row.photometry, row.processing)
        inferred = "" if unit else infer_unit(values, row.photometry, row.processing)
        return LightCurveData(
            row.dataset,
            row.target,
            row.catalog,
            mission,
            clock,
            self._observation,
            row.photometry,
            row.processing,
            unit or inferred,
            cadence,
            time,
            values,
            errors,
            quality,
            stored,
            bool(inferred),
            self._parameters,
            {} if row.processing in POSITIONS else positions,
        )

    def _values(self, row: Row, where: str) -> tuple[Vector, Vector | None]:
        unreadable = self._unfit
        why = (
            unreadable.datasets.get(row.dataset)
            or unreadable.pairs.get(self._pair)
            or unreadable.observations.get(row.observation)
        )
        if why:
            raise DataError(f"{where} cannot be read: {why}")
        if row.dataset not in self._arrays.datasets:
            raise DataError(f"{where} cannot be read: it was deleted in the meantime")
        values, errors = self._arrays.datasets[row.dataset]
        if values is None:
            raise DataError(f"{where} cannot be read: its values are NULL")
        return values, errors

    def _prepare(self, where: str, clock: Clock) -> tuple[Any, ...]:
        """Check and convert the arrays that all light curves of the pair share, as read-only."""
        if not clock.is_complete():
            raise DataError(
                f"{where} cannot be read: the time format of its mission has NULL columns "
                f"(time_format_name is {clock.format_name!r})"
            )
        target, observation = self._pair
        if observation not in self._arrays.cadences:
            raise DataError(f"{where} cannot be read: its observation was deleted in the meantime")
        cadence = self._arrays.cadences[observation]
        times = self._arrays.times.get(self._pair, [])
        if len(times) != 1:
            many = f"{len(times)} arrays of times; delete all but one" if times else "no times"
            raise DataError(f"{where} cannot be read: it has {many}")
        if cadence is None or times[0] is None:
            what = "times" if cadence is not None else "cadence numbers"
            raise DataError(f"{where} cannot be read: its {what} are NULL")
        latest = _latest(times[0])
        if latest is None:
            raise DataError(f"{where}: times are not increasing")
        is_bjd = latest >= SMALLEST_BJD
        time = clock.from_bjd(times[0]) if is_bjd else times[0]
        quality = dict(self._flags_for_all(observation, where))
        for flag_type, flags in self._arrays.flags.get((target, observation), {}).items():
            own, wide = _bits(flags, flag_type, where), quality.get(flag_type)
            if wide is not None and wide.size != own.size:
                raise DataError(
                    f"{where}: array lengths differ: {wide.size} flags of {flag_type} for the "
                    f"observation, {own.size} for the target; refusing to align by position"
                )
            quality[flag_type] = own if wide is None else wide | own
        if any(flags.size != cadence.size for flags in quality.values()):
            raise DataError(_lengths(where, {"cadence numbers": cadence, "times": time}, quality))
        positions = {
            self._columns[method]: pixels
            for method, pixels in self._arrays.positions.get(self._pair, {}).items()
            if pixels is not None
        }
        if any(pixels.size != cadence.size for pixels in positions.values()):
            raise DataError(_lengths(where, {"cadence numbers": cadence, **positions}, quality))
        for array in (cadence, time, *quality.values(), *positions.values()):
            array.flags.writeable = False
        return cadence, time, "bjd" if is_bjd else "mission", quality, positions

    def _flags_for_all(self, observation: int, where: str) -> dict[str, Vector]:
        """Return the flags of an observation that apply to all its targets, converted only once."""
        if observation not in self._for_all:
            found = self._arrays.flags.get((None, observation), {})
            self._for_all[observation] = {
                flag_type: _bits(flags, flag_type, where) for flag_type, flags in found.items()
            }
        return self._for_all[observation]


def _bits(flags: Vector | None, flag_type: str, where: str) -> Vector:
    if flags is None:
        raise DataError(f"{where} cannot be read: its {flag_type} is NULL")
    bits: Vector = flags.astype(np.int64, copy=False)
    # Bit 31 of an unsigned flag is the sign of PostgreSQL's integer.
    return bits_of(bits) if bits.size and bits.min() < 0 else bits


def _where(row: Row) -> str:
    return f"DataSet {row.dataset} ({row.catalog} {row.target}, observation {row.observation})"


def _lengths(where: str, sizes: Mapping[str, Vector | None], quality: Mapping[str, Vector]) -> str:
    lengths = [f"{array.size} {name}" for name, array in sizes.items() if array is not None]
    lengths += [f"{flags.size} flags of {flag_type}" for flag_type, flags in quality.items()]
    return f"{where}: array lengths differ: {', '.join(lengths)}; refusing to align by position"


def _latest(time: Vector) -> float | None:
    """Return the last time, -inf if there is none, or None if times are not increasing."""
    if time.size > 1 and (time[1:] >= time[:-1]).all():
        # Without NaN, which nothing is greater than or equal to.
        return float(time[-1])
    latest = float(time.max(initial=-np.inf))
    if latest != latest:
        time = time[~np.isnan(time)]
        latest = float(time.max(initial=-np.inf))
    return None if (time[1:] < time[:-1]).any() else latest
