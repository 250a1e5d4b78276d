"""What is drawn: the arrays of ``selection.lightcurve(...)`` for some settings, kept as records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import condemned
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.wording import star

if TYPE_CHECKING:
    import lightkurve

__all__ = ["Drawn", "cost", "drawn"]

# Seconds a cadence, of lightkurve 2.5 on one core, rounded up: only the order of magnitude counts.
_COST = {"plain": 2e-7, "flatten": 3e-6, "bin": 1e-5, "period": 1e-6}


@dataclass(frozen=True, eq=False)
class Drawn:
    """Points to draw.

    Parameters
    ----------
    records
        With the times, or phases, and fluxes that are drawn. Those with flags hold flagged cadences
        too; whether these are drawn, and how, is left to the plot.
    epoch
        The instant of phase 0, where folded.
    """

    records: list[LightCurveData]
    epoch: float | None = None


def cost(records: Sequence[LightCurveData], settings: Settings) -> float:
    """Estimate how many seconds :func:`drawn` takes."""
    cadences = sum(data.time.size for data in records)
    each = [_COST[what] for what in ("flatten", "bin", "period") if getattr(settings, what)]
    return cadences * (_COST["plain"] + sum(each))


def drawn(
    records: Sequence[LightCurveData],
    settings: Settings,
    check: Callable[[], object] = lambda: None,
) -> Drawn:
    """Make what is drawn.

    Parameters
    ----------
    records
        In the order of their beginning.
    settings
        What to do with them.
    check
        Called between light curves; what it raises ends the work.
    """
    if not settings.changed:
        return Drawn([_as_flux(data, settings) for data in records])
    made: list[lightkurve.LightCurve] = []
    for data in records:
        check()
        read = convert.to_lightcurve(data, quality_bitmask=settings.quality_bitmask)
        made.append(settings.each(read))
    check()
    epoch = settings.epoch
    if settings.folded:
        if epoch is None:
            # What lightkurve takes: the first cadence that is left.
            epoch = next((float(lc.time.value[0]) for lc in made if len(lc)), 0.0)
        settings = replace(settings, epoch=epoch)
        if settings.bin is not None:
            return Drawn(_binned_phases(records, made, settings, check), epoch)
        made = [settings.all(lc) for lc in made]
    binned = settings.bin is not None
    shown = [_record(data, lc, binned=binned) for data, lc in zip(records, made, strict=True)]
    if settings.shows_flagged:
        shown = [
            _with_flagged(one, data, settings) for one, data in zip(shown, records, strict=True)
        ]
    return Drawn(shown, epoch if settings.folded else None)


def _as_flux(data: LightCurveData, settings: Settings) -> LightCurveData:
    """Give the record itself, or, of magnitudes, the relative flux that a LightCurve has."""
    if data.unit.strip() != "mag":
        return data
    kept = np.isfinite(data.time)
    lc = convert.to_lightcurve(data, quality_bitmask=settings.quality_bitmask, flagged="keep")
    return replace(_cut(data, kept), flux=_plain(lc.flux), unit="")


def _record(data: LightCurveData, lc: Any, *, binned: bool) -> LightCurveData:
    """Put a LightCurve's points in place of a record's; bins have no cadence and no flags."""
    return replace(
        data,
        cadence=np.arange(len(lc)) if binned else np.asarray(lc["cadenceno"], np.int64),
        time=np.asarray(lc.time.value, np.float64),
        flux=_plain(lc.flux),
        flux_err=None,
        unit=_unit(lc),
        quality={} if binned else _quality(data, lc),
    )


def _quality(data: LightCurveData, lc: Any) -> dict[str, npt.NDArray[np.int64]]:
    """Find the flags of a LightCurve's rows in those of the record, which are wider than int32."""
    if np.array_equal(lc["cadenceno"], data.cadence):
        return dict(data.quality)
    order = np.argsort(data.cadence, kind="stable")
    at = order[np.searchsorted(data.cadence, np.asarray(lc["cadenceno"]), sorter=order)]
    return {kind: bits[at] for kind, bits in data.quality.items()}


def _with_flagged(
    shown: LightCurveData, data: LightCurveData, settings: Settings
) -> LightCurveData:
    """Add the flagged cadences, on the same scale and folded alike, behind the others."""
    bad = condemned(data, settings.quality_bitmask) & np.isfinite(data.time)
    lc = convert.to_lightcurve(data, quality_bitmask=settings.quality_bitmask, flagged="keep")
    of_bad = bad[np.isfinite(data.time)]
    if settings.normalize:
        # By the median of those that are not flagged, as they are.
        lc = lc / float(np.nanmedian(_plain(lc.flux)[~of_bad])) if (~of_bad).any() else lc
    rows = settings.all(lc[of_bad]) if of_bad.any() else lc[of_bad]
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
    """Fold all sectors of a kind together, and gather them into bins of phase."""
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
        shown.append(_record(records[numbers[0]], settings.all(one), binned=True))
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


def _plain(flux: Any) -> npt.NDArray[np.float64]:
    """Give plain float64, NaN where it is masked."""
    found: npt.NDArray[np.float64] = np.ma.filled(
        np.ma.asarray(getattr(flux, "value", flux), np.float64), np.nan
    )
    return found


def _unit(lc: Any) -> str:
    unit = getattr(lc.flux, "unit", None)
    return "" if unit is None else str(unit)
