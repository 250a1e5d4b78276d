"""Write the light curves of each target and observation side by side into one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert.columns import bitmask_text
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import by_pair
from lcdb_notebook.read.export.atomic_write import atomic_write
from lcdb_notebook.read.export.folder import find, ready
from lcdb_notebook.read.export.manifest import Manifest, fingerprint
from lcdb_notebook.read.export.naming import table_name
from lcdb_notebook.read.export.parquet import require_pyarrow
from lcdb_notebook.read.export.written import Status, Written
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

__all__ = ["TABLES", "write_wide"]

# Increased when the contents of files change, so that older files are written again.
_EDITION = 1


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    units = [f"# unit of {name}: {unit}\n" for name, unit in _units(frame).items() if unit]
    body = frame.to_csv(index=False, lineterminator="\n")
    path.write_text("".join(units) + body, encoding="utf-8", newline="")


def _write_ecsv(frame: pd.DataFrame, path: Path) -> None:
    _table(frame).write(path, format="ascii.ecsv")


def _write_fits(frame: pd.DataFrame, path: Path) -> None:
    table = _table(frame)
    table.meta = {"EXTNAME": "LIGHTCURVES", **table.meta}
    table.write(path, format="fits")


def _write_hdf5(frame: pd.DataFrame, path: Path) -> None:
    _table(frame).write(path, format="hdf5", path="lightcurves", serialize_meta=True)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    require_pyarrow()
    frame.to_parquet(path, index=False)


TABLES: dict[str, Callable[[Any, Path], None]] = {
    "fits": _write_fits,
    "ecsv": _write_ecsv,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "hdf5": _write_hdf5,
}
"""By format, a function that writes a DataFrame of :func:`convert.to_wide` to a path."""


def write_wide(
    search: Search,
    folder: str | Path,
    *,
    format: str,  # noqa: A002 - named as in export()
    quality_bitmask: flags.Bitmask,
    flagged: Flagged,
    time_format: str | None,
    overwrite: bool,
    on_error: OnError,
    progress: bool | None,
    **_without_effect: object,
) -> pd.DataFrame:
    """Write a file for each target and observation, with a column for each light curve.

    Parameters
    ----------
    search, folder, quality_bitmask, flagged, time_format, overwrite, on_error, progress
        The arguments of :func:`lcdb_notebook.read.export.export`, whose errors it raises.
    format : str
        One of :data:`TABLES`.

    Returns
    -------
    pandas.DataFrame
        The report of :func:`lcdb_notebook.read.export.export`.
    """
    settings: dict[str, Any] = {
        "quality_bitmask": quality_bitmask,
        "flagged": flagged,
        "time_format": time_format,
    }
    rows, missions, database = find(search)
    where = ready(Path(folder).expanduser())
    made_from = {
        **settings,
        "quality_bitmask": bitmask_text(quality_bitmask),
        "edition": _EDITION,
        "database": database,
    }
    written = Written()
    with Manifest(where) as manifest, Progress(rows.size, "light curve", progress) as bar:
        for found in rows.found:
            tables = _tables(found, missions, made_from, format)
            sizes = [None if overwrite else manifest.has(one.name, one.made) for one in tables]
            missing = [
                row
                for one, size in zip(tables, sizes, strict=True)
                if size is None
                for row in one.rows
            ]
            with Progress(0, "light curve", False) as silent:
                read = outcomes(
                    search.sessions.session_scope,
                    [replace(found, rows=missing)],
                    missions,
                    bar=silent,
                )
                for one, size in zip(tables, sizes, strict=True):
                    path = where / one.name
                    if size is not None:
                        written.add(one.rows, *[(str(path), "kept", size, "")] * len(one.rows))
                        continue
                    good, reasons = _readable(read, len(one.rows), on_error)
                    if good:
                        frame = convert.to_wide(good, **settings)
                        with atomic_write(path) as part:
                            TABLES[format](frame, part)
                            size = part.stat().st_size
                        manifest.add(one.name, size, one.made)
                    statuses: list[Status] = [
                        (str(path), "skipped" if why else "written", None if why else size, why)
                        for why in reasons
                    ]
                    written.add(one.rows, *statuses)
                    bar.show(len(written))
    return written.report()


class _Wide(NamedTuple):
    """A table of the export: its name, its fingerprint, and the rows of its columns."""

    name: str
    made: str
    rows: list[Row]


def _tables(
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    made_from: Mapping[str, Any],
    format: str,  # noqa: A002 - named as in export()
) -> list[_Wide]:
    """Return the tables of some rows, with fingerprints of their contents."""
    tables = []
    for (_, observation), rows in by_pair(found.rows):
        about, cadences = found.observations[observation]
        mission, _ = missions.get(rows[0].host_mission_id, ("", None))
        made = {
            **made_from,
            "target": (rows[0].catalog, rows[0].target, mission),
            "observation": (observation, dict(about.fields), about.instrument, cadences),
            "curves": [(r.dataset, r.photometry, r.processing, r.unit) for r in rows],
        }
        name = table_name(rows[0], mission, about, format)
        tables.append(_Wide(name, fingerprint(made), rows))
    return tables


def _readable(
    read: Iterator[LightCurveData | DataError], number: int, on_error: OnError
) -> tuple[list[LightCurveData], list[str]]:
    """Take a number of light curves; return the readable ones, and for each why it is not."""
    good: list[LightCurveData] = []
    reasons: list[str] = []
    for _ in range(number):
        one = next(read)
        if isinstance(one, LightCurveData):
            good.append(one)
            reasons.append("")
        elif on_error == "raise":
            raise one
        else:
            reasons.append(str(one))
    return good, reasons


def _units(frame: pd.DataFrame) -> dict[str, str]:
    return {name: found[0] for name, found in frame.attrs.get("units", {}).items()}


def _table(frame: pd.DataFrame) -> Table:
    """Return an astropy Table, with units and metadata that FITS headers can hold."""
    from astropy.table import Column, Table

    units = _units(frame)
    table = Table()
    for name in frame.columns:
        values: Any = frame[name].to_numpy()
        if values.dtype.kind == "O":
            values = values.astype(str)
        table[str(name)] = Column(values, unit=units.get(str(name)) or None)
    inferred: Sequence[str] = frame.attrs.get("unit_inferred", ())
    table.meta = {
        "MISSION": frame.attrs.get("mission", ""),
        "TIMEFORM": frame.attrs.get("time_format", ""),
        "TIMESYS": str(frame.attrs.get("time_scale", "")).upper(),
    }
    if inferred:
        table.meta["INFERRED"] = json.dumps([*inferred])
    return table
