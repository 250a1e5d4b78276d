"""The formats of an export, and who writes each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from lcdb_notebook import flags
from lcdb_notebook.errors import ExportError
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read.export.folder import write_folder
from lcdb_notebook.read.records import OnError
from lcdb_notebook.search.results import Search

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WRITERS", "FileFormat", "export"]

FileFormat: TypeAlias = Literal["fits", "ecsv", "csv", "parquet"]


def _write_parquet(
    search: Search,
    folder: str | Path,
    *,
    flagged: Flagged,
    time_format: str | None,
    overwrite: bool,
    on_error: OnError,
    progress: bool | None,
    **_of_no_effect: object,
) -> pd.DataFrame:
    # Its columns are those of the database, and pyarrow is imported for those alone who ask.
    from lcdb_notebook.read.export.parquet import export_parquet

    if flagged != "keep" or time_format is not None:
        raise ExportError(
            "format='parquet' keeps every cadence with its flags and times as they are stored; "
            f"flagged={flagged!r} and time_format={time_format!r} go with 'fits', 'ecsv' and "
            "'csv', or leave cadences out when you read it"
        )
    return export_parquet(search, folder, overwrite=overwrite, on_error=on_error, progress=progress)


WRITERS: dict[str, Callable[..., pd.DataFrame]] = {
    "fits": partial(write_folder, format="fits"),
    "ecsv": partial(write_folder, format="ecsv"),
    "csv": partial(write_folder, format="csv"),
    "parquet": _write_parquet,
}
"""Who writes a format; each takes the arguments of :func:`export` but ``format``."""


def export(
    search: Search,
    folder: str | Path,
    *,
    format: FileFormat = "fits",  # noqa: A002 - as pandas and astropy name it
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "keep",
    time_format: str | None = None,
    as_flux: bool = True,
    overwrite: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Write the light curves of a search into files, streamed in bounded memory.

    Parameters
    ----------
    search
        Which light curves.
    folder
        Made if it is not there.
    format
        "fits", "ecsv" or "csv": a file a light curve, as
        :func:`~lcdb_notebook.read.export.write_lightcurve` writes it. "parquet": one dataset of
        all,
        a row a light curve, all numbers as they are stored, for pyarrow, DuckDB and nested-pandas.
    quality_bitmask, flagged
        What is done with flagged cadences, as for
        :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`. By
        default nothing: every cadence of the observation is in the file with its flags, also those
        whose time is NaN, which readers of light curves leave out. "drop" leaves them out here.
    time_format
        As for :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`. FITS files of TESS and
        Kepler always count time in the mission's format; the other one is remembered.
    as_flux
        Turn magnitudes into relative flux, as for
        :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`.
    overwrite
        Write all again, also what is whole.
    on_error
        "raise", or "skip" light curves that cannot be read or written, and warn once.
    progress
        Show a progress bar; None shows it once the work has lasted a second.

    Returns
    -------
    pandas.DataFrame
        One row a light curve, in the order of the search: ``dataset, target, catalog, photometry,
        processing, file, status, bytes, reason``. The status is "written"; "kept" where the file
        was whole already, with the same settings, from the same DataSet of the same database; or
        "skipped", with the reason.

    Raises
    ------
    ExportError
        If the format is none of these, or the folder cannot be written to.
    LightCurveNotFoundError
        If there is none.
    DataError
        If arrays contradict each other.

    Notes
    -----
    Whatever ends it (an error, the stop button, ``kill -9``), each file is there as a whole or not
    at all, and the same call continues. A stored array that was changed in place, with as many
    cadences as before, is not noticed: ``overwrite=True``.
    """
    if format not in WRITERS:
        known = ", ".join(repr(name) for name in WRITERS)
        raise ExportError(f"format={format!r} is none of {known}")
    if on_error not in ("raise", "skip"):
        raise TypeError(f"on_error= is 'raise' or 'skip', not {on_error!r}")
    if flagged not in ("drop", "mask", "keep"):
        raise TypeError(f"flagged= is 'drop', 'mask' or 'keep', not {flagged!r}")
    return WRITERS[format](
        search,
        folder,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        as_flux=as_flux,
        overwrite=overwrite,
        on_error=on_error,
        progress=progress,
    )
