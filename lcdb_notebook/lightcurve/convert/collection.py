"""LightCurveData to one LightCurveCollection, whose members have the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.convert.lightcurve import to_lightcurve
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData

if TYPE_CHECKING:
    import lightkurve


def to_lightcurves(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    histories: Mapping[int, str] | None = None,
) -> lightkurve.LightCurveCollection:
    """Make a LightCurveCollection, in the order given.

    Parameters
    ----------
    records
        Light curves, best ordered by :func:`by_start`.
    quality_bitmask, flagged, time_format, as_flux
        As for :func:`to_lightcurve`.
    histories
        What each was derived from, by DataSet: see :func:`lcdb_notebook.search.lineage.histories`.

    Returns
    -------
    lightkurve.LightCurveCollection
        Its members have the same columns: a type of flags that only some of them have is 0 in the
        others. ``stitch()`` keeps ``sector``, ``orbit_number``, ``quarter``, ``campaign`` and
        ``dataset`` as columns.

    Raises
    ------
    DataError
        As :func:`to_lightcurve`.
    """
    told = histories or {}
    members = [
        to_lightcurve(
            data,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            history=told.get(data.dataset, ""),
        )
        for data in records
    ]
    return collection(members)


def collection(members: Sequence[lightkurve.LightCurve]) -> lightkurve.LightCurveCollection:
    """Make a collection of LightCurves, all with the columns that any of them has."""
    from lcdb_notebook.lightcurve.convert.lightkurve_classes import LightCurveCollection

    every = dict.fromkeys(column for lc in members for column in lc.colnames)
    for lc in members:
        for missing in every.keys() - set(lc.colnames):
            lc[missing] = np.zeros(len(lc), np.int32)
    return LightCurveCollection(list(members))
