"""Outputs of an explorer of light curves: LightCurve objects, and the code that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lcdb_notebook.errors import AmbiguousError, LightCurveNotFoundError
from lcdb_notebook.explore.view import reading
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.read.selection import Selection
from lcdb_notebook.read.selection.lightcurves import collected

if TYPE_CHECKING:
    import lightkurve

__all__ = ["read_collection", "read_one", "written"]


def read_one(selection: Selection | None, settings: Settings) -> lightkurve.LightCurve:
    """Read a selection as one LightCurve, processed by the settings; sectors are stitched.

    Parameters
    ----------
    selection : Selection or None
        The light curves.
    settings : Settings
        The quality flags and the processing.

    Returns
    -------
    lightkurve.LightCurve

    Raises
    ------
    LightCurveNotFoundError
        If the selection is None or empty.
    AmbiguousError
        If its light curves differ in target, photometry or processing.
    """
    found = _not_empty(selection)
    if _differ(found):
        raise AmbiguousError(
            f"{len(found)} light curves of different photometry or processing are drawn; choose "
            "one of them, or call lightcurves()"
        )
    if len(found) == 1:
        read = found.lightcurve(quality_bitmask=settings.quality_bitmask)
        return settings.after_stitching(settings.before_stitching(read))
    several = collected(found, quality_bitmask=settings.quality_bitmask, progress=False)
    return settings.after_stitching(several.stitch(settings.before_stitching))


def read_collection(
    selection: Selection | None, settings: Settings
) -> lightkurve.LightCurveCollection:
    """Read a selection as a LightCurve for each DataSet, in order of time.

    Parameters
    ----------
    selection : Selection or None
        The light curves.
    settings : Settings
        The quality flags and the processing.

    Returns
    -------
    lightkurve.LightCurveCollection

    Raises
    ------
    LightCurveNotFoundError
        If the selection is None or empty.
    """
    import lightkurve

    found = _not_empty(selection)
    several = collected(found, quality_bitmask=settings.quality_bitmask, progress=False)
    return lightkurve.LightCurveCollection(
        [settings.after_stitching(settings.before_stitching(lc)) for lc in several]
    )


def written(selection: Selection | None, settings: Settings, expression: str) -> str:
    """Return the Python code of :func:`read_one`, or of :func:`read_collection` if needed.

    Parameters
    ----------
    selection : Selection or None
        The light curves.
    settings : Settings
        The quality flags and the processing.
    expression : str
        An expression for the selection, for example ``db.search(1, sector=1)``.

    Returns
    -------
    str

    Raises
    ------
    LightCurveNotFoundError
        If the selection is None or empty.
    """
    found = _not_empty(selection)
    return settings.code(expression, several=len(found) > 1, overlaid=_differ(found))


def _not_empty(selection: Selection | None) -> Selection:
    if selection is None or not selection:
        raise LightCurveNotFoundError("no light curve is chosen; choose one first")
    return selection


def _differ(found: Selection) -> bool:
    rows = reading.found(found).rows
    return len({(r.catalog, r.target, r.photometry, r.processing) for r in rows}) > 1
