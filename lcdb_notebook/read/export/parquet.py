"""Many light curves into Parquet: one row a DataSet, with its cadences as lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lcdb_notebook.errors import DataError, ExportError, optional
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.export.atomic_write import atomic_write, remove_stale
from lcdb_notebook.read.export.folder import report
from lcdb_notebook.read.export.layout import Layout
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.search import lineage, results
from lcdb_notebook.search.results import Found, Search
from lcdb_notebook.search.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export_parquet"]

GROUP_BYTES = 8 * 2**20
"""Arrays in one row group: what a writer, and later a reader, holds at a time."""

FILE_BYTES = 256 * 2**20
"""Arrays in one file; packed they are about a third of it."""

# Rows of the database whose histories are asked for at once.
_HISTORIES = 5_000

Became = dict[int, tuple[str, str, int | None, str]]


def export_parquet(
    search: Search,
    folder: str | Path,
    *,
    overwrite: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Write the light curves of a search into ``folder/observation=<id>/*.parquet``.

    Every number is as the database has it, also of cadences that are flagged or have no time; times
    are in the mission's format.

    Parameters
    ----------
    search
        Which light curves.
    folder
        Made if it is not there. What others exported into it before stays.
    overwrite
        Write light curves again that are there already.
    on_error
        "raise", or "skip" light curves whose arrays contradict each other, and warn once.
    progress
        Show a progress bar; None shows it once the work has lasted a second.

    Returns
    -------
    pandas.DataFrame
        One row a light curve, in the order of the search: ``dataset, target, catalog, photometry,
        processing, file, status, bytes, reason``. The status is "written", "kept" if it was there
        already, or "skipped"; ``bytes`` is missing, as many share a file.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    ExportError
        If the folder cannot be written to, or holds Parquet files with other columns or of another
        database.
    LightCurveNotFoundError
        If there is none.
    DataError
        If arrays contradict each other.

    Notes
    -----
    Whatever ends it, each file is there as a whole or not at all, and the same call continues with
    the light curves that are in none. Memory is bounded by what one row group takes, however many
    light curves there are.
    """
    optional.required("pyarrow.parquet", extra="parquet", wanted_by="export(format='parquet')")
    if on_error not in ("raise", "skip"):
        raise TypeError(f"on_error= is 'raise' or 'skip', not {on_error!r}")
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
        missions = results.missions(session)
        layout = Layout(found, missions, results.flag_types(session, found))
    where = Path(folder).expanduser()
    there = _there(where, found, layout, overwrite=overwrite)
    became: Became = {id_: (str(path), "kept", None, "") for id_, path in there.items()}
    rows = _by_observation(found, there)
    with Progress(len(found.rows), "light curve", progress) as bar:
        arrays = outcomes(
            search.sessions.session_scope,
            Found(rows, found.observations),
            missions,
            bar=_Later(bar, len(there)),
        )
        told = _histories(search, rows)
        for part in _parts(zip(rows, arrays, told, strict=True)):
            _write(where, layout, part, became, on_error)
    skipped = [reason for _, status, _, reason in became.values() if status == "skipped"]
    if skipped:
        warn(
            f"{len(skipped)} of {len(found.rows)} light curves were skipped: " + "; ".join(skipped)
        )
    frame: pd.DataFrame = report(found.rows, [became[row.dataset] for row in found.rows])
    return frame


@dataclass(frozen=True)
class _Later:
    """A progress bar of work whose beginning was done before."""

    bar: Progress
    before: int

    def show(self, done: int) -> None:
        self.bar.show(self.before + done)


Made = tuple[Row, LightCurveData | DataError, str]


def _there(folder: Path, found: Found, layout: Layout, *, overwrite: bool) -> dict[int, Path]:
    """Find the DataSets that are in files already, and make the folders."""
    import pyarrow.parquet as pq

    wanted = {row.dataset: row for row in found.rows}
    there: dict[int, Path] = {}
    for observation in found.observations:
        inside = folder / f"observation={observation}"
        try:
            inside.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{inside} is no folder to write to: {error.strerror}") from error
        remove_stale(inside)
        for path in sorted(inside.glob("*.parquet")):
            try:
                layout.check(pq.read_schema(path))
                held = pq.read_table(
                    path, columns=[*layout.identity], partitioning=None
                ).to_pylist()
            except ExportError as error:
                raise ExportError(f"{path}: {error}; export into another folder") from None
            except (OSError, ValueError) as error:
                raise ExportError(
                    f"{path} is no Parquet file, or is damaged; remove it ({error})"
                ) from error
            ours = [one for one in held if one["dataset"] in wanted]
            for one in ours:
                if layout.identify(wanted[one["dataset"]]) != one:
                    raise ExportError(
                        f"{path}: its DataSet {one['dataset']} is {one}, and that of this database "
                        f"is not; it was exported from another one. Export into another folder"
                    )
            if not overwrite:
                there |= {one["dataset"]: path for one in ours}
            elif ours and len(ours) < len(held):
                raise ExportError(
                    f"{path} also holds {len(held) - len(ours)} light curves that are not in this "
                    "selection and would be lost; export into another folder"
                )
            elif ours:
                path.unlink()
    return there


def _by_observation(found: Found, there: dict[int, Path]) -> list[Row]:
    """Bring the rows that are still to be written together by their folders."""
    groups: dict[int, list[Row]] = {}
    for row in found.rows:
        if row.dataset not in there:
            groups.setdefault(row.observation, []).append(row)
    return [row for group in groups.values() for row in group]


def _histories(search: Search, rows: Sequence[Row]) -> Iterator[str]:
    for start in range(0, len(rows), _HISTORIES):
        some = rows[start : start + _HISTORIES]
        with search.sessions.session_scope() as session:
            told = lineage.histories(session, some)
        yield from (told[row.dataset] for row in some)


def _parts(made: Iterator[Made]) -> Iterator[Iterator[Made]]:
    """Cut a stream into files: of one observation each, and none too large."""
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
    folder: Path, layout: Layout, part: Iterator[Made], became: Became, on_error: OnError
) -> None:
    """Write one file, in row groups as they come; it gets its name when it is whole."""
    import pyarrow.parquet as pq

    first = next(part)
    inside = folder / f"observation={first[0].observation}"
    # No DataSet is in two files, so neither has another file this name.
    path = inside / f"from-dataset-{first[0].dataset}.parquet"
    written: list[int] = []
    with (
        atomic_write(path) as partial,
        pq.ParquetWriter(partial, layout.schema, **layout.packing) as file,
        # pyarrow packs without Python's lock, so the next light curves are read meanwhile.
        ThreadPoolExecutor(1, "lcdb-parquet") as beside,
    ):
        under_way: Future[None] | None = None
        for group in _groups(chain([first], part), became, on_error):
            table = layout.table(group)
            written += [data.dataset for data, _ in group]
            if under_way is not None:
                under_way.result()
            under_way = beside.submit(file.write_table, table)
        if under_way is not None:
            under_way.result()
    if not written:
        path.unlink()
    became.update(dict.fromkeys(written, (str(path), "written", None, "")))


def _groups(
    made: Iterator[Made], became: Became, on_error: OnError
) -> Iterator[list[tuple[LightCurveData, str]]]:
    """Gather row groups; what cannot be read is raised, or noted."""
    group: list[tuple[LightCurveData, str]] = []
    size = 0
    for one in made:
        row, data, history = one
        if isinstance(data, DataError):
            if on_error == "raise":
                raise data
            became[row.dataset] = ("", "skipped", None, str(data))
            continue
        group.append((data, history))
        size += _size(one)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
