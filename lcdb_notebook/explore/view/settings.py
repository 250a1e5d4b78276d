"""Settings: how a light curve is drawn, as values, as calls of lightkurve, and as code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook.errors import ConfigurationError, DataError
from lcdb_notebook.plot.curves import filled

if TYPE_CHECKING:
    import lightkurve

__all__ = ["MINUTES_PER_DAY", "Settings"]

MINUTES_PER_DAY = 1440

PRESETS = ("none", "default", "hard", "hardest")


@dataclass(frozen=True)
class Settings:
    """Settings of the drawing of light curves.

    Parameters
    ----------
    quality_bitmask : str, int or tuple of str, optional
        Which flags remove a cadence: "none", "default", "hard" or "hardest", bits, or names of
        flags and presets.
    apart : bool, optional
        Draw the flagged cadences too, with a mark for each flag. They are hidden if the light curve
        is flattened or binned.
    joined : bool, optional
        Draw all sectors in one panel.
    normalize : bool, optional
        Divide each light curve by its median.
    flatten : int or None, optional
        Window length of the Savitzky-Golay filter, in cadences: odd, at least 5. None does not
        flatten.
    bin : float or None, optional
        Length of bins in minutes; None does not bin. If folded, the bins are in phase.
    period : float or None, optional
        The period in days to fold on; None does not fold.
    epoch : float or None, optional
        A time of phase 0, in the mission's time or as BJD (at least 1e6), which explorers convert;
        None is the first cadence.

    Raises
    ------
    ConfigurationError
        If a value is out of range.

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
                f"flatten must be an odd number of cadences, at least 5, got {window}"
            )
        for name, value in (("bin", self.bin), ("period", self.period)):
            # This form also refuses NaN.
            if value is not None and not 0 < value < float("inf"):
                raise ConfigurationError(f"{name} must be positive and finite, got {value}")

    @property
    def folded(self) -> bool:
        """Whether flux is drawn against phase."""
        return self.period is not None

    @property
    def changed(self) -> bool:
        """Whether a light curve is processed beyond removing flagged cadences."""
        return bool(self._steps_before() or self._steps_after())

    @property
    def shows_flagged(self) -> bool:
        """Whether flagged cadences are drawn."""
        return self.apart and self.flatten is None and self.bin is None

    def differs_only_in_flags(self, other: Settings) -> bool:
        """Return whether other settings draw the same, but for quality flags."""
        return replace(other, quality_bitmask=self.quality_bitmask, apart=self.apart) == self

    def before_stitching(self, lightcurve: lightkurve.LightCurve) -> lightkurve.LightCurve:
        """Apply the steps that come before stitching.

        Parameters
        ----------
        lightcurve : lightkurve.LightCurve
            One sector.

        Returns
        -------
        lightkurve.LightCurve

        Raises
        ------
        DataError
            If the median flux is zero or negative, and the light curve is to be normalized or
            flattened. Dividing by it would turn dips upside down.
        """
        return _applied(lightcurve, self._steps_before())

    def after_stitching(self, lightcurve: lightkurve.LightCurve) -> lightkurve.LightCurve:
        """Apply the steps that come after stitching.

        Parameters
        ----------
        lightcurve : lightkurve.LightCurve
            One sector, or several stitched.

        Returns
        -------
        lightkurve.LightCurve
        """
        return _applied(lightcurve, self._steps_after())

    def code(self, found: str, *, several: bool, overlaid: bool = False) -> str:
        """Return a Python expression that reads what is drawn.

        Parameters
        ----------
        found : str
            An expression for the Selection.
        several : bool
            Whether it has more than one light curve.
        overlaid : bool, optional
            Whether those differ in more than their observation, so that they cannot be stitched.

        Returns
        -------
        str
        """
        bitmask = self.quality_bitmask
        # With double quotes, as formatters write them.
        mask = json.dumps(bitmask)
        each, last = _written(self._steps_before()), _written(self._steps_after())
        if not several:
            return f"{found}.lightcurve(quality_bitmask={mask}){each}{last}"
        read = f"{found}.lightcurves(quality_bitmask={mask})"
        if overlaid:
            return f"[lc{each}{last} for lc in {read}]" if each or last else read
        return f"{read}.stitch({f'lambda lc: lc{each}' if each else None}){last}"

    def _steps_before(self) -> list[tuple[str, dict[str, Any], str]]:
        calls: list[tuple[str, dict[str, Any], str]] = []
        if self.normalize:
            calls.append(("normalize", {}, ""))
        if self.flatten is not None:
            window = {"window_length": self.flatten}
            calls.append(("flatten", window, f"window_length={self.flatten}"))
        return calls if self.folded else calls + self._binning()

    def _steps_after(self) -> list[tuple[str, dict[str, Any], str]]:
        if not self.folded:
            return []
        how = {"period": self.period}
        if self.epoch is not None:
            how["epoch_time"] = self.epoch
        arguments = ", ".join(f"{name}={value!r}" for name, value in how.items())
        return [("fold", how, arguments), *self._binning()]

    def _binning(self) -> list[tuple[str, dict[str, Any], str]]:
        if self.bin is None:
            return []
        size = {"time_bin_size": self.bin / MINUTES_PER_DAY}
        return [("bin", size, f"time_bin_size={self.bin!r} / {MINUTES_PER_DAY}")]


Calls = Sequence[tuple[str, dict[str, Any], str]]


# Steps that divide by the flux or by a trend through it.
_DIVIDING = ("normalize", "flatten")


def _applied(lightcurve: Any, calls: Calls) -> Any:
    for name, how, _ in calls:
        if name in _DIVIDING and len(lightcurve):
            flux = filled(lightcurve.flux)
            median = np.nanmedian(flux) if np.isfinite(flux).any() else np.nan
            if median <= 0:
                raise DataError(
                    f"the median flux of {lightcurve.meta.get('LABEL', 'the light curve')} must be "
                    f"positive for {name}, got {median:g}; turn it off"
                )
        lightcurve = getattr(lightcurve, name)(**how)
    return lightcurve


def _written(calls: Calls) -> str:
    return "".join(f".{name}({arguments})" for name, _, arguments in calls)
