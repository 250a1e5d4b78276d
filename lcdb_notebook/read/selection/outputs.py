"""The methods of a Selection that write files and draw figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read import export as exporting
from lcdb_notebook.read.export import FileFormat
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.selection.protocol import Rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["export", "figure", "plot"]


def export(
    self: Rows,
    folder: str | Path,
    *,
    format: FileFormat = "fits",  # noqa: A002 - as pandas and astropy name it
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "keep",
    time_format: str | None = None,
    as_flux: bool = True,
    overwrite: bool = False,
    wide: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Write the light curves to files, in bounded memory.

    Parameters
    ----------
    folder : str or pathlib.Path
        Created if it does not exist.
    format : {"fits", "ecsv", "csv", "parquet", "hdf5"}, optional
        "fits", "ecsv" and "csv" write one file per light curve, which
        :func:`lcdb_notebook.read_lightcurve` can read. "parquet" writes one dataset with a row per
        light curve and all numbers as stored, for pyarrow, DuckDB and nested-pandas; it needs
        ``flagged="keep"`` and no ``time_format``. "hdf5" needs ``wide=True``.
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
        One row per light curve, in the order of :meth:`read`: ``dataset, target, catalog,
        photometry, processing, file, status, bytes, reason``. The status is "written"; "kept" if a
        complete file already existed, with the same settings, from the same DataSet of the same
        database; or "skipped", with the reason. The names and the status are categorical, because
        otherwise those of a million rows would need most of the memory.

    Raises
    ------
    ExportError
        If the format does not exist or does not support these arguments, or the folder is not
        writable.
    LightCurveNotFoundError
        If the selection is empty.
    DataError
        If arrays cannot be read or contradict each other.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Notes
    -----
    ``wide=True`` writes one table for each target and observation, equal to
    ``to_pandas(wide=True)`` with the same arguments: fluxes as stored. ``Table.read`` of astropy
    reads them (pandas reads CSV, with ``comment="#"``, and Parquet).

    By default, files contain all cadences with their flags, including those whose time is NaN,
    which are dropped when a light curve is read. ``flagged="drop"`` leaves out flagged cadences and
    those without a time. FITS files of TESS and Kepler always have times in the mission's format;
    ``time_format`` is stored in the header and applied when the file is read.

    Each file is written completely or not at all, even after an error, the stop button or ``kill
    -9``, and the same call continues the export. If an array was changed in the database and its
    length is the same, this is not detected; pass ``overwrite=True``.

    Examples
    --------
    >>> import tempfile
    >>> found = db.search(3, sector=1, processing="raw")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = found.export(folder, format="ecsv")
    ...     again = found.export(folder, format="ecsv")
    >>> set(first["status"]), set(again["status"])
    ({'written'}, {'kept'})
    """
    return exporting.export(
        self._search,
        folder,
        format=format,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        as_flux=as_flux,
        overwrite=overwrite,
        wide=wide,
        on_error=on_error,
        progress=progress,
    )


class MakesFigures(Protocol):
    """A database that creates interactive figures of its selections."""

    def _make_figure(self, light_curves: Any, **settings: Any) -> Any:
        """Return a figure."""


def figure(
    self: Rows, *, compare: Literal["ratio", "difference"] | None = None, **settings: Any
) -> Any:
    """Return an interactive figure of the light curves, drawn by the browser.

    Drag to move, or to zoom into a box (Shift) or to select cadences (Ctrl or Alt). The wheel zooms
    after a click; double click shows all. Arrow keys step through the cadences, + and - zoom.

    Parameters
    ----------
    compare : {"ratio", "difference"}, optional
        Show the ratio or the difference of two light curves, before and after, below them.
    **settings
        Initial values of the traits of the figure: ``quality_bitmask``, ``show_flagged``,
        ``joined``, ``normalize``, ``errors``, ``bin``, ``period``, ``epoch``, ``xlim``, ``ylim``,
        ``height``, ``selected_ranges`` and ``exclude``.

    Returns
    -------
    Figure
        A widget. Its traits can be read and assigned; ``selected`` and ``selected_lightcurves()``
        return what was selected, and ``code`` the Python code.

    Raises
    ------
    LightCurveNotFoundError
        If the selection is empty.
    AmbiguousError
        If there are more than 40 panels.
    ConfigurationError
        If a setting is unknown or out of range.
    DataError
        If arrays cannot be read or contradict each other, or if ``compare`` is given and there are
        not two light curves.

    Examples
    --------
    >>> figure = db.search(1, exptime=1800, processing="DEMO DET").figure(joined=True)
    >>> figure.joined, len(figure.records)
    (True, 4)
    """
    from lcdb_notebook import plot as plotting

    with self._search.sessions.session_scope() as session:
        found = self._search.found(session)
        found.require()
    # Before arrays are read, which would take hours for a million light curves.
    plotting.check_panels((row.catalog, row.target, row.unit) for row in found.rows)
    return cast("MakesFigures", self._search.sessions)._make_figure(
        self, compare=compare, **settings
    )


def plot(
    self: Rows,
    ax: Axes | None = None,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Literal["apart", "drop", "keep"] = "apart",
    joined: bool = False,
    on_error: OnError = "raise",
) -> Axes:
    """Plot flux against time with matplotlib, with flagged cadences in another colour.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Axes for all light curves; None creates a figure with a panel per target, observation and
        unit.
    quality_bitmask : str, int, enum.IntFlag or iterable of these, or None
        Which quality flags mark a cadence as flagged: ``"none"``, ``"default"``, ``"hard"`` or
        ``"hardest"`` (each flag type has its own bits for these), an integer, a flag, the name of
        a flag, or several of these. None is ``"none"``. Bits and names apply to the flag type of
        the ``quality`` column, presets to all flag types.
    flagged : {"apart", "drop", "keep"}, optional
        How flagged cadences are drawn: "apart" in another colour, "drop" not at all, "keep" like
        all others.
    joined : bool, optional
        Draw all observations of a target in one panel.
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    LightCurveNotFoundError
        If the selection is empty.
    DataError
        If arrays cannot be read or contradict each other.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> ax = db.search(3, sector=1, processing="DEMO DET").plot(quality_bitmask="hard")
    >>> ax.get_ylabel()
    'Relative flux'
    """
    from lcdb_notebook import plot as plotting

    with self._search.sessions.session_scope() as session:
        found = self._search.found(session)
        found.require()
    if ax is None:
        # Before arrays are read, which would take hours for a million light curves.
        plotting.check_panels(
            (row.catalog, row.target, joined or row.observation, row.unit) for row in found.rows
        )
    records_read = list(self._read(None, on_error, None))
    return plotting.plot(
        records_read, ax, quality_bitmask=quality_bitmask, flagged=flagged, joined=joined
    )
