"""The folder with the finished results of a map, from which the next call continues."""

from __future__ import annotations

import hashlib
import json
import time
import types
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lcdb_notebook.errors import ExportError, optional
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.export.atomic_write import atomic_write, remove_stale
from lcdb_notebook.read.parallel.results import Outcome, frame_of_parts
from lcdb_notebook.read.parallel.unifying import unified
from lcdb_notebook.search.explain import criteria_text
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST", "SECONDS", "Checkpoint", "identity_of"]

SECONDS = 30.0
"""Seconds after which finished results are written; so much work is lost if the kernel is killed"""

MOST = 10_000
"""Number of finished results that are written even earlier, so that they do not fill the memory."""

# Readers of datasets (pyarrow, DuckDB, Dask) skip names that begin with "_".
_IDENTITY = "_map.json"

# Depth to which functions that the function calls are compared.
_DEPTH = 5


def identity_of(search: Search, url: sa.URL, told: Mapping[str, Any]) -> dict[str, str]:
    """Describe a map by its database, search, function and options.

    Parameters
    ----------
    search : Search
        The light curves.
    url : sqlalchemy.URL
        The database.
    told : mapping
        The function, under ``function``, and the options that change the results.
    """
    rows = (search.limit, search.offset)
    options = {name: value for name, value in told.items() if name != "function"}
    function = told["function"]
    name = getattr(function, "__qualname__", type(function).__qualname__)
    part = "" if search.is_whole() else f", part {rows}"
    return {
        "database": url.set(username=None, password=None).render_as_string(),
        "search": f"{criteria_text(search.criteria)}{part} ({_digest((search.criteria, rows))})",
        "function": f"{name} ({_digest(_code(function))})",
        "options": ", ".join(f"{name}={value!r}" for name, value in options.items()),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def _code(function: Any, depth: int = _DEPTH) -> tuple[object, ...]:
    """Describe what a function does, so that it is the same in another process.

    It includes the numbers, texts and functions of the same module that it refers to, and the
    arguments of ``functools.partial``. What it imports, and its other objects, are not included.
    """
    if hasattr(function, "func") and hasattr(function, "keywords"):
        return (_code(function.func, depth), repr(function.args), repr(function.keywords))
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return (type(function).__module__, type(function).__qualname__)
    known = {name: function.__globals__.get(name) for name in sorted(_names(function.__code__))}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    known |= {name: cell.cell_contents for name, cell in cells}
    uses = [
        (name, value if _is_plain(value) else _code(value, depth - 1))
        for name, value in known.items()
        if _is_plain(value)
        or (
            isinstance(value, types.FunctionType)
            and value.__module__ == function.__module__
            and depth > 0
        )
    ]
    return (_parts(function.__code__), repr(function.__defaults__), tuple(uses))


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float | complex | str | bytes)


def _names(code: types.CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return {*code.co_names, *(name for one in inner for name in _names(one))}


def _parts(code: types.CodeType) -> tuple[object, ...]:
    """Return what a piece of code does, without its file and lines."""
    constants = tuple(
        _parts(one)
        if isinstance(one, types.CodeType)
        else (sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    )
    return (code.co_code, constants, code.co_names, code.co_varnames)


class Checkpoint:
    """Finished results in a folder of Parquet files.

    Parameters
    ----------
    folder : str or pathlib.Path
        Created if it does not exist.
    identity : mapping of str to str
        What :func:`identity_of` returned.
    now : callable, optional
        The time in seconds.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    ExportError
        If the folder has results of another search or function, or cannot be read or written.
    """

    def __init__(
        self,
        folder: str | Path,
        identity: Mapping[str, str],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        optional.required("pyarrow.parquet", extra="parquet", needed_by="map(checkpoint=...)")
        import pandas as pd

        self._folder = Path(folder).expanduser()
        self._now = now
        self._parts: list[tuple[Found, Sequence[Outcome]]] = []
        self._since = now()
        _prepare(self._folder, identity)
        found = [_read(path, columns=["dataset"]) for path in self._files()]
        self._finished = (
            pd.Index(pd.concat(found)["dataset"].unique()) if found else pd.Index([], dtype=object)
        )
        self._number = len(self._finished)

    def __len__(self) -> int:
        """Return how many results there are."""
        return self._number

    def missing(self, found: Found) -> Found:
        """Return the rows that have no result in the folder."""
        import pandas as pd

        self._write_if_due()
        if not len(self._finished):
            return found
        ids = pd.Index([row.dataset for row in found.rows], dtype=self._finished.dtype)
        finished = ids.isin(self._finished)
        rows = [row for row, done in zip(found.rows, finished, strict=True) if not done]
        return replace(found, rows=rows)

    def add(self, found: Found, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of rows, and write them if the last ones were written long ago."""
        self._parts.append((found, outcomes))
        self._number += len(outcomes)
        self._write_if_due()

    def flush(self) -> None:
        """Write what was added.

        Raises
        ------
        ExportError
            If Parquet cannot hold the results, or the folder cannot be written to.
        """
        self._since = self._now()
        if not self._parts:
            return
        parts, self._parts = self._parts, []
        frame = frame_of_parts(parts)
        path = self._folder / f"part-{time.time_ns()}-{uuid.uuid4().hex[:8]}.parquet"
        with atomic_write(path) as part:
            try:
                frame.to_parquet(part, engine="pyarrow", index=False)
            except (ValueError, TypeError, NotImplementedError) as error:
                raise ExportError(
                    f"checkpoint= stores results as Parquet, which cannot hold these: {error}; "
                    "return numbers, texts or one-dimensional arrays"
                ) from error

    def frames(self) -> list[pd.DataFrame]:
        """Return all results in the folder."""
        return [_read(path) for path in self._files()]

    def datasets(self) -> set[DataSetId]:
        """Return the DataSets that have a result in the folder."""
        self.flush()
        parts = (_read(path, columns=["dataset"]) for path in self._files())
        return {dataset for part in parts for dataset in part["dataset"]}

    def files(self) -> pd.DataFrame:
        """Make all files one table for other programs, and return a row for each of them."""
        return unified(self._files(), _read)

    def _write_if_due(self) -> None:
        waiting = sum(len(outcomes) for _, outcomes in self._parts)
        if waiting >= MOST or self._now() - self._since >= SECONDS:
            self.flush()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("part-*.parquet"))


def _prepare(folder: Path, identity: Mapping[str, str]) -> None:
    """Create a folder for results of a map, or check that it has results of the same one."""
    path = folder / _IDENTITY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise ExportError(f"checkpoint={str(folder)!r} cannot be used: {error}") from error
    remove_stale(folder)
    if known is None:
        if any(folder.glob("*.parquet")):
            raise ExportError(
                f"checkpoint={str(folder)!r} has Parquet files that map() did not write; "
                "use another folder"
            )
        with atomic_write(path) as part:
            part.write_text(json.dumps(dict(identity), indent=1), encoding="utf-8")
        return
    differing = [name for name in identity if known.get(name) != identity[name]]
    if differing:
        shown = "; ".join(
            f"{name} {known.get(name)} there, {identity[name]} here" for name in differing
        )
        raise ExportError(
            f"checkpoint={str(folder)!r} has results of another call of map(): {shown}. Use "
            "another folder, or delete this one to start again"
        )


def _read(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow", columns=columns)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} is damaged ({error}); delete it, and its light curves are computed again"
        ) from error
