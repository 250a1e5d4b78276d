"""Interactive figures of light curves, drawn by the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lcdb_notebook.plot.curves import originals, record_of

if TYPE_CHECKING:
    from lcdb_notebook.explore.figure.widget import Figure

__all__ = ["figure"]


def figure(
    light_curves: Any, *, compare: Literal["ratio", "difference"] | None = None, **settings: Any
) -> Figure:
    """Return an interactive figure of light curves, drawn by the browser.

    Drag to move, or to zoom into a box (Shift) or to select cadences (Ctrl or Alt). The wheel zooms
    after a click; double click shows all. Arrow keys step through the cadences, + and - zoom. The
    readout shows number, time, UTC, flux and flags of the nearest cadence.

    Parameters
    ----------
    light_curves : LightCurveData, lightkurve.LightCurve, Selection, or iterable of these
        One or several light curves. Sectors are panels one below the other. Read a LightCurve with
        ``flagged="keep"`` to see flagged cadences.
    compare : {"ratio", "difference"}, optional
        Show the ratio or the difference of two light curves, before and after, below them.
    **settings
        Initial values of the traits of the figure: ``quality_bitmask``, ``show_flagged``,
        ``joined``, ``normalize``, ``errors``, ``bin``, ``period``, ``epoch``, ``xlim``, ``ylim``,
        ``height``, ``selected_ranges`` and ``exclude``.

    Returns
    -------
    Figure
        A widget. Its traits can be read and assigned; ``selected`` and ``selected_lightcurves()``
        return what was selected, and ``code`` the Python code.

    Raises
    ------
    LightCurveNotFoundError
        If there are no light curves.
    ArgumentError
        If an object is not a light curve, or is already folded.
    ConfigurationError
        If a setting is unknown or out of range.
    AmbiguousError
        If there are more than 40 panels.
    DataError
        If ``compare`` is given and there are not two light curves, or if they have no cadence in
        common.

    Examples
    --------
    >>> lc = db.lightcurve(1, sector=1, exptime=1800, photometry="DEMO aperture 2px",
    ...                    processing="DEMO DET", flagged="keep")
    >>> widget = figure(lc, period=3.6)
    >>> widget.quality_bitmask, widget.period
    ('default', 3.6)
    """
    from lcdb_notebook.explore.figure.widget import Figure
    from lcdb_notebook.explore.widget.cells import replace_earlier

    objects = originals(light_curves)
    made = Figure(
        [record_of(one) for one in objects],
        given=light_curves,
        objects=objects,
        compare=compare,
        **settings,
    )
    replace_earlier(made, limited=False)
    return made
