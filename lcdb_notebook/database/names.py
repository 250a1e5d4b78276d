"""The methods of a Database that list instruments, missions and methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.search import listings

if TYPE_CHECKING:
    import pandas as pd

    from lcdb_notebook.search.instruments import InstrumentTree

__all__ = ["instruments", "missions", "photometric_sources", "processing_methods"]


def instruments(self: Open) -> InstrumentTree:
    """List instruments as a tree.

    Returns
    -------
    InstrumentTree
        A DataFrame with ``name``, ``part_of`` (the path from the root), ``depth`` and ``id``, which
        notebooks show as a tree.

    Examples
    --------
    >>> print(db.instruments().drawn())
    TESS
    └─ Camera 1
       ├─ CCD 1
       ├─ CCD 2
       └─ CCD 3
    """
    with self.session_scope() as session:
        return listings.instruments(session)


def missions(self: Open) -> pd.DataFrame:
    """List missions with their time formats and catalogs.

    Returns
    -------
    pandas.DataFrame
        ``name``, ``description``, the columns that define the time format, and ``catalogs``.

    Examples
    --------
    >>> db.missions()[["name", "time_format_name", "catalogs"]]
       name time_format_name catalogs
    0  TESS             btjd     DEMO
    """
    with self.session_scope() as session:
        return listings.missions(session)


def photometric_sources(self: Open) -> pd.DataFrame:
    """List photometric sources with their descriptions.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``name``, ``description``.

    Examples
    --------
    >>> db.photometric_sources()["name"].tolist()
    ['DEMO aperture 2px', 'DEMO aperture 3px']
    """
    with self.session_scope() as session:
        return listings.photometric_sources(session)


def processing_methods(self: Open) -> pd.DataFrame:
    """List processing methods with their descriptions.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``name``, ``description``.

    Examples
    --------
    >>> db.processing_methods()["name"].tolist()
    ['DEMO DET', 'DEMO SYS_RM']
    """
    with self.session_scope() as session:
        return listings.processing_methods(session)
