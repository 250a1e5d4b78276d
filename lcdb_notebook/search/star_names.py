"""Find the positions of stars by name, with astroquery's resolver at MAST."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import warnings
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.lightcurve.missions import CATALOGS
from lcdb_notebook.models import MissionCatalog
from lcdb_notebook.search import layout
from lcdb_notebook.search.arguments import NUMBER, not_a_number
from lcdb_notebook.search.lightkurve_words import catalog_name

__all__ = ["position_of"]

# astroquery sets no limit.
_TIMEOUT = 10.0

# Right ascension and declination in degrees, or with units or colons.
_COORDINATES = re.compile(r"\s*[\d.]+(?:\s+|\s*,\s*)[+-]?[\d.]+\s*|\s*\d+ *[h:d].*[+-]?\d+ *[d:].*")


def position_of(session: orm.Session, text: str) -> Any:
    """Return the position that a text names; None if it is a number in a catalog.

    Coordinates are converted here. The position of a name such as "pi Men" is requested from MAST,
    which takes at most ten seconds.

    Parameters
    ----------
    session : sqlalchemy.orm.Session
        The session, in which the catalogs are looked up.
    text : str
        Coordinates, the name of a star, or a number in a catalog.

    Returns
    -------
    astropy.coordinates.SkyCoord or None
        The position. None also for a number in an unknown catalog ("WASP-4") that MAST does not
        know, and for names in databases without positions of targets.

    Raises
    ------
    ArgumentError
        If MAST does not answer, or does not know the name.
    """
    number = NUMBER.fullmatch(text)
    catalog = catalog_name((number and number[1]) or "TIC")
    if number is not None and catalog in CATALOGS:
        return None
    if not layout.of(session).has_contents or not re.search(r"\w", text):
        return None
    if number is not None and _is_catalog(session, catalog):
        return None
    position = _coordinates(text)
    if position is not None:
        return position
    # The warnings of its packages are not about the user's code.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astroquery.exceptions import ResolverError  # type: ignore[import-untyped]
    try:
        return _resolved(text)
    # Network libraries raise many kinds of errors.
    except Exception as error:
        if number is not None:
            return None
        reason = (
            str(error).strip()
            if isinstance(error, ResolverError | ArgumentError)
            else type(error).__name__
        )
        raise ArgumentError(f"{not_a_number(text)}. Its position is unknown ({reason})") from error


def _is_catalog(session: orm.Session, name: str) -> bool:
    known = sa.select(MissionCatalog.name).where(MissionCatalog.name == name)
    return session.scalars(layout.present(session, known)).first() is not None


def _coordinates(text: str) -> Any:
    from astropy.coordinates import SkyCoord

    if not _COORDINATES.fullmatch(text) or not re.search(r"[.:hd]", text):
        return None
    with contextlib.suppress(ValueError):
        unit = ("hourangle", "deg") if ":" in text else "deg"
        return SkyCoord(text.replace(",", " "), unit=unit)
    return None


def _resolved(name: str) -> Any:
    """Request the position of a name in a thread, which is left behind if MAST does not answer."""
    answers: queue.Queue[Any] = queue.Queue()

    def request() -> None:
        try:
            answers.put(resolve(name))
        # It is raised below.
        except BaseException as error:
            answers.put(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astroquery.mast import MastClass  # type: ignore[import-untyped]

        resolve = MastClass().resolve_object
        threading.Thread(target=request, name="lcdb-resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=_TIMEOUT)
        except queue.Empty:
            raise ArgumentError(f"MAST did not answer within {_TIMEOUT:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer
