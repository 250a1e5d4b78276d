"""Write light curves to a folder, one file each; an interrupted export can be continued."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.errors import ExportError, LCDBError
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert.columns import bitmask_text
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import CHUNK_BYTES
from lcdb_notebook.read.contents import add_cards
from lcdb_notebook.read.export.atomic_write import remove_stale
from lcdb_notebook.read.export.files import KINDS, numbers_of, save
from lcdb_notebook.read.export.manifest import Manifest, fingerprint
from lcdb_notebook.read.export.naming import file_name
from lcdb_notebook.read.export.table import to_table
from lcdb_notebook.read.export.written import Written
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.read.records import OnError, outcomes
from lcdb_notebook.search import results, stars
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.rows import Row
from lcdb_notebook.search.streaming import Pages, pages

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

__all__ = ["find", "ready", "write_folder"]

# Increased when the contents of files change, so that older files are written again.
_EDITION = 2

# Number of rows whose histories are queried and whose files are checked at once.
_BATCH = 1000

# Bytes of arrays that are fetched at a time.
_CHUNK_BYTES = CHUNK_BYTES


class _Settings(NamedTuple):
    """The settings of an export."""

    format: str
    quality_bitmask: flags.Bitmask
    flagged: Flagged
    time_format: str | None
    as_flux: bool

    def as_json(self) -> dict[str, Any]:
        """Return the settings in a form for JSON, for the fingerprint."""
        return {**self._asdict(), "quality_bitmask": bitmask_text(self.quality_bitmask)}


class _File(NamedTuple):
    """A file of the export: its row, name, history, header cards and fingerprint."""

    row: Row
    name: str
    history: str
    cards: Mapping[str, Any]
    made_from: str


def write_folder(
    search: Search,
    folder: str | Path,
    *,
    format: str,  # noqa: A002 - named as in export()
    quality_bitmask: flags.Bitmask,
    flagged: Flagged,
    time_format: str | None,
    as_flux: bool,
    overwrite: bool,
    on_error: OnError,
    progress: bool | None,
) -> pd.DataFrame:
    """Write each light curve of a search to a separate file.

    Parameters
    ----------
    search, folder, quality_bitmask, flagged, time_format, as_flux, overwrite, on_error, progress
        The arguments of :func:`lcdb_notebook.read.export.export`, whose errors it raises.
    format : str
        One of :data:`lcdb_notebook.read.export.files.KINDS`.

    Returns
    -------
    pandas.DataFrame
        The report of :func:`lcdb_notebook.read.export.export`.
    """
    settings = _Settings(format, quality_bitmask, flagged, time_format, as_flux)
    rows, missions, database = find(search)
    where = ready(Path(folder).expanduser())
    written = Written()
    with Manifest(where) as manifest, Progress(rows.size, "light curve", progress) as bar:
        for found in rows.found:
            for start in range(0, len(found.rows), _BATCH):
                part = found.part(start, start + _BATCH)
                files = _files(search, part, missions, settings, database)
                for file, status, size, reason in _written(
                    search, found, missions, settings, where, manifest, files, overwrite, on_error
                ):
                    written.add([file.row], (str(where / file.name), status, size, reason))
                    bar.show(len(written))
    return written.report()


def find(search: Search) -> tuple[Pages, Mapping[UUID, tuple[str, Clock]], str]:
    """Return the rows of a search, the missions, and the URL of the database without a user.

    Raises
    ------
    LightCurveNotFoundError
        If there are no rows.
    """
    rows = pages(search)
    rows.require()
    with search.sessions.session_scope() as session:
        url = session.get_bind().engine.url
        database = url.set(username=None, password=None).render_as_string()
        return rows, results.missions(session), database


def ready(folder: Path) -> Path:
    """Create a folder, and remove what killed processes left in it.

    Raises
    ------
    ExportError
        If it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write to folder {folder}: {error.strerror}") from error
    remove_stale(folder)
    return folder


def _files(
    search: Search,
    part: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    settings: _Settings,
    database: str,
) -> list[_File]:
    """Return the files of some rows, with fingerprints of their contents."""
    with search.sessions.session_scope() as session:
        origins = Origins.of(session, part.rows)
        parameters = stars.parameters(session, {row.target_id for row in part.rows})
    files = []
    for row in part.rows:
        about, cadences = part.observations[row.observation]
        mission = missions[row.host_mission_id][0] if row.host_mission_id in missions else ""
        made_from = {
            **settings.as_json(),
            "edition": _EDITION,
            "database": database,
            "dataset": row.dataset,
            "target": (row.catalog, row.target, mission),
            "methods": (row.photometry, row.processing, row.unit),
            "observation": (row.observation, dict(about.fields), about.instrument, cadences),
            "history": origins.histories[row.dataset],
            "parameters": parameters.get(row.target_id, {}),
        }
        of_row = origins.cards.get((row.target_id, row.observation), {})
        if of_row:
            made_from["cards"] = of_row
        name = file_name(row, mission, about, settings.format)
        files.append(
            _File(row, name, origins.histories[row.dataset], of_row, fingerprint(made_from))
        )
    return files


def _written(
    search: Search,
    found: Found,
    missions: Mapping[UUID, tuple[str, Clock]],
    settings: _Settings,
    folder: Path,
    manifest: Manifest,
    files: Sequence[_File],
    overwrite: bool,
    on_error: OnError,
) -> Iterator[tuple[_File, str, int | None, str]]:
    """Write the files that are not complete; yield files with status, size and reason."""
    sizes = [None if overwrite else manifest.has(file.name, file.made_from) for file in files]
    missing = Found(
        [f.row for f, size in zip(files, sizes, strict=True) if size is None], found.observations
    )
    with Progress(0, "light curve", False) as silent:
        made = outcomes(
            search.sessions.session_scope, [missing], missions, chunk_bytes=_CHUNK_BYTES, bar=silent
        )
        for file, size in zip(files, sizes, strict=True):
            if size is not None:
                yield file, "kept", size, ""
                continue
            data = next(made)
            try:
                if not isinstance(data, LightCurveData):
                    raise data
                table = record_table(data, settings, file.history, file.cards)
            except LCDBError as error:
                if on_error == "raise":
                    raise
                yield file, "skipped", None, str(error)
                continue
            size = save(table, folder / file.name, KINDS[settings.format])
            manifest.add(file.name, size, file.made_from)
            yield file, "written", size, ""


def record_table(
    data: LightCurveData, settings: _Settings, history: str, cards: Mapping[str, Any]
) -> Table:
    """Return the table of a record; cadences without a time are kept unless flagged="drop"."""
    timeless = ~np.isfinite(data.time)
    kept_all = settings.flagged != "drop"
    if kept_all and timeless.any():
        # A LightCurve cannot contain NaN times, so they are replaced until they are in the table.
        known = data.time[~timeless]
        some = float(known[0]) if known.size else 0.0
        data = replace(data, time=np.where(timeless, some, data.time))
    lightcurve = convert.to_lightcurve(
        data,
        quality_bitmask=settings.quality_bitmask,
        flagged=settings.flagged,
        time_format=settings.time_format,
        as_flux=settings.as_flux,
        history=history,
    )
    add_cards(lightcurve, cards)
    if kept_all:
        lightcurve.meta["QUALITY_MASK"] = lightcurve.meta["QUALITY_MASK"][~timeless]
    table = to_table(lightcurve, numbers=numbers_of(lightcurve, settings.format))
    if kept_all:
        table["time"][timeless] = np.nan
    return table
