"""The methods of a Database that find light curves and their lineage."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.errors.arguments import check_number
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.search import lineage as _lineage
from lcdb_notebook.search.arguments import is_position
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.lineage import Lineage
from lcdb_notebook.search.sky import targets_near
from lcdb_notebook.search.star_names import position_of

if TYPE_CHECKING:
    from lcdb_notebook.explore.explorer import Explorer
    from lcdb_notebook.explore.widget.protocols import Explorable

__all__ = ["explore", "lineage", "search"]


def search(
    self: Open,
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    photometry: Any = None,
    processing: Any = None,
    aliases: bool = False,
    radius: Any = None,
    limit: int | None = None,
    **observation_fields: Any,
) -> Selection:
    """Find light curves.

    The database is queried on first use of the Selection.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
    catalog : str, MissionCatalog, or list of these, optional
        Name of the catalog; required if a number is in several catalogs.
    observation : int, Observation, type, or list of these, optional
        Id of an observation, an Observation, an observation class such as ``TESSObservation``, or a
        list of these.
    instrument : str, uuid.UUID, Instrument, or list of these, optional
        Name or id of an instrument. Its parts are included: "Camera 1" matches its CCDs.
    photometry : str, PhotometricSource, or list of these, optional
        Name of the photometric source.
    processing : str, ProcessingMethod, or list of these, optional
        Name of the processing method; ``"raw"`` selects light curves without processing.
    aliases : bool, optional
        Include other targets that are the same star, where the database has aliases (LightcurveDB
        3).
    radius : astropy.units.Quantity or float, optional
        If ``target`` is a position, the largest distance from it; a number is in arcseconds. By
        default 10 arcseconds.
    limit : int, optional
        Maximum number of rows; None lists all.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    Selection
        The matching light curves, in the order of target, time, photometry and processing.

    Raises
    ------
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.
    SchemaError
        If ``target`` is a position and the database has none; or, when the Selection is used, if
        ``aliases=True`` and the database has no aliases.
    TargetNotFoundError
        If there is no target near a position.

    Notes
    -----
    ``target`` can also be a position: an astropy SkyCoord or a list of these, coordinates such as
    ``"84.29 -80.47"``, or a name such as ``"pi Men"``, whose position astroquery finds if there is
    a network. The positions of targets are those in the headers of ingested files, in databases
    that this package created; they are looked up at once.

    The arguments of ``lightkurve.search_lightcurve`` are also accepted: ``mission="TESS"``,
    ``exptime`` or ``cadence`` as ``"fast"``, ``"short"`` or ``"long"``, and any case of
    ``author="spoc"``.

    Examples
    --------
    >>> found = db.search(3, sector=[1, 2], processing="DEMO DET")
    >>> found.table[["target", "sector", "photometry", "processing"]]
       target  sector        photometry processing
    0       3       1  DEMO aperture 2px   DEMO DET
    1       3       1  DEMO aperture 3px   DEMO DET
    2       3       2  DEMO aperture 2px   DEMO DET
    3       3       2  DEMO aperture 3px   DEMO DET
    """
    target, near = _near(self, target, radius)
    checked = criteria(
        target,
        catalog=catalog,
        observation=observation,
        instrument=instrument,
        photometry=photometry,
        processing=processing,
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    if near is not None:
        checked = replace(checked, target_ids=near)
    if aliases:
        checked = replace(checked, aliases=True)
    if not checked.processing and self._has_positions():
        checked = replace(checked, without_positions=True)
    check_number("limit", limit)
    return Selection(Search(self, checked, limit=limit))


def _near(self: Open, target: Any, radius: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return a target that is not a position, or the ids of the targets near a position."""
    # In a terminal, targets are a list.
    one = target[0] if isinstance(target, list | tuple) and len(target) == 1 else target
    with self.session_scope() if isinstance(one, str) else nullcontext() as session:
        position = position_of(session, one) if session is not None else None
    if position is None and is_position(target):
        position = target
    if position is not None:
        with self.session_scope() as session:
            return None, targets_near(session, position, radius)
    if radius is not None:
        raise ArgumentError(
            "radius needs a position as the target, such as SkyCoord(lc.ra, lc.dec, unit='deg'), "
            f"got target={target!r}"
        )
    return target, None


def explore(
    self: Open,
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    photometry: Any = None,
    processing: Any = None,
    **observation_fields: Any,
) -> Explorer:
    """Open a widget to find targets, light curves, flags and lineage by clicking.

    The arguments are the initial criteria, which can be changed in the widget.

    Parameters
    ----------
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
    catalog : str, MissionCatalog, or list of these, optional
        Name of the catalog; required if a number is in several catalogs.
    observation : int, Observation, type, or list of these, optional
        Id of an observation, an Observation, an observation class such as ``TESSObservation``, or a
        list of these.
    instrument : str, uuid.UUID, Instrument, or list of these, optional
        Name or id of an instrument. Its parts are included: "Camera 1" matches its CCDs.
    photometry : str, PhotometricSource, or list of these, optional
        Name of the photometric source.
    processing : str, ProcessingMethod, or list of these, optional
        Name of the processing method; ``"raw"`` selects light curves without processing.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    Explorer
        The widget. Its traits ``selection``, ``dataset``, ``settings`` and ``code`` describe what
        it shows; ``lightcurve()`` returns the light curve.

    Raises
    ------
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.

    Examples
    --------
    >>> explorer = db.explore(3, sector=1, processing="raw")
    >>> print(explorer.code)
    db.search(3, catalog="DEMO", sector=1, photometry="DEMO aperture 2px",
    processing="raw").lightcurve(quality_bitmask="default")
    >>> explorer.close()
    """
    from lcdb_notebook.explore.explorer import Explorer

    start = criteria(
        target,
        catalog=catalog,
        observation=observation,
        instrument=instrument,
        photometry=photometry,
        processing=processing,
        caller="explore()",
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    return Explorer(cast("Explorable", self), start)


def lineage(self: Open, of: Any) -> Lineage:
    """Find all ancestors and descendants of light curves, in one statement.

    Parameters
    ----------
    of : int, DataSet, Selection, LightCurve, LightCurveData, or iterable of these
        DataSets, their ids, or light curves read by this package.

    Returns
    -------
    Lineage
        The DataSets and their links, which notebooks draw as a graph.

    Raises
    ------
    LightCurveNotFoundError
        If a DataSet does not exist, or the Selection is empty.
    ArgumentError
        If ``of`` does not identify DataSets.

    Examples
    --------
    >>> db.lineage(1)
    <Lineage of DEMO aperture 2px / raw #1 (DEMO 1): 0 sources, 2 derived>
    """
    if isinstance(of, Selection):
        of = of.datasets
    with self.session_scope() as session:
        return _lineage.lineage(session, of)
