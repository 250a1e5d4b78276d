"""Read QLP's files of a whole orbit: quality flags per CCD, pointing per camera."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import IntVector, SharedData
from lcdb_notebook.ingest.readers.hdf5 import LONGEST
from lcdb_notebook.ingest.readers.table import file_content

FLAG_TYPE = "qlp_orbit_flag"
"""Type of the flags in ``cam1ccd1_qflag.txt``: :class:`lcdb_notebook.flags.QLPOrbitFlag`."""

_LARGEST = 16 * 1024 * 1024
"""Size limit of text files, in bytes; real files have 1 MB."""


def shared_files(path: Path, camera: int, ccd: int) -> SharedData | None:
    """Find and read the files with data for all stars on the CCD of a light curve.

    Parameters
    ----------
    path
        Path of the light curve: ``.../ffi/cam1/ccd1/LC/176220787.h5``.
    camera, ccd
        1 to 4.

    Returns
    -------
    SharedData
        The flags of ``.../ffi/run/cam1ccd1_qflag.txt`` (a cadence and a flag per line), and the
        quaternions of ``cam1_quat_full.txt`` or else ``cam1_quat_for_frames.txt`` (comma-separated,
        with a header line), gzip-compressed or not; None if there are no such files.

    Raises
    ------
    IngestError
        If such a file is invalid.
    """
    parents = path.absolute().parents
    if len(parents) < 4:
        return None
    run = parents[3] / "run"
    flags = _found(run, f"cam{camera}ccd{ccd}_qflag.txt")
    names = (f"cam{camera}_quat_full.txt", f"cam{camera}_quat_for_frames.txt")
    pointing = next((file for name in names if (file := _found(run, name))), None)
    if flags is None and pointing is None:
        return None
    cadence, quality = np.empty(0, np.int64), {}
    if flags is not None:
        cadence, bits = _flags(*_version(flags))
        quality = {FLAG_TYPE: bits}
    fields = {}
    if pointing is not None:
        fields["spacecraft_quaternion"] = _quaternions(*_version(pointing))
    return SharedData(cadence, quality, fields)


def _found(folder: Path, name: str) -> Path | None:
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _version(path: Path) -> tuple[Path, int, int]:
    """Return path, time and size of a file as a cache key; thousands of light curves share it."""
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=32)
def _flags(path: Path, _changed: int, _size: int) -> tuple[IntVector, Any]:
    rows = _rows(path, _text(path).replace(",", " ").splitlines(), None)
    if rows.shape[1] != 2:
        raise IngestError(f"{path} must have the columns cadence and flag, got {rows.shape[1]}")
    cadence, bits = _integers(path, rows[:, 0], 2**62), _integers(path, rows[:, 1], 2**31 - 1)
    order = _order(path, cadence)
    cadence, flags = cadence[order], bits[order].astype(np.int32)
    cadence.setflags(write=False)
    flags.setflags(write=False)
    return cadence, flags


@lru_cache(maxsize=32)
def _quaternions(path: Path, _changed: int, _size: int) -> dict[str, list[Any]]:
    head, *lines = _text(path).splitlines()
    names = [name.strip() for name in head.split(",")]
    if not all(re.fullmatch(r"[a-z]\w{0,30}", name) for name in names) or len(names) > 32:
        raise IngestError(f"the first line of {path} must have the names of its columns")
    if "cadence" not in names or len(set(names)) != len(names):
        raise IngestError(
            f"{path} must have a column cadence and no duplicates, got {', '.join(names)}"
        )
    rows = _rows(path, lines, ",")
    if rows.shape[1] != len(names):
        raise IngestError(f"{path} has {rows.shape[1]} columns and {len(names)} names")
    order = _order(path, _integers(path, rows[:, names.index("cadence")], 2**62))
    columns: dict[str, list[Any]] = {}
    for name, values in sorted(zip(names, rows[order].T, strict=True), key=_cadence_first):
        if name in ("cadence", "flag"):
            columns[name] = _integers(path, values, 2**62).tolist()
        else:
            # JSON has neither NaN nor infinity.
            columns[name] = [v if np.isfinite(v) else None for v in values.tolist()]
    return columns


def _cadence_first(column: tuple[str, Any]) -> bool:
    return column[0] != "cadence"


def _text(path: Path) -> str:
    content = file_content(path, _LARGEST)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise IngestError(f"{path} is not a text file ({error})") from error
    if not text.strip():
        raise IngestError(f"{path} is empty")
    return text


def _rows(path: Path, lines: list[str], delimiter: str | None) -> Any:
    lines = [line for line in lines if line.strip()]
    if not 0 < len(lines) <= LONGEST:
        raise IngestError(f"{path} must have 1 to {LONGEST} lines of numbers, got {len(lines)}")
    try:
        return np.loadtxt(lines, np.float64, delimiter=delimiter, ndmin=2, comments=None)
    except ValueError as error:
        raise IngestError(f"{path} is not a table of numbers ({error})") from error


def _integers(path: Path, values: Any, largest: int) -> IntVector:
    good = np.isfinite(values) & (values >= 0) & (values <= largest)
    numbers: IntVector = np.where(good, values, 0).astype(np.int64)
    wrong = ~good | (numbers != values)
    if wrong.any():
        raise IngestError(f"{path} must have non-negative integers, got {values[wrong][0]}")
    return numbers


def _order(path: Path, cadence: IntVector) -> Any:
    order = np.argsort(cadence, kind="stable")
    ordered = cadence[order]
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise IngestError(f"{path} has cadence {twice[0]} in more than one line")
    return order
