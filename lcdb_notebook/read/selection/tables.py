"""The methods of a Selection that read its light curves as records and as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.chunks import CHUNK_BYTES
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.selection.protocol import Rows
from lcdb_notebook.search import lineage

if TYPE_CHECKING:
    import nested_pandas
    import pandas as pd

__all__ = ["read", "to_nested", "to_pandas"]


def read(
    self: Rows,
    *,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> Iterator[LightCurveData]:
    """Iterate over the light curves as plain records, in bounded memory.

    Arrays are fetched a few megabytes at a time, with separate statements. Between statements,
    nothing is held open on the server, so you can make other calls in the loop. More than 20,000
    light curves are also found a page at a time, so that the first one comes at once.

    Parameters
    ----------
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    connections : int, optional
        Number of connections to read with. More than one is faster only if the server and this
        machine have free cores. They are opened for this call, and see the state of the database at
        its beginning; the server keeps it until the call has ended, or the iterator is exhausted or
        closed. Not possible behind a connection pooler, or with uncommitted changes in the session.

    Yields
    ------
    LightCurveData
        One record for each DataSet: numpy arrays of cadence numbers, times, fluxes, errors and
        quality flags of all cadences, including flagged ones. They are in the order of ``table``,
        except more than 20,000 light curves of a search that names observations (``sector=``,
        ``instrument=``, ...) and was not found before: these come observation by observation, each
        in the order in which its targets were stored, after a few targets that are found at once.
        In LightcurveDB 2 and 3, this is the order of all searches of more than 20,000 light curves.

    Raises
    ------
    DataError
        If arrays cannot be read or contradict each other; it names the DataSet and the lengths.
    ArgumentError
        If ``on_error`` is neither "raise" nor "skip".

    Examples
    --------
    >>> for data in db.search(3, sector=1, processing="raw").read():
    ...     print(data.photometry, data.unit, data.flux.shape)
    DEMO aperture 2px electron / s (1200,)
    DEMO aperture 3px electron / s (1200,)
    """
    return self._read(CHUNK_BYTES, on_error, progress, connections=connections)


def to_pandas(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    wide: bool = False,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> pd.DataFrame:
    """Read all light curves into one DataFrame.

    Parameters
    ----------
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
    wide : bool, optional
        Put the light curves of a target and observation side by side, in columns.
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    connections : int, optional
        Number of connections to read with. More than one is faster only if the server and this
        machine have free cores. They are opened for this call, and see the state of the database at
        its beginning; the server keeps it until the call has ended, or the iterator is exhausted or
        closed. Not possible behind a connection pooler, or with uncommitted changes in the session.

    Returns
    -------
    pandas.DataFrame
        One row per cadence: ``time, flux, flux_err, cadenceno, quality``, a column for each
        further flag type, ``centroid_col`` and ``centroid_row`` if positions are stored, then
        ``dataset, target, photometry, processing`` and the observation fields that increase with
        time (``sector``). ``catalog`` and ``flag_type`` are included if they differ between rows.
        Fluxes, magnitudes and errors have the stored values. ``attrs`` contain the mission, the
        time format and scale, the units, which of them were inferred, and the type of ``quality``.
        :func:`lcdb_notebook.from_pandas` converts the DataFrame back to LightCurves.

        With ``wide=True``, one row per cadence of each target and observation, and for each light
        curve a flux column, named by photometry and processing, and an error column if errors are
        stored. ``attrs["units"]`` has their units.

    Raises
    ------
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> frame = db.search(3, sector=1, processing="DEMO DET").to_pandas()
    >>> frame.groupby("photometry", observed=True)["flux"].median().round(3).to_dict()
    {'DEMO aperture 2px': 1.0, 'DEMO aperture 3px': 1.0}
    >>> wide = db.search(3, sector=1, processing="DEMO DET").to_pandas(wide=True)
    >>> list(wide)[4:]
    ['quality', 'DEMO aperture 2px DEMO DET', 'DEMO aperture 2px DEMO DET error', ...]
    """
    found = list(self._read(None, on_error, progress, connections=connections))
    if wide:
        return convert.to_wide(
            found, quality_bitmask=quality_bitmask, flagged=flagged, time_format=time_format
        )
    with self._search.sessions.session_scope() as session:
        histories = lineage.histories(session, found)
    return convert.to_pandas(
        found,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        histories=histories,
    )


def to_nested(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> nested_pandas.NestedFrame:
    """Read all light curves into a NestedFrame, one row per DataSet.

    Parameters
    ----------
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
    on_error : {"raise", "skip"}, optional
        "raise" stops at the first light curve whose arrays cannot be read or contradict each
        other; "skip" leaves such light curves out and warns once, with their ids and reasons.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    connections : int, optional
        Number of connections to read with. More than one is faster only if the server and this
        machine have free cores. They are opened for this call, and see the state of the database at
        its beginning; the server keeps it until the call has ended, or the iterator is exhausted or
        closed. Not possible behind a connection pooler, or with uncommitted changes in the session.

    Returns
    -------
    nested_pandas.NestedFrame
        ``dataset, target``, the observation fields that increase with time (``sector``),
        ``photometry, processing, unit``, and the nested column ``lightcurve`` with ``time, flux,
        flux_err, cadenceno, quality``, a field for each further flag type, and ``centroid_col`` and
        ``centroid_row`` if positions are stored. ``unit_inferred`` is included if a unit was
        inferred. Fluxes and errors have the stored values. A light curve without remaining cadences
        is an empty list.

    Raises
    ------
    MissingExtraError
        If nested-pandas is not installed.
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> nested = db.search(3, sector=1, processing="raw").to_nested()
    >>> nested[["target", "sector", "photometry"]]
       target  sector        photometry
    0       3       1  DEMO aperture 2px
    1       3       1  DEMO aperture 3px
    >>> nested["lightcurve.flux"].groupby(level=0).count().tolist()
    [1153, 1153]
    """
    found = list(self._read(None, on_error, progress, connections=connections))
    with self._search.sessions.session_scope() as session:
        histories = lineage.histories(session, found)
    return convert.to_nested(
        found,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        histories=histories,
    )
