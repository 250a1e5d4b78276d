"""Database: the one object a notebook holds; it hands every job on to the module that does it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lcdb_notebook.database.exploring import Exploring
from lcdb_notebook.database.listings import Listings
from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.models import DataSet
from lcdb_notebook.read import orm_arrays
from lcdb_notebook.read.records import OnError
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search import lineage
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lineage import Lineage
from lcdb_notebook.search.results import Search
from lcdb_notebook.server import config as config_module
from lcdb_notebook.server.driver_errors import translated

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd

    from lcdb_notebook.ingest import Report
    from lcdb_notebook.server.embedded import Server

__all__ = ["Database", "connect"]


def connect(
    url: str | sa.URL | None = None,
    *,
    write: bool = False,
    config: str | Path | None = None,
    embedded: bool | str | Path | None = None,
    create: bool = False,
    statement_timeout: float | None = None,
    application_name: str | None = None,
) -> Database:
    """Open a LightcurveDB.

    Looked for in this order: ``url``; ``config`` or ``~/.config/lightcurvedb/db.conf``; the
    environment (``LCDB_URL``, then libpq's own ``PG*`` variables, service and password files); a
    server of your own, embedded in your data folder, which is started if need be.

    Parameters
    ----------
    url : str or sa.URL, optional
        ``postgresql://user:password@host:port/database``.
    write : bool, default False
        Allow changes. Without it the server itself refuses them.
    config : str or pathlib.Path, optional
        A file with a section ``[Credentials]``: username, password, database_name,
        database_host, database_port.
    embedded : bool or str or pathlib.Path, optional
        True for the embedded server whatever else is configured, a folder to keep it in, or False
        never to use it.
    create : bool, default False
        Create the tables, and the columns of mission classes, that are missing; implied for the
        embedded server. Nothing that exists is touched.
    statement_timeout : float, optional
        Seconds after which the server gives up on a statement; None waits for ever.
    application_name : str, optional
        How you are called in ``pg_stat_activity``, where whoever runs the server looks; None takes
        ``application_name=`` of the URL, ``PGAPPNAME``, or else "lcdb_notebook".

    Returns
    -------
    Database
        Usable as a ``with`` block, or without one; :meth:`Database.close` is optional.

    Raises
    ------
    ConfigurationError
        If the arguments or a configuration file make no sense.
    ConnectionFailedError
        If no server answers, or it refuses.
    SchemaError
        If the database has not the tables of a LightcurveDB.
    """
    address = config_module.resolve(url, config=config, embedded=embedded)
    server: Server | None = None
    where = address.url
    if address.folder is not None:
        from lcdb_notebook.server import embedded as embedded_server

        server = embedded_server.start(address.folder)
        where = server.url()
    assert where is not None
    try:
        return Database(
            where,
            description=str(address),
            server=server,
            write=write,
            create=create or server is not None,
            statement_timeout=statement_timeout,
            application_name=application_name,
        )
    except BaseException:
        if server is not None:
            server.stop()
        raise


class Database(Exploring, Listings):
    """A LightcurveDB: search it, read from it, and, opened with ``write=True``, add to it.

    Made by :func:`connect`. Every method that reads leaves no transaction open, so an idle
    notebook holds one quiet connection and no locks.
    """

    def search(
        self,
        target: Any = None,
        *,
        catalog: Any = None,
        observation: Any = None,
        instrument: Any = None,
        photometry: Any = None,
        processing: Any = None,
        **observation_fields: Any,
    ) -> Selection:
        """Find light curves; nothing is queried before the Selection is looked at.

        Parameters
        ----------
        target : object, optional
            A catalog number (``261136679``, ``"TIC 261136679"``), a Target, or a list of either.
        catalog : object, optional
            Name of the catalog, where a number stands in several.
        observation : object, optional
            An id, an Observation or a class of them (``TESSObservation``), or a list.
        instrument : object, optional
            Name or Instrument; its parts are included: "Camera 1" finds its CCDs.
        photometry, processing : object, optional
            Names of a photometric source and a processing method, or lists; ``"raw"`` is no
            processing.
        **observation_fields
            Fields of observation classes: ``sector=1``, ``sector=[1, 2]``, ``author="QLP"``; None
            finds observations in which a field is not set.

        Raises
        ------
        TypeError
            If a keyword is no such field (the message names those that are), or a value is of the
            wrong type.
        ValueError
            If a list is empty, which nothing can match.

        Examples
        --------
        >>> db = getfixture("demo_database")
        >>> found = db.search(3, sector=[1, 2], processing="DEMO DET")
        >>> found.table[["target", "sector", "photometry", "processing"]]
           target  sector        photometry processing
        0       3       1  DEMO aperture 2px   DEMO DET
        1       3       1  DEMO aperture 3px   DEMO DET
        2       3       2  DEMO aperture 2px   DEMO DET
        3       3       2  DEMO aperture 3px   DEMO DET
        """
        wanted = criteria(
            target,
            catalog=catalog,
            observation=observation,
            instrument=instrument,
            photometry=photometry,
            processing=processing,
            known_fields=self._fields(observation_fields),
            **observation_fields,
        )
        return Selection(Search(self, wanted))

    def lightcurve(
        self,
        target: Any = None,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        as_flux: bool = True,
        **search: Any,
    ) -> lightkurve.LightCurve:
        """Search, and read the one light curve found: see :meth:`Selection.lightcurve`."""
        return self.search(target, **search).lightcurve(
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
        )

    def lightcurves(
        self,
        target: Any = None,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        as_flux: bool = True,
        on_error: OnError = "raise",
        progress: bool | None = None,
        **search: Any,
    ) -> lightkurve.LightCurveCollection:
        """Search, and read all light curves found: see :meth:`Selection.lightcurves`."""
        return self.search(target, **search).lightcurves(
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            on_error=on_error,
            progress=progress,
        )

    def dataframe(
        self,
        target: Any = None,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        on_error: OnError = "raise",
        progress: bool | None = None,
        **search: Any,
    ) -> pd.DataFrame:
        """Search, and read all found into one DataFrame: see :meth:`Selection.to_pandas`."""
        return self.search(target, **search).to_pandas(
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            on_error=on_error,
            progress=progress,
        )

    def lineage(self, of: Any) -> Lineage:
        """Find where light curves came from and what was made of them, in one statement.

        Parameters
        ----------
        of : object
            A Selection; a LightCurve or LightCurveData read from here; a DataSet, or its id; or
            several of these.

        Returns
        -------
        Lineage
            Draws itself in a notebook: see :class:`lcdb_notebook.search.lineage.Lineage`.

        Raises
        ------
        LightCurveNotFoundError
            If there is no such DataSet, or the Selection is empty.
        """
        if isinstance(of, Selection):
            of = of.datasets
        with self.session_scope() as session:
            return lineage.lineage(session, of)

    def load(self, datasets: Iterable[DataSet]) -> None:
        """Fill ``values`` and ``errors`` of many DataSet objects in one statement.

        They do not become dirty. Read through the attribute instead, each array is a query.
        """
        with self.session_scope() as session:
            orm_arrays.load(session, list(datasets))

    # The write side

    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        on_error: OnError = "skip",
        progress: bool | None = None,
    ) -> Report:
        """Take light-curve files in: see :func:`lcdb_notebook.ingest.ingest`."""
        from lcdb_notebook import ingest

        self._require_write("ingest()")
        with translated(self._description):
            return ingest.ingest(self._engine, paths, on_error=on_error, progress=progress)

    def add(
        self,
        lightcurve: lightkurve.LightCurve | pd.DataFrame,
        *,
        derived_from: Any = None,
        **said: Any,
    ) -> Report:
        """Take a LightCurve in, or a DataFrame of some: see :func:`lcdb_notebook.ingest.add`."""
        from lcdb_notebook import ingest

        self._require_write("add()")
        with translated(self._description):
            return ingest.add(self._engine, lightcurve, derived_from=derived_from, **said)

    def add_frames(self, paths: str | Path | Iterable[str | Path], **said: Any) -> pd.DataFrame:
        """Read the headers of FITS images in: see :func:`lcdb_notebook.ingest.add_frames`."""
        from lcdb_notebook import ingest

        self._require_write("add_frames()")
        with translated(self._description), self._engine.begin() as connection:
            return ingest.add_frames(connection, paths, **said)
