"""What of the settings Python computes, and what the figure on the page does by its traits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lcdb_notebook.errors import DataError
from lcdb_notebook.explore.view.prepare import Prepared
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude
from lcdb_notebook.plot.levels import median_flux

__all__ = ["arguments", "first_steps", "traits"]

_PLAIN = Settings("none")


def first_steps(records: Sequence[LightCurveData], settings: Settings) -> Settings:
    """Return the steps that Python has to apply before the page gets the arrays.

    The page masks, normalizes and folds. Flattening and binning are lightkurve's, and magnitudes
    become relative flux as in a LightCurve.

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
    steps = replace(settings, joined=False, apart=settings.shows_flagged)
    return steps if _bins_phases(settings) else replace(steps, period=None, epoch=None)


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
    phase = ""
    if steps.period is not None:
        phase = f"Phase [days] of {steps.period:.8g} days, 0 at {shown.epoch:.5f}"
    return {"listed": records, "binned": steps.bin is not None, "phase": phase}


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

    Raises
    ------
    DataError
        If a median flux to divide by is zero or negative.
    """
    normalize = settings.normalize and not _in_python(records, settings)
    for data in records if normalize else ():
        median = median_flux(data, settings.quality_bitmask)
        if median <= 0:
            raise DataError(
                f"the median flux of {data!r} must be positive for normalize, got {median:g}; "
                "turn it off"
            )
    phases = _bins_phases(settings)
    return {
        "quality_bitmask": settings.quality_bitmask,
        "show_flagged": settings.shows_flagged,
        "joined": settings.joined or phases,
        "normalize": normalize,
        "epoch": None if phases or not settings.folded else _epoch(records, settings),
        "period": None if phases else settings.period,
    }


def _in_python(records: Sequence[LightCurveData], settings: Settings) -> bool:
    changed = settings.flatten is not None or settings.bin is not None
    return changed or any(is_magnitude(data.unit) for data in records)


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
