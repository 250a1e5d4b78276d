"""Convert LightCurveData to one DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.convert.columns import (
    bitmask_text,
    choose,
    errors,
    masked,
    quality_columns,
    times,
)
from lcdb_notebook.lightcurve.convert.frame_attrs import KEY, remember
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import Flagged, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData, processing_label

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    histories: Mapping[DataSetId, str] | None = None,
) -> pd.DataFrame:
    """Convert records to one DataFrame, one row per cadence.

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
    pandas.DataFrame
        ``time, flux, flux_err, cadenceno, quality``, a column for each further flag type, the
        positions ``centroid_col`` and ``centroid_row`` if they are stored, then ``dataset, target,
        photometry, processing`` and the observation fields that increase with time (``sector``).
        ``catalog`` and ``flag_type`` are included if they differ between rows. Fluxes, magnitudes
        and errors have the stored values. ``attrs`` contain the mission, the time format and scale,
        the units, the units that were inferred and the type of ``quality``; :func:`from_pandas`
        needs the entry ``light_curves``.

    Raises
    ------
    DataError
        If the missions have different time formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.
    """
    import pandas as pd

    if not records:
        empty = {"time": float, "flux": float, "flux_err": float, "cadenceno": int, "quality": int}
        return pd.DataFrame({name: np.empty(0, kind) for name, kind in empty.items()})
    clocks = {data.clock for data in records}
    if len(clocks) > 1 and time_format is None:
        names = ", ".join(sorted(clock.format_name for clock in clocks))
        raise DataError(
            f"the missions have different time formats ({names}), which cannot share a column; "
            "pass one for all, such as time_format='jd'"
        )
    pieces: dict[str, list[npt.NDArray[Any]]] = {}
    sizes: list[int] = []
    goods: list[npt.NDArray[np.bool_]] = []
    of_records = [quality_columns(data) for data in records]
    further = {name for of_quality in of_records for name in of_quality} - {"quality"}
    placed = dict.fromkeys(name for data in records for name in data.positions)
    for data, of_quality in zip(records, of_records, strict=True):
        good, kept = choose(data, quality_bitmask, flagged)
        flux, flux_err = masked(data, good) if flagged == "mask" else (data.flux, errors(data))
        none = np.zeros(data.time.size, np.int32)
        columns: dict[str, npt.NDArray[Any]] = {
            "time": data.time,
            "flux": flux,
            "flux_err": flux_err,
            "cadenceno": data.cadence,
            **{name: of_quality.get(name, none) for name in ("quality", *sorted(further))},
            **{name: data.positions.get(name, none * np.nan) for name in placed},
        }
        for name, values in columns.items():
            pieces.setdefault(name, []).append(values[kept])
        sizes.append(int(np.count_nonzero(kept)))
        goods.append(good)
    if time_format is not None:
        pieces["time"] = [
            times(time, data.clock, time_format).value
            for time, data in zip(pieces["time"], records, strict=True)
        ]
    joined: dict[str, Any] = {n: np.concatenate(arrays) for n, arrays in pieces.items()}
    for name, values_ in labels(records).items():
        if isinstance(values_[0], str | None):
            kinds = pd.Categorical(values_)
            codes = np.repeat(kinds.codes, sizes)
            joined[name] = pd.Categorical.from_codes(codes, dtype=kinds.dtype)
        else:
            joined[name] = np.repeat(pd.Series(values_).to_numpy(), sizes)
    # These arrays are not shared; stacking them into one block would copy them again.
    frame = pd.DataFrame(joined, copy=False)
    first = records[0]
    frame.attrs = {
        "mission": first.mission,
        "time_format": time_format or first.clock.format_name,
        "time_scale": "tdb",
        "unit": sorted({data.unit for data in records}),
        "unit_inferred": sorted({data.unit for data in records if data.unit_inferred}),
        "flag_type": primary_type(first),
        "quality_bitmask": bitmask_text(quality_bitmask),
        "flagged": flagged,
        KEY: remember(records, goods, histories or {}),
    }
    return frame


def labels(records: Sequence[LightCurveData]) -> dict[str, list[Any]]:
    """Return the columns that identify light curves: one value per record."""
    columns: dict[str, list[Any]] = {
        "dataset": [data.dataset for data in records],
        "target": [data.target for data in records],
    }
    types = [primary_type(data) for data in records]
    if len({data.catalog for data in records}) > 1:
        columns["catalog"] = [data.catalog for data in records]
    if len(set(types)) > 1:
        columns["flag_type"] = types
    for name in dict.fromkeys(name for data in records for name in data.observation.chronology):
        values = [data.observation.fields.get(name) for data in records]
        if any(value is not None for value in values):
            columns[name] = values
    columns["photometry"] = [data.photometry for data in records]
    columns["processing"] = [processing_label(data.processing) for data in records]
    return columns
