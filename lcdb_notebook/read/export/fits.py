"""Write FITS files in the missions' light-curve convention, which lightkurve.read can read.

Sources: TESS Science Data Products Description Document (EXP-TESS-ARC-ICD-0014), section 5 "Light
Curve Files"; Kepler Archive Manual (KDMC-10008), section 2.3.1; FITS Standard 4.0.
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.lightcurve.missions import KnownMission
from lcdb_notebook.read.export import cards
from lcdb_notebook.read.export.table import FORM

if TYPE_CHECKING:
    from astropy.io.fits import BinTableHDU, Column, Header
    from astropy.table import Table

__all__ = ["CREATOR", "lightkurve_format", "read", "write"]

CREATOR = "lcdb_notebook LightCurve export"
"""Header card CREATOR; lightkurve.io.detect looks for "lightcurve" in it."""

# Origins by which lightkurve.io.detect recognises these pipelines and sets the author. For other
# origins, it sets "SPOC" (or "TESS-SPOC", depending on the file name).
_ORIGINS = {"QLP": "lcdb_notebook, from MIT/QLP", "TGLC": "UCSB/TGLC"}

_CODES = {"b1": "L", "u1": "B", "i1": "I", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}


def lightkurve_format(meta: Any) -> str | None:
    """Return the time format that lightkurve's reader of a mission expects, or None."""
    mission = _mission(meta)
    return None if mission is None else mission.clock.format_name


def write(table: Table, path: Path, *, compressed: bool = False) -> None:
    """Write a table of :func:`lcdb_notebook.read.export.table.to_table`.

    Parameters
    ----------
    table : Table
        Table with times in the format of :func:`lightkurve_format`, unless that is None, in TDB.
    path : pathlib.Path
        Path of the file, which is overwritten if it exists.
    compressed : bool, default False
        Compress with gzip, regardless of the name.

    Notes
    -----
    The file has a primary header with the metadata, and one binary table LIGHTCURVE: TIME (float64,
    NaN if missing), FLUX, FLUX_ERR, CADENCENO, QUALITY (SAP_QUALITY for Kepler, as its reader
    requires), then all other columns. lightkurve's reader of QLP files takes the errors from
    KSPSAP_FLUX_ERR or, from sector 56, from DET_FLUX_ERR, so they are also written to these
    columns. CHECKSUM and DATASUM are set.
    """
    from astropy.io import fits

    # Masks cannot be stored in a header.
    form = {key: value for key, value in table.meta[FORM].items() if key != "masks"}
    columns, form["columns"] = _columns(table)
    hdu: BinTableHDU = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    _put_times(hdu.header, table)
    for key in ("TELESCOP", "OBJECT"):
        if isinstance(table.meta.get(key), str):
            cards.put(hdu.header, key, table.meta[key])
    files = fits.HDUList([fits.PrimaryHDU(header=_primary(table, form)), hdu])
    # Verification takes an eighth of the time, and these headers are always valid.
    options = {"checksum": True, "output_verify": "ignore"}
    if compressed:
        with gzip.GzipFile(path, "wb", mtime=0) as packed:
            files.writeto(packed, **options)
    else:
        with path.open("wb") as plain:
            files.writeto(plain, **options)


def read(path: Path) -> Table:
    """Read a table from a file of :func:`write`.

    Raises
    ------
    ExportError
        If another program wrote the file.
    """
    from astropy.io import fits
    from astropy.table import MaskedColumn, Table

    with fits.open(path, memmap=False) as hdus:
        meta, form = cards.read(hdus[0].header)
        if form is None or len(hdus) < 2:
            raise ExportError(
                f"{path} was not written by write_lightcurve() or export(); try lightkurve.read"
            )
        data, header = hdus[1].data, hdus[1].columns
        table = Table()
        for name, column in form["columns"].items():
            values = np.asarray(data[column])
            native = values.astype(values.dtype.newbyteorder("="))
            null = header[column].null
            if null is not None:
                table[name] = MaskedColumn(native, mask=native == null)
            else:
                table[name] = native
    table.meta.update(meta)
    table.meta[FORM] = form
    return table


def _columns(table: Table) -> tuple[list[Column], dict[str, str]]:
    """Return the columns of the file, and their names by the LightCurve's columns."""
    names = {name: name.upper() for name in table.colnames}
    if len(set(names.values())) < len(names):
        raise ExportError(
            f"column names must differ by more than case in FITS, got {table.colnames}"
        )
    mission, meta = _mission(table.meta), table.meta
    extra: dict[str, str] = {}
    no_flags: tuple[str, ...] = ()
    flagless = False
    if mission is not None:
        flag_type = str(meta.get("QUALITY_TYPE") or "")
        # lightkurve would leave out cadences whose flags are masked, as after bin().
        flagless = hasattr(table["quality"], "filled") if "quality" in names else False
        quality = mission.quality_column
        # lightkurve's readers apply TessQualityFlags and KeplerQualityFlags to this column. Other
        # bits would be interpreted as spacecraft flags, and good cadences would be dropped.
        if "quality" in names and flag_type and not _same_presets(flag_type, mission.flag_type):
            names["quality"] = flag_type.upper()
        if quality not in names.values():
            if "quality" in names and names["quality"] == "QUALITY":
                names["quality"] = quality
            else:
                no_flags = (quality,)
        if meta.get("AUTHOR") == "QLP" and "flux_err" in names:
            sector = meta.get("SECTOR")
            late = isinstance(sector, int) and sector >= 56
            error = "DET_FLUX_ERR" if late else "KSPSAP_FLUX_ERR"
            own = error.lower()
            if own in names and not _equal(table[own], table["flux_err"]):
                # QLP's reader takes the errors of this flux only from this column.
                names[own] = f"{error}_AS_READ"
            if error not in names.values():
                extra[error] = "flux_err"
    made = [
        _column(column, table[name].filled(0) if name == "quality" and flagless else table[name])
        for name, column in names.items()
    ]
    made += [_column(column, table[name]) for column, name in extra.items()]
    made += [_column(column, np.zeros(len(table), np.int32)) for column in no_flags]
    return made, names


def _column(name: str, column: Any) -> Column:
    from astropy.io import fits

    values = np.ma.getdata(np.asarray(getattr(column, "data", column)))
    mask = np.ma.getmaskarray(np.ma.asarray(column))
    null = None
    if values.dtype.kind in "SU":
        text = np.char.encode(values, "ascii") if values.dtype.kind == "U" else values
        return fits.Column(name, f"{max(1, text.dtype.itemsize)}A", array=text)
    kind = values.dtype.str[1:]
    if kind == "i1":
        values = values.astype(np.int16)
    elif kind in ("u2", "u4", "u8"):
        wide = np.int32 if kind == "u2" else np.int64
        if values.size and int(values.max()) > np.iinfo(np.int64).max:
            raise ExportError(f"column {name}: FITS cannot hold integers above 63 bits")
        values, kind = values.astype(wide), np.dtype(wide).str[1:]
    elif kind not in _CODES:
        values, kind = values.astype(np.float64), "f8"
    if mask.any() and values.dtype.kind == "f":
        values = np.where(mask, np.nan, values)
    elif mask.any() and values.dtype.kind in "iu":
        null = int(np.iinfo(values.dtype).min) if kind != "u1" else 255
        values = np.where(mask, np.asarray(null, values.dtype), values)
    unit = getattr(column, "unit", None)
    return fits.Column(
        name, _CODES[kind], unit=None if unit is None else _unit(unit), null=null, array=values
    )


def _equal(one: Any, other: Any) -> bool:
    def plain(column: Any) -> Any:
        return np.ma.filled(np.ma.asarray(column.data, float), np.nan)

    return np.array_equal(plain(one), plain(other), equal_nan=True)


def _unit(unit: Any) -> str | None:
    """Return a unit in FITS notation (section 4.3), if possible, else in astropy's."""
    from astropy.units import electron, s

    if unit == electron / s:
        # As in the files of the missions; lightkurve expects it.
        return "e-/s"

    try:
        text = unit.to_string("fits")
    except ValueError:
        text = unit.to_string()
    return text or None


def _put_times(header: Header, table: Table) -> None:
    about = table.meta[FORM]["times"]["time"]
    whole, rest = _reference(about)
    time = np.asarray(table["time"].data)
    finite = time[np.isfinite(time)]
    header["TIMEREF"] = ("SOLARSYSTEM", "barycentric correction applied to times")
    header["TIMESYS"] = (about["scale"].upper(), "time system")
    header["BJDREFI"] = (whole, "integer part of BJD reference date")
    header["BJDREFF"] = (rest, "fraction of the day in BJD reference date")
    header["TIMEUNIT"] = (about["unit"], "time unit for TIME, TSTART and TSTOP")
    if finite.size:
        header["TSTART"] = (float(finite.min()), "first time")
        header["TSTOP"] = (float(finite.max()), "last time")
    exposure = table.meta.get("EXPTIME")
    if isinstance(exposure, int | float) and not isinstance(exposure, bool):
        header["TIMEDEL"] = (exposure / 86400, "[d] time resolution of data")


def _reference(about: dict[str, Any]) -> tuple[int, float]:
    """Return the Julian date of the times' epoch, as whole days and a fraction."""
    from astropy.time import Time

    start = Time(0.0, format=about["format"], scale=about["scale"])
    days = round(float(start.jd1 + start.jd2) - 0.25)
    return days, float((start.jd1 - days) + start.jd2)


def _primary(table: Table, form: dict[str, Any]) -> Header:
    from astropy.io import fits

    meta = {key: value for key, value in table.meta.items() if key != FORM}
    header = fits.Header()
    header["NEXTEND"] = (1, "number of standard extensions")
    header["ORIGIN"] = (_ORIGINS.get(str(meta.get("AUTHOR")), "lcdb_notebook"), "of this file")
    header["DATE"] = (datetime.now(UTC).date().isoformat(), "file creation date")
    header["CREATOR"] = (CREATOR, "software that wrote this file")
    header["PROCVER"] = (metadata.version("lcdb-notebook"), "its version")
    mission = _mission(meta)
    if mission is not None:
        header["TELESCOP"] = (mission.telescope, "telescope")
    # lightkurve's reader reads label, target, RA and Dec from these cards.
    for card, keys in {
        "OBJECT": ("LABEL", "OBJECT"),
        "RA_OBJ": ("RA", "RA_OBJ"),
        "DEC_OBJ": ("DEC", "DEC_OBJ"),
        _target_key(meta, mission): ("TARGETID",),
    }.items():
        value = next((meta[key] for key in keys if meta.get(key) is not None), None)
        if card and value is not None:
            cards.put(header, card, value)
    cards.write(header, meta, form)
    return header


def _mission(meta: Any) -> KnownMission | None:
    """Return the mission whose reader lightkurve uses; K2 files are read as Kepler files."""
    return missions.named(meta.get("TELESCOP"), meta.get("MISSION"))


def _target_key(meta: Any, mission: KnownMission | None) -> str:
    """Return the card that lightkurve reads as TARGETID, if the number is in that catalog."""
    expected = "" if mission is None else mission.catalog_key
    catalog = str(meta.get("LABEL") or "").rpartition(" ")[0]
    if catalog and missions.catalog_key(catalog) != expected:
        return ""
    return expected


def _same_presets(flag_type: str, readers: str) -> bool:
    """Return whether the presets of two flag types agree in the named bits of the first type."""
    if flag_type == readers or flag_type not in flags.types():
        return flag_type == readers
    if flag_type.startswith("qlp_quality_flag"):
        # lightkurve.io.qlp adds QLP's own bit to the presets.
        return True
    named = 0
    for flag in flags.flag_class(flag_type):
        named |= flag.value
    reader_presets, type_presets = flags.presets(readers), flags.presets(flag_type)
    return all(
        (reader_presets[preset] ^ type_presets[preset]) & named == 0 for preset in type_presets
    )
