"""The list of complete files of an export, from which the next call continues."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lcdb_notebook.errors import ExportError

__all__ = ["MANIFEST", "Manifest", "fingerprint"]

MANIFEST = "_exported.jsonl"
"""File name; readers of datasets (pyarrow, DuckDB, Spark) skip names that begin with "_"."""


class Manifest:
    """One line of JSON per file: its name, its size, and a fingerprint of its contents.

    A line is written after its file. If the export is killed in between, the file has no line and
    is written again. Use it as a context manager.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = _read(folder / MANIFEST)
        try:
            self._file = (folder / MANIFEST).open("ab", buffering=0)
            # The next line must not be appended to an incomplete one.
            if self._file.tell() and not _ends_with_a_line(folder / MANIFEST):
                self._file.write(b"\n")
        except OSError as error:
            raise ExportError(
                f"{folder / MANIFEST} cannot be written: {error.strerror or error}"
            ) from error

    def has(self, name: str, made_from: str) -> int | None:
        """Return the size of a complete file with this fingerprint; None if there is none."""
        if name not in self._known or self._known[name][1] != made_from:
            return None
        try:
            size = (self._folder / name).stat().st_size
        except OSError:
            return None
        return size if size == self._known[name][0] else None

    def add(self, name: str, size: int, made_from: str) -> None:
        """Add a file, after it was written completely."""
        line = json.dumps({"file": name, "bytes": size, "made_from": made_from})
        try:
            self._file.write(line.encode() + b"\n")
        except OSError as error:
            raise ExportError(
                f"{self._folder / MANIFEST} cannot be written: {error.strerror or error}"
            ) from error
        self._known[name] = (size, made_from)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that change when any of the settings changes.

    Examples
    --------
    >>> fingerprint({"format": "fits"}) == fingerprint({"format": "ecsv"})
    False
    """
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, tuple[int, str]]:
    known: dict[str, tuple[int, str]] = {}
    if not path.exists():
        return known
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
                known[str(entry["file"])] = (int(entry["bytes"]), str(entry["made_from"]))
            except (ValueError, KeyError, TypeError):
                # The line is incomplete because the process was killed, so its file counts as
                # missing.
                continue
    return known


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
