"""The picture of an explorer where widgets cannot run, such as in a saved notebook."""

from __future__ import annotations

import io
from collections.abc import Sequence

from lcdb_notebook.explore.view.prepare import prepare
from lcdb_notebook.explore.view.settings import Settings
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.plot import Drawing
from lcdb_notebook.plot.panels import MOST_PANELS

__all__ = ["picture"]

# Inches, and dots per inch.
_WIDTH, _HEIGHT_OF_ONE, _HEIGHT_OF_MANY, _DOTS = 7.2, 4.0, 2.5, 100


def picture(
    records: Sequence[LightCurveData],
    settings: Settings,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
) -> bytes:
    """Return a picture of light curves by matplotlib.

    Parameters
    ----------
    records : sequence of LightCurveData
        The light curves.
    settings : Settings
        The processing.
    xlim, ylim : tuple of float, optional
        The view; all is shown if omitted.

    Returns
    -------
    bytes
        A PNG.
    """
    from matplotlib.figure import Figure

    shown = prepare(records, settings)
    panels = len({(data.target, data.observation.id) for data in shown.records})
    joined = settings.joined or settings.folded or panels > MOST_PANELS
    height = _HEIGHT_OF_ONE if joined or panels == 1 else panels * _HEIGHT_OF_MANY
    # Not registered with pyplot, which would show it a second time.
    figure = Figure(figsize=(_WIDTH, height), dpi=_DOTS, layout="constrained")
    drawing = Drawing(
        shown.records,
        figure=figure,
        quality_bitmask=settings.quality_bitmask,
        flagged="apart" if settings.shows_flagged else "drop",
        joined=joined,
    )
    for axes in drawing.axes:
        axes.title.set(fontsize="medium", wrap=True)
        if settings.period is not None:
            axes.set_xlabel(shown.phase_label(settings.period))
        # Other sectors are elsewhere in time.
        low, high = sorted(axes.get_xlim())
        if xlim is not None and xlim[0] < high and xlim[1] > low:
            axes.set_xlim(*xlim)
    if ylim is not None and drawing.axes:
        bottom, top = drawing.axes[0].get_ylim()
        drawing.axes[0].set_ylim(*(ylim if bottom < top else reversed(ylim)))
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()
