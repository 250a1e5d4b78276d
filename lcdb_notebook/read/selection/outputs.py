"""What a Selection hands on: to files, to other tables, to many workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read import export, parallel
from lcdb_notebook.read.export import FileFormat
from lcdb_notebook.read.parallel import Of, OnFailure
from lcdb_notebook.read.records import OnError
from lcdb_notebook.search import lineage

if TYPE_CHECKING:
    import dask.dataframe as dd
    import nested_pandas
    import pandas as pd
    from distributed import Client

    from lcdb_notebook.lightcurve.record import LightCurveData
    from lcdb_notebook.search.results import Search

__all__ = ["Onward"]


class Onward:
    """The methods of a Selection that carry light curves out of the notebook."""

    _search: Search

    if TYPE_CHECKING:

        def _read(
            self,
            chunk_bytes: int | None,
            on_error: OnError,
            progress: bool | None,
            quality_bitmask: Bitmask = "none",
        ) -> Iterator[LightCurveData]: ...

    def export(
        self,
        folder: str | Path,
        *,
        format: FileFormat = "fits",  # noqa: A002 - as pandas and astropy name it
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "keep",
        time_format: str | None = None,
        as_flux: bool = True,
        overwrite: bool = False,
        on_error: OnError = "raise",
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Write the light curves into files: see :func:`lcdb_notebook.read.export.export`.

        Streamed, in bounded memory; what is whole already is not written again.

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
        return export.export(
            self._search,
            folder,
            format=format,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            overwrite=overwrite,
            on_error=on_error,
            progress=progress,
        )

    def to_nested(
        self,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        on_error: OnError = "raise",
        progress: bool | None = None,
    ) -> nested_pandas.NestedFrame:
        """Read everything into a NestedFrame: see :func:`.to_nested`.

        Examples
        --------
        >>> found = db.search(3, sector=1, processing="raw")
        >>> nested = found.to_nested()
        >>> nested[["target", "sector", "photometry"]]
           target  sector        photometry
        0       3       1  DEMO aperture 2px
        1       3       1  DEMO aperture 3px
        >>> nested["lightcurve.flux"].groupby(level=0).count().tolist()
        [1153, 1153]
        """
        found = list(self._read(None, on_error, progress, quality_bitmask))
        with self._search.sessions.session_scope() as session:
            told = lineage.histories(session, found)
        return convert.to_nested(
            found,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            histories=told,
        )

    def map(
        self,
        function: Callable[[Any], Any],
        *,
        client: Client | None = None,
        workers: int | None = None,
        of: Of = "lightcurve",
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        as_flux: bool = True,
        on_error: OnFailure = "row",
        database: str | None = None,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Call a function for every light curve, on many cores or machines, and list its results.

        Only ids go to the workers. Each reads its share from PostgreSQL itself, over one read-only
        connection a process, and so finds what is committed; DataSets are those that the Selection
        has found now. A worker that dies costs a retry of its share.

        Parameters
        ----------
        function
            Takes one light curve. Gives one value, or several by name: a dict, a Series, a named
            tuple, a dataclass. It may be defined in a notebook's cell; what it refers to is sent
            along with it, so it opens files and loads large tables itself.
        client
            Of a Dask cluster, whose workers have this package. None: this machine's cores.
        workers
            Processes on this machine; None: as many as there are cores. 1 calls the function in
            this process, where a debugger can follow.
        of
            Give the function a "lightcurve" of lightkurve, or a "record" (LightCurveData), which
            is quicker to make and has all cadences.
        quality_bitmask, flagged, time_format, as_flux
            For light curves: see :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`.
        on_error
            "row": where the function, or reading, fails, the error's text is in the row. "raise":
            the first such error ends it.
        database
            Where workers of a cluster find the database: a URL without a password, or the path of
            a ``db.conf`` as they see it. None: the embedded server's socket if it is that one;
            else what they are configured for themselves (``db.conf``, ``LCDB_URL``, ``PG*``); else
            this database's URL without its password, which they may have in ``~/.pgpass``. No
            password is ever sent by way of the scheduler.
        progress
            Show a progress bar; None shows it once the work has lasted a second.

        Returns
        -------
        pandas.DataFrame
            One row a DataSet, in the order of :attr:`Selection.table`: ``dataset, target``, what
            tells observations apart (``sector``), ``photometry, processing``, then what the
            function gave, a column for each name ("result" for a single value), and ``error``,
            None where all went well. Quantities become numbers, and Times too: their units and
            formats are in ``attrs["units"]``.

        Raises
        ------
        LightCurveNotFoundError
            If the Selection is empty.
        ConnectionFailedError
            If the workers do not reach the database. Once there are results, a server that does
            not answer is waited for, for some minutes.
        ConfigurationError
            If the function cannot be pickled, ``database=`` has a password in it, or the workers
            read another database.

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
            of=of,
            settings=settings,
            on_error=on_error,
            database=database,
            progress=progress,
        )

    def to_dask(
        self,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        on_error: OnError = "raise",
        database: str | None = None,
    ) -> dd.DataFrame:
        """Make a Dask DataFrame of what :meth:`Selection.to_pandas` gives; nothing is read yet.

        A partition is (a part of) one observation, about 100 MB, which the worker that needs it
        reads from PostgreSQL, over a connection that is closed afterwards.

        Parameters
        ----------
        quality_bitmask, flagged, time_format
            As for :func:`lcdb_notebook.lightcurve.convert.to_pandas`.
        on_error
            "raise", or "skip" light curves that cannot be trusted, and warn of each at the worker.
        database
            Where workers find the database: as for :meth:`map`.

        Returns
        -------
        dask.dataframe.DataFrame
            Rows in order of observation, then of :attr:`Selection.table`.

        Raises
        ------
        MissingExtraError
            If Dask is not installed.
        LightCurveNotFoundError
            If the Selection is empty.
        DataError
            If the missions tell time by different clocks and no ``time_format`` is asked for.

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
            self._search, settings=settings, on_error=on_error, database=database
        )
