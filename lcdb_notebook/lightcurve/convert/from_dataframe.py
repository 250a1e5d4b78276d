"""Convert a DataFrame of to_pandas back to lightkurve LightCurves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ArgumentError, DataError
from lcdb_notebook.lightcurve.convert.columns import time_of
from lcdb_notebook.lightcurve.convert.frame_attrs import KEY, Remembered, recall
from lcdb_notebook.lightcurve.convert.lightcurve import relative_flux, to_lightcurve
from lcdb_notebook.lightcurve.dataset_id import DataSetId, dataset_id
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd

__all__ = ["from_pandas"]


def from_pandas(frame: pd.DataFrame, *, as_flux: bool = True) -> lightkurve.LightCurveCollection:
    """Convert a DataFrame of :meth:`Selection.to_pandas` back to LightCurves.

    They are equal to those of :meth:`Selection.lightcurves` with the same arguments, including
    metadata and lineage. A ``time_format`` of large numbers, such as "jd", is only accurate to 40
    microseconds, because it is stored as one float64. Rows may have been removed or sorted, and
    values changed. Added columns are ignored.

    Parameters
    ----------
    frame : pandas.DataFrame
        DataFrame with the columns and the ``attrs`` of ``to_pandas``. pandas keeps ``attrs`` when a
        frame is derived from one other frame, and drops them when it joins frames with different
        ``attrs``.
    as_flux : bool, optional
        Convert magnitudes to relative flux, ``10 ** (-0.4 * (m - median))`` with the median of
        the cadences that are not flagged (Pogson 1856), because lightkurve divides by the
        median. False keeps magnitudes.

    Returns
    -------
    lightkurve.LightCurveCollection
        One light curve for each DataSet that has rows, ordered by time. Flux has the unit of the
        DataSet; it is dimensionless if magnitudes were converted.

    Raises
    ------
    DataError
        If columns or ``attrs`` are missing or inconsistent; the message names them.
    ArgumentError
        If ``frame`` is not a DataFrame.

    Examples
    --------
    >>> import lcdb_notebook as lcdb
    >>> frame = db.dataframe(3, sector=1, processing="DEMO DET")
    >>> bright = frame[frame["flux"] > 1]
    >>> [(lc.meta["LABEL"], lc.meta["SECTOR"]) for lc in lcdb.from_pandas(bright)]
    [('DEMO 3', 1), ('DEMO 3', 1)]
    """
    from lcdb_notebook.lightcurve.convert.collection import collection

    if not hasattr(frame, "attrs") or not hasattr(frame, "columns"):
        raise ArgumentError(f"frame must be a DataFrame of to_pandas(), got {type(frame).__name__}")
    remembered = frame.attrs.get(KEY)
    if not isinstance(remembered, str):
        raise DataError(
            f"this DataFrame has no attrs[{KEY!r}], which to_pandas() writes and from_pandas() "
            f"needs; {_present('its attrs are', frame.attrs)}. pandas drops attrs when it joins "
            "frames with different attrs, and in some other functions: restore them with "
            "new.attrs = old.attrs, or convert each frame separately"
        )
    known = recall(remembered)
    attrs = {str(name): value for name, value in frame.attrs.items()}
    columns = _columns(frame, known)
    made = {
        id_: _light_curve(
            {name: values[rows] for name, values in columns.items()},
            attrs,
            _known(known, id_),
            as_flux,
        )
        for id_, rows in _cut(columns["dataset"])
    }
    return collection([made[id_] for id_ in known if id_ in made])


def _columns(frame: pd.DataFrame, known: Mapping[DataSetId, Remembered]) -> dict[str, Any]:
    """Return the required columns as numpy arrays."""
    flag_types = {name for one in known.values() for name in one.flag_types[1:]}
    kinds = dict.fromkeys(("dataset", "cadenceno", "quality", *sorted(flag_types)), "i")
    placed = dict.fromkeys(name for one in known.values() for name in one.positions)
    kinds |= dict.fromkeys(("flux", "flux_err", *placed), "f")
    missing = [name for name in ("time", *kinds) if name not in frame]
    if missing:
        raise DataError(
            f"this DataFrame has no column {' or '.join(map(repr, missing))}, which from_pandas() "
            f"needs; {_present('its columns are', frame.columns)}"
        )
    if any(isinstance(id_, str) for id_ in known):
        # Keys of LightcurveDB 3.
        del kinds["dataset"]
        texts = {"dataset": frame["dataset"].to_numpy(dtype=object)}
    else:
        texts = {}
    return {"time": frame["time"].to_numpy(), **texts} | {
        name: _numbers(frame, name, kind) for name, kind in kinds.items()
    }


def _cut(datasets: npt.NDArray[Any]) -> Iterator[tuple[DataSetId, Any]]:
    """Yield each DataSet and its rows, in order."""
    starts = _starts(datasets)
    order: Any = None
    if np.unique(datasets[starts]).size < starts.size:
        # The rows of a light curve are not consecutive, for example after sorting by time.
        order = np.argsort(datasets, kind="stable")
        datasets = datasets[order]
        starts = _starts(datasets)
    for start, stop in pairwise([*starts.tolist(), datasets.size]):
        yield (
            dataset_id(datasets[start]),
            slice(start, stop) if order is None else order[start:stop],
        )


def _starts(datasets: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    changes = datasets[1:] != datasets[:-1]
    return np.flatnonzero(np.append([True] * bool(datasets.size), changes))


def _known(known: Mapping[DataSetId, Remembered], dataset: DataSetId) -> Remembered:
    if dataset not in known:
        raise DataError(
            f"DataSet {dataset} of column 'dataset' is not one of the {len(known):,} in "
            f"attrs[{KEY!r}]; the column and attrs must come from the same to_pandas()"
        )
    return known[dataset]


def _light_curve(
    columns: Mapping[str, Any], attrs: Mapping[str, Any], remembered: Remembered, as_flux: bool
) -> lightkurve.LightCurve:
    clock = remembered.about["clock"]
    time = columns["time"]
    other = attrs.get("time_format", clock.format_name) != clock.format_name
    if other:
        shown = time_of(time, clock, attrs["time_format"])
        # A placeholder: the column becomes the LightCurve's time below.
        time = shown.to_value(clock.format_name)
    names = ("quality", *remembered.flag_types[1:])
    data = LightCurveData(
        **remembered.about,
        cadence=columns["cadenceno"].astype(np.int64),
        time=time.astype(np.float64),
        flux=columns["flux"].astype(np.float64),
        flux_err=columns["flux_err"].astype(np.float64),
        quality={
            type_: columns[name].astype(np.int64)
            for type_, name in zip(remembered.flag_types, names, strict=False)
        },
        positions={name: columns[name].astype(np.float64) for name in remembered.positions},
    )
    if as_flux and is_magnitude(data.unit):
        assert data.flux_err is not None
        middle = float("nan") if remembered.middle is None else remembered.middle
        flux, flux_err = relative_flux(data.flux, data.flux_err, middle)
        data = replace(data, flux=flux, flux_err=flux_err, unit="")
    lightcurve = to_lightcurve(
        data,
        quality_bitmask="none",
        flagged="keep",
        as_flux=False,
        history=remembered.history,
    )
    if other:
        lightcurve["time"] = shown
        # astropy keeps the format of the column that is replaced.
        lightcurve.time.format = attrs["time_format"]
    if data.unit_inferred:
        lightcurve.meta["UNIT_INFERRED"] = remembered.about["unit"]
    lightcurve.meta["QUALITY_BITMASK"] = attrs.get("quality_bitmask", "none")
    lightcurve.meta["QUALITY_MASK"] = remembered.good
    return lightcurve


def _numbers(frame: pd.DataFrame, name: str, kind: str) -> npt.NDArray[Any]:
    """Return a column as a numpy array; it must have integers ("i") or floats ("f")."""
    column = frame[name]
    if column.ndim > 1:
        raise DataError(f"this DataFrame has several columns named {name!r}; keep one of them")
    values: npt.NDArray[Any]
    try:
        # This also converts integers of pandas and pyarrow if none is missing.
        values = column.to_numpy()
        if values.dtype.kind not in "iuf":
            values = column.to_numpy(np.int64 if kind == "i" else np.float64)
    except (ValueError, TypeError) as error:
        raise _no_numbers(name, kind, column) from error
    if kind == "i" and values.dtype.kind == "f":
        # A join without a match for some rows turns integers into floats.
        if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
            raise _no_numbers(name, kind, column)
        values = values.astype(np.int64)
    return values


def _no_numbers(name: str, kind: str, column: Any) -> DataError:
    what = "integers without missing values" if kind == "i" else "numbers"
    return DataError(
        f"column {name!r} of this DataFrame must have {what}, as in to_pandas(), got dtype "
        f"{column.dtype}"
    )


def _present(what: str, names: Any) -> str:
    listed = ", ".join(repr(name) for name in names)
    return f"{what} {listed or 'none'}"
