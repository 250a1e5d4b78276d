"""Write and read ECSV, Parquet and CSV files of one light curve."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import ExportError
from lcdb_notebook.read.export.table import FORM

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["read_csv", "read_ecsv", "read_parquet", "write_csv", "write_ecsv", "write_parquet"]

_HEAD = "# light curve written by lcdb_notebook; pandas.read_csv(path, comment='#')"
_MARK = "# meta: "


def write_ecsv(table: Table, path: Path, *, compressed: bool = False) -> None:
    """Write a table as ECSV: text with units, masks and metadata (APE 6)."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    _write_text(text.getvalue(), path, compressed)


def read_ecsv(path: Path) -> Table:
    """Read a file of :func:`write_ecsv`."""
    from astropy.table import Table

    table: Table = Table.read(_read_text(path).splitlines(), format="ascii.ecsv")
    return table


def write_parquet(table: Table, path: Path) -> None:
    """Write a table as Parquet with astropy: units and metadata are in the schema.

    Masks are separate columns, ``flux.mask``.
    """
    table.write(str(path), format="parquet", overwrite=True)


def read_parquet(path: Path) -> Table:
    """Read a file of :func:`write_parquet`."""
    from astropy.table import Table

    table: Table = Table.read(str(path), format="parquet")
    return table


def write_csv(table: Table, path: Path, *, compressed: bool = False) -> None:
    """Write a table as CSV, with units and metadata in comments above the column names.

    Floats are written with all digits. Masked elements and NaN are empty; arrays in the metadata
    are left out. ECSV with commas takes 1.3 times as long to write and 2.2 times as long to read
    (20,000 cadences).
    """
    form = dict(table.meta[FORM])
    form["dtypes"] = {name: table[name].dtype.str[1:] for name in table.colnames}
    meta = {key: value for key, value in table.meta.items() if key != FORM and _is_plain(value)}
    units = {n: u.to_string() for n in table.colnames if (u := table[n].unit) is not None}
    lines = [_HEAD, *(f"# unit of {name}: {unit}" for name, unit in units.items() if unit)]
    lines.append(_MARK + json.dumps({"form": form, "meta": meta}))
    body = table.to_pandas().to_csv(index=False, lineterminator="\n")
    _write_text("\n".join(lines) + "\n" + body, path, compressed)


def read_csv(path: Path) -> Table:
    """Read a file of :func:`write_csv`.

    Raises
    ------
    ExportError
        If the comments with units and metadata are missing.
    """
    import pandas as pd
    from astropy.table import MaskedColumn, Table

    text = _read_text(path)
    head = [line for line in text.splitlines()[:1000] if line.startswith(_MARK)]
    if not head:
        raise ExportError(
            f"{path} does not begin with the comments of write_lightcurve(); pandas.read_csv reads "
            "its columns"
        )
    about = json.loads(head[0].removeprefix(_MARK))
    form = about["form"]
    frame = pd.read_csv(
        io.StringIO(text),
        comment="#",
        # Also floats, which NumPy converts exactly; pandas before 3.1 rounds them by default.
        dtype={n: str for n, kind in form["dtypes"].items() if kind[0] in "SUf"},
        keep_default_na=True,
    )
    table = Table()
    for name, kind in form["dtypes"].items():
        series = frame[name]
        if kind[0] == "f":
            # Masked elements are read as NaN; from_table() masks them again.
            table[name] = series.to_numpy().astype(kind)
            continue
        missing = series.isna().to_numpy()
        values = series.fillna("" if kind[0] in "SU" else 0).to_numpy().astype(kind)
        table[name] = MaskedColumn(values, mask=missing) if missing.any() else values
    table.meta.update(about["meta"])
    table.meta[FORM] = form
    return table


def _write_text(text: str, path: Path, compressed: bool) -> None:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if compressed else raw)


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode()


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
