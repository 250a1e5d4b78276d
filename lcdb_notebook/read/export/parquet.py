"""Write light curves to Parquet: one row per DataSet, with lists of cadences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.errors import DataError, ExportError, optional
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.export.atomic_write import atomic_write, remove_stale
from lcdb_notebook.read.export.folder import Status, Written
from lcdb_notebook.read.export.layout import Layout
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.search import layout as layouts
from lcdb_notebook.search import lineage, results
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export_parquet"]

GROUP_BYTES = 8 * 2**20
"""Bytes of arrays in a row group, which writers and readers keep in memory."""

FILE_BYTES = 256 * 2**20
"""Bytes of arrays in one file; compressed, they are about a third as large."""

# Number of rows whose histories are queried at once.
_HISTORIES = 5_000

Statuses = dict[DataSetId, Status]


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
        One row per light curve, in the order of the search: ``dataset, target, catalog,
        photometry, processing, file, status, bytes, reason``. The status is "written", "kept" if it
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
    call continues with the missing light curves. Memory is bounded by the size of a row group.
    """
    optional.required("pyarrow.parquet", extra="parquet", needed_by="export(format='parquet')")
    check_choice("on_error", on_error, ("raise", "skip"))
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
        missions = results.missions(session)
        placed = dict.fromkeys(layouts.of(session).positions.values())
        layout = Layout(found, missions, results.flag_types(session, found), placed)
    where = Path(folder).expanduser()
    exported = _exported(where, found, layout, overwrite=overwrite)
    statuses: Statuses = {id_: (str(path), "kept", None, "") for id_, path in exported.items()}
    rows = _by_observation(found, exported)
    with Progress(len(found.rows), "light curve", progress) as bar:
        arrays = outcomes(
            search.sessions.session_scope,
            [Found(rows, found.observations)],
            missions,
            bar=_Offset(bar, len(exported)),
        )
        histories = _histories(search, rows)
        for part in _parts(zip(rows, arrays, histories, strict=True)):
            _write(where, layout, part, statuses, on_error)
    written = Written()
    written.add(found.rows, *(statuses[row.dataset] for row in found.rows))
    return written.report()


@dataclass(frozen=True)
class _Offset:
    """A progress bar that includes earlier work."""

    bar: Progress
    before: int

    def show(self, done: int) -> None:
        self.bar.show(self.before + done)


Made = tuple[Row, LightCurveData | DataError, str]


def _exported(folder: Path, found: Found, layout: Layout, *, overwrite: bool) -> dict[int, Path]:
    """Return the DataSets that are already in files, and create the folders."""
    import pyarrow.parquet as pq

    selected = {row.dataset: row for row in found.rows}
    exported: dict[int, Path] = {}
    for observation in found.observations:
        inside = folder / f"observation={observation}"
        try:
            inside.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"cannot write to folder {inside}: {error.strerror}") from error
        remove_stale(inside)
        for path in sorted(inside.glob("*.parquet")):
            try:
                layout.check(pq.read_schema(path))
                rows_of_file = pq.read_table(
                    path, columns=[*layout.identity], partitioning=None
                ).to_pylist()
            except ExportError as error:
                raise ExportError(f"{path}: {error}; export into another folder") from None
            except (OSError, ValueError) as error:
                raise ExportError(
                    f"{path} is not a Parquet file or is damaged; remove it ({error})"
                ) from error
            selected_rows = [one for one in rows_of_file if one["dataset"] in selected]
            for one in selected_rows:
                if layout.identify(selected[one["dataset"]]) != one:
                    raise ExportError(
                        f"{path} was exported from another database: there, DataSet "
                        f"{one['dataset']} is {one}; export into another folder"
                    )
            if not overwrite:
                exported |= {one["dataset"]: path for one in selected_rows}
            elif selected_rows and len(selected_rows) < len(rows_of_file):
                raise ExportError(
                    f"{path} also contains {len(rows_of_file) - len(selected_rows)} light curves "
                    "that are not in this selection and would be lost; export into another folder"
                )
            elif selected_rows:
                path.unlink()
    return exported


def _by_observation(found: Found, exported: dict[int, Path]) -> list[Row]:
    """Return the rows that have not been written, grouped by folder."""
    groups: dict[int, list[Row]] = {}
    for row in found.rows:
        if row.dataset not in exported:
            groups.setdefault(row.observation, []).append(row)
    return [row for group in groups.values() for row in group]


def _histories(search: Search, rows: Sequence[Row]) -> Iterator[str]:
    for start in range(0, len(rows), _HISTORIES):
        some = rows[start : start + _HISTORIES]
        with search.sessions.session_scope() as session:
            histories = lineage.histories(session, some)
        yield from (histories[row.dataset] for row in some)


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


def _size(one: Made) -> int:
    data = one[1]
    if not isinstance(data, LightCurveData):
        return 0
    return data.time.size * (32 + 4 * max(1, len(data.quality)))


def _write(
    folder: Path, layout: Layout, part: Iterator[Made], statuses: Statuses, on_error: OnError
) -> None:
    """Write one file, in row groups; it is renamed when it is complete."""
    import pyarrow.parquet as pq

    first = next(part)
    inside = folder / f"observation={first[0].observation}"
    # Each DataSet is in one file only, so the name is unique.
    path = inside / f"from-dataset-{first[0].dataset}.parquet"
    written: list[DataSetId] = []
    with (
        atomic_write(path) as partial,
        pq.ParquetWriter(partial, layout.schema, **layout.packing) as file,
        # pyarrow compresses without Python's lock, while the next light curves are read.
        ThreadPoolExecutor(1, "lcdb-parquet") as writer,
    ):
        under_way: Future[None] | None = None
        for group in _groups(chain([first], part), statuses, on_error):
            table = layout.table(group)
            written += [data.dataset for data, _ in group]
            if under_way is not None:
                under_way.result()
            under_way = writer.submit(file.write_table, table)
        if under_way is not None:
            under_way.result()
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
