"""The steps that Python computes, and the traits of the figure, which does the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lcdb_notebook.errors import DataError
from lcdb_notebook.explore.view.prepare import Prepared, relative_flux
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude
from lcdb_notebook.plot.levels import median_flux

__all__ = ["TRAITS", "arguments", "check_medians", "first_steps", "traits"]

#: Traits of the figure that are chosen on the page, with the names of the settings.
TRAITS = {
    "quality_bitmask": "quality_bitmask",
    "show_flagged": "apart",
    "joined": "joined",
    "normalize": "normalize",
    "period": "period",
}

_PLAIN = Settings("none")


def first_steps(records: Sequence[LightCurveData], settings: Settings) -> Settings:
    """Return the steps that Python has to apply before the page gets the arrays.

    The page masks, normalizes, folds, and joins sectors. Flattening and binning are lightkurve's,
    and magnitudes become relative flux as in a LightCurve.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    settings : Settings
        All steps.

    Returns
    -------
    Settings
        Equal if the same arrays are drawn.

    Examples
    --------
    >>> records = list(db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1].read())
    >>> first_steps(records, Settings("hard", period=3.6)) == first_steps(records, Settings())
    True
    """
    if not _in_python(records, settings):
        return _PLAIN
    steps = replace(settings, joined=False, apart=False)
    if _bins_phases(settings):
        # Bins of phase are means of several sectors.
        return steps
    return replace(steps, normalize=False, period=None, epoch=None)


def arguments(
    records: Sequence[LightCurveData], shown: Prepared, steps: Settings
) -> dict[str, Any]:
    """Return how :meth:`~lcdb_notebook.explore.figure.widget.Figure.load` draws prepared arrays.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves before any step, whose flags are listed.
    shown : Prepared
        The arrays.
    steps : Settings
        Made by :func:`first_steps`.

    Returns
    -------
    dict
    """
    return {
        "listed": records,
        "binned": steps.bin is not None,
        "phase": "" if steps.period is None else shown.phase_label(steps.period),
        "medians": _medians(records, steps),
    }


def traits(records: Sequence[LightCurveData], settings: Settings) -> dict[str, Any]:
    """Return the traits of the figure that show the settings.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves before any step.
    settings : Settings
        All steps.

    Returns
    -------
    dict
    """
    phases = _bins_phases(settings)
    return {
        "quality_bitmask": settings.quality_bitmask,
        "show_flagged": settings.apart,
        "joined": settings.joined,
        "normalize": settings.normalize,
        "epoch": None if phases or not settings.folded else _epoch(records, settings),
        "period": None if phases else settings.period,
    }


def check_medians(records: Sequence[LightCurveData], settings: Settings) -> None:
    """Check that normalizing divides by positive fluxes; if not, the page subtracts the medians.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves before any step.
    settings : Settings
        All steps.

    Raises
    ------
    DataError
        If a median flux is zero or negative.
    """
    for data in records if settings.normalize else ():
        median = median_flux(data, settings.quality_bitmask)
        if median <= 0 and not is_magnitude(data.unit):
            raise DataError(
                f"the median flux of {data!r} must be positive for normalize, got {median:g}; "
                "turn it off"
            )


def _in_python(records: Sequence[LightCurveData], settings: Settings) -> bool:
    changed = settings.flatten is not None or settings.bin is not None
    return changed or any(is_magnitude(data.unit) for data in records)


def _medians(records: Sequence[LightCurveData], steps: Settings) -> list[float] | None:
    """Return what the page divides by to normalize; None if it has the cadences to compute it."""
    if steps.flatten is not None or _bins_phases(steps):
        # Divided by a trend, or normalized before.
        return [1.0] * len(records)
    if steps.bin is None:
        return None
    mask = steps.quality_bitmask
    return [median_flux(relative_flux(data, mask), mask) for data in records]


def _bins_phases(settings: Settings) -> bool:
    return settings.folded and settings.bin is not None


def _epoch(records: Sequence[LightCurveData], settings: Settings) -> float:
    """Return the time of phase 0: by default, as in lightkurve, of the first good cadence."""
    if settings.epoch is not None:
        return settings.epoch
    for data in records:
        good = np.isfinite(data.time) & ~flagged_mask(data, settings.quality_bitmask)
        if good.any():
            return float(data.time[good][0])
    return 0.0
