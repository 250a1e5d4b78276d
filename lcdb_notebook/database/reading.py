"""The methods of a Database that read light curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.flags import Bitmask
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.models import DataSet
from lcdb_notebook.read import orm_arrays
from lcdb_notebook.read.contents import Columns
from lcdb_notebook.read.records import OnError

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd


__all__ = ["coverage", "dataframe", "lightcurve", "lightcurves", "load"]


def lightcurve(
    self: Open,
    target: Any = None,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    columns: Columns = None,
    **search: Any,
) -> lightkurve.LightCurve:
    """Search for a light curve and read it.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
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
    **search
        Further criteria of the search: ``catalog``, ``observation``, ``instrument``,
        ``photometry``, ``processing``, and fields of observations such as ``sector=1``, as in
        ``db.search``.

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
        If several light curves match; the message lists them.
    NotFoundError
        If no light curve matches; the message names the criterion.
    DataError
        If arrays cannot be read or contradict each other, or astropy does not know the unit.
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), or an
        argument has an invalid value; the message names it.

    Examples
    --------
    >>> lc = db.lightcurve(3, sector=1, photometry="DEMO aperture 2px", processing="DEMO DET")
    >>> lc.meta["LABEL"], lc.meta["SECTOR"], lc.time.format
    ('DEMO 3', 1, 'btjd')
    """
    return self.search(target, **search).lightcurve(
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        as_flux=as_flux,
        columns=columns,
    )


def lightcurves(
    self: Open,
    target: Any = None,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    columns: Columns = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    **search: Any,
) -> lightkurve.LightCurveCollection:
    """Search for light curves and read them into a LightCurveCollection, ordered by time.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
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
    **search
        Further criteria of the search: ``catalog``, ``observation``, ``instrument``,
        ``photometry``, ``processing``, and fields of observations such as ``sector=1``, as in
        ``db.search``.

    Returns
    -------
    lightkurve.LightCurveCollection
        Its light curves have the same columns. Flags of a type that only some light curves have are
        0 in the others. ``stitch()`` joins them and keeps ``sector``, ``orbit_number``,
        ``quarter``, ``campaign`` and ``dataset`` as columns.

    Raises
    ------
    NotFoundError
        If no light curve matches; the message names the criterion.
    DataError
        If arrays cannot be read or contradict each other, or astropy does not know a unit.
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), or an
        argument has an invalid value; the message names it.

    Examples
    --------
    >>> both = db.lightcurves(3, photometry="DEMO aperture 2px", processing="DEMO DET")
    >>> [lc.meta["SECTOR"] for lc in both]
    [1, 2]
    """
    return self.search(target, **search).lightcurves(
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        as_flux=as_flux,
        columns=columns,
        on_error=on_error,
        progress=progress,
    )


def dataframe(
    self: Open,
    target: Any = None,
    *,
    quality_bitmask: Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    on_error: OnError = "raise",
    progress: bool | None = None,
    **search: Any,
) -> pd.DataFrame:
    """Search for light curves and read them into one DataFrame.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
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
    **search
        Further criteria of the search: ``catalog``, ``observation``, ``instrument``,
        ``photometry``, ``processing``, and fields of observations such as ``sector=1``, as in
        ``db.search``.

    Returns
    -------
    pandas.DataFrame
        One row per cadence: ``time, flux, flux_err, cadenceno, quality``, a column for each
        further flag type, then ``dataset, target, photometry, processing`` and the observation
        fields that increase with time (``sector``). Fluxes and errors are as stored, magnitudes
        included; ``attrs`` hold the mission, the time format and scale, the units and the type of
        ``quality``.

    Raises
    ------
    DataError
        If arrays cannot be read or contradict each other, or the missions have different time
        formats and ``time_format`` is None.
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), or an
        argument has an invalid value; the message names it.

    Examples
    --------
    >>> frame = db.dataframe(3, sector=1, processing="DEMO DET")
    >>> frame.groupby("photometry", observed=True)["flux"].median().round(3).to_dict()
    {'DEMO aperture 2px': 1.0, 'DEMO aperture 3px': 1.0}
    """
    return self.search(target, **search).to_pandas(
        quality_bitmask=quality_bitmask,
        flagged=flagged,
        time_format=time_format,
        on_error=on_error,
        progress=progress,
    )


def coverage(self: Open, target: Any = None, *, per: str = "sector", **search: Any) -> pd.DataFrame:
    """Count the light curves of targets by sector; no arrays are read.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
    per : str, optional
        The observation field that becomes the columns: "sector", "quarter", "campaign".
    **search
        Further criteria of the search: ``catalog``, ``observation``, ``instrument``,
        ``photometry``, ``processing``, and fields of observations such as ``sector=1``, as in
        ``db.search``.

    Returns
    -------
    pandas.DataFrame
        One row per target and one column per sector, with numbers of light curves, which may be 0.
        Catalog numbers that are not in the database have a row of 0.

    Raises
    ------
    ArgumentError
        If an argument is unknown or invalid, or ``per`` is not a field of the observations.

    Examples
    --------
    >>> counts = db.coverage([1, 2, 3], processing="raw")
    >>> counts.columns[(counts > 0).all()].tolist()
    [1, 2]
    """
    return self.search(target, **search).coverage(per=per)


def load(self: Open, datasets: Iterable[DataSet]) -> None:
    """Fetch ``values`` and ``errors`` of many DataSet objects in one statement.

    Otherwise, the first access to each array is a separate query. The objects are not marked as
    changed.

    Parameters
    ----------
    datasets : iterable of DataSet
        Objects of ``db.session``.

    Raises
    ------
    DataError
        If an array cannot be read.

    Examples
    --------
    >>> from lcdb_notebook.models import DataSet
    >>> datasets = db.session.query(DataSet).order_by(DataSet.id).limit(2).all()
    >>> db.load(datasets)
    >>> [dataset.values.shape for dataset in datasets]
    [(1200,), (1200,)]
    >>> db.session.rollback()
    """
    with self.session_scope() as session:
        orm_arrays.load(session, list(datasets))
