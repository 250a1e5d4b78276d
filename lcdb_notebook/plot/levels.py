"""Bring light curves to a common level, and convert epochs to the mission's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lcdb_notebook import flags
from lcdb_notebook.errors import DataError
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude

__all__ = ["median_flux", "mission_epoch", "normalized", "on_one_level"]


def median_flux(data: LightCurveData, quality_bitmask: flags.Bitmask) -> float:
    """Return the median flux of the good cadences, or of all if no cadence is good.

    Parameters
    ----------
    data : LightCurveData
        The light curve.
    quality_bitmask : str, int or iterable
        Which flags make a cadence bad.

    Returns
    -------
    float
        Median in the unit of the flux; NaN if there is no flux.
    """
    good = ~flagged_mask(data, quality_bitmask) & np.isfinite(data.flux) & np.isfinite(data.time)
    chosen = data.flux[good if good.any() else np.isfinite(data.flux)]
    return float(np.median(chosen)) if chosen.size else np.nan


def normalized(data: LightCurveData, quality_bitmask: flags.Bitmask) -> LightCurveData:
    """Divide by the median flux of the good cadences.

    Parameters
    ----------
    data : LightCurveData
        The light curve; its unit must not be magnitudes.
    quality_bitmask : str, int or iterable
        Which flags make a cadence bad.

    Returns
    -------
    LightCurveData
        The normalized light curve; unchanged if it has no flux.

    Raises
    ------
    DataError
        If the median is zero or negative. Dividing by it would turn dips upside down.
    """
    median = median_flux(data, quality_bitmask)
    if np.isnan(median):
        return data
    if median <= 0:
        raise DataError(
            f"the median flux of {data!r} must be positive to divide by it, got {median:g}; "
            "compare light curves of the same unit instead"
        )
    return replace(data, flux=data.flux / median, unit="")


def on_one_level(
    records: Sequence[LightCurveData], quality_bitmask: flags.Bitmask
) -> list[LightCurveData]:
    """Bring light curves with the same unit to a common level.

    Each is divided by the median of its good cadences. For magnitudes, and if any of the medians is
    zero or negative, the medians are subtracted instead.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    quality_bitmask : str, int or iterable
        Which flags make a cadence bad.

    Returns
    -------
    list of LightCurveData
        Relative flux without a unit, or differences in the original unit.
    """
    medians = [median_flux(data, quality_bitmask) for data in records]
    subtract = is_magnitude(records[0].unit) or any(median <= 0 for median in medians)
    levelled = []
    for data, median in zip(records, medians, strict=True):
        if np.isnan(median):
            levelled.append(data if subtract else replace(data, unit=""))
        elif subtract:
            levelled.append(replace(data, flux=data.flux - median))
        else:
            levelled.append(replace(data, flux=data.flux / median, unit=""))
    return levelled


def mission_epoch(epoch: float, records: Sequence[LightCurveData]) -> float:
    """Return an epoch in the mission's time; a number of at least 1e6 is a BJD (TDB).

    If the times of the light curves are as large, the number is in the mission's time. This is
    possible for missions whose unit is seconds.

    Parameters
    ----------
    epoch : float
        A time in the mission's format, or a BJD.
    records : sequence of LightCurveData
        Light curves of one mission.

    Returns
    -------
    float
    """
    latest = max((float(np.fmax.reduce(d.time, initial=-np.inf)) for d in records), default=0.0)
    if epoch < SMALLEST_BJD or latest >= SMALLEST_BJD:
        return epoch
    return float(records[0].clock.from_bjd(np.array([epoch], np.float64))[0])
