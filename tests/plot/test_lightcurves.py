"""What is in the Axes: points, labels, legends, limits, panels."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lcdb_notebook.errors import AmbiguousError, LightCurveNotFoundError
from lcdb_notebook.flags import TESSFlag
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.plot import MOST_PANELS, check_panels, plot

TESS = Clock("btjd", "d", Decimal("2457000.0000"), "jd", "tdb")
KEPLER = Clock("bkjd", "d", Decimal(2454833), "jd", "tdb")
CADENCES = 1000


def light_curve(
    *,
    sector: int = 1,
    flux: Any = None,
    quality: Any = None,
    target: int = 261136679,
    photometry: str | None = "SPOC SAP",
    processing: str | None = "PDCSAP",
    unit: str = "electron / s",
    clock: Clock = TESS,
    **fields: Any,
) -> LightCurveData:
    """Make a light curve of one TESS sector: noise of 1 around 100 by default."""
    rng = np.random.default_rng(sector)
    cadence = np.arange(CADENCES, dtype=np.int64) + sector * 10_000
    fields = {"sector": sector, "orbit_number": None, "author": "SPOC", "exptime": 120, **fields}
    # Observations are distinguished by their id alone.
    number = hash(tuple(fields.items())) % 1_000_000
    observation = ObservationData(
        number, "tess_observation", fields, ("TESS",), ("sector", "orbit_number")
    )
    values = 100 + rng.normal(size=CADENCES) if flux is None else np.asarray(flux, np.float64)
    bits = np.zeros(CADENCES, np.int64) if quality is None else np.asarray(quality, np.int64)
    return LightCurveData(
        dataset=1,
        target=target,
        catalog="TIC",
        mission="TESS",
        clock=clock,
        observation=observation,
        photometry=photometry,
        processing=processing,
        unit=unit,
        cadence=cadence,
        time=np.asarray(1325 + sector * 27 + np.arange(CADENCES) * 0.02, np.float64),
        flux=values,
        flux_err=None,
        quality={"tess_quality_flag": bits},
        stored_time="mission",
    )


def flagged(**at: slice) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Set flags: ``flagged(DESAT=slice(10, 22))``."""
    quality = np.zeros(CADENCES, np.int64)
    for name, where in at.items():
        quality[where] |= TESSFlag[name].value
    return quality


def lines(ax: Axes) -> dict[str, Line2D]:
    """The drawn points by label; triangles at the edge are "_beyond the edge"."""
    return {str(line.get_label()): line for line in ax.get_lines()}


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def good_points(ax: Axes) -> int:
    return len(np.asarray(ax.get_lines()[0].get_xdata()))


def edge_points(ax: Axes) -> dict[str, int]:
    """How many triangles point up and down."""
    edges = [line for line in ax.get_lines() if line.get_label() == "_beyond the edge"]
    found: dict[str, int] = {}
    for line in edges:
        marker = str(line.get_marker())
        found[marker] = found.get(marker, 0) + len(np.asarray(line.get_xdata()))
    return found


def all_axes(ax: Axes) -> list[Axes]:
    assert ax.figure is not None
    return list(ax.figure.axes)


def test_the_title_names_star_sector_and_processing() -> None:
    assert plot([light_curve()]).get_title() == "TIC 261136679, sector 1, PDCSAP"


@pytest.mark.parametrize(
    ("photometry", "processing", "named"),
    [
        ("SPOC SAP", None, "SPOC SAP, raw"),
        ("QLP SAP", "KSPSAP", "KSPSAP"),
        ("QLP SAP", "DET", "QLP SAP, DET"),
        ("TGLC PSF", "TGLC CAL", "TGLC PSF, TGLC CAL"),
        (None, None, "raw"),
    ],
)
def test_the_title_names_the_photometry_unless_the_processing_does(
    photometry: str | None, processing: str | None, named: str
) -> None:
    ax = plot([light_curve(photometry=photometry, processing=processing)])
    assert ax.get_title() == f"TIC 261136679, sector 1, {named}"


@pytest.mark.parametrize(
    ("clock", "label"),
    [(TESS, "Time − 2457000 [BTJD days]"), (KEPLER, "Time − 2454833 [BKJD days]")],
)
def test_time_is_labelled_with_the_missions_own_format(clock: Clock, label: str) -> None:
    assert plot([light_curve(clock=clock)]).get_xlabel() == label


@pytest.mark.parametrize(
    ("unit", "label"),
    [("electron / s", "Flux [electron / s]"), ("", "Relative flux"), ("mag", "Magnitude")],
)
def test_flux_is_labelled_with_its_unit(unit: str, label: str) -> None:
    assert plot([light_curve(unit=unit)]).get_ylabel() == label


def test_every_cadence_with_time_and_flux_is_a_point() -> None:
    data = light_curve()
    data.flux[:3] = np.nan
    data.flux[3] = np.inf
    data.time[4:9] = np.nan
    assert good_points(plot([data])) == CADENCES - 9


def test_points_are_never_joined() -> None:
    ax = plot([light_curve(quality=flagged(DESAT=slice(10, 20)))])
    assert {line.get_linestyle() for line in ax.get_lines()} == {"None"}


def test_points_become_pixels_in_a_pdf() -> None:
    assert all(line.get_rasterized() for line in plot([light_curve()]).get_lines())


def test_flagged_cadences_are_named_with_their_number() -> None:
    quality = flagged(DESAT=slice(10, 22), MANUAL_EXCLUDE=slice(100, 130))
    ax = plot([light_curve(quality=quality)])
    assert legend(ax) == ["MANUAL_EXCLUDE (30)", "DESAT (12)"]
    assert good_points(ax) == CADENCES - 42


def test_the_legend_counts_the_flagged_cadences_that_are_drawn() -> None:
    data = light_curve(quality=flagged(DESAT=slice(10, 22)))
    data.flux[10:14] = np.nan
    line = lines(plot([data]))["DESAT (8)"]
    assert np.array_equal(np.asarray(line.get_xdata()), data.time[14:22])
    assert np.array_equal(np.asarray(line.get_ydata()), data.flux[14:22])


def test_a_flag_of_which_nothing_can_be_drawn_is_not_named() -> None:
    data = light_curve(quality=flagged(DESAT=slice(10, 22)))
    data.flux[10:22] = np.nan
    assert legend(plot([data])) == []


def test_a_cadence_with_two_flags_counts_for_both() -> None:
    quality = flagged(DESAT=slice(10, 20), MANUAL_EXCLUDE=slice(15, 20))
    assert legend(plot([light_curve(quality=quality)])) == ["DESAT (10)", "MANUAL_EXCLUDE (5)"]


@pytest.mark.parametrize(
    ("bitmask", "named"),
    [
        ("none", []),
        ("default", ["DESAT (10)"]),
        ("hard", ["STRAYLIGHT2 (20)", "DESAT (10)"]),
        ("STRAYLIGHT2", ["STRAYLIGHT2 (20)"]),
        (TESSFlag.STRAYLIGHT2 | TESSFlag.DESAT, ["STRAYLIGHT2 (20)", "DESAT (10)"]),
    ],
)
def test_only_flags_of_the_bitmask_are_drawn_separately(bitmask: Any, named: list[str]) -> None:
    quality = flagged(DESAT=slice(0, 10), STRAYLIGHT2=slice(20, 40))
    ax = plot([light_curve(quality=quality)], quality_bitmask=bitmask)
    assert legend(ax) == named
    count = sum(int(name.split("(")[1].rstrip(")")) for name in named)
    assert good_points(ax) == CADENCES - count


def test_a_bit_without_a_name_is_named_by_its_number() -> None:
    quality = np.zeros(CADENCES, np.int64)
    quality[:7] = 2**20
    ax = plot([light_curve(quality=quality)], quality_bitmask=2**20)
    assert legend(ax) == ["UNKNOWN_BIT_20 (7)"]


@pytest.mark.parametrize("kinds", [6, 7, 9])
def test_the_rarest_of_many_flags_are_other_flags(kinds: int) -> None:
    names = [flag.name or "" for flag in TESSFlag][:kinds]
    at = {name: slice(100 * i, 100 * i + 30 - i) for i, name in enumerate(names)}
    found = legend(plot([light_curve(quality=flagged(**at))], quality_bitmask=65535))
    every = [f"{name} ({30 - i})" for i, name in enumerate(names)]
    rest = sum(30 - i for i in range(6, kinds))
    assert found == (every if kinds <= 7 else [*every[:6], f"other flags ({rest})"])


def test_flags_differ_in_shape_too() -> None:
    names = [flag.name or "" for flag in TESSFlag][:6]
    at = {name: slice(100 * i, 100 * i + 10) for i, name in enumerate(names)}
    ax = plot([light_curve(quality=flagged(**at))], quality_bitmask=65535)
    shapes = [line.get_marker() for label, line in lines(ax).items() if "(" in label]
    assert len(set(shapes)) == len(shapes) == 6


def test_a_flag_looks_the_same_in_every_panel() -> None:
    records = [
        light_curve(sector=1, quality=flagged(DESAT=slice(0, 10), SAFE_MODE=slice(20, 25))),
        light_curve(sector=2, quality=flagged(DESAT=slice(0, 10), SAFE_MODE=slice(20, 80))),
    ]
    one, two = all_axes(plot(records))
    assert lines(one)["DESAT (10)"].get_marker() == lines(two)["DESAT (10)"].get_marker()
    assert lines(one)["SAFE_MODE (5)"].get_color() == lines(two)["SAFE_MODE (60)"].get_color()


def test_flagged_outliers_do_not_set_the_scale() -> None:
    data = light_curve(quality=flagged(STRAYLIGHT2=slice(10, 110)))
    data.flux[10:60], data.flux[60:110] = 150, 50
    ax = plot([data], quality_bitmask="hard")
    low, high = ax.get_ylim()
    assert 95 < low < high < 105
    assert edge_points(ax) == {"^": 50, "v": 50}


def test_a_good_outlier_is_a_triangle_at_the_edge() -> None:
    data = light_curve()
    data.flux[500] = 1e4
    ax = plot([data])
    assert ax.get_ylim()[1] < 110
    assert edge_points(ax) == {"^": 1}


def test_a_deep_eclipse_is_within_the_scale() -> None:
    data = light_curve()
    data.flux[500:510] = 94.0
    ax = plot([data])
    assert ax.get_ylim()[0] < 94
    assert edge_points(ax) == {}


@pytest.mark.parametrize(
    "flux", [np.full(CADENCES, 7.0), np.zeros(CADENCES), np.full(CADENCES, np.nan)]
)
def test_flux_that_is_constant_or_missing_is_drawn(flux: Any) -> None:
    low, high = plot([light_curve(flux=flux)]).get_ylim()
    assert low < high


def test_a_light_curve_that_is_flagged_throughout_has_a_scale() -> None:
    ax = plot([light_curve(quality=flagged(DESAT=slice(None)))])
    low, high = ax.get_ylim()
    assert low < 99 < 101 < high


def test_magnitudes_have_the_brightest_on_top() -> None:
    data = light_curve(unit="mag", flux=12 + np.linspace(0, 0.1, CADENCES))
    data.flux[0] = 20.0
    ax = plot([data])
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert ax.yaxis_inverted()
    assert edge_points(ax) == {"v": 1}


def test_sectors_are_panels_that_share_the_flux_axis() -> None:
    faint, bright = light_curve(sector=1), light_curve(sector=2)
    bright.flux[:] += 10
    first = plot([faint, bright])
    one, two = all_axes(first)
    assert first is one
    assert [one.get_title(), two.get_title()] == [
        f"TIC 261136679, sector {sector}, PDCSAP" for sector in (1, 2)
    ]
    assert one.get_ylim() == two.get_ylim()
    assert one.get_shared_y_axes().joined(one, two)
    assert not one.get_shared_x_axes().joined(one, two)
    assert one.get_xlim() != two.get_xlim()


def test_only_the_lowest_panel_names_the_time() -> None:
    axes = all_axes(plot([light_curve(sector=sector) for sector in (1, 2, 3)]))
    assert [bool(ax.get_xlabel()) for ax in axes] == [False, False, True]


def test_stars_do_not_share_a_flux_axis() -> None:
    one, two = all_axes(plot([light_curve(target=1), light_curve(target=2)]))
    assert not one.get_shared_y_axes().joined(one, two)


def test_processing_steps_of_one_unit_lie_over_each_other() -> None:
    records = [light_curve(processing=name) for name in (None, "PDCSAP")]
    ax = plot(records)
    assert len(all_axes(ax)) == 1
    assert legend(ax) == ["SPOC SAP, raw", "PDCSAP"]
    assert ax.get_title() == "TIC 261136679, sector 1"
    colours = {lines(ax)[label].get_color() for label in legend(ax)}
    assert len(colours) == 2


def test_the_title_has_what_all_light_curves_share() -> None:
    records = [
        light_curve(photometry=f"aperture {radius}", processing="DET") for radius in ("2px", "3px")
    ]
    ax = plot(records)
    assert ax.get_title() == "TIC 261136679, sector 1, DET"
    assert legend(ax) == ["aperture 2px", "aperture 3px"]


def test_a_flagged_cadence_counts_once_for_all_apertures() -> None:
    quality = flagged(DESAT=slice(10, 22))
    records = [light_curve(photometry=name, quality=quality) for name in ("small", "large")]
    records[1].flux[10:14] = np.nan
    ax = plot(records)
    assert legend(ax)[-1] == "DESAT (12)"
    assert len(np.asarray(lines(ax)["DESAT (12)"].get_xdata())) == 20


def test_units_that_differ_are_panels_that_share_the_time_axis() -> None:
    records = [light_curve(processing=None), light_curve(processing="DET", unit="")]
    one, two = all_axes(plot(records))
    assert [one.get_ylabel(), two.get_ylabel()] == ["Flux [electron / s]", "Relative flux"]
    assert one.get_shared_x_axes().joined(one, two)
    assert not one.get_shared_y_axes().joined(one, two)


def test_pipelines_of_one_sector_are_panels_that_name_them() -> None:
    records = [light_curve(), light_curve(author="TESS-SPOC", exptime=1800)]
    assert [ax.get_title() for ax in all_axes(plot(records))] == [
        "TIC 261136679, sector 1, SPOC, 120 s, PDCSAP",
        "TIC 261136679, sector 1, TESS-SPOC, 1800 s, PDCSAP",
    ]


def test_all_light_curves_are_drawn_on_a_given_ax() -> None:
    _, given = plt.subplots()
    records = [light_curve(sector=1), light_curve(sector=2)]
    assert plot(records, given) is given
    assert all_axes(given) == [given]
    assert legend(given) == ["sector 1", "sector 2"]
    assert given.get_title() == "TIC 261136679, PDCSAP"
    assert given.get_xlabel() == "Time − 2457000 [BTJD days]"


def test_a_second_plot_on_an_ax_hides_nothing_of_the_first() -> None:
    _, given = plt.subplots()
    plot([light_curve()], given)
    before = given.get_ylim()
    higher = light_curve(sector=2)
    higher.flux[:] += 50
    plot([higher], given)
    low, high = given.get_ylim()
    assert low <= before[0]
    assert high > 150


def test_a_title_set_by_the_user_is_kept() -> None:
    _, given = plt.subplots()
    given.set_title("pi Mensae")
    assert plot([light_curve()], given).get_title() == "pi Mensae"


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([light_curve(), light_curve(unit="")], "electron / s, relative flux"),
        ([light_curve(), light_curve(clock=KEPLER)], "bkjd, btjd"),
    ],
)
def test_one_ax_refuses_what_it_cannot_show_together(
    records: list[LightCurveData], found: str
) -> None:
    _, given = plt.subplots()
    with pytest.raises(AmbiguousError, match=found):
        plot(records, given)
    assert not given.has_data()


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(LightCurveNotFoundError, match="no light curves to draw"):
        plot([])


def test_more_panels_than_a_figure_holds_are_refused() -> None:
    records = [light_curve(sector=sector) for sector in range(MOST_PANELS + 1)]
    with pytest.raises(AmbiguousError, match=f"{MOST_PANELS + 1} panels"):
        plot(records)
    assert not plt.get_fignums()
    check_panels(range(MOST_PANELS))


def test_nothing_in_a_figure_overlaps_or_is_cut_off(tmp_path: Path) -> None:
    every = [flag.name or "" for flag in TESSFlag]
    at = {name: slice(50 * i, 50 * i + 10) for i, name in enumerate(every)}
    records = [
        light_curve(sector=sector, photometry=f"aperture {radius}px", quality=flagged(**at))
        for sector in (1, 2, 3)
        for radius in (2, 3)
    ]
    ax = plot(records, quality_bitmask=65535)
    figure = ax.figure
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "all.png")
    boxes = []
    for one in all_axes(ax):
        found = one.get_legend()
        assert found is not None
        boxes += [one.title.get_window_extent(), found.get_window_extent(), one.get_window_extent()]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        # A pixel, since a legend touches its Axes.
        assert not [other for other in boxes[:number] if box.padded(-1).overlaps(other.padded(-1))]
