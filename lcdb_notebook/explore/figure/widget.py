"""Figure: light curves drawn by the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets

from lcdb_notebook.errors import ConfigurationError
from lcdb_notebook.explore.figure.arrays import pack
from lcdb_notebook.explore.figure.chosen_flags import chosen_flags, named_flags
from lcdb_notebook.explore.figure.code import written
from lcdb_notebook.explore.figure.encoding import encode
from lcdb_notebook.explore.figure.layouts import Compare
from lcdb_notebook.explore.figure.modules import FIGURE, SHARED, module, text
from lcdb_notebook.explore.figure.selecting import within
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot.levels import mission_epoch

__all__ = ["Figure"]

_VIEW = ("xlim", "ylim", "selected_ranges")


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
    embedded : bool, optional
        Whether an explorer has the controls of the settings.
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

    _esm = SHARED
    _module = traitlets.Unicode(module(*FIGURE)).tag(sync=True)
    _css = text("figure.css")

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
    # Without an echo, which would be a quarter of the bytes of a click.
    _chosen: traitlets.List[Any] = traitlets.List().tag(sync=True, echo_update=False)
    _first = traitlets.Float(0.0).tag(sync=True)
    # The page draws arrays of this number only, as descriptions arrive in another message.
    _loaded = traitlets.Int(0).tag(sync=True)
    # An explorer has controls of its settings beside the figure, and does not level phases.
    _embedded = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        records: Sequence[LightCurveData],
        *,
        given: Any = None,
        objects: Sequence[Any] = (),
        compare: Compare = None,
        embedded: bool = False,
        **settings: Any,
    ) -> None:
        unknown = settings.keys() - {name for name in self.trait_names() if name[0] != "_"}
        if unknown:
            raise ConfigurationError(f"a figure has no setting {', '.join(sorted(unknown))}")
        self._given = given
        self._asked_for_arrays = False
        self._pack(records, compare)
        super().__init__(**self._described(), _embedded=embedded)
        self._objects = list(objects or records)
        self._choose(None)
        # Folding and normalizing reset the view and the selection.
        for name in sorted(settings, key=lambda name: name in _VIEW):
            setattr(self, name, settings[name])
        self.on_msg(self._on_message)

    def load(
        self,
        records: Sequence[LightCurveData],
        *,
        compare: Compare = None,
        **how: Any,
    ) -> None:
        """Draw other light curves. Traits, such as the view, are kept.

        Parameters
        ----------
        records : sequence of LightCurveData
            The light curves; none empty the figure.
        compare : {"ratio", "difference"}, optional
            Show the ratio or difference of two light curves below them.
        **how
            As for :func:`~lcdb_notebook.explore.figure.arrays.pack`.
        """
        self._pack(records, compare, **how)
        self._objects = self.records
        try:
            with self.hold_sync():
                for name, value in self._described().items():
                    setattr(self, name, value)
                self._loaded += 1
                self._set_chosen([])  # numbers of other flags
                self._choose(None)
        finally:
            if self._asked_for_arrays:
                self._send_arrays()

    def _pack(self, records: Sequence[LightCurveData], compare: Compare, **how: Any) -> None:
        self._packed = pack(records, compare, **how)
        self.records = list(records)

    def _described(self) -> dict[str, Any]:
        """Return the traits that describe the arrays."""
        times = [data.time[np.isfinite(data.time)] for data in self.records]
        return {
            "_curves": self._packed.curves,
            "_panels": self._packed.panels,
            "_flags": self._packed.flags,
            "_presets": self._packed.presets,
            "_first": min((float(time.min()) for time in times if time.size), default=0.0),
        }

    @property
    def closed(self) -> bool:
        """Whether the figure was closed."""
        return self.comm is None

    @property
    def selected(self) -> list[npt.NDArray[np.bool_]]:
        """For each light curve, bool of shape (cadences,): which are selected."""
        epoch = self._first if self.epoch is None else self.epoch
        ranges = self.selected_ranges
        return [within(data.time, ranges, self.period, epoch) for data in self.records]

    def select(self, start: float, stop: float) -> None:
        """Add a range to the selection.

        Parameters
        ----------
        start, stop : float
            In the mission's time, or in phase if folded; both are included.
        """
        self.selected_ranges = [*self.selected_ranges, (min(start, stop), max(start, stop))]

    def show_all(self) -> None:
        """Reset ``xlim`` and ``ylim``."""
        self.set_trait("xlim", None)
        self.set_trait("ylim", None)

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
        for made in (self, self.layout):
            made.unobserve_all()
        self.layout.close()
        super().close()
        self._packed = pack([])
        self.records, self._objects, self._given = [], [], None

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

    @traitlets.observe("period", "normalize")
    def _reset_view(self, change: Any) -> None:
        # Limits and ranges of time are not those of phase, nor fluxes those of relative flux.
        if change["name"] == "normalize":
            self.set_trait("ylim", None)
        elif (change["old"] is None) != (change["new"] is None):
            self.selected_ranges = []
            self.show_all()

    @traitlets.observe("quality_bitmask")
    def _choose(self, _change: Any) -> None:
        self._set_chosen(chosen_flags(self._packed, self.records, self.quality_bitmask))

    def _set_chosen(self, chosen: list[int]) -> None:
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
        named = named_flags(self._packed, list(change["new"]))
        if named is not None:
            self.quality_bitmask = named

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # Messages and not traits: those are stored in notebooks, and sent without being needed.
        if content.get("ask") == "arrays":
            self._asked_for_arrays = True
            self._send_arrays()
        elif content.get("ask") == "errors":
            self.send({"errors": self._loaded}, [self._packed.errors.view(np.uint8).data])

    def _send_arrays(self) -> None:
        about, arrays = encode(self._packed.buffers)
        self.send({"arrays": self._loaded, **about}, [a.view(np.uint8).data for a in arrays])
