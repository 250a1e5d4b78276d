"""Plots as pictures: each must look as its stored baseline in ``tests/plot/baselines``.

After an intended change, make the baselines again, look at each, and store them::

    .venv/bin/pytest tests/plot/test_looks.py --mpl-generate-path=tests/plot/baselines

matplotlib 3.9 to 3.11 draw them alike (the root mean square of the differences is below 0.1 of 255
levels), and another shape of one flag's marks, at 15 cadences a sector, is a difference of 1.8; the
tolerance is between.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from lcdb_notebook import plot
from lcdb_notebook.flags import TESSFlag
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.search.lineage import Lineage
from lcdb_notebook.search.lineage.graph import Row

TESS = Clock("btjd", "d", Decimal(2457000), "jd", "tdb")
CADENCES = 800
PERIOD = 3.3

looks_as_before = pytest.mark.mpl_image_compare(
    baseline_dir="baselines",
    # The default style and font of matplotlib (DejaVu Sans), with any configuration.
    style="default",
    tolerance=0.5,
    savefig_kwargs={"dpi": 70},
)


def noise(size: int, seed: int) -> Any:
    """Scatter that is the same on every machine and in every version of numpy; about 1."""
    return 3.4 * (np.modf(np.sin(np.arange(size) * 12.9898 + seed) * 43758.5453)[0] / 2)


def light_curve(
    *,
    sector: int = 1,
    processing: str | None = "PDCSAP",
    unit: str = "electron / s",
    trend: float = 0.0,
    gap: slice = slice(380, 430),
    quality: Any = None,
) -> LightCurveData:
    """A transiting planet in one sector, with a gap in the middle of it."""
    time = 1325 + 27.0 * (sector - 1) + np.arange(CADENCES) * 0.032
    in_transit = np.abs((time - 1326 + PERIOD / 2) % PERIOD - PERIOD / 2) < 0.15
    flux = 1000 * (1 - 0.01 * in_transit) + noise(CADENCES, sector) + 30
    flux += trend * np.sin(np.arange(CADENCES) / 90)
    bits = np.zeros(CADENCES, np.int64) if quality is None else quality
    flux[(bits & TESSFlag.STRAYLIGHT2.value) != 0] += 40
    flux[gap] = np.nan
    if unit == "mag":
        flux = 20.44 - 2.5 * np.log10(flux)
    return LightCurveData(
        dataset=sector,
        target=402026209,
        catalog="TIC",
        mission="TESS",
        clock=TESS,
        observation=ObservationData(
            sector, "tess_observation", {"sector": sector, "author": "SPOC"}, (), ("sector",)
        ),
        photometry="SPOC SAP",
        processing=processing,
        unit=unit,
        cadence=np.arange(CADENCES, dtype=np.int64),
        time=np.asarray(time, np.float64),
        flux=flux,
        flux_err=None,
        quality={"tess_quality_flag": bits},
        stored_time="mission",
    )


def some_flags() -> Any:
    quality = np.zeros(CADENCES, np.int64)
    for start in range(60, CADENCES, 150):
        quality[start : start + 3] |= TESSFlag.DESAT.value
    quality[600:640] |= TESSFlag.MANUAL_EXCLUDE.value
    quality[360:380] |= TESSFlag.STRAYLIGHT2.value
    quality[::97] |= TESSFlag.IMPULSIVE_OUTLIER.value
    return quality


def still(ax: Axes) -> Figure:
    """Return the figure without letters and legends, and with its Axes at fixed places.

    Versions of matplotlib draw letters differently and of different height, by which a layout would
    move all else. What is written where is tested by what is in the Axes (``test_plot.py``).
    """
    figure = ax.figure
    assert isinstance(figure, Figure)
    for text in figure.findobj(Text):
        text.set_alpha(0)
    for legend in figure.findobj(Legend):
        legend.set_visible(False)
    figure.set_layout_engine(None)
    figure.subplots_adjust(left=0.14, right=0.93, bottom=0.12, top=0.86, hspace=0.5)
    return figure


@looks_as_before
def test_sectors_are_panels_with_their_flags_named() -> Figure:
    records = [light_curve(sector=sector, quality=some_flags()) for sector in (1, 2)]
    return still(plot.plot(records, quality_bitmask="hard"))


@looks_as_before
def test_sectors_that_are_joined_stay_apart() -> Figure:
    records = [light_curve(sector=sector) for sector in (1, 2, 5)]
    return still(plot.plot(records, joined=True))


@looks_as_before
def test_magnitudes_are_upside_down() -> Figure:
    records = [
        light_curve(processing=name, unit="mag", trend=trend)
        for name, trend in ((None, 6.0), ("DET", 0.0))
    ]
    return still(plot.plot(records))


@looks_as_before
def test_a_folded_light_curve_shows_its_transit() -> Figure:
    records = [light_curve(sector=sector) for sector in (1, 2)]
    return still(plot.fold(records, PERIOD, epoch=1326.0, bins=60))


@looks_as_before
def test_before_and_after_lie_over_their_ratio() -> Figure:
    before = light_curve(processing=None, trend=6.0)
    return still(plot.before_after(before, light_curve()))


@looks_as_before
def test_flags_are_rows_over_time() -> Figure:
    records = [light_curve(sector=sector, quality=some_flags()) for sector in (1, 2)]
    return still(plot.quality_timeline(records, quality_bitmask="default"))


@looks_as_before
def test_a_drawing_that_was_changed_looks_as_one_made_so() -> Figure:
    records = [light_curve(sector=sector, quality=some_flags()) for sector in (1, 2)]
    drawing = plot.Drawing(records, quality_bitmask="none")
    drawing.update(quality_bitmask="hard")
    drawing.update(flagged="drop")
    return still(drawing.axes[0])


@looks_as_before
def test_a_lineage_leads_from_left_to_right() -> Figure:
    def row(dataset: int, processing: str | None, *sources: int) -> Row:
        return Row(dataset, 1, "TIC", 1, "SPOC SAP", processing, CADENCES, sources)

    rows = [
        row(1, None),
        row(2, "PDCSAP", 1),
        row(3, "flattened", 2),
        row(4, "binned", 2),
        row(5, "both", 3, 4),
    ]
    return still(Lineage(rows, [3]).plot())
