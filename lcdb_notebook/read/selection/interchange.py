"""The methods of a Selection that return tables of astropy and Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.selection.protocol import Rows

if TYPE_CHECKING:
    import pyarrow as pa
    from astropy.table import Table

__all__ = ["to_arrow", "to_table"]


def to_table(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> Table:
    """Read all light curves into one astropy Table.

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
    astropy.table.Table
        The columns of :meth:`to_pandas`, one row per cadence. ``time`` is an astropy Time.
        ``flux`` and ``flux_err`` have the stored values and their unit, or no unit if the light
        curves have different units. ``meta`` contains the mission, the units and the flag type.

    Raises
    ------
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> table = db.search(3, sector=1, processing="raw").to_table()
    >>> table["time"].format, table["time"].scale, str(table["flux"].unit)
    ('btjd', 'tdb', 'electron / s')
    """
    return convert.to_table(
        list(self._read(None, on_error, progress, connections=connections)),
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
    )


def to_arrow(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> pa.Table:
    """Read all light curves into one Arrow table, for polars, DuckDB and other tools.

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
    pyarrow.Table
        The columns of :meth:`to_pandas`, one row per cadence. Names are dictionary-encoded, and NaN
        remains NaN. The metadata of the schema, as JSON, and of the fields contain the mission, the
        time format and the units. ``polars.from_arrow`` and DuckDB read the numbers without
        copying them.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> curves = db.search(3, sector=1, processing="raw").to_arrow()
    >>> curves.num_rows, curves.column_names[:3]
    (2306, ['time', 'flux', 'flux_err'])
    >>> import duckdb
    >>> duckdb.sql("SELECT photometry, count(*) FROM curves GROUP BY 1 ORDER BY 1").fetchall()
    [('DEMO aperture 2px', 1153), ('DEMO aperture 3px', 1153)]
    """
    return convert.to_arrow(
        list(self._read(None, on_error, progress, connections=connections)),
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
    )
