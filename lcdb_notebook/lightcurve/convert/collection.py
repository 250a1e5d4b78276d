"""Convert LightCurveData to a LightCurveCollection whose members have the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.lightcurve.convert.lightcurve import to_lightcurve
from lcdb_notebook.lightcurve.dataset_id import DataSetId
from lcdb_notebook.lightcurve.quality import Flagged
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import POSITIONS

if TYPE_CHECKING:
    import lightkurve


def to_lightcurves(
    records: Sequence[LightCurveData],
    *,
    quality_bitmask: flags.Bitmask = "default",
    flagged: Flagged = "drop",
    time_format: str | None = None,
    as_flux: bool = True,
    histories: Mapping[DataSetId, str] | None = None,
) -> lightkurve.LightCurveCollection:
    """Convert records to a LightCurveCollection, in the order given.

    Parameters
    ----------
    records : sequence of LightCurveData
        Light curves, preferably ordered by :func:`by_start`.
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
    histories : mapping of int to str, optional
        By DataSet, what it was derived from, for ``meta["LINEAGE"]``.

    Returns
    -------
    lightkurve.LightCurveCollection
        Its light curves have the same columns. Flags of a type that only some light curves have are
        0 in the others. ``stitch()`` joins them and keeps ``sector``, ``orbit_number``,
        ``quarter``, ``campaign`` and ``dataset`` as columns.

    Raises
    ------
    DataError
        If astropy does not know a unit.
    ArgumentError
        If an argument has an invalid value; the message names the argument.
    """
    known = histories or {}
    members = [
        to_lightcurve(
            data,
            quality_bitmask=quality_bitmask,
            flagged=flagged,
            time_format=time_format,
            as_flux=as_flux,
            history=known.get(data.dataset, ""),
        )
        for data in records
    ]
    return collection(members)


def collection(members: Sequence[lightkurve.LightCurve]) -> lightkurve.LightCurveCollection:
    """Return a collection of LightCurves; missing flags are filled with 0, positions with NaN."""
    from astropy.units import Quantity

    from lcdb_notebook.lightcurve.convert.lightkurve_classes import LightCurveCollection

    every = dict.fromkeys(column for lc in members for column in lc.colnames)
    for lc in members:
        for missing in every.keys() - set(lc.colnames):
            if missing in POSITIONS.values():
                lc[missing] = Quantity(np.full(len(lc), np.nan), "pix")
            else:
                lc[missing] = np.zeros(len(lc), np.int32)
    return LightCurveCollection(list(members))
