"""Settings: all that decides how a light curve is drawn, as values, as calls, as code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcdb_notebook.errors import ConfigurationError

if TYPE_CHECKING:
    import lightkurve

__all__ = ["MINUTES_PER_DAY", "Settings"]

MINUTES_PER_DAY = 1440

PRESETS = ("none", "default", "hard", "hardest")


@dataclass(frozen=True)
class Settings:
    """How light curves are drawn.

    Parameters
    ----------
    quality_bitmask
        A preset, bits, or names of flags (and presets) in a tuple: see
        :func:`lcdb_notebook.flags.bitmask`.
    apart
        Draw the flagged cadences too, with marks that are named. They are hidden wherever a light
        curve is flattened or binned, for they take no part in that.
    joined
        Draw all sectors in one panel, instead of one below the other.
    normalize
        Divide each light curve by its median.
    flatten
        Over how many cadences to take the trend out (odd, at least 5); None leaves it.
    bin
        Into bins of how many minutes to gather cadences; None leaves them. Of a folded light curve
        they are bins of phase.
    period, epoch
        Days on which to fold, and an instant of phase 0 in the mission's time; None does not fold,
        and begins at the first cadence.

    Raises
    ------
    ConfigurationError
        If a value makes no sense.

    Examples
    --------
    >>> print(Settings("hard", normalize=True, period=3.6).code("found", several=False))
    found.lightcurve(quality_bitmask="hard").normalize().fold(period=3.6)
    """

    quality_bitmask: str | int | tuple[str, ...] = "default"
    apart: bool = False
    joined: bool = False
    normalize: bool = False
    flatten: int | None = None
    bin: float | None = None
    period: float | None = None
    epoch: float | None = None

    def __post_init__(self) -> None:
        window = self.flatten
        if window is not None and (window < 5 or window % 2 == 0):
            raise ConfigurationError(
                f"flatten={window}: a light curve is flattened over an odd number of cadences, at "
                "least 5 (Savitzky-Golay filter of the second order)"
            )
        for name, value in (("bin", self.bin), ("period", self.period)):
            # NaN is not above 0 either.
            if value is not None and not 0 < value < float("inf"):
                raise ConfigurationError(f"{name}={value}: it is a length of time, above 0")

    @property
    def folded(self) -> bool:
        """Whether flux is drawn against phase."""
        return self.period is not None

    @property
    def changed(self) -> bool:
        """Whether anything is done to a light curve after its flags."""
        return bool(self._to_each() or self._to_all())

    @property
    def shows_flagged(self) -> bool:
        """Whether flagged cadences have a place in the picture, and are wanted there."""
        return self.apart and self.flatten is None and self.bin is None

    def each(self, lightcurve: lightkurve.LightCurve) -> lightkurve.LightCurve:
        """Do to a light curve what is done before several are joined."""
        return _applied(lightcurve, self._to_each())

    def all(self, lightcurve: lightkurve.LightCurve) -> lightkurve.LightCurve:
        """Do to a light curve, of one sector or of several, what comes last."""
        return _applied(lightcurve, self._to_all())

    def code(self, found: str, *, several: bool, overlaid: bool = False) -> str:
        """Write the expression that makes of a Selection what is drawn.

        Parameters
        ----------
        found
            The expression of the Selection.
        several
            Whether it has more than one light curve.
        overlaid
            Whether those differ in more than their observation, so that they are not one.
        """
        bitmask = self.quality_bitmask
        # In double quotes, as formatted code has them.
        said = json.dumps(bitmask)
        each, last = _written(self._to_each()), _written(self._to_all())
        if not several:
            return f"{found}.lightcurve(quality_bitmask={said}){each}{last}"
        read = f"{found}.lightcurves(quality_bitmask={said})"
        if overlaid:
            return f"[lc{each}{last} for lc in {read}]" if each or last else read
        return f"{read}.stitch({f'lambda lc: lc{each}' if each else None}){last}"

    def _to_each(self) -> list[tuple[str, dict[str, Any], str]]:
        calls: list[tuple[str, dict[str, Any], str]] = []
        if self.normalize:
            calls.append(("normalize", {}, ""))
        if self.flatten is not None:
            window = {"window_length": self.flatten}
            calls.append(("flatten", window, f"window_length={self.flatten}"))
        return calls if self.folded else calls + self._binning()

    def _to_all(self) -> list[tuple[str, dict[str, Any], str]]:
        if not self.folded:
            return []
        how = {"period": self.period}
        if self.epoch is not None:
            how["epoch_time"] = self.epoch
        said = ", ".join(f"{name}={value!r}" for name, value in how.items())
        return [("fold", how, said), *self._binning()]

    def _binning(self) -> list[tuple[str, dict[str, Any], str]]:
        if self.bin is None:
            return []
        size = {"time_bin_size": self.bin / MINUTES_PER_DAY}
        return [("bin", size, f"time_bin_size={self.bin!r} / {MINUTES_PER_DAY}")]


Calls = Sequence[tuple[str, dict[str, Any], str]]


def _applied(lightcurve: Any, calls: Calls) -> Any:
    for name, how, _ in calls:
        lightcurve = getattr(lightcurve, name)(**how)
    return lightcurve


def _written(calls: Calls) -> str:
    return "".join(f".{name}({said})" for name, _, said in calls)
