"""The listings of a database: what there is, as DataFrames of at most so many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lcdb_notebook.database.opened import OpenDatabase
from lcdb_notebook.search import listings
from lcdb_notebook.search.criteria import criteria

if TYPE_CHECKING:
    import pandas as pd

    from lcdb_notebook.search.instruments import InstrumentTree

__all__ = ["Listings"]

_LISTED = 1000


class Listings(OpenDatabase):
    """Methods that list targets, observations, instruments, methods, frames and flags.

    At most ``limit`` rows from ``offset`` on are fetched; ``limit=None`` fetches all.
    """

    def targets(
        self,
        target: Any = None,
        *,
        catalog: Any = None,
        observation: Any = None,
        instrument: Any = None,
        photometry: Any = None,
        processing: Any = None,
        limit: int | None = _LISTED,
        offset: int = 0,
        **observation_fields: Any,
    ) -> pd.DataFrame:
        """List targets, by number; with ``sector=1`` those that have light curves of it.

        Parameters
        ----------
        target, catalog, observation, instrument, photometry, processing, **observation_fields
            As for :meth:`Database.search`.
        limit, offset
            At most so many rows, from there on.

        Returns
        -------
        pandas.DataFrame
            ``target`` (the catalog number), ``catalog``, ``mission``, ``id``.
        """
        wanted = criteria(
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
        with self.session_scope() as session:
            return listings.targets(session, wanted, limit, offset)

    def observations(
        self,
        observation: Any = None,
        *,
        target: Any = None,
        catalog: Any = None,
        instrument: Any = None,
        limit: int | None = _LISTED,
        offset: int = 0,
        **observation_fields: Any,
    ) -> pd.DataFrame:
        """List observations; with ``target=`` those in which it has light curves.

        Parameters
        ----------
        observation, target, catalog, instrument, **observation_fields
            As for :meth:`Database.search`.
        limit, offset
            At most so many rows, from there on.

        Returns
        -------
        pandas.DataFrame
            ``id``, ``type``, the fields of the observation classes, ``instrument`` from the root
            of its tree down, ``cadences``.
        """
        wanted = criteria(
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
            return listings.observations(session, wanted, limit, offset)

    def instruments(self) -> InstrumentTree:
        """List instruments, each below what it is part of; a notebook draws the tree.

        Returns
        -------
        InstrumentTree
            A DataFrame: ``name``, ``part_of`` (from the root down), ``depth``, ``id``.
        """
        with self.session_scope() as session:
            return listings.instruments(session)

    def missions(self) -> pd.DataFrame:
        """List missions with their clocks and catalogs."""
        with self.session_scope() as session:
            return listings.missions(session)

    def photometric_sources(self) -> pd.DataFrame:
        """List photometric sources with their descriptions."""
        with self.session_scope() as session:
            return listings.photometric_sources(session)

    def processing_methods(self) -> pd.DataFrame:
        """List processing methods with their descriptions."""
        with self.session_scope() as session:
            return listings.processing_methods(session)

    def frames(
        self,
        observation: Any = None,
        *,
        instrument: Any = None,
        limit: int | None = _LISTED,
        offset: int = 0,
        **observation_fields: Any,
    ) -> pd.DataFrame:
        """List FITS frames by observation and cadence, with their paths.

        Parameters
        ----------
        observation, instrument, **observation_fields
            As for :meth:`Database.search`.
        limit, offset
            At most so many rows, from there on.
        """
        wanted = criteria(
            observation=observation,
            instrument=instrument,
            caller="frames()",
            without=("target", "catalog", "photometry", "processing"),
            known_fields=self._fields(observation_fields),
            **observation_fields,
        )
        with self.session_scope() as session:
            return listings.frames(session, wanted, limit, offset)

    def quality_flags(
        self,
        target: Any = None,
        *,
        catalog: Any = None,
        observation: Any = None,
        instrument: Any = None,
        limit: int | None = _LISTED,
        offset: int = 0,
        **observation_fields: Any,
    ) -> pd.DataFrame:
        """List the quality-flag arrays, not their contents.

        Parameters
        ----------
        target, catalog, observation, instrument, **observation_fields
            As for :meth:`Database.search`. With a target, flags that hold for every target of its
            observations are left out.
        limit, offset
            At most so many rows, from there on.

        Returns
        -------
        pandas.DataFrame
            ``id``, ``type``, ``observation``, ``target`` and ``catalog`` (None where the flags
            hold for every target), ``created_on``.
        """
        wanted = criteria(
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
            return listings.quality_flags(session, wanted, limit, offset)
