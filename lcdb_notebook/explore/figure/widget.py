"""Figure: light curves drawn by the browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets

from lcdb_notebook import flags
from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.explore.controls.flag_list import naming
from lcdb_notebook.explore.figure.arrays import pack
from lcdb_notebook.explore.figure.code import written
from lcdb_notebook.explore.figure.layouts import Compare
from lcdb_notebook.explore.view.settings import PRESETS
from lcdb_notebook.explore.widget.cells import replace_earlier
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.quality import primary_type
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.levels import mission_epoch

__all__ = ["Figure", "module"]

_MODULES = ("numbers.mjs", "scene.mjs", "raster.mjs", "axes.mjs", "controls.mjs", "figure.mjs")
_POSITIVE = ("period", "bin")


@cache
def module() -> str:
    """Return the ES modules joined to one, as anywidget takes it; no bundler is needed."""
    here = files(__package__)
    joined = "\n".join((here / name).read_text(encoding="utf-8") for name in _MODULES)
    return re.sub(r"^import .*;\n", "", joined, flags=re.MULTILINE)


class Figure(anywidget.AnyWidget):
    """An interactive figure of light curves, which the browser draws from arrays sent once.

    Made by :func:`lcdb_notebook.figure` and :meth:`lcdb_notebook.Selection.figure`. All traits work
    both ways: assign them in a cell, or read what was chosen on the page.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    given : object, optional
        What the figure was made of, for ``code``.
    objects : sequence, optional
        The single light curves given, for ``selected_lightcurves()``.
    compare : {"ratio", "difference"}, optional
        Show the ratio or difference of two light curves below them.
    **settings
        Initial values of the traits.

    Attributes
    ----------
    quality_bitmask : str, int or tuple of str
        Trait: which flags make a cadence bad.
    show_flagged : bool
        Trait: draw bad cadences with a mark for each flag.
    joined : bool
        Trait: draw all sectors in one panel.
    normalize : bool
        Trait: divide each light curve by the median of its good cadences. For magnitudes, and if
        any median is zero or negative, subtract it.
    errors : bool
        Trait: draw error bars.
    bin : float or None
        Trait: draw medians in bins of so many minutes; if folded, in the nearest number of equal
        bins of phase.
    period : float or None
        Trait: the period to fold on, in the mission's unit of time (days).
    epoch : float or None
        Trait: a time of phase 0; None is the first cadence. A BJD becomes mission time.
    xlim, ylim : tuple of float or None
        Traits: the view, in the mission's time (or phase) and flux; None shows all.
    height : int
        Trait: height in CSS pixels; 0 is chosen by the number of panels.
    selected_ranges : list of (float, float)
        Trait: the ranges of time, or of phase if folded, that are selected.
    exclude : bool
        Trait: leave out the selected cadences.
    records : list of LightCurveData
        The light curves.

    Raises
    ------
    ConfigurationError
        If a trait is out of range.

    Examples
    --------
    >>> figure = db.search(1, sector=1, exptime=1800, processing="DEMO DET")[:1].figure()
    >>> figure.period = 3.6
    >>> figure.select(1.0, 1.2)
    >>> int(figure.selected[0].sum()) > 0
    True
    """

    _esm = module()
    _css = (files(__package__) / "figure.css").read_text(encoding="utf-8")

    _naming = True

    quality_bitmask = traitlets.Any("default")
    show_flagged = traitlets.Bool(True).tag(sync=True)
    joined = traitlets.Bool(False).tag(sync=True)
    normalize = traitlets.Bool(False).tag(sync=True)
    errors = traitlets.Bool(False).tag(sync=True)
    bin = traitlets.Float(None, allow_none=True).tag(sync=True)
    period = traitlets.Float(None, allow_none=True).tag(sync=True)
    epoch = traitlets.Float(None, allow_none=True).tag(sync=True)
    xlim = traitlets.Tuple(
        traitlets.Float(), traitlets.Float(), default_value=None, allow_none=True
    ).tag(sync=True)
    ylim = traitlets.Tuple(
        traitlets.Float(), traitlets.Float(), default_value=None, allow_none=True
    ).tag(sync=True)
    height = traitlets.Int(0).tag(sync=True)
    selected_ranges = traitlets.List(traitlets.Tuple(traitlets.Float(), traitlets.Float())).tag(
        sync=True
    )
    exclude = traitlets.Bool(False).tag(sync=True)

    # Descriptions for the page.
    _curves: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _panels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _flags: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _presets = traitlets.Dict().tag(sync=True)
    _chosen: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _first = traitlets.Float(0.0).tag(sync=True)

    def __init__(
        self,
        records: Sequence[LightCurveData],
        *,
        given: Any = None,
        objects: Sequence[Any] = (),
        compare: Compare = None,
        **settings: Any,
    ) -> None:
        unknown = settings.keys() - {name for name in self.trait_names() if name[0] != "_"}
        if unknown:
            raise ConfigurationError(f"a figure has no setting {', '.join(sorted(unknown))}")
        self.records = list(records)
        self._given = given
        self._objects = list(objects or records)
        self._packed = pack(self.records, compare)
        times = [data.time[np.isfinite(data.time)] for data in self.records]
        super().__init__(
            _curves=self._packed.curves,
            _panels=self._packed.panels,
            _flags=self._packed.flags,
            _presets=self._packed.presets,
            _first=min((float(time.min()) for time in times if time.size), default=0.0),
        )
        self._choose(None)
        for name, value in settings.items():
            setattr(self, name, value)
        self.on_msg(self._asked)
        replace_earlier(self, limited=False)

    @property
    def closed(self) -> bool:
        """Whether the figure was closed."""
        return self.comm is None

    @property
    def selected(self) -> list[npt.NDArray[np.bool_]]:
        """For each light curve, bool of shape (cadences,): which are selected."""
        return [self._within(data.time) for data in self.records]

    def select(self, start: float, stop: float) -> None:
        """Add a range to the selection.

        Parameters
        ----------
        start, stop : float
            In the mission's time, or in phase if folded; both are included.
        """
        self.selected_ranges = [*self.selected_ranges, (min(start, stop), max(start, stop))]

    def selected_lightcurves(self) -> list[Any]:
        """Return the selected cadences of each light curve.

        Returns
        -------
        list of lightkurve.LightCurve
            Slices of the LightCurves that the figure was made of, or LightCurves with all cadences
            that have a time, flagged or not.
        """
        found = []
        for one, mask in zip(self._objects, self.selected, strict=True):
            if isinstance(one, LightCurveData):
                lc = convert.to_lightcurve(one, quality_bitmask="none", flagged="keep")
                found.append(lc[mask[np.isfinite(one.time)]])
            else:
                found.append(one[mask])
        return found

    @property
    def code(self) -> str:
        """Python code that makes the light curves drawn: flags, exclusion, folding."""
        return written(self, self._given)

    def close(self) -> None:
        """Close the figure and release its arrays."""
        super().close()
        self._packed = replace(self._packed, records=[], buffers=[], errors=np.empty(0, np.float32))

    # Traits

    @traitlets.validate("period", "bin")
    def _check_positive(self, proposal: Any) -> float | None:
        value: float | None = proposal["value"]
        if value is not None and not 0 < value < np.inf:
            name = proposal["trait"].name
            raise ConfigurationError(f"{name} must be positive and finite, got {value}")
        return value

    @traitlets.validate("epoch")
    def _check_epoch(self, proposal: Any) -> float | None:
        value: float | None = proposal["value"]
        if value is None:
            return None
        if not np.isfinite(value):
            raise ConfigurationError(f"epoch must be a finite time, got {value}")
        return round(mission_epoch(value, self.records), 9)

    @traitlets.observe("period")
    def _reset_view(self, change: Any) -> None:
        # Limits and ranges of time are not those of phase.
        if (change["old"] is None) != (change["new"] is None):
            self.selected_ranges = []
            self.set_trait("xlim", None)
            self.set_trait("ylim", None)

    @traitlets.observe("quality_bitmask")
    def _choose(self, _change: Any) -> None:
        bitmask = self.quality_bitmask
        preset = bitmask is None or (isinstance(bitmask, str) and bitmask in PRESETS)
        chosen = []
        for number, entry in enumerate(self._packed.entries):
            primary = entry.flag_type in {primary_type(data) for data in self.records}
            known = entry.flag_type in flags.types() or not preset
            if (preset or primary) and known:
                bits = flags.bitmask(bitmask, entry.flag_type)
                chosen += [number] if bits & entry.bits else []
        self._naming = False
        try:
            self._chosen = chosen
        finally:
            self._naming = True

    @traitlets.observe("_chosen")
    def _name_bitmask(self, change: Any) -> None:
        """Name the flags that were chosen on the page."""
        if not self._naming:
            return
        chosen = list(change["new"])
        for name, members in self._packed.presets.items():
            if members == chosen:
                self.quality_bitmask = name
                return
        own = [entry for entry in self._packed.entries if entry.own]
        bits = sum(self._packed.entries[k].bits for k in chosen if self._packed.entries[k].own)
        if own:
            named = naming(bits, own[0].flag_type)
            # A preset applies to all types of flags, but only flags of one type were chosen.
            self.quality_bitmask = bits if named in PRESETS and bits else named

    def _within(self, time: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        x = time
        if self.period is not None:
            epoch = self._first if self.epoch is None else self.epoch
            x = (time - epoch + self.period / 2) % self.period - self.period / 2
        within = np.zeros(time.size, dtype=bool)
        for start, stop in self.selected_ranges:
            within |= (x >= start) & (x <= stop)
        return within

    # Messages

    def _asked(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # Messages and not traits: those are stored in notebooks, and sent without being needed.
        if content.get("ask") == "arrays":
            self.send({"arrays": True}, [a.data.cast("B") for a in self._packed.buffers])
        elif content.get("ask") == "errors":
            self.send({"errors": True}, [self._packed.errors.data.cast("B")])
