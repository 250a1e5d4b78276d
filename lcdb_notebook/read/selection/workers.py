"""The methods of a Selection that read in workers: on all cores or on a Dask cluster."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read import parallel
from lcdb_notebook.read.parallel import Given, OnFailure
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.selection.protocol import Rows

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    from distributed import Client

__all__ = ["map", "to_dask"]


def map(  # noqa: A001 - the name of the method
    self: Rows,
    function: Callable[[Any], Any],
    *,
    client: Client | None = None,
    workers: int | None = None,
    datasets: Given = "lightcurve",
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    on_error: OnFailure = "row",
    database: str | None = None,
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
    collect: bool = True,
    max_connections: int | None = None,
    of: Given | None = None,
) -> pd.DataFrame:
    """Call a function for every light curve, on many cores or machines, and tabulate the results.

    Only the ids of the selected DataSets are sent to the workers. Each process reads its batches
    from PostgreSQL over one read-only connection, and therefore sees only committed data. If a
    worker crashes, its batch is repeated.

    Parameters
    ----------
    function : callable
        Function of one light curve that returns one value, or several by name: a dict, a Series, a
        named tuple or a dataclass. It may be defined in a notebook cell. Objects that it refers to
        are sent to the workers, so open files and load large tables inside the function.
    client : distributed.Client, optional
        Client of a Dask cluster whose workers have this package. None uses the cores of this
        machine.
    workers : int, optional
        Number of processes on this machine; None is the number of cores. 1 calls the function in
        this process, so that you can use a debugger.
    datasets : {"lightcurve", "record"}, optional
        Pass a lightkurve LightCurve to the function, or a LightCurveData, which is faster to create
        and has all cadences.
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
    on_error : {"row", "raise"}, optional
        What to do if the function or reading fails: "row" puts the message into the row, "raise"
        stops at the first error.
    database : str, optional
        The database for workers: a URL without a password, or the path of a ``db.conf`` on their
        machine. By default the socket of the embedded server if that is used; otherwise the
        database in the configuration of the workers (``db.conf``, ``LCDB_URL``, ``PG*``), or else
        the URL of this database without its password, which may be in ``~/.pgpass``. Passwords are
        never sent through the scheduler.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    checkpoint : str or pathlib.Path, optional
        A folder in which results are stored as Parquet, every 30 seconds, or as soon as there are
        10,000. After an interrupt, a crash or a restart of the kernel, the workers or the server,
        the same call continues there: light curves with a result, or with an error of the function,
        are not processed again. Needs pyarrow.
    collect : bool, optional
        False leaves the results in the folder of ``checkpoint``, for results that are larger than
        memory. All of its files then have the same columns and types, so that
        ``dask.dataframe.read_parquet``, pyarrow, polars and DuckDB read the folder as one table.
    max_connections : int, optional
        Most connections that all workers together have open at a time; None is one for each
        process. Workers of a Dask cluster take turns, with a connection for each part that they
        read; on this machine, ``map`` uses at most so many processes.
    of : {"lightcurve", "record"}, optional
        Deprecated name of ``datasets``.

    Returns
    -------
    pandas.DataFrame
        One row per DataSet, in the order of :meth:`read`: ``dataset, target``, the
        observation fields that increase with time (``sector``), ``photometry, processing``, then
        the results, with a column for each name ("result" for a single value), and ``error``, which
        is None if there was no error. Quantities and Times become numbers; their units and formats
        are in ``attrs["units"]``.

        With ``collect=False``, one row per file: ``file``, the number of ``light_curves``, and that
        of ``errors``.

    Raises
    ------
    LightCurveNotFoundError
        If the selection is empty.
    ConnectionFailedError
        If the workers cannot reach the database. If the server stops answering, it is retried for a
        minute; then light curves without a result have the error in their row. With ``checkpoint``,
        and between the pages of a long search, the error is raised instead.
    ConfigurationError
        If the function cannot be pickled, ``database`` contains a password, or the workers read
        another database.
    ExportError
        If the folder of ``checkpoint`` has results of another search, function or option, or cannot
        be written to, or if Parquet cannot hold the results.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> found = db.search([1, 2, 3], sector=1, processing="raw")
    >>> def brightness(lc):
    ...     if lc.meta["TARGETID"] == 2:
    ...         raise ValueError("too faint")
    ...     return {"first": lc.time[0], "middle": lc.flux.max()}
    >>> done = found.map(brightness, workers=1)
    >>> done.groupby("target")["error"].first().to_dict()
    {1: None, 2: 'ValueError: too faint', 3: None}
    >>> done.attrs["units"]
    {'first': 'btjd', 'middle': 'electron / s'}
    """
    if of is not None:
        warnings.warn(
            "map(of=...) is deprecated; use map(datasets=...)", DeprecationWarning, stacklevel=2
        )
        datasets = of
    settings = {
        "quality_bitmask": quality_bitmask,
        "flagged": flagged,
        "time_format": time_format,
        "as_flux": as_flux,
    }
    return parallel.map_light_curves(
        self._search,
        function,
        client=client,
        workers=workers,
        datasets=datasets,
        settings=settings,
        on_error=on_error,
        database=database,
        progress=progress,
        checkpoint=checkpoint,
        collect=collect,
        max_connections=max_connections,
    )


def to_dask(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    database: str | None = None,
    max_connections: int | None = None,
) -> dd.DataFrame:
    """Create a Dask DataFrame with the columns of ``to_pandas``, without reading arrays yet.

    Each partition is one observation, or about 100 MB of it. The worker that computes it reads it
    from PostgreSQL, over a connection that is closed afterwards. More than 20,000 light curves are
    only counted first, by one statement for each observation; the workers find them.

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
    database : str, optional
        The database for workers: a URL without a password, or the path of a ``db.conf`` on their
        machine. By default the socket of the embedded server if that is used; otherwise the
        database in the configuration of the workers (``db.conf``, ``LCDB_URL``, ``PG*``), or else
        the URL of this database without its password, which may be in ``~/.pgpass``. Passwords are
        never sent through the scheduler.
    max_connections : int, optional
        Most connections that all workers together have open at a time; None is one for each
        process. Workers of a Dask cluster take turns, with a connection for each part that they
        read; on this machine, ``map`` uses at most so many processes.

    Returns
    -------
    dask.dataframe.DataFrame
        Rows ordered by observation, then in the order of ``table``, or if there are more than
        20,000 light curves in the order in which targets were stored.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    LightCurveNotFoundError
        If the selection is empty.
    DataError
        If the missions have different time formats and ``time_format`` is None.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> frame = db.search([1, 2], processing="raw").to_dask()
    >>> frame.npartitions
    4
    >>> len(frame) == len(db.dataframe([1, 2], processing="raw"))
    True
    """
    settings = {
        "quality_bitmask": quality_bitmask,
        "flagged": flagged,
        "time_format": time_format,
    }
    return parallel.to_dask(
        self._search,
        settings=settings,
        on_error=on_error,
        database=database,
        max_connections=max_connections,
    )
