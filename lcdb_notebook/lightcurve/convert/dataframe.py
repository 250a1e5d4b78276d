"""LightCurveData to one DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.convert.columns import (
    choose,
    errors,
    masked,
    plain,
    quality_columns,
    times,
)
from lcdb_notebook.lightcurve.convert.frame_attrs import KEY, remember
from lcdb_notebook.lightcurve.quality import Flagged, primary_type
from lcdb_notebook.lightcurve.record import LightCurveData

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    histories: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """Make one DataFrame of light curves, one row a cadence.

    Parameters
    ----------
    records
        Light curves.
    quality_bitmask, flagged, time_format
        As for :func:`to_lightcurve`.
    histories
        What each was derived from, by DataSet: see :func:`lcdb_notebook.search.lineage.histories`.

    Returns
    -------
    pandas.DataFrame
        ``time, flux, flux_err, cadenceno, quality``, a column for each further flag type, then
        ``dataset, target, photometry, processing`` and what tells observations apart in time
        (``sector``). ``catalog`` and ``flag_type`` are there, too, where they are not the same in
        every row. Fluxes are as stored, magnitudes included. ``attrs`` name the mission, the time
        format and scale, the units and the type of ``quality``; what they have as
        ``light_curves`` is for :func:`from_pandas`.

    Raises
    ------
    DataError
        If the missions tell time by different clocks and no ``time_format`` is asked for.
    """
    import pandas as pd

    if not records:
        empty = {"time": float, "flux": float, "flux_err": float, "cadenceno": int, "quality": int}
        return pd.DataFrame({name: np.empty(0, kind) for name, kind in empty.items()})
    clocks = {data.clock for data in records}
    if len(clocks) > 1 and time_format is None:
        names = ", ".join(sorted(clock.format_name for clock in clocks))
        raise DataError(
            f"these light curves tell time by different clocks ({names}), which one column cannot "
            "hold; ask for one that all can be told in, such as time_format='jd'"
        )
    pieces: dict[str, list[npt.NDArray[Any]]] = {}
    sizes: list[int] = []
    goods: list[npt.NDArray[np.bool_]] = []
    of_records = [quality_columns(data) for data in records]
    further = {name for of_quality in of_records for name in of_quality} - {"quality"}
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
    for name, told in labels(records).items():
        if isinstance(told[0], str | None):
            kinds = pd.Categorical(told)
            codes = np.repeat(kinds.codes, sizes)
            joined[name] = pd.Categorical.from_codes(codes, dtype=kinds.dtype)
        else:
            joined[name] = np.repeat(pd.Series(told).to_numpy(), sizes)
    # These arrays belong to nobody else; stacking them into one block would copy them all again.
    frame = pd.DataFrame(joined, copy=False)
    first = records[0]
    frame.attrs = {
        "mission": first.mission,
        "time_format": time_format or first.clock.format_name,
        "time_scale": "tdb",
        "unit": sorted({data.unit for data in records}),
        "flag_type": primary_type(first),
        "quality_bitmask": plain(quality_bitmask),
        "flagged": flagged,
        KEY: remember(records, goods, histories or {}),
    }
    return frame


def labels(records: Sequence[LightCurveData]) -> dict[str, list[Any]]:
    """Columns that say whose cadence a row is: one value a record."""
    told: dict[str, list[Any]] = {
        "dataset": [data.dataset for data in records],
        "target": [data.target for data in records],
    }
    types = [primary_type(data) for data in records]
    if len({data.catalog for data in records}) > 1:
        told["catalog"] = [data.catalog for data in records]
    if len(set(types)) > 1:
        told["flag_type"] = types
    for name in dict.fromkeys(name for data in records for name in data.observation.chronology):
        values = [data.observation.fields.get(name) for data in records]
        if any(value is not None for value in values):
            told[name] = values
    told["photometry"] = [data.photometry for data in records]
    told["processing"] = [data.processing or "raw" for data in records]
    return told
