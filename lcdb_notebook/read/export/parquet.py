"""Write light curves to Parquet: one row per DataSet, with lists of cadences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.errors import DataError, optional
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import bytes_in_memory
from lcdb_notebook.read.export.atomic_write import atomic_write
from lcdb_notebook.read.export.exported import find_exported, parts_of, readable
from lcdb_notebook.read.export.layout import ParquetLayout
from lcdb_notebook.read.export.written import Status, Written
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.task_thread import TaskThread
from lcdb_notebook.read.with_history import Made, with_histories
from lcdb_notebook.search import layout as layouts
from lcdb_notebook.search import results
from lcdb_notebook.search.grouped import group
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export_parquet", "require_pyarrow"]

GROUP_BYTES = 8 * 2**20
"""Bytes of arrays in a row group, which writers and readers keep in memory."""

FILE_BYTES = 256 * 2**20
"""Bytes of arrays in one file; compressed, they are about a third as large."""

Statuses = dict[DataSetId, Status]


def require_pyarrow() -> None:
    """Check that pyarrow, which writes Parquet, is installed.

    Raises
    ------
    MissingExtraError
        If it is not.
    """
    optional.required(
        "pyarrow.parquet",
        extra="parquet",
        needed_by=advice(python="export(format='parquet')", terminal="--format parquet"),
    )


def export_parquet(
    search: Search,
    folder: str | Path,
    *,
    overwrite: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Write the light curves of a search to ``folder/observation=<id>/*.parquet``.

    All cadences are written with the stored numbers, including flagged ones and those without a
    time. Times are in the mission's format.

    Parameters
    ----------
    search : Search
        The light curves.
    folder : str or pathlib.Path
        Created if it does not exist. Files of earlier exports are kept.
    overwrite : bool, default False
        Write all light curves again, even those in complete files.
    on_error : OnError, default "raise"
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.

    Returns
    -------
    pandas.DataFrame
        One row per light curve, in the order of the search, or observation by observation if there
        are more than 20,000: ``dataset, target, catalog, photometry, processing, file, status,
        bytes, reason``. The status is "written", "kept" if it
        was exported before, or "skipped"; ``bytes`` is missing, because many share a file.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    ExportError
        If the folder is not writable, or contains Parquet files with other columns or of another
        database.
    LightCurveNotFoundError
        If the search found nothing.
    DataError
        If arrays cannot be read or contradict each other.

    Notes
    -----
    Each file is written completely or not at all, even if the export is interrupted, and the same
    call continues with the missing light curves. Memory is bounded by the size of a row group, the
    ids of an observation, and the report.
    """
    require_pyarrow()
    check_choice("on_error", on_error, ("raise", "skip"))
    grouped = group(search)
    with search.sessions.session_scope() as session:
        missions = results.missions(session)
        placed = dict.fromkeys(layouts.of(session).positions.values())
    layout = ParquetLayout(grouped.samples, missions, grouped.flag_types, placed)
    where = Path(folder).expanduser()
    _check_columns(where, layout, grouped.numbers)
    written = Written()
    with Progress(sum(grouped.numbers.values()), "light curve", progress) as bar:
        for some in grouped.groups:
            exported = find_exported(search, where, some, layout, overwrite=overwrite)
            statuses: Statuses = {
                id_: (str(path), "kept", None, "") for id_, path in exported.items()
            }
            rows: list[Row] = []
            pages = _missing(some.pages, exported, rows)
            made = with_histories(search, pages, missions, bar=bar, done=len(written))
            for part in _parts(made):
                _write(where, layout, part, statuses, on_error)
            written.add(rows, *(statuses[row.dataset] for row in rows))
            bar.show(len(written))
    return written.report(grouped.order)


def _missing(
    pages: Iterable[Found], exported: Mapping[DataSetId, Path], rows: list[Row]
) -> Iterator[Found]:
    """Yield the rows that were not exported before, and add all rows to a list."""
    for page in pages:
        rows += page.rows
        missing = [row for row in page.rows if row.dataset not in exported]
        if missing:
            yield replace(page, rows=missing)


def _parts(made: Iterator[Made]) -> Iterator[Iterator[Made]]:
    """Split a stream into files of one observation each, with a limited size."""
    waiting = next(made, None)

    def part(first: Made) -> Iterator[Made]:
        nonlocal waiting
        size = 0
        one: Made | None = first
        while one is not None and one[0].observation == first[0].observation and size < FILE_BYTES:
            size += _size(one)
            yield one
            one = waiting = next(made, None)

    while waiting is not None:
        yield part(waiting)


def _check_columns(folder: Path, layout: ParquetLayout, observations: Iterable[int]) -> None:
    """Check the columns of files that are there, before anything is written."""
    import pyarrow.parquet as pq

    for observation in observations:
        for path in parts_of(folder, observation):
            with readable(path):
                layout.check(pq.read_schema(path))


def _size(one: Made) -> int:
    data = one[1]
    return bytes_in_memory(data) if isinstance(data, LightCurveData) else 0


def _write(
    folder: Path, layout: ParquetLayout, part: Iterator[Made], statuses: Statuses, on_error: OnError
) -> None:
    """Write one file, in row groups; it is renamed when it is complete."""
    import pyarrow.parquet as pq

    first = next(part)
    inside = folder / f"observation={first[0].observation}"
    # Each DataSet is in one file only, so the name is unique.
    path = inside / f"from-dataset-{first[0].dataset}.parquet"
    written: list[DataSetId] = []
    with (
        atomic_write(path) as incomplete,
        pq.ParquetWriter(incomplete, layout.schema, **layout.packing) as file,
        # pyarrow compresses without Python's lock, while the next light curves are read.
        TaskThread[None]("lcdb-parquet") as writer,
    ):
        under_way = False
        for group in _groups(chain([first], part), statuses, on_error):
            table = layout.table(group)
            written += [data.dataset for data, _ in group]
            if under_way:
                writer.result()
            writer.submit(partial(file.write_table, table))
            under_way = True
        if under_way:
            writer.result()
    if not written:
        path.unlink()
    statuses.update(dict.fromkeys(written, (str(path), "written", None, "")))


def _groups(
    made: Iterator[Made], statuses: Statuses, on_error: OnError
) -> Iterator[list[tuple[LightCurveData, str]]]:
    """Collect row groups; raise errors of unreadable light curves, or report them as skipped."""
    group: list[tuple[LightCurveData, str]] = []
    size = 0
    for one in made:
        row, data, history = one
        if isinstance(data, DataError):
            if on_error == "raise":
                raise data
            statuses[row.dataset] = ("", "skipped", None, str(data))
            continue
        group.append((data, history))
        size += _size(one)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
