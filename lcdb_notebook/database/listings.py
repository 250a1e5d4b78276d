"""The methods of a Database that list targets, observations, frames and quality flags."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.search import listings
from lcdb_notebook.search.criteria import criteria

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["frames", "observations", "quality_flags", "targets"]

#: Default of ``limit``.
LISTED = 1000


def targets(
    self: Open,
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    photometry: Any = None,
    processing: Any = None,
    aliases: bool = False,
    limit: int | None = LISTED,
    offset: int = 0,
    **observation_fields: Any,
) -> pd.DataFrame:
    """List targets in the order of their numbers.

    With other criteria, such as ``sector=1``, only targets with matching light curves are listed.

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
    limit : int, optional
        Maximum number of rows; None lists all.
    offset : int, optional
        Number of rows to skip.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    pandas.DataFrame
        ``target`` (the catalog number), ``catalog``, ``mission``, ``id``; with ``aliases=True``
        also ``aliases``, the names of the other targets that are the same star.

    Raises
    ------
    SchemaError
        If ``aliases=True`` and the database has no aliases.
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.

    Examples
    --------
    >>> db.targets(sector=1, limit=3)
       target catalog mission  id
    0       1    DEMO    TESS   1
    1       2    DEMO    TESS   2
    2       3    DEMO    TESS   3
    """
    checked = criteria(
        target,
        catalog=catalog,
        observation=observation,
        instrument=instrument,
        photometry=photometry,
        processing=processing,
        caller="targets()",
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    if aliases:
        checked = replace(checked, aliases=True)
    with self.session_scope() as session:
        return listings.targets(session, checked, limit, offset)


def observations(
    self: Open,
    observation: Any = None,
    *,
    target: Any = None,
    catalog: Any = None,
    instrument: Any = None,
    limit: int | None = LISTED,
    offset: int = 0,
    **observation_fields: Any,
) -> pd.DataFrame:
    """List observations.

    With ``target``, only observations with light curves of this target are listed.

    Parameters
    ----------
    observation : int, Observation, type, or list of these, optional
        Id of an observation, an Observation, an observation class such as ``TESSObservation``, or a
        list of these.
    target : int, str, Target, or list of these, optional
        Catalog number (``261136679`` or ``"TIC 261136679"``), a Target, or a list of these.
    catalog : str, MissionCatalog, or list of these, optional
        Name of the catalog; required if a number is in several catalogs.
    instrument : str, uuid.UUID, Instrument, or list of these, optional
        Name or id of an instrument. Its parts are included: "Camera 1" matches its CCDs.
    limit : int, optional
        Maximum number of rows; None lists all.
    offset : int, optional
        Number of rows to skip.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``type``, the fields of the observation classes, ``instrument`` (the path from the
        root of the instrument tree), ``cadences`` (number of cadences).

    Raises
    ------
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.

    Examples
    --------
    >>> db.observations(target=3, sector=1)[["id", "sector", "exptime", "cadences"]]
       id  sector  exptime  cadences
    0   1       1     1800      1200
    """
    checked = criteria(
        target,
        catalog=catalog,
        observation=observation,
        instrument=instrument,
        caller="observations()",
        without=("photometry", "processing"),
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    with self.session_scope() as session:
        return listings.observations(session, checked, limit, offset)


def frames(
    self: Open,
    observation: Any = None,
    *,
    instrument: Any = None,
    limit: int | None = LISTED,
    offset: int = 0,
    **observation_fields: Any,
) -> pd.DataFrame:
    """List FITS frames by observation and cadence.

    Parameters
    ----------
    observation : int, Observation, type, or list of these, optional
        Id of an observation, an Observation, an observation class such as ``TESSObservation``, or a
        list of these.
    instrument : str, uuid.UUID, Instrument, or list of these, optional
        Name or id of an instrument. Its parts are included: "Camera 1" matches its CCDs.
    limit : int, optional
        Maximum number of rows; None lists all.
    offset : int, optional
        Number of rows to skip.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    pandas.DataFrame
        The columns of the table of frames, with the paths of the files.

    Raises
    ------
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.

    Examples
    --------
    >>> db.frames(sector=1)["cadence"].tolist()
    []
    """
    checked = criteria(
        observation=observation,
        instrument=instrument,
        caller="frames()",
        without=("target", "catalog", "photometry", "processing"),
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    with self.session_scope() as session:
        return listings.frames(session, checked, limit, offset)


def quality_flags(
    self: Open,
    target: Any = None,
    *,
    catalog: Any = None,
    observation: Any = None,
    instrument: Any = None,
    limit: int | None = LISTED,
    offset: int = 0,
    **observation_fields: Any,
) -> pd.DataFrame:
    """List arrays of quality flags, without their contents.

    With ``target``, flags that apply to all targets of an observation are left out.

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
    limit : int, optional
        Maximum number of rows; None lists all.
    offset : int, optional
        Number of rows to skip.
    **observation_fields
        Fields of observation classes, such as ``sector=1``, ``sector=[1, 2]`` or ``author="QLP"``.
        None matches observations in which the field is not set.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``type``, ``observation``, ``target`` and ``catalog`` (None if the flags apply to
        all targets), ``created_on``.

    Raises
    ------
    ArgumentError
        If a keyword is not a field of any observation class (the message lists the fields), a value
        has the wrong type, a list is empty, or the target and ``catalog`` are in different
        catalogs.

    Examples
    --------
    >>> db.quality_flags(sector=1, limit=2)[["type", "observation", "target"]]
                    type  observation  target
    0  tess_quality_flag            1       1
    1  tess_quality_flag            1       2
    """
    checked = criteria(
        target,
        catalog=catalog,
        observation=observation,
        instrument=instrument,
        caller="quality_flags()",
        without=("photometry", "processing"),
        known_fields=self._fields(observation_fields),
        **observation_fields,
    )
    with self.session_scope() as session:
        return listings.quality_flags(session, checked, limit, offset)
