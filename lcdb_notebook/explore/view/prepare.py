"""The arrays that are drawn: those of ``selection.lightcurve(...)`` processed by the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook import flags
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import is_magnitude
from lcdb_notebook.plot.curves import filled
from lcdb_notebook.plot.labels import star
from lcdb_notebook.plot.levels import mission_epoch

if TYPE_CHECKING:
    import lightkurve

__all__ = ["Prepared", "cost", "in_mission_time", "prepare", "relative_flux", "summary"]

# Seconds per cadence of lightkurve 2.5 on one core, to order of magnitude.
_COST = {"plain": 2e-7, "flatten": 3e-6, "bin": 1e-5, "period": 1e-6}


@dataclass(frozen=True, eq=False)
class Prepared:
    """Points to draw.

    Parameters
    ----------
    records : list of LightCurveData
        With the times (or phases) and fluxes to draw. Records with quality flags include the
        flagged cadences, which the plot draws or leaves out.
    epoch : float or None
        The time of phase 0, if folded.
    """

    records: list[LightCurveData]
    epoch: float | None = None

    def phase_label(self, period: float) -> str:
        """Return the label of an axis of phases, in the digits of the page's own label."""
        return f"Phase [days] of {period:.8g} days, 0 at {self.epoch:.5f}"


def cost(records: Sequence[LightCurveData], settings: Settings) -> float:
    """Estimate how long :func:`prepare` takes.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    settings : Settings
        The processing.

    Returns
    -------
    float
        Seconds.
    """
    cadences = sum(data.time.size for data in records)
    each = [_COST[what] for what in ("flatten", "bin", "period") if getattr(settings, what)]
    return cadences * (_COST["plain"] + sum(each))


def prepare(
    records: Sequence[LightCurveData],
    settings: Settings,
    check: Callable[[], object] = lambda: None,
) -> Prepared:
    """Process light curves for drawing.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves, in order of time.
    settings : Settings
        The quality flags and the processing.
    check : callable, optional
        Called between light curves. An exception that it raises ends the work.

    Returns
    -------
    Prepared

    Examples
    --------
    >>> records = list(db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1].read())
    >>> prepared = prepare(records, Settings(period=3.6, epoch=1326.0))
    >>> abs(prepared.records[0].time).max() <= 1.8
    np.True_
    """
    if not settings.changed:
        return Prepared([relative_flux(data, settings.quality_bitmask) for data in records])
    made: list[lightkurve.LightCurve] = []
    for data in records:
        check()
        read = convert.to_lightcurve(data, quality_bitmask=settings.quality_bitmask)
        made.append(settings.before_stitching(read))
    check()
    epoch = settings.epoch
    if settings.folded:
        if epoch is None:
            # As lightkurve does: the first cadence that is not flagged.
            epoch = next((float(lc.time.value[0]) for lc in made if len(lc)), 0.0)
        settings = replace(settings, epoch=epoch)
        if settings.bin is not None:
            return Prepared(_binned_phases(records, made, settings, check), epoch)
        made = [settings.after_stitching(lc) for lc in made]
    binned = settings.bin is not None
    shown = [_record(data, lc, binned=binned) for data, lc in zip(records, made, strict=True)]
    if settings.shows_flagged:
        shown = [
            _with_flagged(one, data, settings) for one, data in zip(shown, records, strict=True)
        ]
    return Prepared(shown, epoch if settings.folded else None)


def in_mission_time(settings: Settings, records: Sequence[LightCurveData]) -> Settings:
    """Return settings with the epoch in the mission's time, if it is a BJD.

    Parameters
    ----------
    settings : Settings
        An epoch of at least 1e6 is a BJD.
    records : sequence of LightCurveData
        The light curves.

    Returns
    -------
    Settings
        The same object if nothing is to be converted.
    """
    given = settings.epoch
    if given is None or not records:
        return settings
    # BJD have a resolution of 5e-10 days; rounding keeps the code short.
    epoch = mission_epoch(given, records)
    return settings if epoch == given else replace(settings, epoch=round(epoch, 9))


def summary(records: Sequence[LightCurveData], settings: Settings) -> str:
    """Return the number of cadences, and how many of them the quality mask removes.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    settings : Settings
        The quality mask.

    Returns
    -------
    str
        A sentence. Only cadences with a time count.
    """
    total = flagged = 0
    for data in records:
        timed = np.isfinite(data.time)
        total += int(np.count_nonzero(timed))
        flagged += int(np.count_nonzero(timed & flagged_mask(data, settings.quality_bitmask)))
    bitmask = settings.quality_bitmask
    mask = " + ".join(bitmask) if isinstance(bitmask, tuple) else bitmask
    curves = f"{len(records)} light curves, " if len(records) > 1 else ""
    return f"{curves}{total:,} cadences; quality mask “{mask}” removes {flagged:,}."


def relative_flux(data: LightCurveData, quality_bitmask: flags.Bitmask) -> LightCurveData:
    """Return the record; magnitudes become the relative flux of a LightCurve.

    Parameters
    ----------
    data : LightCurveData
        The light curve.
    quality_bitmask : str, int or iterable
        Which flags make a cadence bad; the others have a median flux of 1.

    Returns
    -------
    LightCurveData
    """
    if not is_magnitude(data.unit):
        return data
    kept = np.isfinite(data.time)
    lc = convert.to_lightcurve(data, quality_bitmask=quality_bitmask, flagged="keep")
    return replace(_cut(data, kept), flux=filled(lc.flux), unit="")


def _record(data: LightCurveData, lc: Any, *, binned: bool) -> LightCurveData:
    """Return the record with the points of a LightCurve; bins have no cadence and no flags."""
    return replace(
        data,
        cadence=np.arange(len(lc)) if binned else np.asarray(lc["cadenceno"], np.int64),
        time=np.asarray(lc.time.value, np.float64),
        flux=filled(lc.flux),
        flux_err=None,
        unit=_unit(lc),
        quality={} if binned else _quality(data, lc),
    )


def _quality(data: LightCurveData, lc: Any) -> dict[str, npt.NDArray[np.int64]]:
    """Return the flags of the LightCurve's cadences, from the record because those are int64."""
    if np.array_equal(lc["cadenceno"], data.cadence):
        return dict(data.quality)
    order = np.argsort(data.cadence, kind="stable")
    at = order[np.searchsorted(data.cadence, np.asarray(lc["cadenceno"]), sorter=order)]
    return {kind: bits[at] for kind, bits in data.quality.items()}


def _with_flagged(
    shown: LightCurveData, data: LightCurveData, settings: Settings
) -> LightCurveData:
    """Append the flagged cadences, normalized and folded in the same way."""
    bad = flagged_mask(data, settings.quality_bitmask) & np.isfinite(data.time)
    lc = convert.to_lightcurve(data, quality_bitmask=settings.quality_bitmask, flagged="keep")
    of_bad = bad[np.isfinite(data.time)]
    if settings.normalize:
        # By the median of the cadences that are not flagged.
        lc = lc / float(np.nanmedian(filled(lc.flux)[~of_bad])) if (~of_bad).any() else lc
    rows = settings.after_stitching(lc[of_bad]) if of_bad.any() else lc[of_bad]
    if not len(rows):
        return shown
    flagged = _record(data, rows, binned=False)
    return replace(
        shown,
        cadence=np.concatenate([shown.cadence, flagged.cadence]),
        time=np.concatenate([shown.time, flagged.time]),
        flux=np.concatenate([shown.flux, flagged.flux]),
        quality={
            kind: np.concatenate([bits, flagged.quality[kind]])
            for kind, bits in shown.quality.items()
        },
    )


def _binned_phases(
    records: Sequence[LightCurveData],
    made: Sequence[Any],
    settings: Settings,
    check: Callable[[], object],
) -> list[LightCurveData]:
    """Fold the sectors of a target, photometry and processing together, and bin in phase."""
    import lightkurve

    of_kind: dict[tuple[Any, ...], list[int]] = {}
    for number, data in enumerate(records):
        of_kind.setdefault((*star(data), data.photometry, data.processing), []).append(number)
    shown = []
    for numbers in of_kind.values():
        check()
        members = [made[number] for number in numbers]
        one = members[0]
        if len(members) > 1:
            one = lightkurve.LightCurveCollection(members).stitch(None)
        shown.append(_record(records[numbers[0]], settings.after_stitching(one), binned=True))
    return shown


def _cut(data: LightCurveData, kept: npt.NDArray[np.bool_]) -> LightCurveData:
    return replace(
        data,
        cadence=data.cadence[kept],
        time=data.time[kept],
        flux=data.flux[kept],
        flux_err=None,
        quality={kind: bits[kept] for kind, bits in data.quality.items()},
    )


def _unit(lc: Any) -> str:
    unit = getattr(lc.flux, "unit", None)
    return "" if unit is None else str(unit)
