"""Selection: what a search found, listed at once and read only when asked."""

from __future__ import annotations

import html
import operator
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, SupportsIndex

from lcdb_notebook.errors import AmbiguousError, NotFoundError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import Flagged, require_known
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.read.records import CHUNK_BYTES, OnError, records
from lcdb_notebook.read.selection.outputs import Onward
from lcdb_notebook.search import explain, lineage, results
from lcdb_notebook.search.results import Found, Search

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd
    from matplotlib.axes import Axes
    from sqlalchemy import orm

__all__ = ["Selection"]

_ROWS_SHOWN = 20

# Rows that are looked at where one is wanted: enough to say what tells them apart.
_ROWS_COMPARED = 1000


class Selection(Onward):
    """The DataSets that match a search: lazy, sliceable, iterable.

    Nothing is queried before something is asked of it; what was found is then kept. No arrays move
    until :meth:`read`, :meth:`to_pandas`, :meth:`lightcurve` or :meth:`lightcurves`. Order: catalog
    number, start of the observation, photometry, processing (raw first).

    Examples
    --------
    >>> found = db.search(3, sector=[1, 2])
    >>> len(found)
    12
    >>> found[:1].lightcurve().meta["SECTOR"]
    1
    """

    def __init__(self, search: Search) -> None:
        self._search = search

    # What there is

    @property
    def table(self) -> pd.DataFrame:
        """One row a DataSet; no arrays are read.

        Columns: ``dataset``, ``target``, ``catalog``, ``observation``, the fields of the
        observations (``sector``), ``instrument``, ``photometry``, ``processing`` ("raw" where
        none), ``unit`` and ``cadences``.

        Raises
        ------
        NotFoundError
            If something that was asked for is not in the database at all.
        """
        with self._search.sessions.session_scope() as session:
            return self._search.found(session).table()

    @property
    def datasets(self) -> list[int]:
        """Ids of the DataSets, in order; no arrays are read.

        Raises
        ------
        LightCurveNotFoundError
            If there is none.
        """
        with self._search.sessions.session_scope() as session:
            found = self._search.found(session)
            found.require()
        return [row.dataset for row in found.rows]

    def __len__(self) -> int:
        return self._search.count()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __getitem__(self, which: SupportsIndex | slice) -> Selection:
        """Give a smaller Selection: ``selection[0]``, ``selection[:10]``, ``selection[-1]``.

        Raises
        ------
        IndexError
            If there is no light curve of that number.
        """
        if isinstance(which, slice):
            return Selection(self._search.cut(which))
        number = operator.index(which)
        position = number + len(self) if number < 0 else number
        if position < 0 or position >= len(self):
            raise IndexError(f"no light curve number {number}; the selection has {len(self)}")
        return Selection(self._search.cut(slice(position, position + 1)))

    # What is in it

    def __iter__(self) -> Iterator[LightCurveData]:
        return self.read()

    def read(
        self, *, on_error: OnError = "raise", progress: bool | None = None
    ) -> Iterator[LightCurveData]:
        """Iterate over the light curves as plain records, in bounded memory.

        Arrays are fetched a few megabytes at a time, one statement each time, so nothing is held
        at the server between two of them and other calls may come in between.

        Parameters
        ----------
        on_error
            "raise", or "skip" light curves that cannot be trusted and warn once, naming them.
        progress
            Show a progress bar; None shows it once reading has lasted a second.

        Yields
        ------
        LightCurveData
            One for each DataSet, in the order of :attr:`table`.
        """
        return self._read(CHUNK_BYTES, on_error, progress)

    def to_pandas(
        self,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        on_error: OnError = "raise",
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Read everything into one DataFrame: see :func:`.to_pandas`."""
        found = list(self._read(None, on_error, progress, quality_bitmask))
        with self._search.sessions.session_scope() as session:
            told = lineage.histories(session, found)
        return convert.to_pandas(
            found,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            histories=told,
        )

    def lightcurve(
        self,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        as_flux: bool = True,
    ) -> lightkurve.LightCurve:
        """Read the one light curve: see :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`.

        Raises
        ------
        AmbiguousError
            If there are several; the message shows them.
        LightCurveNotFoundError
            If there is none.
        """
        # One loan for all: to take a connection and give it back costs as much as a statement.
        with self._search.sessions.session_scope() as session:
            found = self._one(session)
            missions = results.missions(session)
            (data,) = records(lambda: nullcontext(session), found, missions, chunk_bytes=None)
            told = lineage.histories(session, [data])
        return convert.to_lightcurve(
            data,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            history=told[data.dataset],
        )

    def _one(self, session: orm.Session) -> Found:
        """Find what was searched for if it is exactly one light curve, or say what there is."""
        search = self._search
        few = search if search.kept is not None else search.cut(slice(0, _ROWS_COMPARED + 1))
        found = few.found(session)
        found.require()
        missing = search.missing(session)
        explain.check_one_catalog(found.rows, search.wanted)
        if len(found.rows) > 1:
            many = len(found.rows) > _ROWS_COMPARED
            shown = found.part(0, _ROWS_SHOWN).table().to_string(index=False, na_rep="")
            raise AmbiguousError(
                f"{search.count() if many else len(found.rows):,} light curves match where one was "
                "wanted; narrow the search by what tells them apart, or use lightcurves():\n"
                f"{shown}" + ("\n..." if len(found.rows) > _ROWS_SHOWN else "")
            )
        if missing:
            warn(missing)
        return found

    def lightcurves(
        self,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Flagged = "drop",
        time_format: str | None = None,
        as_flux: bool = True,
        on_error: OnError = "raise",
        progress: bool | None = None,
    ) -> lightkurve.LightCurveCollection:
        """Read all into a LightCurveCollection, ordered by time; ``stitch()`` joins them.

        Parameters are those of :func:`lcdb_notebook.lightcurve.convert.to_lightcurve`, and of
        :meth:`read`.
        """
        with self._search.sessions.session_scope() as session:
            self._search.found(session).require()
        in_order = convert.by_start(list(self._read(None, on_error, progress, quality_bitmask)))
        with self._search.sessions.session_scope() as session:
            told = lineage.histories(session, in_order)
        return convert.to_lightcurves(
            in_order,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            histories=told,
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        quality_bitmask: Bitmask = "default",
        flagged: Literal["apart", "drop", "keep"] = "apart",
        joined: bool = False,
        on_error: OnError = "raise",
    ) -> Axes:
        """Draw flux against time, flagged cadences apart: see :func:`lcdb_notebook.plot.plot`."""
        from lcdb_notebook import plot

        with self._search.sessions.session_scope() as session:
            found = self._search.found(session)
            found.require()
        if ax is None:
            # Before arrays are read, for it may be a million light curves.
            plot.check_panels(
                (row.catalog, row.target, joined or row.observation, row.unit) for row in found.rows
            )
        records_read = list(self._read(None, on_error, None, quality_bitmask))
        return plot.plot(
            records_read, ax, quality_bitmask=quality_bitmask, flagged=flagged, joined=joined
        )

    # How it shows

    def __repr__(self) -> str:
        headline, shown = self._overview()
        table = "" if shown is None else "\n" + shown.to_string(index=False, na_rep="")
        return f"<Selection of {headline}>{table}"

    def _repr_html_(self) -> str:
        headline, shown = self._overview()
        table = "" if shown is None else shown.to_html(index=False, na_rep="")
        return f"<p>{html.escape(headline)}</p>{table}"

    def _overview(self) -> tuple[str, pd.DataFrame | None]:
        """Say in words and in a table what there is, also where it is nothing."""
        few = self._search.cut(slice(0, _ROWS_SHOWN))
        try:
            with self._search.sessions.session_scope() as session:
                found = self._search.kept or few.found(session)
                missing = self._search.missing(session)
        except NotFoundError as error:
            return f"0 light curves: {error}", None
        size = len(found.rows) if len(found.rows) < _ROWS_SHOWN else len(self)
        headline = f"{size:,} light curve{'' if size == 1 else 's'}"
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
        quality_bitmask: Bitmask = "none",
    ) -> Iterator[LightCurveData]:
        if on_error not in ("raise", "skip"):
            raise TypeError(f"on_error= is 'raise' or 'skip', not {on_error!r}")
        search = self._search
        with search.sessions.session_scope() as session:
            found = search.found(session)
            explain.check_one_catalog(found.rows, search.wanted)
            missions = results.missions(session)
        return records(
            search.sessions.session_scope,
            found,
            missions,
            chunk_bytes=chunk_bytes,
            on_error=on_error,
            progress=progress,
            require=lambda data: require_known(data, quality_bitmask),
        )
