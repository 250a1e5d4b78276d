"""What is in the Axes of the other plots: changed drawings, folded, compared, flags over time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import lightkurve
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units
from astropy.time import Time
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lcdb_notebook import Database, plot
from lcdb_notebook.errors import AmbiguousError, DataError, LightCurveNotFoundError
from lcdb_notebook.flags import QLPFlagV1, TESSFlag
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData

TESS = Clock("btjd", "d", Decimal(2457000), "jd", "tdb")
KEPLER = Clock("bkjd", "d", Decimal(2454833), "jd", "tdb")
CADENCES = 1000


def light_curve(
    *,
    sector: int = 1,
    level: float = 100.0,
    unit: str = "electron / s",
    processing: str | None = "PDCSAP",
    clock: Clock = TESS,
    **flagged: slice,
) -> LightCurveData:
    """One sector: noise of 1 around a level; ``DESAT=slice(3)`` sets that flag."""
    quality = np.zeros(CADENCES, np.int64)
    for name, where in flagged.items():
        quality[where] |= TESSFlag[name].value
    return LightCurveData(
        dataset=sector,
        target=402026209,
        catalog="TIC",
        mission="TESS",
        clock=clock,
        observation=ObservationData(
            sector, "tess_observation", {"sector": sector, "author": "SPOC"}, (), ("sector",)
        ),
        photometry="SPOC SAP",
        processing=processing,
        unit=unit,
        cadence=np.arange(CADENCES, dtype=np.int64),
        time=np.asarray(1325 + sector * 27 + np.arange(CADENCES) * 0.02, np.float64),
        flux=level + np.random.default_rng(sector).normal(size=CADENCES),
        flux_err=None,
        quality={"tess_quality_flag": quality},
        stored_time="mission",
    )


def drawn(ax: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in ax.get_lines()}


def x(line: Line2D) -> Any:
    return np.asarray(line.get_xdata(), float)


def y(line: Line2D) -> Any:
    return np.asarray(line.get_ydata(), float)


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


class TestDrawing:
    def test_another_bitmask_changes_the_points_and_not_the_figure(self) -> None:
        drawing = plot.Drawing(light_curve(DESAT=slice(10), STRAYLIGHT2=slice(20, 50)))
        (ax,), figure = drawing.axes, drawing.axes[0].figure
        drawing.update(quality_bitmask="hard")
        assert legend(ax) == ["STRAYLIGHT2 (30)", "DESAT (10)"]
        assert len(x(ax.get_lines()[0])) == CADENCES - 40
        drawing.update(quality_bitmask="none")
        assert legend(ax) == []
        assert (drawing.axes, ax.figure, plt.get_fignums()) == ([ax], figure, [1])

    def test_none_means_no_bits_and_not_as_before(self) -> None:
        drawing = plot.Drawing(light_curve(DESAT=slice(10)))
        drawing.update(quality_bitmask=None)
        assert legend(drawing.axes[0]) == []

    def test_a_drawing_that_is_changed_again_and_again_grows_no_artists(self) -> None:
        drawing = plot.Drawing(light_curve(DESAT=slice(10)))
        before = len(drawing.axes[0].get_children())
        for number in range(6):
            drawing.update(quality_bitmask=("none", "default")[number % 2])
        assert len(drawing.axes[0].get_children()) == before

    def test_other_artists_are_kept(self) -> None:
        _, ax = plt.subplots()
        ax.axvline(1360, label="mine")
        ax.set_title("my title")
        drawing = plot.Drawing(light_curve(), ax)
        drawing.update(light_curve(sector=2))
        assert "mine" in drawn(ax)
        assert ax.get_title() == "my title"

    def test_the_title_of_a_given_ax_changes_with_each_plot(self) -> None:
        _, ax = plt.subplots()
        plot.Drawing(light_curve(), ax).update(light_curve(sector=2))
        assert ax.get_title() == "TIC 402026209, sector 2, PDCSAP"

    def test_a_view_that_was_zoomed_into_stays(self) -> None:
        drawing = plot.Drawing(light_curve(DESAT=slice(10)))
        (ax,) = drawing.axes
        ax.set_xlim(1355, 1360)
        ax.set_ylim(99, 101)
        drawing.update(quality_bitmask="none")
        assert (ax.get_xlim(), ax.get_ylim()) == ((1355, 1360), (99, 101))

    def test_another_sector_is_shown_whole(self) -> None:
        drawing = plot.Drawing(light_curve())
        drawing.axes[0].set_xlim(1355, 1360)
        drawing.update(light_curve(sector=3, level=500))
        (ax,) = drawing.axes
        assert ax.get_xlim()[0] > 1400
        assert ax.get_ylim()[0] > 400
        assert ax.get_title() == "TIC 402026209, sector 3, PDCSAP"

    def test_other_panels_are_made_in_the_same_figure(self) -> None:
        figure = plt.figure()
        drawing = plot.Drawing(light_curve(), figure=figure)
        drawing.update([light_curve(), light_curve(sector=2)])
        assert [ax.figure for ax in drawing.axes] == [figure, figure]
        drawing.update(joined=True)
        assert len(drawing.axes) == len(figure.axes) == 1

    def test_a_change_that_fails_changes_nothing(self) -> None:
        drawing = plot.Drawing(light_curve(DESAT=slice(10)))
        lines = drawing.axes[0].get_lines()
        with pytest.raises(LightCurveNotFoundError):
            drawing.update([])
        with pytest.raises(TypeError, match="flagged must be 'apart'"):
            drawing.update(flagged="hide")  # type: ignore[arg-type]
        assert list(drawing.axes[0].get_lines()) == list(lines)
        drawing.update(quality_bitmask="default")
        assert legend(drawing.axes[0]) == ["DESAT (10)"]


@pytest.mark.parametrize(
    ("flagged", "points", "named"),
    [("apart", 990, ["DESAT (10)"]), ("drop", 990, []), ("keep", 1000, [])],
)
def test_flagged_cadences_are_drawn_separately_dropped_or_kept(
    flagged: Any, points: int, named: list[str]
) -> None:
    ax = plot.plot(light_curve(DESAT=slice(10)), flagged=flagged)
    assert len(x(ax.get_lines()[0])) == points
    assert legend(ax) == named


def test_joined_sectors_are_one_panel_that_names_them() -> None:
    ax = plot.plot([light_curve(sector=sector) for sector in (1, 2, 3, 6)], joined=True)
    assert ax.figure.axes == [ax]
    assert ax.get_title() == "TIC 402026209, sectors 1–3, 6, PDCSAP"
    assert {line.get_color() for line in ax.get_lines()} == {"#000000"}
    assert legend(ax) == []


def test_joined_processing_steps_differ_in_colour_and_not_their_sectors() -> None:
    records = [
        light_curve(sector=sector, processing=processing)
        for sector in (1, 2)
        for processing in (None, "PDCSAP")
    ]
    ax = plot.plot(records, joined=True)
    assert legend(ax) == ["SPOC SAP, raw", "PDCSAP"]
    assert len({line.get_color() for line in ax.get_lines()}) == 2


@pytest.mark.parametrize(
    ("clock", "label"),
    [
        (Clock("hst_day", "d", Decimal("2448005.50"), "jd", "tdb"), "BJD − 2448005.5 [days]"),
        (Clock("hst_mjd", "d", Decimal(48005), "mjd", "tdb"), "BJD − 2448005.5 [days]"),
        (Clock("utc_day", "d", Decimal(2448005), "jd", "utc"), "Time since JD 2448005 UTC [days]"),
        (Clock("chandra", "s", Decimal(2450814), "jd", "tdb"), "Time since BJD 2450814 [seconds]"),
        (Clock("jd", "d", Decimal(0), "jd", "tdb"), "BJD [days]"),
    ],
)
def test_the_time_axis_of_a_mission_without_a_time_name_is_in_bjd(clock: Clock, label: str) -> None:
    assert plot.plot(light_curve(clock=clock)).get_xlabel() == label


class TestLightkurve:
    def test_its_light_curves_are_drawn_as_records_are(self) -> None:
        data = light_curve(DESAT=slice(10), MANUAL_EXCLUDE=slice(20, 30))
        ours, theirs = plot.plot(data), plot.plot(convert.to_lightcurve(data, flagged="keep"))
        assert legend(ours) == legend(theirs)
        for what in ("get_title", "get_xlabel", "get_ylabel", "get_ylim"):
            assert getattr(ours, what)() == getattr(theirs, what)()
        assert np.array_equal(y(ours.get_lines()[0]), y(theirs.get_lines()[0]))

    def test_a_collection_is_as_many_panels_as_sectors(self) -> None:
        collection = convert.to_lightcurves([light_curve(sector=1), light_curve(sector=2)])
        assert len(plot.plot(collection).figure.axes) == 2

    def test_one_from_elsewhere_needs_no_metadata(self) -> None:
        lc = lightkurve.LightCurve(time=Time([1.0, 2, 4], format="mjd"), flux=[1.0, 2, 3])
        lc.meta["LABEL"] = "pi Mensae"
        ax = plot.plot(lc)
        assert (ax.get_title(), ax.get_xlabel()) == ("pi Mensae, raw", "BJD − 2400000.5 [days]")

    def test_binned_light_curves_have_no_flags(self) -> None:
        lc = convert.to_lightcurve(light_curve(DESAT=slice(100)), flagged="keep")
        assert legend(plot.plot(lc.bin(time_bin_size=0.1))) == []

    def test_a_folded_light_curve_is_refused_with_the_function_to_call(self) -> None:
        folded = convert.to_lightcurve(light_curve()).fold(1.0)
        with pytest.raises(TypeError, match=r"already folded.*plot\.fold"):
            plot.plot(folded)

    @pytest.mark.parametrize("wrong", ["TIC 1", 12, {"flux": 1}, None])
    def test_a_value_that_is_not_a_light_curve_is_refused(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="light_curves must be a LightCurveData"):
            plot.plot(wrong)


class TestFold:
    def test_each_cadence_is_drawn_at_its_time_from_the_nearest_epoch(self) -> None:
        data = light_curve()
        ax = plot.fold(data, 3.003, epoch=1353.0, bins=None)
        cycles = np.round((data.time - 1353.0) / 3.003)
        assert np.allclose(x(ax.get_lines()[0]), data.time - 1353.0 - 3.003 * cycles, atol=1e-9)
        assert ax.get_xlim() == (-1.5015, 1.5015)
        assert ax.get_title() == "TIC 402026209, sector 1, PDCSAP, folded on 3.003 days"

    @pytest.mark.parametrize("period", [72 * units.hour, 3 * units.day, 3])
    @pytest.mark.parametrize(
        "epoch", [1353.0, Time(2458353.0, format="jd", scale="tdb"), np.float64(1353)]
    )
    def test_period_and_epoch_may_have_a_unit_and_a_format(self, period: Any, epoch: Any) -> None:
        one = plot.fold(light_curve(), 3.0, epoch=1353.0, bins=None)
        other = plot.fold(light_curve(), period, epoch=epoch, bins=None)
        assert np.allclose(x(one.get_lines()[0]), x(other.get_lines()[0]), atol=1e-9)

    def test_the_binned_points_are_medians(self) -> None:
        data = light_curve()
        line = drawn(plot.fold(data, 2.0, epoch=1352.0, bins=8))["binned"]
        phase = (data.time - 1352.0 + 1.0) % 2.0 - 1.0
        inside = (phase >= -1.0) & (phase < -0.75)
        assert len(x(line)) == 8
        assert x(line)[0] == pytest.approx(-0.875)
        assert y(line)[0] == pytest.approx(np.median(data.flux[inside]))

    def test_flagged_cadences_are_omitted_by_default(self) -> None:
        data = light_curve(DESAT=slice(100))
        data.flux[:100] = 1e6
        assert len(x(plot.fold(data, 2.0, bins=None).get_lines()[0])) == CADENCES - 100
        apart = plot.fold(data, 2.0, flagged="apart")
        assert legend(apart) == ["DESAT (100)"]
        assert y(drawn(apart)["binned"]).max() < 200

    def test_sectors_are_brought_to_one_level(self) -> None:
        ax = plot.fold([light_curve(level=100), light_curve(sector=2, level=900)], 2.0)
        assert ax.get_ylabel() == "Relative flux"
        assert 0.9 < ax.get_ylim()[0] < 1 < ax.get_ylim()[1] < 1.1
        magnitudes = [light_curve(sector=s, level=9.0 + s, unit="mag") for s in (1, 2)]
        ax = plot.fold(magnitudes, 2.0)
        assert ax.get_ylabel() == "Magnitude − median"
        assert ax.yaxis_inverted()

    @pytest.mark.parametrize("level", [-50.0, 0.0])
    def test_fold_subtracts_medians_that_are_not_positive(self, level: float) -> None:
        first, second = light_curve(level=level), light_curve(sector=2, level=900)
        first.flux[10:20] -= 20
        ax = plot.fold([first, second], 2.0, epoch=1353.0, bins=None)
        assert ax.get_ylabel() == "Flux − median [electron / s]"
        flux = np.concatenate([y(line) for line in ax.get_lines() if line.get_marker() == "."])
        assert abs(np.median(flux)) < 0.5
        # A dip stays a dip.
        assert flux.min() == pytest.approx(-20, abs=5)
        assert flux.max() < 10

    def test_fold_takes_an_epoch_of_a_million_and_more_for_bjd(self) -> None:
        one = plot.fold(light_curve(), 3.003, epoch=1353.25, bins=None)
        other = plot.fold(light_curve(), 3.003, epoch=2458353.25, bins=None)
        assert np.allclose(x(one.get_lines()[0]), x(other.get_lines()[0]), atol=1e-8)

    def test_fold_keeps_a_large_epoch_of_a_mission_that_counts_seconds(self) -> None:
        seconds = Clock("cheops_seconds", "s", Decimal(2458836), "jd", "tdb")
        data = replace(
            light_curve(clock=seconds), time=3e6 + 60 * np.arange(CADENCES, dtype=np.float64)
        )
        phase = (data.time - 3_000_100.0 + 500) % 1000 - 500
        line = plot.fold(data, 1000.0, epoch=3_000_100.0, bins=None).get_lines()[0]
        assert np.allclose(x(line), phase)

    @pytest.mark.parametrize("period", [0, -1.0, np.nan, np.inf])
    def test_an_invalid_period_is_refused(self, period: float) -> None:
        with pytest.raises(ValueError, match="period must be a positive number"):
            plot.fold(light_curve(), period)

    def test_no_bins_and_no_epoch_are_refused(self) -> None:
        with pytest.raises(ValueError, match="bins must be at least 1"):
            plot.fold(light_curve(), 1.0, bins=0)
        with pytest.raises(ValueError, match="epoch must be a finite time"):
            plot.fold(light_curve(), 1.0, epoch=np.nan)

    def test_it_draws_on_the_given_ax(self) -> None:
        _, ax = plt.subplots()
        assert plot.fold(light_curve(), 1.0, ax) is ax


class TestBeforeAndAfter:
    def test_before_after_does_not_divide_by_a_median_that_is_not_positive(self) -> None:
        before, after = light_curve(processing=None), light_curve(level=-1e-3)
        ax = plot.before_after(before, after)
        assert ax.figure.axes[1].get_ylabel() == "Before − after [electron / s]"
        with pytest.raises(DataError, match=r"median.*positive.*compare='difference'"):
            plot.before_after(before, light_curve(level=-50), compare="ratio")
        with pytest.raises(DataError, match=r"median.*positive.*same unit"):
            plot.before_after(before, light_curve(level=-50, unit=""))

    def test_the_ratio_is_of_the_same_cadences(self) -> None:
        before = light_curve(processing=None)
        after = replace(light_curve(), flux=before.flux / 2)
        fewer = replace(
            after,
            cadence=after.cadence[5:],
            time=after.time[5:],
            flux=after.flux[5:],
            quality={},
        )
        upper, lower = plot.before_after(before, fewer).figure.axes
        assert np.array_equal(x(lower.get_lines()[-1]), before.time[5:])
        assert np.allclose(y(lower.get_lines()[-1]), 2.0)
        assert legend(upper) == ["before: SPOC SAP, raw", "after: PDCSAP"]
        assert lower.get_ylabel() == "Before / after"
        assert upper.get_shared_x_axes().joined(upper, lower)

    def test_the_difference_of_magnitudes_is_drawn(self) -> None:
        before = light_curve(unit="mag", level=10, processing=None)
        after = replace(before, processing="DET", flux=before.flux - 0.5)
        _, lower = plot.before_after(before, after).figure.axes
        assert np.allclose(y(lower.get_lines()[-1]), 0.5)
        assert lower.get_ylabel() == "Before − after [mag]"

    def test_units_that_differ_are_brought_to_one_level(self) -> None:
        before = light_curve()
        after = replace(before, unit="", flux=before.flux / 100)
        upper, lower = plot.before_after(before, after).figure.axes
        assert upper.get_ylabel() == "Relative flux"
        assert np.median(y(lower.get_lines()[-1])) == pytest.approx(1.0)

    def test_magnitudes_beside_flux_become_flux(self) -> None:
        flux = light_curve()
        magnitude = replace(flux, unit="mag", flux=20 - 2.5 * np.log10(flux.flux))
        _, lower = plot.before_after(magnitude, flux).figure.axes
        assert np.allclose(y(lower.get_lines()[-1]), 1.0, atol=1e-3)

    def test_a_lightcurve_and_what_was_flattened_are_compared(self) -> None:
        lc = convert.to_lightcurve(light_curve())
        upper = plot.before_after(lc, lc.flatten(101))
        assert legend(upper) == ["before", "after"]

    def test_pipelines_are_compared_by_time(self) -> None:
        one = light_curve()
        other = replace(one, observation=replace(one.observation, id=7), time=one.time + 2e-5)
        _, lower = plot.before_after(one, other).figure.axes
        assert np.allclose(y(lower.get_lines()[-1]), 1.0)

    def test_light_curves_without_a_common_cadence_are_refused(self) -> None:
        with pytest.raises(DataError, match="no cadence in common"):
            plot.before_after(light_curve(), light_curve(sector=5))

    def test_several_light_curves_on_one_side_are_refused(self) -> None:
        with pytest.raises(AmbiguousError, match="after must be one light curve, got 2"):
            plot.before_after(light_curve(), [light_curve(), light_curve(sector=2)])

    def test_another_comparison_than_there_is_is_refused(self) -> None:
        with pytest.raises(TypeError, match="compare must be 'ratio'"):
            plot.before_after(light_curve(), light_curve(), compare="sum")  # type: ignore[arg-type]

    def test_it_draws_on_two_axes_that_are_given(self) -> None:
        _, given = plt.subplots(2, 1)
        assert plot.before_after(light_curve(), light_curve(), given) is given[0]
        assert given[1].get_ylabel() == "Before / after"


class TestQualityTimeline:
    def rows(self, ax: Axes) -> list[str]:
        return [label.get_text() for label in ax.get_yticklabels()]

    def bars(self, ax: Axes) -> list[list[tuple[float, float]]]:
        """Start and end of the bars of each row."""
        across = [[p.get_extents() for p in c.get_paths()] for c in ax.collections]
        return [[(float(box.x0), float(box.x1)) for box in row] for row in across]

    def counts(self, ax: Axes) -> list[str]:
        return [text.get_text() for text in ax.texts]

    def test_flags_are_rows_in_the_order_of_their_bits(self) -> None:
        ax = plot.quality_timeline(
            light_curve(STRAYLIGHT2=slice(0, 100), DESAT=slice(500, 510), EARTH_POINT=slice(3))
        )
        assert self.rows(ax) == ["EARTH_POINT", "DESAT", "STRAYLIGHT2"]
        assert self.counts(ax) == ["3", "10", "100"]
        assert ax.yaxis_inverted()

    def test_a_bar_spans_cadences_in_a_row(self) -> None:
        data = light_curve(DESAT=slice(100, 200, 1))
        data.quality["tess_quality_flag"][150] = 0
        (bars,) = self.bars(plot.quality_timeline(data))
        edges = [(100, 149), (151, 199)]
        expected = [(data.time[a] - 0.01, data.time[b] + 0.01) for a, b in edges]
        assert np.allclose(bars, expected)

    def test_a_gap_between_cadences_ends_a_bar(self) -> None:
        data = light_curve(DESAT=slice(None))
        data.time[500:] += 3.0
        (bars,) = self.bars(plot.quality_timeline(data))
        assert len(bars) == 2

    def test_cadences_without_a_time_are_placed_by_their_number(self) -> None:
        data = light_curve(DESAT=slice(0, 5), EARTH_POINT=slice(500, 510))
        expected = self.bars(plot.quality_timeline(data))
        data.time[:5] = data.time[500:510] = np.nan
        found = self.bars(plot.quality_timeline(data))
        assert all(np.allclose(one, other) for one, other in zip(expected, found, strict=True))

    def test_a_cadence_counts_once_for_all_light_curves_of_its_star(self) -> None:
        records = [light_curve(processing=name, DESAT=slice(7)) for name in (None, "PDCSAP")]
        ax = plot.quality_timeline([*records, light_curve(sector=2, DESAT=slice(4))])
        assert self.counts(ax) == ["11"]

    def test_the_bitmask_selects_the_high_bars(self) -> None:
        data = light_curve(DESAT=slice(7), STRAYLIGHT2=slice(100, 120))
        ax = plot.quality_timeline(data)
        desat, stray = (c.get_paths()[0].get_extents().height for c in ax.collections)
        assert desat > 2 * stray
        assert legend(ax) == ["removed by quality_bitmask='default'", "not removed"]

    def test_flags_of_two_types_are_distinguished(self) -> None:
        data = light_curve(DESAT=slice(7))
        bits = np.full(CADENCES, QLPFlagV1.LOW_PRECISION.value)
        both = {**data.quality, "qlp_quality_flag_v1": bits}
        assert self.rows(plot.quality_timeline(replace(data, quality=both))) == [
            "qlp v1: LOW_PRECISION",
            "tess: DESAT",
        ]

    def test_bits_without_a_name_are_rows_too(self) -> None:
        data = light_curve(DESAT=slice(7))
        data.quality["tess_quality_flag"][20:30] = 2**20
        assert self.rows(plot.quality_timeline(data)) == ["DESAT", "UNKNOWN_BIT_20"]

    def test_a_light_curve_without_flags_is_labelled(self) -> None:
        ax = plot.quality_timeline(light_curve())
        assert self.counts(ax) == ["no flags are set"]

    def test_missions_with_different_clocks_are_refused(self) -> None:
        with pytest.raises(AmbiguousError, match="bkjd, btjd"):
            plot.quality_timeline([light_curve(), light_curve(clock=KEPLER)])

    def test_units_may_differ(self) -> None:
        records = [light_curve(DESAT=slice(7)), light_curve(unit="", DESAT=slice(7))]
        assert self.counts(plot.quality_timeline(records)) == ["7"]


@pytest.mark.slow
def test_importing_the_plots_imports_no_matplotlib() -> None:
    code = "import lcdb_notebook.plot, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_selection_is_plotted_joined_and_without_its_flagged_cadences(
    demo_database: Database,
) -> None:
    found = demo_database.search(
        1, exptime=1800, photometry="DEMO aperture 2px", processing="DEMO DET"
    )
    assert len(found.plot().figure.axes) == 2
    ax = found.plot(joined=True, flagged="drop", quality_bitmask="hard")
    assert ax.figure.axes == [ax]
    assert ax.get_title() == "DEMO 1, sectors 1–2, DEMO aperture 2px, DEMO DET"
    assert legend(ax) == []


FORMULA = r"$\frac$ \textbf{x}_y^z %"


def named_like_a_formula(processing: str = FORMULA) -> LightCurveData:
    """A light curve whose every name, as read from a database, cannot be parsed as mathtext."""
    data = light_curve(unit=FORMULA)
    fields = {"sector": FORMULA, "author": FORMULA}
    return replace(
        data,
        catalog=FORMULA,
        photometry=FORMULA,
        processing=processing,
        clock=Clock("btjd", FORMULA, Decimal(2457000), FORMULA, FORMULA),
        observation=replace(data.observation, fields=fields),
        quality={FORMULA: np.where(np.arange(CADENCES) < 3, 1, 0)},
    )


@pytest.mark.parametrize("usetex", [False, True])
@pytest.mark.parametrize(
    "draw",
    [
        lambda records: plot.plot(records, quality_bitmask=1),
        lambda records: plot.fold(records, 2.0, flagged="apart", quality_bitmask=1),
        lambda records: plot.before_after(*records, quality_bitmask=1),
        lambda records: plot.before_after(*records, compare="difference", quality_bitmask=1),
        lambda records: plot.quality_timeline(records, quality_bitmask=1),
    ],
)
def test_plot_draws_names_as_text_and_not_as_formulas(draw: Any, usetex: bool) -> None:
    records = [named_like_a_formula(), named_like_a_formula(FORMULA * 2)]
    with mpl.rc_context({"text.usetex": usetex}):
        figure = draw(records).figure
        if not usetex:
            figure.canvas.draw()
        texts = [ax.title for ax in figure.axes]
        texts += [ax.xaxis.label for ax in figure.axes] + [ax.yaxis.label for ax in figure.axes]
        for ax in figure.axes:
            texts += [
                *ax.get_yticklabels(),
                *(ax.get_legend().get_texts() if ax.get_legend() else []),
            ]
        named = [text for text in texts if "frac" in text.get_text()]
        assert len(named) > 1
        assert not any(text.get_usetex() or text.get_parse_math() for text in named)
