"""Convert LightCurveData to tables of astropy and Arrow, by way of a DataFrame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.errors import optional
from lcdb_notebook.lightcurve.convert.columns import time_of
from lcdb_notebook.lightcurve.convert.dataframe import to_pandas
from lcdb_notebook.lightcurve.convert.frame_attrs import KEY
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import POSITIONS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table

__all__ = ["arrow_table", "to_arrow", "to_table"]


def to_table(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
) -> Table:
    """Convert records to one astropy Table, one row per cadence.

    The parameters and errors are those of :func:`to_pandas`.
    """
    from astropy.table import Column, Table
    from astropy.time import Time
    from astropy.units import Unit

    frame = to_pandas(
        records, quality_bitmask=quality_bitmask, flagged=flagged, time_format=time_format
    )
    units = _units(frame)
    table = Table()
    for name in frame:
        values = frame[name].to_numpy()
        if name == "time":
            table[name] = (
                time_of(values, records[0].clock, time_format)
                if records
                else Time(values, format=time_format or "jd", scale="tdb")
            )
            continue
        if values.dtype == object and all(isinstance(value, str) for value in values):
            values = values.astype(str)
        unit = units.get(str(name))
        known = None if unit is None else Unit(unit, parse_strict="silent")
        table[name] = Column(values, unit=known, copy=False)
    table.meta.update(_metadata(frame))
    return table


def to_arrow(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
) -> pa.Table:
    """Convert records to one Arrow table, one row per cadence.

    The parameters and errors are those of :func:`to_pandas`; a MissingExtraError is raised if
    pyarrow is not installed.
    """
    optional.required("pyarrow", extra="parquet", needed_by="to_arrow()")
    return arrow_table(
        to_pandas(
            records, quality_bitmask=quality_bitmask, flagged=flagged, time_format=time_format
        )
    )


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """Convert a DataFrame of :func:`to_pandas` to an Arrow table that shares its numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> arrow_table(pd.DataFrame({"flux": [1.0, float("nan")]}))["flux"].to_pylist()
    [1.0, nan]
    """
    import pyarrow as pa

    units = _units(frame)
    arrays, fields = [], []
    for name in frame:
        column = frame[name]
        numbers = isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu"
        # As numpy arrays, because NaN would become null in a Series, and be copied.
        array: Any = pa.array(column.to_numpy() if numbers else column)
        unit = units.get(str(name))
        arrays.append(array)
        metadata = None if unit is None else {"unit": unit}
        fields.append(pa.field(str(name), array.type, metadata=metadata))
    about = {key: json.dumps(value) for key, value in _metadata(frame).items()}
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=about))


def _metadata(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(key): value for key, value in frame.attrs.items() if key != KEY}


def _units(frame: pd.DataFrame) -> dict[str, str]:
    """Return the units by column; fluxes of several units have none."""
    units = dict.fromkeys(POSITIONS.values(), "pix")
    found = frame.attrs.get("unit", ())
    return units | (dict.fromkeys(("flux", "flux_err"), found[0]) if len(found) == 1 else {})
