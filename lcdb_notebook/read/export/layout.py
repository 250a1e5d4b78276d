"""Columns and schema of Parquet files with many light curves."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert.columns import errors, quality_columns
from lcdb_notebook.lightcurve.convert.lightcurve import plain_field
from lcdb_notebook.lightcurve.convert.nested import COLUMN, nest
from lcdb_notebook.lightcurve.quality import first_type, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, processing_label
from lcdb_notebook.lightcurve.units import POSITIONS, known_unit, may_be_magnitude
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

__all__ = ["ParquetLayout"]

_MEANING = {
    "time": "mid-time of the cadence, barycentric, scale TDB, in the mission's format; NaN: none",
    "flux": "as stored; NaN for missing measurements",
    "flux_err": "one standard deviation, as stored; NaN if unknown",
    "cadenceno": "cadence number",
    "quality": "bits of the type in the column flag_type",
    **dict.fromkeys(POSITIONS.values(), "position of the star on the detector"),
}


class ParquetLayout:
    """The layout of all Parquet files of a selection.

    Parameters
    ----------
    found : Found
        The rows; the fields of their observations become columns.
    missions : mapping of uuid.UUID to tuple of (str, Clock)
        For each mission id, its name and clock.
    flag_types : set of frozenset of str
        The combinations of flag types that occur in light curves.
    positions : collection of str, optional
        Names of the columns of positions that light curves may have.

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns, with units in the metadata of each list, and the clocks of the missions under
        ``lcdb``.
    packing : dict
        Arguments of ``pyarrow.parquet.ParquetWriter``. Floats are split into their bytes, which
        LZ4 then compresses to a third: almost as well as Zstandard, in less time.
    identity : list of str
        The columns that identify the DataSet of a row.
    """

    identity = ("dataset", "target", "catalog", "photometry", "processing")

    def __init__(
        self,
        found: Found,
        missions: Mapping[UUID, tuple[str, Clock]],
        flag_types: set[frozenset[str]],
        positions: Collection[str] = (),
    ) -> None:
        import pyarrow as pa

        keys = any(isinstance(row.dataset, str) for row in found.rows)
        used = {row.host_mission_id for row in found.rows}
        clocks = {name: clock for id_, (name, clock) in missions.items() if id_ in used}
        units = sorted({known_unit(row.unit, row.photometry, row.processing) for row in found.rows})
        # A unit that is inferred is known once the values have been read.
        if "" in units and any(may_be_magnitude(r.photometry, r.processing) for r in found.rows):
            units.append("mag")
        self._fields = _fields(found)
        self._further = sorted(
            {name for types in flag_types for name in types - {first_type(types)}}
        )
        lists = {name: pa.float64() for name in ("time", "flux", "flux_err")}
        lists |= {"cadenceno": pa.int64(), "quality": pa.int64()}
        lists |= dict.fromkeys(self._further, pa.int64())
        self._positions = [*positions]
        lists |= dict.fromkeys(self._positions, pa.float64())
        time_units = {clock.unit for clock in clocks.values()}
        units_of = {
            "time": time_units.pop() if len(time_units) == 1 else "see the schema's lcdb",
            "flux": units[0] if len(units) == 1 else "see the column unit",
        }
        units_of["flux_err"] = units_of["flux"]
        units_of |= dict.fromkeys(self._positions, "pix")
        self._lists = [
            pa.field(
                name,
                pa.list_(kind),
                metadata={
                    "unit": units_of.get(name, ""),
                    "description": _MEANING.get(name) or f"bits of {name}",
                },
            )
            for name, kind in lists.items()
        ]
        texts = ("instrument", "photometry", "processing", "unit", "flag_type", "lineage")
        about = {
            "edition": 1,
            "missions": {
                name: {**asdict(clock), "epoch": str(clock.epoch)} for name, clock in clocks.items()
            },
            "time_scale": "tdb",
            "units": units,
        }
        self.schema = pa.schema(
            [
                pa.field("dataset", pa.string() if keys else pa.int64()),
                pa.field("target", pa.int64()),
                *(pa.field(name, pa.string()) for name in ("catalog", "mission")),
                *(pa.field(name, kind) for name, kind in self._fields.items()),
                *(pa.field(name, pa.string()) for name in texts),
                pa.field("unit_inferred", pa.bool_()),
                pa.field(COLUMN, pa.struct(self._lists)),
            ],
            metadata={"lcdb": json.dumps(about)},
        )
        integers = [name for name, kind in lists.items() if pa.types.is_integer(kind)]
        inside = {name: f"{COLUMN}.{name}.list.element" for name in lists}
        self.packing: dict[str, Any] = {
            "compression": "lz4",
            # Minimum and maximum of the elements of lists are useless for queries.
            "write_statistics": [field.name for field in self.schema if field.name != COLUMN],
            "use_dictionary": [
                field.name for field in self.schema if pa.types.is_string(field.type)
            ],
            "column_encoding": {
                inside[name]: "DELTA_BINARY_PACKED" if name in integers else "BYTE_STREAM_SPLIT"
                for name in lists
            },
        }

    def check(self, schema: Any) -> None:
        """Check that a file has these columns.

        Raises
        ------
        ExportError
            If the columns differ; the message lists the differences.
        """
        expected, found = (
            {(field.name, str(_bare(field.type))) for field in one} for one in (self.schema, schema)
        )
        if expected != found:
            differing = sorted({name for name, _ in expected ^ found})
            raise ExportError(
                f"its columns differ from those of this selection ({', '.join(differing)}), and "
                "all files of a folder must have the same columns"
            )

    def identify(self, row: Row) -> dict[str, Any]:
        """Return the columns :attr:`identity` of a row."""
        return {
            "dataset": row.dataset,
            "target": row.target,
            "catalog": row.catalog,
            "photometry": row.photometry,
            "processing": processing_label(row.processing),
        }

    def table(self, group: Sequence[tuple[LightCurveData, str]]) -> Any:
        """Return a pyarrow.Table of records and their histories, without loops over cadences."""
        import pyarrow as pa

        records = [data for data, _ in group]
        of_quality = [quality_columns(data) for data in records]
        points: dict[str, list[npt.NDArray[Any]]] = {
            "time": [data.time for data in records],
            "flux": [data.flux for data in records],
            "flux_err": [errors(data) for data in records],
            "cadenceno": [data.cadence for data in records],
        }
        for name in ("quality", *self._further):
            points[name] = [
                found[name].astype(np.int64)
                if name in found
                else np.zeros(data.time.size, np.int64)
                for data, found in zip(records, of_quality, strict=True)
            ]
        for name in self._positions:
            points[name] = [
                data.positions.get(name, np.full(data.time.size, np.nan)) for data in records
            ]
        cut = nest(
            {name: np.concatenate(arrays) for name, arrays in points.items()},
            [data.time.size for data in records],
            self._lists,
        )
        columns: dict[str, Any] = {
            "dataset": [data.dataset for data in records],
            "target": [data.target for data in records],
            "catalog": [data.catalog for data in records],
            "mission": [data.mission for data in records],
            "instrument": [" / ".join(data.observation.instrument) for data in records],
            "photometry": [data.photometry for data in records],
            "processing": [processing_label(data.processing) for data in records],
            "unit": [data.unit for data in records],
            "unit_inferred": [data.unit_inferred for data in records],
            "flag_type": [primary_type(data) for data in records],
            "lineage": [history for _, history in group],
        }
        for name, kind in self._fields.items():
            values = [_plain(data.observation.fields.get(name)) for data in records]
            columns[name] = (
                [None if v is None else str(v) for v in values]
                if (pa.types.is_string(kind))
                else values
            )
        arrays = [
            cut if field.name == COLUMN else pa.array(columns[field.name], field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _fields(found: Found) -> dict[str, Any]:
    """Return the fields of observations that become columns, with their types."""
    import pyarrow as pa

    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), date: pa.date32()}
    types[datetime] = pa.timestamp("us", tz="UTC")
    kinds: dict[str, set[type]] = {}
    for about, _ in found.observations.values():
        for name, value in about.fields.items():
            if value is not None:
                kinds.setdefault(name, set()).add(type(_plain(value)))
    taken = {"dataset", "target", "catalog", "mission", "instrument", "observation", "unit"}
    taken |= {"photometry", "processing", "flag_type", "lineage", "unit_inferred", COLUMN}
    return {
        name: types.get(next(iter(found_types)), pa.string())
        if len(found_types) == 1
        else pa.string()
        for name, found_types in kinds.items()
        if name not in taken
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, date):
        return value
    return plain_field(value)


def _bare(kind: Any) -> Any:
    """Return a type without metadata and names of elements, which readers may change."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return kind
    inside = [kind.field(place) for place in range(kind.num_fields)]
    return [(one.name, str(getattr(one.type, "value_type", one.type))) for one in inside]
