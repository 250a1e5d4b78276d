"""The formats of an export, and the functions that write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from lcdb_notebook import flags
from lcdb_notebook.errors import ExportError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.lightcurve.quality import FLAGGED, Flagged
from lcdb_notebook.read.export.files import KINDS
from lcdb_notebook.read.export.folder import write_folder
from lcdb_notebook.read.export.wide import TABLES, write_wide
from lcdb_notebook.read.records import OnError
from lcdb_notebook.search.lazy import Search

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PER_LIGHT_CURVE", "WRITERS", "FileFormat", "export"]

FileFormat: TypeAlias = Literal["fits", "ecsv", "csv", "parquet", "hdf5"]

PER_LIGHT_CURVE = tuple(kind for kind in KINDS if kind != "parquet")
"""The formats of which an export writes a file per light curve."""


def _write_parquet(
    search: Search,
    folder: str | Path,
    *,
    flagged: Flagged,
    time_format: str | None,
    overwrite: bool,
    on_error: OnError,
    progress: bool | None,
    **_without_effect: object,
) -> pd.DataFrame:
    # Imported here, because it imports pyarrow.
    from lcdb_notebook.read.export.parquet import export_parquet

    if flagged != "keep" or time_format is not None:
        raise ExportError(
            advice(
                python="format='parquet' writes every cadence, flag and time as stored, so flagged "
                f"must be 'keep' and time_format None, got {flagged!r} and {time_format!r}",
                terminal="--format parquet writes every cadence, flag and time as stored, so it "
                f"needs --flagged keep, got {flagged}",
            )
            + f"; use {_any_of(PER_LIGHT_CURVE)}, or filter when reading"
        )
    return export_parquet(search, folder, overwrite=overwrite, on_error=on_error, progress=progress)


WRITERS: dict[str, Callable[..., pd.DataFrame]] = {
    **{kind: partial(write_folder, format=kind) for kind in KINDS},
    "parquet": _write_parquet,
}
"""By format, a function with the arguments of :func:`export` except ``format``."""


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
    wide: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Write the light curves of a search to files, in bounded memory.

    Parameters
    ----------
    search : Search
        The light curves.
    folder : str or pathlib.Path
        Created if it does not exist.
    format : {"fits", "ecsv", "csv", "parquet", "hdf5"}, optional
        A file per light curve, or, for Parquet, one dataset with a row per light curve. "hdf5"
        needs ``wide=True``.
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"drop", "mask", "keep"}, optional
        What happens to flagged cadences: "drop" removes them, "mask" sets their flux to NaN,
        "keep" leaves them unchanged.
    time_format : str, optional
        Name of the astropy time format of the result, such as "jd"; None is the mission's own
        ("btjd" for TESS). The time scale is TDB.
    as_flux : bool, optional
        Convert magnitudes to relative flux, ``10 ** (-0.4 * (m - median))`` with the median of
        the cadences that are not flagged (Pogson 1856), because lightkurve divides by the
        median. False keeps magnitudes.
    overwrite : bool, optional
        Write all files again, even complete ones.
    wide : bool, optional
        Put the light curves of a target and observation side by side, in columns.
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.

    Returns
    -------
    pandas.DataFrame
        One row per light curve, in the order of the search: ``dataset, target, catalog,
        photometry, processing, file, status, bytes, reason``. The status is "written", "kept" or
        "skipped". More than 20,000 are in the order of ``read()``, for Parquet observation by
        observation.

    Raises
    ------
    ExportError
        If the format does not exist or does not support these arguments, or the folder is not
        writable.
    LightCurveNotFoundError
        If the search found nothing.
    DataError
        If arrays cannot be read or contradict each other.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Notes
    -----
    Each file is written completely or not at all, even after an error, the stop button or ``kill
    -9``, and the same call continues the export. If an array was changed in the database and its
    length is the same, this is not detected; pass ``overwrite=True``.
    """
    writers = WRITERS
    if wide:
        writers = {name: partial(write_wide, format=name) for name in TABLES}
    elif format in TABLES and format not in WRITERS:
        needs = advice(
            python=f"format={format!r} is for light curves side by side and needs wide=True",
            terminal=f"--format {format} is for light curves side by side and needs --wide",
        )
        raise ExportError(f"{needs}; for a file of each light curve use {_any_of(PER_LIGHT_CURVE)}")
    if format not in writers:
        raise ExportError(f"format must be {_any_of(writers)}, got {format!r}")
    check_choice("on_error", on_error, ("raise", "skip"))
    check_choice("flagged", flagged, FLAGGED)
    return writers[format](
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


def _any_of(formats: Iterable[str]) -> str:
    *first, last = (repr(name) for name in formats)
    return f"{', '.join(first)} or {last}"
