"""Convert a LightCurve to a plain astropy Table, which all formats can store, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve import mask_runs, missions
from lcdb_notebook.lightcurve.clock import Clock

if TYPE_CHECKING:
    import lightkurve
    from astropy.table import Table
    from astropy.time import Time

__all__ = ["FORM", "from_table", "numeric_format", "to_table"]

FORM = "LIGHT_CURVE"
"""The key in a table's metadata that is needed to rebuild the LightCurve."""

# Units of time by their length in days, which astropy's TimeFromEpoch classes have.
_TIME_UNITS = {1.0: "d", 1 / 24: "h", 1 / 1440: "min", 1 / 86400: "s"}


def to_table(lightcurve: lightkurve.LightCurve, *, numbers: str | None = None) -> Table:
    """Convert a LightCurve to columns of plain numbers.

    Parameters
    ----------
    lightcurve : lightkurve.LightCurve
        A light curve that is not folded.
    numbers : str, optional
        Time format of the numbers, in TDB. None keeps the format and scale of the light curve, or
        uses the mission's format if the former is not numeric ("isot").

    Returns
    -------
    astropy.table.Table
        The LightCurve's columns in its order, in native byte order. Quantities are columns with
        their unit, times are float64, and masked elements stay masked. ``meta`` is that of the
        LightCurve, with an entry :data:`FORM` that also contains its masks.

    Raises
    ------
    ExportError
        If the light curve is folded or not a LightCurve, or a column contains anything except
        numbers or text.
    """
    from astropy.table import Column, MaskedColumn, Table
    from astropy.time import Time

    _check(lightcurve)
    form: dict[str, Any] = {"class": _class_name(lightcurve), "times": {}, "quantities": {}}
    form |= {"masked": [], "masks": {}}
    table = Table()
    for name in lightcurve.colnames:
        column = lightcurve[name]
        if isinstance(column, Time):
            counted_in = numbers or numeric_format(lightcurve, column.format)
            values, about = _numbers(column, counted_in, in_tdb=numbers is not None)
            form["times"][name] = about
            meaning = f"astropy Time, format {about['format']}, scale {about['scale'].upper()}"
            table[name] = Column(values, unit=about["unit"], description=meaning)
            continue
        values, mask, unit = _plain(name, column)
        if unit is not None:
            form["quantities"][name] = unit.to_string()
        make = Column if mask is None else MaskedColumn
        kept = {} if mask is None else {"mask": mask}
        if mask is not None:
            form["masked"].append(name)
        table[name] = make(values, unit=unit, **kept)
    for key, value in lightcurve.meta.items():
        if isinstance(value, np.ndarray) and value.dtype == bool and value.ndim == 1:
            form["masks"][key] = mask_runs.encode(value)
        else:
            table.meta[key] = _metadatum(value)
    table.meta[FORM] = form
    return table


def from_table(table: Table) -> lightkurve.LightCurve:
    """Convert a table of :func:`to_table` back to a LightCurve.

    Parameters
    ----------
    table : Table
        Rows whose time is NaN are left out, like in ``lightkurve.read``.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        A LightCurve equal to the original.

    Raises
    ------
    ExportError
        If :data:`FORM` is not in the table's metadata.
    """
    from astropy.table import Column, MaskedColumn
    from astropy.units import Quantity
    from astropy.utils.masked import Masked

    from lcdb_notebook.lightcurve.convert import lightkurve_classes

    form = table.meta.get(FORM)
    if not isinstance(form, dict):
        raise ExportError(
            "the file was not written by write_lightcurve() or export(); try lightkurve.read or "
            "astropy's Table.read"
        )
    timed = np.isfinite(np.ma.filled(np.ma.asarray(table["time"].data, float), np.nan))
    rows = table if timed.all() else table[timed]
    columns: dict[str, Any] = {}
    for name in rows.colnames:
        column = rows[name]
        if name in form["times"]:
            columns[name] = _time(np.ma.filled(np.ma.asarray(column.data), np.nan), form, name)
        elif name in form["quantities"]:
            values = Quantity(np.ma.getdata(column.data), form["quantities"][name])
            hidden = _hidden(column)
            columns[name] = Masked(values, mask=hidden) if name in form["masked"] else values
        else:
            column.unit = column.description = None
            hidden = _hidden(column)
            masked = name in form["masked"]
            columns[name] = MaskedColumn(column, mask=hidden) if masked else Column(column)
    cls = getattr(lightkurve_classes, form["class"], lightkurve_classes.LightCurve)
    lightcurve: lightkurve.LightCurve = cls(data=columns)
    lightcurve.meta.update({key: value for key, value in table.meta.items() if key != FORM})
    lightcurve.meta.update(
        {key: mask_runs.decode(runs) for key, runs in form.get("masks", {}).items()}
    )
    return lightcurve


def _hidden(column: Any) -> npt.NDArray[np.bool_]:
    """Return the mask of a column that was masked; some formats have NaN instead."""
    if hasattr(column, "mask"):
        return np.asarray(column.mask)
    values = np.asarray(column)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)


def numeric_format(lightcurve: lightkurve.LightCurve, time_format: str | None = None) -> str:
    """Return a time format in which a light curve's times are plain float64 numbers.

    This is ``time_format`` if it is numeric, else the mission's format, else "mjd", which is
    accurate to half a microsecond.
    """
    from astropy.time.formats import TimeFromEpoch, TimeNumeric

    from lcdb_notebook.lightcurve.convert import lightkurve_classes  # noqa: F401 - registers btjd and bkjd

    if time_format is not None:
        known = type(lightcurve.time).FORMATS[time_format]
        if issubclass(known, TimeFromEpoch | TimeNumeric):
            return time_format
    mission = missions.named(lightcurve.meta.get("MISSION"), lightcurve.meta.get("TELESCOP"))
    return "mjd" if mission is None else mission.clock.format_name


def _check(lightcurve: Any) -> None:
    from lightkurve import FoldedLightCurve, LightCurve

    name = type(lightcurve).__name__
    if isinstance(lightcurve, FoldedLightCurve):
        raise ExportError(
            f"lightcurve must have times, got a {name} with phases; write it before folding, and "
            "fold after reading"
        )
    if not isinstance(lightcurve, LightCurve):
        raise ExportError(f"lightcurve must be a lightkurve LightCurve, got a {name}")


def _class_name(lightcurve: Any) -> str:
    """Return the name of its class in lightkurve."""
    names = [cls.__name__ for cls in type(lightcurve).__mro__]
    return next(n for n in names if n in ("TessLightCurve", "KeplerLightCurve", "LightCurve"))


def _numbers(
    time: Time, counted_in: str, *, in_tdb: bool
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Return times as numbers, NaN where masked, and the metadata that are needed to read them."""
    scaled = time.tdb if in_tdb else time
    numbers = scaled.value if time.format == counted_in else scaled.to_value(counted_in)
    plain = np.asarray(getattr(numbers, "unmasked", numbers), dtype=np.float64)
    values = np.where(np.broadcast_to(np.asarray(time.mask), time.shape), np.nan, plain)
    known = type(time).FORMATS[counted_in]
    length = float(getattr(known, "unit", 1.0))
    about = {
        "format": counted_in,
        "shown": time.format,
        "scale": scaled.scale,
        "unit": _TIME_UNITS.get(length, "d"),
    }
    if known.__module__ == Clock.__module__:
        # The mission's format is not part of astropy, and readers of the file may not have the
        # database.
        epoch = Decimal(float(known.epoch_val)) + Decimal(float(known.epoch_val2 or 0.0))
        about |= {"epoch": str(epoch), "epoch_scale": known.epoch_scale, "length": length}
    return values, about


def _time(values: npt.NDArray[np.float64], form: dict[str, Any], name: str) -> Time:
    from astropy.time import Time

    about = form["times"][name]
    if "epoch" in about:
        unit = about["unit"] if about["length"] in _TIME_UNITS else f"{about['length']} d"
        epoch = Decimal(about["epoch"])
        Clock(about["format"], unit, epoch, "jd", about["epoch_scale"]).time_format()
    time = Time(values, format=about["format"], scale=about["scale"])
    if about["shown"] != about["format"]:
        time.format = about["shown"]
    return time


def _plain(
    name: str, column: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, Any | None]:
    """Return values, mask and unit of a column; mask and unit may be None."""
    mask = getattr(column, "mask", None)
    bare = getattr(column, "unmasked", column)
    unit = getattr(bare, "unit", None) if hasattr(bare, "to_value") else None
    values = np.ma.getdata(np.asarray(getattr(bare, "value", bare)))
    if values.dtype.kind not in "biufSU" or values.ndim != 1:
        raise ExportError(
            f"column {name!r} must have a number or text per cadence, got {type(column).__name__} "
            f"of dtype {values.dtype} and shape {values.shape}; call remove_column({name!r})"
        )
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return native, None if mask is None else np.asarray(mask), unit


_PLAIN = (str, int, float, complex, list, tuple, dict, np.ndarray)


def _metadatum(value: Any) -> Any:
    """Return a value of the metadata as a Python type."""
    if type(value).__name__ == "Undefined":
        # A FITS card without a value.
        return None
    if isinstance(value, np.generic):
        return value.item()
    # Comments of FITS headers, for example, have a special class.
    return value if value is None or isinstance(value, _PLAIN) else str(value)
