"""Selection: the light curves of a search, read when needed."""

from __future__ import annotations

import html
import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, SupportsIndex, cast

from lcdb_notebook.errors import LightCurveIndexError, NotFoundError
from lcdb_notebook.errors.arguments import check_choice, check_number
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.records import OnError, records
from lcdb_notebook.read.selection import choosing, interchange, nested, outputs, tables, workers
from lcdb_notebook.read.selection import lightcurves as _lightcurves
from lcdb_notebook.read.selection.counting import counted
from lcdb_notebook.search import explain, results
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.streaming import all_rows, pages
from lcdb_notebook.server.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Selection"]

_ROWS_SHOWN = 20


class HasSnapshots(Protocol):
    """A database that opens several connections that see the same."""

    def _snapshot(self, connections: int) -> Snapshot:
        """Open them."""


class Selection:
    """The DataSets that match a search: lazy, sliceable, iterable.

    The database is queried on first use, and the result is kept. Arrays are not read before
    :meth:`read`, :meth:`to_pandas`, :meth:`lightcurve` or another method that returns them. The
    order is: catalog number, start of the observation, photometry, processing (raw first). Shown in
    a notebook, a selection of more than 10,000 light curves has an estimate of their number, such
    as "about 4,000,000"; ``len(selection)`` counts them.

    Examples
    --------
    >>> found = db.search(3, sector=[1, 2])
    >>> len(found)
    12
    >>> found[:1].lightcurve().meta["SECTOR"]
    1
    """

    # Methods with long documentation are in separate files.
    read = tables.read
    to_pandas = tables.to_pandas
    to_nested = tables.to_nested
    nested_parts = nested.nested_parts
    to_table = interchange.to_table
    to_arrow = interchange.to_arrow
    lightcurve = _lightcurves.lightcurve
    lightcurves = _lightcurves.lightcurves
    export = outputs.export
    figure = outputs.figure
    plot = outputs.plot
    map = workers.map
    to_dask = workers.to_dask
    best = choosing.best
    coverage = choosing.coverage

    def __init__(self, search: Search) -> None:
        self._search = search

    @property
    def table(self) -> pd.DataFrame:
        """One row per DataSet; no arrays are read.

        Returns
        -------
        pandas.DataFrame
            ``dataset``, ``target``, ``catalog``, ``observation``, the fields of the observations
            (``sector``), ``instrument``, ``photometry``, ``processing`` ("raw" if there is none),
            ``unit`` and ``cadences``.

        Raises
        ------
        NotFoundError
            If a name or number of the search does not exist in the database.

        Examples
        --------
        >>> db.search(3, sector=1, processing="raw").table[["target", "photometry", "cadences"]]
           target        photometry  cadences
        0       3  DEMO aperture 2px      1200
        1       3  DEMO aperture 3px      1200
        """
        with self._search.sessions.session_scope() as session:
            return self._search.found(session).table()

    @property
    def datasets(self) -> list[DataSetId]:
        """Ids of the DataSets, in order; no arrays are read.

        Returns
        -------
        list of int
            The column ``dataset`` of ``table``.

        Raises
        ------
        LightCurveNotFoundError
            If the selection is empty.

        Examples
        --------
        >>> found = db.search(3, sector=1, processing="raw")
        >>> found.datasets == found.table["dataset"].tolist()
        True
        """
        with self._search.sessions.session_scope() as session:
            found = self._search.found(session)
            found.require()
        return [row.dataset for row in found.rows]

    def __len__(self) -> int:
        return counted(self._search)

    def __bool__(self) -> bool:
        return self._one(0) is not None

    def __getitem__(self, which: SupportsIndex | slice) -> Selection:
        """Return a smaller Selection: ``selection[0]``, ``selection[:10]``, ``selection[-1]``.

        Raises
        ------
        LightCurveIndexError
            If there is no light curve with this number.
        """
        if isinstance(which, slice):
            return Selection(self._search.cut(which))
        number = operator.index(which)
        one = self._one(number)
        if one is None:
            size = self._search.size().text
            raise LightCurveIndexError(f"no light curve number {number}; the selection has {size}")
        return Selection(one)

    def _one(self, number: int) -> Search | None:
        try:
            return self._search.one(number)
        except NotFoundError:
            return None

    def __iter__(self) -> Iterator[LightCurveData]:
        return self.read()

    def __repr__(self) -> str:
        headline, shown = self._overview()
        table = "" if shown is None else "\n" + shown.to_string(index=False, na_rep="")
        return f"<Selection of {headline}>{table}"

    def _repr_html_(self) -> str:
        headline, shown = self._overview()
        table = "" if shown is None else shown.to_html(index=False, na_rep="")
        return f"<p>{html.escape(headline)}</p>{table}"

    def _overview(self) -> tuple[str, pd.DataFrame | None]:
        """Return a headline and a table of the first rows, or the reason why it is empty."""
        try:
            with self._search.sessions.session_scope() as session:
                # In the same block, because each begins with a test of the connection.
                found, size, missing = self._search.overview(session, _ROWS_SHOWN)
        except NotFoundError as error:
            return f"0 light curves: {error}", None
        headline = f"{size.text} light curve{'' if size == 1 else 's'}"
        if size > _ROWS_SHOWN:
            headline += f", the first {_ROWS_SHOWN} shown"
        if missing or found.why is not None:
            headline += f": {missing or found.why}"
        return headline, found.part(0, _ROWS_SHOWN).table() if found.rows else None

    def _read(
        self,
        chunk_bytes: int | None,
        on_error: OnError,
        progress: bool | None,
        check: Callable[[LightCurveData], None] | None = None,
        origins: Origins | None = None,
        connections: int = 1,
    ) -> Iterator[LightCurveData]:
        check_choice("on_error", on_error, ("raise", "skip"))
        check_number("connections", connections)
        if (connections or 1) > 1:
            snapshot = cast("HasSnapshots", self._search.sessions)._snapshot(connections)
            try:
                return self._records(snapshot, chunk_bytes, on_error, progress, check, origins)
            except BaseException:
                snapshot.close()
                raise
        return self._records(None, chunk_bytes, on_error, progress, check, origins)

    def _records(
        self,
        snapshot: Snapshot | None,
        chunk_bytes: int | None,
        on_error: OnError,
        progress: bool | None,
        check: Callable[[LightCurveData], None] | None,
        origins: Origins | None,
    ) -> Iterator[LightCurveData]:
        search = self._search if snapshot is None else self._search.within(snapshot)
        with search.sessions.session_scope() as session:
            rows = all_rows(search, session) if chunk_bytes is None else pages(search)
            missions = results.missions(session)
        self._search.kept = search.kept
        return records(
            search.sessions.session_scope,
            rows.each(lambda found: explain.check_one_catalog(found.rows, search.criteria)),
            missions,
            chunk_bytes=chunk_bytes,
            on_error=on_error,
            progress=progress,
            check=check,
            origins=origins,
            snapshot=snapshot,
        )
