"""The methods of a Selection that read lightkurve's light curves."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import AmbiguousError
from lcdb_notebook.errors.user_warnings import warn
from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.read.contents import Columns, add_contents
from lcdb_notebook.read.fetch import Pair
from lcdb_notebook.read.origins import Origins
from lcdb_notebook.read.records import OnError, records
from lcdb_notebook.read.selection.protocol import Rows
from lcdb_notebook.read.selection.several import warn_of_several
from lcdb_notebook.search import explain, results
from lcdb_notebook.search.results import Found
from lcdb_notebook.search.streaming import Pages

if TYPE_CHECKING:
    import lightkurve
    from sqlalchemy import orm

__all__ = ["lightcurve", "lightcurves"]

# Number of rows in the message if several light curves were found instead of one.
_ROWS_LISTED = 20

# Number of rows fetched to check whether there is one light curve, and how several differ.
_ROWS_COMPARED = 1000


def lightcurve(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    columns: Columns = None,
) -> lightkurve.LightCurve:
    """Read the only light curve of the selection; orbits of one sector are joined.

    Light curves of one target that differ only in their orbit (with the same sector, author,
    exposure time, photometry and processing) are joined in order of time. Magnitudes are converted
    to relative flux separately for each orbit. The columns ``orbit_number`` and ``dataset`` contain
    the origin of each cadence.

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
    as_flux : bool, optional
        Convert magnitudes to relative flux, ``10 ** (-0.4 * (m - median))`` with the median of
        the cadences that are not flagged (Pogson 1856), because lightkurve divides by the
        median. False keeps magnitudes.
    columns : str or sequence of str, optional
        Further columns of the file from which the light curve was ingested, by their names in the
        file ("mom_centr1", "sap_bkg", "sap_flux"), or "all". Only databases that this package
        created have them.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        The class depends on the mission. The columns are ``time, flux, flux_err, cadenceno,
        quality``, and one for each further flag type. Flux has the unit of the DataSet; it is
        dimensionless if magnitudes were converted. Cadences without a time are left out, because
        astropy's Time cannot contain NaN. ``meta`` has the target, the observation's fields, the
        lineage, and the header cards of the file, if they are stored.

    Raises
    ------
    AmbiguousError
        If the selection has several light curves that are not orbits of one sector; the message
        lists them.
    LightCurveNotFoundError
        If it is empty.
    DataError
        If arrays cannot be read or contradict each other, or astropy does not know the unit.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> found = db.search(3, sector=1, photometry="DEMO aperture 2px", processing="DEMO DET")
    >>> lc = found.lightcurve(quality_bitmask="hard")
    >>> lc.meta["LABEL"], lc.meta["SECTOR"], lc.time.format
    ('DEMO 3', 1, 'btjd')
    """
    # In one session scope, because each checkout of a connection costs as much as a statement.
    with self._search.sessions.session_scope() as session:
        found = _only_one(self, session)
        missions = results.missions(session) if found.missions is None else found.missions
        origins = Origins()
        data, *others = records(
            lambda: nullcontext(session),
            Pages.of(found),
            missions,
            chunk_bytes=None,
            origins=origins,
        )
        ordered = convert.by_start([data, *others])
        orbits = convert.to_lightcurves(
            ordered,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            histories=origins.histories,
        )
        add_contents(session, orbits, ordered, pairs(found), origins.cards, columns)
    if not others:
        only: lightkurve.LightCurve = orbits[0]
        return only
    joined = orbits.stitch(corrector_func=None)
    joined.meta["SECTOR"] = orbits[0].meta["SECTOR"]
    return joined


def _only_one(self: Rows, session: orm.Session) -> Found:
    """Return the only row, or its orbits, without fetching more than a page of rows.

    Raises
    ------
    AmbiguousError, LightCurveNotFoundError
        If there are several rows, or none.
    """
    search = self._search
    first_rows = search if search.kept is not None else search.cut(slice(0, _ROWS_COMPARED + 1))
    found = first_rows.found(session)
    found.require()
    missing = search.missing(session)
    explain.check_one_catalog(found.rows, search.criteria)
    if len(found.rows) > 1 and not _are_orbits(found):
        many = len(found.rows) > _ROWS_COMPARED
        listed = found.part(0, _ROWS_LISTED).table().to_string(index=False, na_rep="")
        raise AmbiguousError(
            f"expected one light curve, found {search.size().text if many else len(found.rows)}; "
            "narrow the search (for example sector=, photometry=, processing=), or use "
            f"lightcurves():\n{listed}" + ("\n..." if len(found.rows) > _ROWS_LISTED else "")
        )
    if missing:
        warn(missing)
    return found


def _are_orbits(found: Found) -> bool:
    """Return whether the rows are orbits of one light curve, in one observation each."""
    products = set()
    orbits = set()
    for row in found.rows:
        fields = found.observations[row.observation][0].fields
        orbit, sector = fields.get("orbit_number"), fields.get("sector")
        if orbit is None or sector is None or orbit in orbits:
            return False
        orbits.add(orbit)
        methods = (row.target_id, row.photometry, row.processing)
        products.add((*methods, sector, fields.get("author"), fields.get("exptime")))
    return len(products) == 1


def lightcurves(
    self: Rows,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    columns: Columns = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    connections: int = 1,
) -> lightkurve.LightCurveCollection:
    """Read all light curves into a LightCurveCollection, ordered by time.

    If several are of one target and observation, and the search does not name their photometry and
    processing, a warning names :meth:`best`.

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
    as_flux : bool, optional
        Convert magnitudes to relative flux, ``10 ** (-0.4 * (m - median))`` with the median of
        the cadences that are not flagged (Pogson 1856), because lightkurve divides by the
        median. False keeps magnitudes.
    columns : str or sequence of str, optional
        Further columns of the file from which the light curve was ingested, by their names in the
        file ("mom_centr1", "sap_bkg", "sap_flux"), or "all". Only databases that this package
        created have them.
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
    lightkurve.LightCurveCollection
        Its light curves have the same columns. Flags of a type that only some light curves have are
        0 in the others. ``stitch()`` joins them and keeps ``sector``, ``orbit_number``,
        ``quarter``, ``campaign`` and ``dataset`` as columns.

    Raises
    ------
    LightCurveNotFoundError
        If the selection is empty.
    DataError
        If arrays cannot be read or contradict each other, or astropy does not know a unit.
    ArgumentError
        If an argument has an invalid value; the message names the argument.

    Examples
    --------
    >>> found = db.search(3, photometry="DEMO aperture 2px", processing="DEMO DET")
    >>> both = found.lightcurves()
    >>> [lc.meta["SECTOR"] for lc in both]
    [1, 2]
    >>> len(both.stitch()) == len(both[0]) + len(both[1])
    True
    """
    found = collected(
        self,
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        as_flux=as_flux,
        columns=columns,
        on_error=on_error,
        progress=progress,
        connections=connections,
    )
    found.told = warn_of_several(self._search.criteria, found)
    return found


def collected(
    selection: Rows,
    *,
    on_error: OnError = "raise",
    progress: bool | None = None,
    columns: Columns = None,
    connections: int = 1,
    **options: Any,
) -> lightkurve.LightCurveCollection:
    """Read all light curves of a selection, without a warning if several are of one observation.

    Parameters
    ----------
    selection : Selection
        The light curves.
    on_error, progress, columns, connections, **options
        Arguments of :func:`lightcurves`.
    """
    search = selection._search
    with search.sessions.session_scope() as session:
        found = search.found(session)
        found.require()
    origins = Origins()
    in_order = convert.by_start(
        list(
            selection._read(
                None, on_error, progress, convert.check_unit, origins, connections=connections
            )
        )
    )
    lightcurves = convert.to_lightcurves(in_order, histories=origins.histories, **options)
    with search.sessions.session_scope() as session:
        add_contents(session, lightcurves, in_order, pairs(found), origins.cards, columns)
    return lightcurves


def pairs(found: Found) -> dict[DataSetId, Pair]:
    """Return the ids of the target and the observation of each DataSet."""
    return {row.dataset: (row.target_id, row.observation) for row in found.rows}
