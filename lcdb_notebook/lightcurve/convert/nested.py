"""Convert light curves to nested columns: one row per DataSet, with lists of cadences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import optional
from lcdb_notebook.lightcurve.convert.dataframe import labels, to_pandas
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData

if TYPE_CHECKING:
    import nested_pandas

__all__ = ["COLUMN", "nest", "to_nested"]

COLUMN = "lightcurve"
"""Name of the nested column, as in the examples of LSDB and nested-pandas."""


def nest(columns: Mapping[str, npt.NDArray[Any]], sizes: npt.ArrayLike, fields: Any = None) -> Any:
    """Split long columns into lists, without copying them.

    Parameters
    ----------
    columns : mapping of str to numpy.ndarray
        Concatenated arrays of all light curves, of shape (sum of sizes,).
    sizes : array_like of int
        Number of elements of each light curve.
    fields : list of pyarrow.Field, optional
        One for each list, to keep its metadata.

    Returns
    -------
    pyarrow.StructArray
        One struct of lists for each light curve.

    Examples
    --------
    >>> nest({"time": np.array([1.0, 2.0, 3.0])}, [2, 0, 1]).to_pylist()
    [{'time': [1.0, 2.0]}, {'time': []}, {'time': [3.0]}]
    """
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
    offsets = pa.array(ends, pa.int64()).cast(pa.int32())
    lists = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in columns.values()]
    if fields is not None:
        return pa.StructArray.from_arrays(lists, fields=fields)
    return pa.StructArray.from_arrays(lists, names=list(columns))


def to_nested(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    histories: Mapping[DataSetId, str] | None = None,
) -> nested_pandas.NestedFrame:
    """Convert records to a NestedFrame, one row per DataSet.

    Parameters
    ----------
    records : sequence of LightCurveData
        Light curves.
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"drop", "mask", "keep"}, optional
        What happens to flagged cadences: "drop" removes them, "mask" sets their flux to NaN,
        "keep" leaves them unchanged.
    time_format : str, optional
        Name of the astropy time format of the result, such as "jd"; None is the mission's own
        ("btjd" for TESS). The time scale is TDB.
    histories : mapping of int to str, optional
        By DataSet, what it was derived from.

    Returns
    -------
    nested_pandas.NestedFrame
        ``dataset, target``, the observation fields that increase with time (``sector``),
        ``photometry, processing, unit``, and the nested column ``lightcurve`` with ``time, flux,
        flux_err, cadenceno, quality``, a field for each further flag type, and ``centroid_col`` and
        ``centroid_row`` if positions are stored. ``unit_inferred`` is included if a unit was
        inferred. ``attrs`` are those of :func:`to_pandas`. A light curve without remaining cadences
        is an empty list.

    Raises
    ------
    MissingExtraError
        If nested-pandas is not installed.
    DataError
        If the missions have different time formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.
    """
    nested = optional.required("nested_pandas", extra="nested", needed_by="to_nested()")
    import pandas as pd
    import pyarrow as pa

    frame = to_pandas(
        records,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        histories=histories,
    )
    one_each = labels(records) if records else {"dataset": []}
    rows: nested_pandas.NestedFrame = nested.NestedFrame(
        {name: pd.Series(_compact(values)) for name, values in one_each.items()}
    )
    rows["unit"] = _compact([data.unit for data in records])
    if any(data.unit_inferred for data in records):
        rows["unit_inferred"] = [data.unit_inferred for data in records]
    points = {str(name): frame[name].to_numpy() for name in frame if name not in one_each}
    # A DataSet is in a selection only once, and its rows are consecutive.
    places = pd.Series(np.arange(len(records)), index=[data.dataset for data in records])
    sizes = np.zeros(len(records), np.int64)
    if len(frame):
        datasets = frame["dataset"].to_numpy()
        starts = np.flatnonzero(np.append(True, datasets[1:] != datasets[:-1]))
        sizes[places[datasets[starts]].to_numpy()] = np.diff(starts, append=datasets.size)
    cut = nest(points, sizes)
    dtype = nested.NestedDtype.from_pandas_arrow_dtype(pd.ArrowDtype(cut.type))
    rows[COLUMN] = pd.Series(
        pd.arrays.ArrowExtensionArray(pa.chunked_array([cut])), index=rows.index
    ).astype(dtype)
    rows.attrs = frame.attrs
    return rows


def _compact(values: Sequence[Any]) -> Any:
    """Return texts with few distinct values as categories."""
    import pandas as pd

    texts = values and all(isinstance(value, str | None) for value in values)
    return pd.Categorical(list(values)) if texts else list(values)
