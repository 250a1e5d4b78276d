"""The light curves of an observation that earlier exports to Parquet have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.read.export.atomic_write import remove_stale
from lcdb_notebook.read.export.layout import ParquetLayout
from lcdb_notebook.search.grouped import Group
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import find_again

__all__ = ["find_exported", "parts_of", "readable"]

# DataSets that are compared with those in files at once.
_AT_ONCE = 5_000


def find_exported(
    search: Search, folder: Path, group: Group, layout: ParquetLayout, *, overwrite: bool
) -> dict[DataSetId, Path]:
    """Return which light curves of an observation are in files, and create its folder.

    Parameters
    ----------
    search : Search
        The search, whose database is compared with the files.
    folder : pathlib.Path
        The folder of the export.
    group : Group
        The light curves.
    layout : ParquetLayout
        The layout of the files.
    overwrite : bool
        Remove files whose light curves are all among these.

    Raises
    ------
    ExportError
        If the folder is not writable, a file is damaged or of another database, or its removal
        would lose other light curves.
    """
    import pyarrow.parquet as pq

    inside = folder / f"observation={group.observation}"
    try:
        inside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write to folder {inside}: {error.strerror}") from error
    remove_stale(inside)
    paths = parts_of(folder, group.observation)
    selected = set(group.datasets) if paths else set()
    exported: dict[DataSetId, Path] = {}
    for path in paths:
        with readable(path):
            table = pq.read_table(path, columns=[*layout.identity], partitioning=None)
        chosen = [one in selected for one in table.column("dataset").to_pylist()]
        ours = table.filter(chosen)
        for start in range(0, ours.num_rows, _AT_ONCE):
            _check_database(search, path, layout, ours.slice(start, _AT_ONCE).to_pylist())
        if not overwrite:
            exported |= dict.fromkeys(ours.column("dataset").to_pylist(), path)
        elif 0 < ours.num_rows < table.num_rows:
            raise ExportError(
                f"{path} also contains {table.num_rows - ours.num_rows} light curves "
                "that are not in this selection and would be lost; export into another folder"
            )
        elif ours.num_rows:
            path.unlink()
    return exported


def _check_database(
    search: Search, path: Path, layout: ParquetLayout, there: Sequence[Mapping[str, Any]]
) -> None:
    """Check that DataSets in a file are those of the database."""
    with search.sessions.session_scope() as session:
        here = find_again(session, [one["dataset"] for one in there])
    rows = {row.dataset: row for row in here.rows}
    for one in there:
        row = rows.get(one["dataset"])
        if row is not None and layout.identify(row) != one:
            raise ExportError(
                f"{path} was exported from another database, in which DataSet {one['dataset']} is "
                f"{one['catalog']} {one['target']}, {one['photometry']}, {one['processing']}; "
                "export into another folder"
            )


def parts_of(folder: Path, observation: int) -> list[Path]:
    """Return the files of an observation."""
    return sorted((folder / f"observation={observation}").glob("*.parquet"))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name a file in the errors of a block that reads it.

    Raises
    ------
    ExportError
        If it is damaged, or has other columns.
    """
    try:
        yield
    except ExportError as error:
        raise ExportError(f"{path}: {error}; export into another folder") from None
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} is not a Parquet file or is damaged; remove it ({error})"
        ) from error
