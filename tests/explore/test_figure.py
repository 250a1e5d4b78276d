"""The interactive figure without a browser: its arrays, its traits, and the code that it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import traitlets
from ipywidgets.widgets.widget import _instances as open_widgets

import lcdb_notebook as lcdb
from lcdb_notebook import Selection, flags
from lcdb_notebook.errors import (
    ConfigurationError,
    DataError,
    LCDBError,
    LightCurveNotFoundError,
)
from lcdb_notebook.explore.figure.arrays import pack
from lcdb_notebook.explore.figure.flag_list import Entry
from lcdb_notebook.explore.figure.widget import Figure
from lcdb_notebook.explore.widget import cells
from lcdb_notebook.flags import TESSFlag
from lcdb_notebook.lightcurve.quality import flagged_mask
from lcdb_notebook.lightcurve.record import LightCurveData

PLANET: dict[str, Any] = {"target": 1, "catalog": "DEMO", "photometry": "DEMO aperture 2px"}
PERIOD, EPOCH = 5.32426, 1326.8129  # of DEMO 1: lcdb.demo.truth()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for widget in list(open_widgets.values()):
        widget.close()


@pytest.fixture
def one(demo_database: lcdb.Database) -> Selection:
    return demo_database.search(**PLANET, sector=1, exptime=1800, processing="DEMO SYS_RM")


@pytest.fixture
def sectors(demo_database: lcdb.Database) -> Selection:
    return demo_database.search(**PLANET, exptime=1800, processing="DEMO SYS_RM")


def on_page(figure: Figure) -> np.ndarray:
    """Return which cadences of the first light curve the page draws as good points."""
    packed = figure._packed
    slots = [packed.flags[k]["slot"] for k in figure._chosen]
    bad = np.zeros(packed.buffers[0].size, dtype=bool)
    for slot in slots:
        if slot >= 0:
            bad |= (packed.buffers[2 + slot // 16] >> np.uint16(slot % 16)) & 1 == 1
    drawn: np.ndarray = np.isfinite(packed.buffers[1]) & ~bad
    return drawn


def test_pack_sends_fourteen_bytes_a_cadence(one: Selection) -> None:
    (data,) = one.read()
    packed = pack([data])
    assert [array.dtype for array in packed.buffers] == [np.float64, np.float32, np.uint16]
    assert sum(array.nbytes for array in packed.buffers) == 14 * data.time.size
    known = np.isfinite(data.time)
    np.testing.assert_array_equal(packed.buffers[0][: known.sum()], np.sort(data.time[known]))


def test_pack_puts_unsorted_and_missing_times_in_order(one: Selection) -> None:
    (data,) = one.read()
    order = np.random.default_rng(1).permutation(data.time.size)
    time = data.time.copy()
    time[3] = np.nan
    shuffled = replace(
        data,
        time=time[order],
        flux=data.flux[order],
        flux_err=None,
        cadence=data.cadence[order],
        quality={kind: bits[order] for kind, bits in data.quality.items()},
    )
    times, flux = pack([shuffled]).buffers[:2]
    assert (np.diff(times) >= 0).all()
    expected = data.flux[np.isfinite(time)].astype(np.float32)
    np.testing.assert_array_equal(flux[: expected.size], expected)
    assert np.isnan(flux[expected.size :]).all()


def test_pack_keeps_more_than_32_flags(one: Selection) -> None:
    (data,) = one.read()
    bits = np.int64(1) << (np.arange(data.time.size, dtype=np.int64) % 50)
    packed = pack([replace(data, quality={"tess_quality_flag": bits})])
    assert len(packed.buffers) == 2 + 4  # 50 flags, sixteen in each
    for flag, entry in zip(packed.flags, packed.entries, strict=True):
        plane = packed.buffers[2 + flag["slot"] // 16]
        which = (plane >> np.uint16(flag["slot"] % 16)) & 1 == 1
        np.testing.assert_array_equal(which, (bits[packed.orders[0]] & entry.bits) != 0)


@pytest.mark.parametrize(
    "bitmask",
    ["none", "default", "hard", "hardest", 32 | 4096, ("DESAT",), ("default", "STRAYLIGHT2")],
)
def test_quality_bitmask_chooses_what_the_page_draws(one: Selection, bitmask: Any) -> None:
    figure = one.figure(quality_bitmask=bitmask)
    (data,) = figure._packed.records
    good = ~flagged_mask(data, bitmask) & np.isfinite(data.flux) & np.isfinite(data.time)
    np.testing.assert_array_equal(on_page(figure), good)


def test_flags_chosen_on_the_page_are_named(one: Selection) -> None:
    figure = one.figure()
    assert figure.quality_bitmask == "default"
    figure._chosen = figure._presets["hard"]
    assert figure.quality_bitmask == "hard"
    names = [entry.name for entry in figure._packed.entries]
    figure._chosen = [names.index("DESAT")]
    assert figure.quality_bitmask == ("DESAT",)
    figure._chosen = sorted([*figure._presets["default"], names.index("STRAYLIGHT2")])
    assert figure.quality_bitmask == ("default", "STRAYLIGHT2")
    figure._chosen = []
    assert figure.quality_bitmask == "none"


@pytest.mark.parametrize("flag_type", flags.types())
def test_the_meaning_of_a_flag_ends_with_its_source(flag_type: str) -> None:
    *_, last = Entry(flag_type, "", 1, 0, own=True).meaning.splitlines()
    assert re.match("Sources?: .", last)


def test_an_assigned_bitmask_is_unchanged(one: Selection) -> None:
    figure = one.figure()
    figure.quality_bitmask = int(TESSFlag["DESAT"]) | 1 << 40
    assert figure.quality_bitmask == int(TESSFlag["DESAT"]) | 1 << 40


def test_an_epoch_of_a_million_and_more_is_bjd(one: Selection) -> None:
    figure = one.figure(period=PERIOD, epoch=2457000 + EPOCH)
    assert figure.epoch == pytest.approx(EPOCH, abs=1e-9)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"period": -1.0}, "period must be positive"),
        ({"bin": 0.0}, "bin must be positive"),
        ({"epoch": float("nan")}, "epoch must be a finite time"),
        ({"perod": 1.0}, "no setting perod"),
    ],
)
def test_settings_out_of_range_are_refused(
    one: Selection, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        one.figure(**setting)


def test_select_returns_masks_and_slices_of_the_input(one: Selection) -> None:
    lc = one.lightcurve(flagged="keep")
    figure = lcdb.figure(lc)
    figure.select(1331.0, 1330.0)
    (mask,) = figure.selected
    np.testing.assert_array_equal(mask, (lc.time.value >= 1330) & (lc.time.value <= 1331))
    (part,) = figure.selected_lightcurves()
    np.testing.assert_array_equal(part.time.value, lc.time.value[mask])
    (from_record,) = _selected(one.figure(selected_ranges=[(1330.0, 1331.0)]))
    np.testing.assert_array_equal(from_record.time.value, part.time.value)


def _selected(figure: Figure) -> list[Any]:
    return figure.selected_lightcurves()


def test_select_is_in_phase_if_folded_and_cleared_with_the_fold(one: Selection) -> None:
    figure = one.figure(period=PERIOD, epoch=EPOCH)
    figure.select(-0.1, 0.1)
    (data,) = figure.records
    phase = (data.time - EPOCH + PERIOD / 2) % PERIOD - PERIOD / 2
    np.testing.assert_array_equal(figure.selected[0], np.abs(phase) <= 0.1)
    figure.xlim = (-1.0, 1.0)
    figure.period = PERIOD + 1e-4
    assert figure.selected_ranges
    assert figure.xlim == (-1.0, 1.0)
    figure.period = None
    assert not figure.selected_ranges
    assert figure.xlim is None


@pytest.mark.parametrize("which", ["one", "sectors", "lightkurve"])
@pytest.mark.parametrize("folded", [False, True])
def test_code_makes_the_cadences_that_are_drawn(
    which: str, folded: bool, request: pytest.FixtureRequest
) -> None:
    if which == "lightkurve":
        given: Any = request.getfixturevalue("one").lightcurve(flagged="keep")
        figure = lcdb.figure(given, quality_bitmask="hard")
    else:
        given = request.getfixturevalue(which)
        figure = given.figure(quality_bitmask="hard")
    if folded:
        figure.period, figure.epoch = PERIOD, EPOCH
        figure.select(-0.2, 0.2)
        figure.select(0.5, 1.0)
    else:
        figure.select(1330.0, 1332.0)
    figure.exclude = True
    names: dict[str, Any] = {"db": getattr(given, "_search", None), "lc": given}
    if names["db"] is not None:
        names["db"] = names["db"].sessions
    exec(figure.code, names)
    found = names["lcs"] if which == "sectors" else [names["lc"]]
    expected = []
    for data, excluded in zip(figure.records, figure.selected, strict=True):
        good = np.isfinite(data.time) & ~flagged_mask(data, "hard") & ~excluded
        expected.append(np.sort(data.cadence[good]))
    assert len(found) == len(expected)
    for lc, numbers in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.sort(np.asarray(lc["cadenceno"])), numbers)


def test_compare_adds_a_panel_with_the_ratio_of_common_cadences(
    demo_database: lcdb.Database,
) -> None:
    one = {**PLANET, "sector": 1, "exptime": 1800}
    raw, det = (demo_database.search(**one, processing=p) for p in ("raw", "DEMO DET"))
    figure = lcdb.figure([*raw, *det], compare="ratio")
    before, after = (next(iter(found.read())) for found in (raw, det))
    third = figure._packed.curves[2]
    values = figure._packed.buffers[1][third["start"] : third["stop"]]
    expected = before.flux / after.flux
    expected = expected / np.nanmedian(expected) * np.nanmedian(values)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert [panel["ylabel"] for panel in figure._panels[0]] == ["Relative flux", "Before / after"]
    with pytest.raises(DataError, match="needs two light curves, got 1"):
        lcdb.figure(raw, compare="ratio")


def test_figure_needs_light_curves_and_few_panels(demo_database: lcdb.Database) -> None:
    with pytest.raises(LightCurveNotFoundError):
        demo_database.search(1, sector=99).figure()
    with pytest.raises(TypeError, match="must be a LightCurveData"):
        lcdb.figure("TIC 1")


def test_arrays_are_messages_and_not_state(one: Selection) -> None:
    figure = one.figure()
    sent: list[tuple[Any, list[Any]]] = []
    figure.send = lambda content, buffers: sent.append((content, buffers))
    figure._on_message(figure, {"ask": "arrays"}, [])
    figure._on_message(figure, {"ask": "errors"}, [])
    assert (sent[0][0]["arrays"], sent[1][0]) == (0, {"errors": 0})
    (data,) = figure.records
    assert np.frombuffer(sent[0][1][0], np.float32).size == data.time.size
    state = figure.get_state()
    numbers = sum(
        len(str(value)) for key, value in state.items() if key not in ("_esm", "_module", "_css")
    )
    assert numbers < 12_000


def test_load_sends_other_arrays_to_the_page_that_requested_them(one: Selection) -> None:
    figure = one.figure()
    sent: list[Any] = []
    figure.send = lambda content, _buffers: sent.append(content["arrays"])
    (data,) = figure.records
    figure.load([data])
    assert sent == []
    figure._on_message(figure, {"ask": "arrays"}, [])
    other = replace(data, quality={"kepler_quality_flag": np.ones(data.time.size, np.int64)})
    figure.quality_bitmask = ("DESAT",)
    with pytest.raises(LCDBError):
        figure.load([replace(other, quality={"no such type": other.quality.popitem()[1]})])
    # The page gets them nevertheless, and shows all cadences.
    assert sent == [1, 2]
    assert (figure._loaded, figure._chosen) == (2, [])
    figure.load([])
    assert figure._curves == []


def test_a_run_of_a_cell_closes_the_figure_of_the_run_before(
    one: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = iter("ab")
    monkeypatch.setattr(cells, "_running", lambda: ("cell", next(requests)))
    first, second = one.figure(), one.figure()
    assert (first.closed, second.closed) == (True, False)
    assert [array.size for array in first._packed.buffers] == [0, 0]


def test_traits_refuse_other_types(one: Selection) -> None:
    figure = one.figure()
    with pytest.raises(traitlets.TraitError):
        figure.xlim = (1.0,)
    with pytest.raises((traitlets.TraitError, LCDBError)):
        figure.period = "x"


def test_figure_of_a_light_curve_without_flags_or_errors(one: Selection) -> None:
    (data,) = one.read()
    bare: LightCurveData = replace(data, quality={}, flux_err=None)
    figure = lcdb.figure(bare)
    assert figure._flags == []
    assert figure.quality_bitmask == "default"
    assert np.isnan(figure._packed.errors).all()
