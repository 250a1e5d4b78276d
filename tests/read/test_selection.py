"""Selections: lazy, sliced like lists, shown as tables, and never a pile of statements."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pandas.testing import assert_frame_equal

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import (
    AmbiguousError,
    ArgumentError,
    LCDBError,
    LightCurveNotFoundError,
    NameNotFoundError,
    TargetNotFoundError,
)
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet
from lcdb_notebook.read.export import FileFormat

TARGETS = 6
MOST_STATEMENTS = 6

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightkurve")


@pytest.fixture(scope="module")
def url(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> str:
    """Six synthetic stars in two sectors, two apertures, three steps; one more in two catalogs."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        sky = list(demo.products(TARGETS, cadences=100))
        store(db.session.connection(), [*sky, _twin("TIC"), _twin("DEMO")])
        db.session.commit()
    return in_layout(url)


def _twin(catalog: str) -> Product:
    """A star of number 500."""
    flux = np.ones(3)
    return Product(
        label=catalog,
        mission="TESS",
        catalog=catalog,
        target=500,
        observation_type="tess_observation",
        observation_fields={"sector": 3, "author": "<b>bold & co</b>", "exptime": 1800},
        instrument=("TESS", "Camera 2", "CCD 3"),
        cadence=np.arange(3),
        time=np.array([1400.0, 1401.0, 1402.0]),
        quality={},
        curves=(Curve(Named("one pixel", ""), None, None, flux, None),),
    )


@pytest.fixture
def db(url: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(url) as db:
        yield db


class Traffic:
    """What a call sends: statements of SQLAlchemy, and COPYs."""

    def __init__(self, statements: list[str], caplog: pytest.LogCaptureFixture) -> None:
        self._statements = statements
        self._caplog = caplog

    def start(self) -> None:
        self._statements.clear()
        self._caplog.clear()

    @property
    def copies(self) -> int:
        return len([entry for entry in self._caplog.messages if entry.startswith("COPY")])

    @property
    def all(self) -> int:
        return len(self._statements) + self.copies


@pytest.fixture
def traffic(statements: list[str], caplog: pytest.LogCaptureFixture) -> Iterator[Traffic]:
    with caplog.at_level(logging.DEBUG, logger="lcdb_notebook.read.fetch"):
        traffic = Traffic(statements, caplog)
        yield traffic


# Lazy


def test_search_sends_no_statement(db: lcdb.Database, traffic: Traffic) -> None:
    traffic.start()
    found = db.search([1, 2, 3], sector=[1, 2], processing="raw")
    found[2:5][:1]
    assert traffic.all == 0


def test_found_rows_are_kept(db: lcdb.Database, traffic: Traffic) -> None:
    found = db.search(1)
    table = found.table
    traffic.start()
    assert len(found) == len(table) == 12
    assert found.table.equals(table)
    assert found[3:5].table["dataset"].tolist() == table["dataset"].tolist()[3:5]
    assert traffic.all == 0


@pytest.mark.own_tables
def test_a_table_reads_no_arrays(db: lcdb.Database, traffic: Traffic) -> None:
    traffic.start()
    assert db.search().table["cadences"].unique().tolist() == [100, 3]
    assert traffic.copies == 0
    assert traffic.all == 2


# Table


def test_the_table_has_one_row_per_light_curve(db: lcdb.Database) -> None:
    table = db.search(1, sector=2).table
    assert list(table.columns) == [
        *("dataset", "target", "catalog", "observation"),
        *("sector", "cosmic_ray_mitigation", "author", "exptime"),
        *("instrument", "photometry", "processing", "unit", "cadences"),
    ]
    assert table["instrument"].unique().tolist() == ["TESS / Camera 1 / CCD 1"]
    assert table["processing"].tolist() == ["raw", "DEMO DET", "DEMO SYS_RM"] * 2
    assert table["unit"].tolist() == ["electron / s", "", "electron / s"] * 2
    assert table["dataset"].is_unique


def test_rows_are_in_order_of_target_sector_photometry_and_processing(db: lcdb.Database) -> None:
    table = db.search().table
    key = table[["target", "catalog", "sector", "photometry", "processing"]].copy()
    key["processing"] = key["processing"].replace("raw", "")
    assert key.equals(key.sort_values(list(key.columns), ignore_index=True))


def test_a_table_of_nothing_is_empty(db: lcdb.Database) -> None:
    assert len(db.search(1, sector=99).table) == 0


# Slices

EVERYTHING = slice(None)
SLICES = [
    *(slice(0, 5), slice(5, 8), slice(70, 200), slice(200, 300), slice(5, 3), slice(0, 0)),
    *(slice(None, -70), slice(-3, None), slice(-10, -5), slice(2, -68), slice(-200, 4)),
    *(EVERYTHING, slice(None, None, 1)),
]


@pytest.mark.parametrize("kept", [False, True], ids=["before", "after looking"])
@pytest.mark.parametrize("cut", SLICES, ids=str)
def test_a_slice_is_that_of_a_list(db: lcdb.Database, cut: slice, kept: bool) -> None:
    ids = db.search().table["dataset"].tolist()
    found = db.search()
    if kept:
        assert len(found.table) == len(ids)
    part = found[cut]
    assert len(part) == len(ids[cut])
    assert bool(part) == bool(ids[cut])
    assert part.table["dataset"].tolist() == ids[cut]


@pytest.mark.parametrize("second", [slice(1, 3), slice(-2, None), slice(None, 50), 0, -1])
@pytest.mark.parametrize("first", [slice(4, 12), slice(-8, None), slice(2, None)], ids=str)
def test_a_slice_of_a_slice_is_that_of_a_list(
    db: lcdb.Database, first: slice, second: slice | int
) -> None:
    ids = db.search().table["dataset"].tolist()[first]
    expected = ids[second] if isinstance(second, slice) else [ids[second]]
    assert db.search()[first][second].table["dataset"].tolist() == expected


@pytest.mark.parametrize("position", [0, 1, -1, -5, np.int64(7)])
def test_an_index_returns_a_selection_of_one(db: lcdb.Database, position: int) -> None:
    ids = db.search().table["dataset"].tolist()
    one = db.search()[position]
    assert isinstance(one, lcdb.Selection)
    assert one.table["dataset"].tolist() == [ids[position]]


@pytest.mark.parametrize("search", [{}, {"sector": 1}, {"processing": "raw"}], ids=str)
def test_an_index_from_the_end_is_that_from_the_beginning(
    db: lcdb.Database, search: dict[str, Any]
) -> None:
    found = db.search(**search)
    ids = found.datasets
    whole = db.search(**search)
    assert [whole[-1 - place].datasets[0] for place in range(len(ids))] == ids[::-1]
    assert found[-2].datasets == [ids[-2]]
    assert db.search(**search)[3:5][-1].datasets == [ids[4]]


@pytest.mark.parametrize(
    ("search", "anything"), [({}, True), ({"sector": 9}, False), ({"photometry": "no"}, False)]
)
def test_bool_is_whether_anything_matches(
    db: lcdb.Database, search: dict[str, Any], anything: bool
) -> None:
    assert bool(db.search(**search)) is anything
    assert not db.search(**search)[:0]


@pytest.mark.parametrize("position", [74, -75, 10**30, -(10**30)])
def test_an_index_out_of_range_reports_the_length(db: lcdb.Database, position: int) -> None:
    with pytest.raises(IndexError, match=f"{position}; the selection has 74"):
        db.search()[position]


@pytest.mark.parametrize(
    "which", ["1", 1.0, None, slice(0, 4, 2), slice("a", None), slice(None, None, -1)]
)
def test_an_invalid_position_is_refused(db: lcdb.Database, which: Any) -> None:
    with pytest.raises(TypeError):
        db.search()[which]


def test_iteration_reads_the_light_curves_in_the_order_of_the_table(db: lcdb.Database) -> None:
    found = db.search(2)
    assert [data.dataset for data in found] == found.table["dataset"].tolist()
    assert [data.dataset for data in found] == found.table["dataset"].tolist()  # twice


# Shown


def test_repr_has_the_number_of_light_curves_and_the_first_rows(db: lcdb.Database) -> None:
    text = repr(db.search())
    assert text.startswith("<Selection of 74 light curves, the first 20 shown>\n")
    assert len(text.splitlines()) == 2 + 20
    assert repr(db.search(1)[:1]).startswith("<Selection of 1 light curve>\n")


@pytest.mark.parametrize(
    ("search", "error_text"),
    [
        ({"target": 999}, "0 light curves: no target 999 in catalogs DEMO, TIC"),
        ({"processing": "DEMO DTE"}, "0 light curves: no processing method named 'DEMO DTE'"),
        ({"target": 1, "sector": 99}, "0 light curves: no light curve matches all of target=1"),
        ({"target": [1, 999]}, "12 light curves: 1 of 2 targets are not in the database: 999"),
    ],
)
def test_repr_of_an_empty_selection_has_the_reason(
    db: lcdb.Database, search: dict[str, Any], error_text: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert error_text in repr(db.search(**search))
        assert error_text in db.search(**search)._repr_html_().replace("&#x27;", "'")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.seen.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("search", [{"target": 500}, {"processing": "<b>bold</b>"}])
def test_names_are_escaped_in_html(db: lcdb.Database, search: dict[str, Any]) -> None:
    shown = Tags(db.search(**search)._repr_html_())
    assert "b" not in shown.seen
    assert "<b>bold" in shown.text


def test_a_notebook_shows_a_table_of_the_first_rows(db: lcdb.Database) -> None:
    shown = db.search()._repr_html_()
    assert shown.startswith("<p>74 light curves, the first 20 shown</p><table")
    assert shown.count("<tr") == 21


# One light curve


def test_the_one_light_curve_is_read(db: lcdb.Database) -> None:
    found = db.search(1, sector=1, photometry="DEMO aperture 2px", processing="raw")
    lc = found.lightcurve(flagged="keep")
    assert lc.meta["TARGETID"] == 1
    assert lc.meta["DATASET"] == found.table["dataset"][0]
    assert len(lc) == np.isfinite(next(iter(found)).time).sum()


def test_lightcurve_lists_several_matches(db: lcdb.Database) -> None:
    with pytest.raises(AmbiguousError) as raised:
        db.search(1, sector=1).lightcurve()
    message = str(raised.value)
    assert message.startswith("expected one light curve, found 6; narrow the search")
    for error_text in (
        "DEMO aperture 2px",
        "DEMO aperture 3px",
        "DEMO SYS_RM",
        "raw",
        "lightcurves()",
    ):
        assert error_text in message


def test_lightcurve_does_not_fetch_very_many_matches(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcdb_notebook.read.selection.lightcurves._ROWS_COMPARED", 30)
    found = db.search()
    with pytest.raises(AmbiguousError, match=r"^expected one light curve, found 74;") as raised:
        found.lightcurve()
    assert len(str(raised.value).splitlines()) == 1 + 1 + 20 + 1
    # Nothing of it passes for the whole afterwards.
    assert len(found.table) == 74


def test_a_number_in_two_catalogs_requires_a_catalog(db: lcdb.Database) -> None:
    error_text = r"500 is in two catalogs, DEMO and TIC.*catalog='DEMO' or catalog='TIC'"
    for read in ("lightcurve", "lightcurves", "to_pandas"):
        with pytest.raises(AmbiguousError, match=error_text):
            getattr(db.search(500), read)()
    with pytest.raises(AmbiguousError, match=error_text):
        list(db.search(500))
    assert db.search(500).table["catalog"].tolist() == ["DEMO", "TIC"]
    assert db.search("TIC 500").lightcurve().label == "TIC 500"
    assert db.search(500, catalog="DEMO").lightcurve().label == "DEMO 500"
    assert db.search(500)[1].lightcurve().label == "TIC 500"


@pytest.mark.parametrize("read", ["lightcurve", "lightcurves"])
@pytest.mark.parametrize(
    ("search", "error"),
    [
        ({"target": 999}, TargetNotFoundError),
        ({"target": 1, "sector": 99}, LightCurveNotFoundError),
        ({"target": 1, "photometry": "no such"}, NameNotFoundError),
    ],
)
def test_lightcurve_without_a_match_raises(
    db: lcdb.Database, read: str, search: dict[str, Any], error: type[Exception]
) -> None:
    found = db.search(**search)
    for _ in range(2):  # on every call
        with pytest.raises(error):
            getattr(found, read)()


def test_an_empty_part_is_an_error_too(db: lcdb.Database) -> None:
    with pytest.raises(LightCurveNotFoundError, match="this part of the selection is empty"):
        db.search(1)[50:].lightcurve()


# Several


def test_a_collection_is_ordered_by_time(db: lcdb.Database) -> None:
    collection = db.search([1, 2], processing="raw").lightcurves()
    starts = [lc.time.value[0] for lc in collection]
    assert starts == sorted(starts)
    assert [lc.meta["SECTOR"] for lc in collection] == [1] * 4 + [2] * 4


def test_a_collection_is_stitched(db: lcdb.Database) -> None:
    found = db.search(1, photometry="DEMO aperture 2px", processing="DEMO DET")
    stitched = found.lightcurves().stitch()
    assert set(np.unique(np.diff(stitched.time.value) > 0)) == {True}
    assert len(stitched) == sum(len(found[k].lightcurve()) for k in range(2))


def test_a_dataframe_has_the_cadences_of_all(db: lcdb.Database) -> None:
    found = db.search([1, 2], sector=1, processing="raw")
    frame = found.to_pandas(flagged="keep")
    assert frame["dataset"].unique().tolist() == found.table["dataset"].tolist()
    assert set(frame["sector"]) == {1}
    assert len(frame) == sum(np.isfinite(data.time).sum() for data in found)


def test_a_dataframe_of_nothing_is_empty(db: lcdb.Database) -> None:
    assert db.search(1, sector=99).to_pandas().empty


def test_a_selection_is_drawn(db: lcdb.Database) -> None:
    ax = db.search(1, sector=1, processing="raw").plot()
    assert ax.lines or ax.collections


@pytest.mark.parametrize("option", [{"on_error": "ignore"}, {"flagged": "dorp"}])
def test_an_invalid_option_is_refused_with_the_valid_ones(
    db: lcdb.Database, option: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=r"must be '(raise' or 'skip'|drop', 'mask' or 'keep')"):
        db.search(1).lightcurves(**option)


# Missing targets

READS: dict[str, Callable[[lcdb.Selection], Any]] = {
    "table": lambda found: found.table,
    "read": lambda found: list(found.read()),
    "to_pandas": lambda found: found.to_pandas(),
    "lightcurves": lambda found: found.lightcurves(),
    "plot": lambda found: found[:2] and found.plot(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_missing_targets_are_warned_of_once_at_the_callers_line(
    db: lcdb.Database, read: Callable[[lcdb.Selection], Any]
) -> None:
    found = db.search([1, 999, 998], sector=1, processing="raw")
    with pytest.warns(UserWarning, match="2 of 3 targets are not in the database: 999, 998") as c:
        read(found)
    assert [warning.filename for warning in c if "targets" in str(warning.message)] == [__file__]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "2 of 3")
        found.table  # noqa: B018


def test_the_one_light_curve_of_a_list_warns_of_the_others(db: lcdb.Database) -> None:
    found = db.search([1, 999], sector=1, photometry="DEMO aperture 2px", processing="raw")
    with pytest.warns(UserWarning, match="1 of 2 targets are not in the database: 999"):
        found.lightcurve()


# The number of statements

CALLS: dict[str, Callable[[lcdb.Database], Any]] = {
    "table": lambda db: db.search().table,
    "table of a list": lambda db: db.search([1, 2, 3]).table,
    "repr": lambda db: repr(db.search()),
    "repr of a list": lambda db: repr(db.search([1, 2, 3])),
    "html": lambda db: db.search()._repr_html_(),
    "repr of nothing": lambda db: repr(db.search([998, 999], instrument="Camera 1")),
    "len": lambda db: len(db.search()),
    "index from the end": lambda db: db.search()[-1].table,
    "read": lambda db: list(db.search(photometry="DEMO aperture 2px").read()),
    "read a list": lambda db: list(db.search([1, 2, 3]).read()),
    "to_pandas": lambda db: db.search(catalog="DEMO").to_pandas(),
    "lightcurves": lambda db: db.search([1, 2, 3]).lightcurves(),
    "lightcurve": lambda db: db.search(
        [1], sector=1, photometry="DEMO aperture 2px", processing="raw"
    ).lightcurve(),
    "plot": lambda db: db.search(1, sector=1).plot(),
    "dataframe": lambda db: db.dataframe([1, 2], instrument="Camera 1", processing="DEMO DET"),
    "load": lambda db: db.load(db.session.scalars(sa.select(DataSet)).all()),
    "targets": lambda db: db.targets(sector=1),
    "observations": lambda db: db.observations(target=1),
    "instruments": lambda db: db.instruments(),
    "missions": lambda db: db.missions(),
    "photometric_sources": lambda db: db.photometric_sources(),
    "processing_methods": lambda db: db.processing_methods(),
    "frames": lambda db: db.frames(1),
    "quality_flags": lambda db: db.quality_flags(1, sector=1),
}

ABSENT: dict[str, Callable[[lcdb.Database], Any]] = {
    "no such target": lambda db: db.lightcurve(
        [998, 999],
        catalog="DEMO",
        instrument="Camera 1",
        photometry="DEMO aperture 2px",
        processing="DEMO DET",
    ),
    "no such name": lambda db: db.lightcurve(1, processing="no such"),
    "no such combination": lambda db: db.lightcurves([1, 2], sector=99),
    "too many": lambda db: db.lightcurve([1, 2]),
    "two catalogs": lambda db: db.lightcurve(500),
}


@pytest.mark.own_tables
@pytest.mark.parametrize("call", [*CALLS.values(), *ABSENT.values()], ids=[*CALLS, *ABSENT])
def test_no_call_takes_more_than_six_statements(
    db: lcdb.Database, traffic: Traffic, call: Callable[[lcdb.Database], Any]
) -> None:
    traffic.start()
    if call in ABSENT.values():
        with pytest.raises(LookupError):
            call(db)
    else:
        call(db)
    assert 0 < traffic.all <= MOST_STATEMENTS


@pytest.mark.own_tables
@pytest.mark.parametrize("call", ["table", "read", "to_pandas", "lightcurves", "load"])
def test_more_light_curves_take_no_more_statements(
    db: lcdb.Database, traffic: Traffic, call: str
) -> None:
    counts = []
    for targets in ([1, 2], [1, 2, 3, 4, 5, 6]):
        found = db.search(targets)
        ids = db.search(targets).table["dataset"].tolist()
        objects = db.session.scalars(sa.select(DataSet).where(DataSet.id.in_(ids))).all()
        traffic.start()
        if call == "load":
            db.load(objects)
        else:
            READS[call](found)
        counts.append(traffic.all)
    assert counts[0] == counts[1] > 0


# Progress


@pytest.mark.parametrize(("progress", "drawn"), [(True, True), (False, False), (None, False)])
def test_a_progress_bar_is_drawn_on_request_or_during_long_reads(
    db: lcdb.Database,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    progress: bool | None,
    drawn: bool,
) -> None:
    monkeypatch.setattr("lcdb_notebook.read.progress._PATIENCE", 600.0)
    db.search(1).to_pandas(progress=progress)
    shown = capsys.readouterr().err
    assert ("light curve" in shown) is drawn
    if drawn:
        assert "12/12" in shown


def test_a_progress_bar_comes_by_itself_once_reading_lasts(
    db: lcdb.Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcdb_notebook.read.progress._PATIENCE", 0.0)
    db.search(1).to_pandas()
    assert "12/12" in capsys.readouterr().err


# Wrong arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda db: db.search(1, sector=1)[0].lightcurve(time_format="bjd"),
            "^time_format must be",
        ),
        (lambda db: db.dataframe(1, time_format="bjd"), "^time_format must be"),
        (lambda db: db.search(1).read(on_error="x"), "^on_error must be"),
        (lambda db: db.search(1).to_pandas(on_error="x"), "^on_error must be"),
        (lambda db: db.search(1).export("/nowhere", on_error="x"), "^on_error must be"),
        (lambda db: db.search(1).to_pandas(flagged="x"), "^flagged must be"),
        (lambda db: db.search(1).to_pandas(quality_bitmask=0.5), "^quality_bitmask must be"),
        (lambda db: db.load([1]), "^datasets must be DataSet objects, got 1"),
        (lambda _: lcdb.from_pandas([1]), "^frame must be a DataFrame"),  # type: ignore[arg-type]
        (lambda db: db.search(1)[::2], "step"),
        (lambda db: db.search([]), "^target must not be an empty list"),
        (lambda db: db.search(sektor=1), "unknown argument 'sektor'"),
    ],
)
def test_wrong_arguments_are_errors_of_this_package_that_name_them(
    db: lcdb.Database, call: Callable[[lcdb.Database], Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message) as raised:
        call(db)
    assert isinstance(raised.value, LCDBError)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)


def test_map_takes_the_old_name_of_datasets_with_a_warning(db: lcdb.Database) -> None:
    found = db.search(1, sector=1)
    with pytest.warns(DeprecationWarning, match="map\\(datasets="):
        old = found.map(lambda record: record.time.size, of="record", workers=1)
    assert_frame_equal(
        old, found.map(lambda record: record.time.size, datasets="record", workers=1)
    )


# One light curve a sector


def pipelines(url: str) -> None:
    """Add a star that two pipelines reduced, one of them by orbits."""

    def curves(unit: str, name: str, processing: str) -> tuple[Curve, ...]:
        source, method = Named(name, f"[{unit}] Flux"), Named(processing, f"[{unit}] Corrected")
        flux = np.linspace(99, 101, 10)
        return (Curve(source, None, None, flux, None), Curve(source, method, 0, flux, None))

    def product(author: str, exposure: int, sector: int, orbit: int | None, first: int) -> Product:
        small = curves("electron / s", f"{author} small aperture", f"{author} DET")
        own = curves("electron / s", f"{author} SAP", f"{author} DET")
        return Product(
            label=f"TIC 900, {author}, {sector}",
            mission="TESS",
            catalog="TIC",
            target=900,
            observation_type="tess_observation",
            observation_fields={
                "sector": sector,
                "orbit_number": orbit,
                "author": author,
                "exptime": exposure,
            },
            instrument=("TESS", "Camera 1", "CCD 1"),
            cadence=np.arange(10) + first,
            time=1400 + 27.0 * sector + (first + np.arange(10)) / 48,
            quality={"tess_quality_flag": np.zeros(10, np.int32)},
            curves=tuple(
                replace(one, source=None if one.source is None else one.source + offset)
                for offset, group in ((0, small), (2, own))
                for one in group
            ),
        )

    products = [
        product("SPOC", 20, 1, None, 0),
        product("SPOC", 120, 1, None, 0),
        product("QLP", 1800, 1, 9, 0),
        product("QLP", 1800, 1, 10, 100),
        product("QLP", 1800, 2, 11, 0),
        product("QLP", 1800, 2, 12, 100),
    ]
    with sa.create_engine(url).begin() as connection:
        outcomes = store(connection, products)
        assert not [outcome.error for outcome in outcomes if outcome.error]


@pytest.fixture
def star(empty_dsn: str) -> Iterator[lcdb.Selection]:
    """A star in sector 1 by SPOC (20 and 120 s) and QLP (two orbits), in sector 2 by QLP alone."""
    with lcdb.connect(empty_dsn, write=True):
        pipelines(empty_dsn)
    with lcdb.connect(empty_dsn) as db:
        yield db.search(900)


def test_best_keeps_one_light_curve_a_sector_by_the_usual_preference(star: lcdb.Selection) -> None:
    assert len(star) == 24
    best = star.best()
    table = best.table
    assert table["author"].tolist() == ["SPOC", "QLP", "QLP"]
    assert table["exptime"].tolist() == [120, 1800, 1800]
    assert table["processing"].tolist() == ["SPOC DET", "QLP DET", "QLP DET"]
    assert table["photometry"].tolist() == ["SPOC SAP", "QLP SAP", "QLP SAP"]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r".*best\(\)")
        joined = best.lightcurves().stitch()
    assert len(joined) == 30
    assert (np.diff(joined.time.value) > 0).all()


@pytest.mark.parametrize(
    ("prefer", "authors", "processing"),
    [
        (["QLP"], ["QLP", "QLP", "QLP", "QLP"], "QLP DET"),
        ([{"author": "SPOC", "exptime": 20}], ["SPOC", "QLP", "QLP"], "SPOC DET"),
        ([{"processing": None}], ["SPOC", "QLP", "QLP"], "raw"),
        ([], ["SPOC", "QLP", "QLP"], "SPOC DET"),
    ],
)
def test_best_uses_the_given_preference(
    star: lcdb.Selection, prefer: list[Any], authors: list[str], processing: str
) -> None:
    table = star.best(prefer=prefer).table
    assert table["author"].tolist() == authors
    assert table["processing"][0] == processing


def test_best_names_a_wrong_argument(star: lcdb.Selection) -> None:
    with pytest.raises(ArgumentError, match=r"^prefer must be"):
        star.best(prefer="SPOC")
    with pytest.raises(ArgumentError, match=r"^per must be a field.*sector"):
        star.best(per="sektor")


def test_stitch_warns_once_of_repeated_cadences_and_names_best(star: lcdb.Selection) -> None:
    with pytest.warns(UserWarning, match=r"24 light curves of 6 .*best\(\)") as caught:
        star.lightcurves().stitch()
    assert sum("best()" in str(one.message) for one in caught) == 1


SPOC_120 = {"sector": 1, "author": "SPOC", "exptime": 120}


def test_lightcurves_warns_once_of_several_of_one_observation_and_names_best(
    star: lcdb.Selection,
) -> None:
    db: Any = star._search.sessions
    match = r"lightcurves\(\) read 4 light curves of 1 observation, .*best\(\), or name their"
    with pytest.warns(UserWarning, match=match) as caught:
        db.lightcurves(900, **SPOC_120)
    assert sum("best()" in str(one.message) for one in caught) == 1
    assert caught[0].filename == __file__
    # Which photometry is named, but not which processing.
    with pytest.warns(UserWarning, match=r"best\(\)"):
        db.lightcurves(900, photometry="SPOC SAP", **SPOC_120)


@pytest.mark.parametrize(
    "options",
    [
        {"photometry": "SPOC SAP", "processing": ["raw", "SPOC DET"]},
        {"processing": ["raw", "SPOC DET"], "photometry": ["SPOC SAP"]},
    ],
)
def test_lightcurves_does_not_warn_of_several_requested_ones(
    star: lcdb.Selection, options: dict[str, Any]
) -> None:
    db: Any = star._search.sessions
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r".*best\(\)")
        both = db.lightcurves(900, **SPOC_120, **options)
    assert len(both) == 2
    with pytest.warns(UserWarning, match=r"stitch\(\) joins 2 .*best\(\)"):
        both.stitch()


def test_coverage_counts_light_curves_by_target_and_sector(star: lcdb.Selection) -> None:
    counts = star.coverage()
    assert [int(sector) for sector in counts.columns] == [1, 2]
    assert counts.to_numpy().tolist() == [[16, 8]]
    assert star.best().coverage().to_numpy().tolist() == [[1, 2]]


def test_lightcurve_joins_the_orbits_of_one_sector(star: lcdb.Selection) -> None:
    db: Any = star._search.sessions
    name = {"sector": 1, "author": "QLP", "photometry": "QLP SAP"}
    lc = db.lightcurve(900, processing="QLP DET", **name)
    assert lc["orbit_number"].tolist() == [9] * 10 + [10] * 10
    assert (np.diff(lc.time.value) > 0).all()
    assert lc.meta["SECTOR"] == 1
    first, second = db.search(900, processing="QLP DET", **name)
    assert np.array_equal(lc.flux.value, np.concatenate([first.flux, second.flux]))
    assert {first.dataset, second.dataset} <= set(db.lineage(lc).to_pandas()["dataset"])
    with pytest.raises(AmbiguousError, match=r"^expected one light curve, found 4"):
        db.lightcurve(900, **name)
    with pytest.raises(AmbiguousError, match=r"^expected one light curve, found 8"):
        db.lightcurve(900, author="QLP", photometry="QLP SAP", processing=["raw", "QLP DET"])


@pytest.mark.parametrize(
    ("name", "flux", "unit"),
    [
        ("QSPMagnitude", [12.0, 12.1, 11.9], "mag"),
        ("MyMagnitude", [12.0, 12.0, np.nan], "mag"),
        ("MyMagnitude", [1.0, 1.1, 0.9], ""),
        ("MyFlux", [12.0, 12.1, 11.9], ""),
    ],
)
def test_read_infers_a_unit_that_the_description_does_not_have(
    empty_dsn: str, name: str, flux: list[float], unit: str, tmp_path: Path
) -> None:
    product = Product(
        label="TIC 7",
        mission="TESS",
        catalog="TIC",
        target=7,
        observation_type="tess_observation",
        observation_fields={"sector": 1},
        instrument=("TESS", "Camera 1", "CCD 1"),
        cadence=np.arange(3),
        time=1400 + np.arange(3) / 48,
        quality={},
        curves=(
            Curve(Named("Aperture", "[electron / s] x"), None, None, np.ones(3), None),
            Curve(Named("Small", "x"), Named(name, "x"), 0, np.array(flux), None),
        ),
    )
    with lcdb.connect(empty_dsn, write=True) as db:
        store(db.session.connection(), [product])
        db.session.execute(sa.text("UPDATE photometric_source SET description = 'x'"))
        db.session.execute(sa.text("UPDATE processing_method SET description = 'x'"))
        db.session.commit()
        found = db.search(7, processing=name)
        (data,) = found
        assert data.unit == unit
        assert data.unit_inferred == (name == "MyMagnitude" and unit == "mag")
        assert found.table["unit"].tolist() == ["mag" if name == "QSPMagnitude" else ""]
        lc = found.lightcurve()
        assert lc.meta.get("UNIT_INFERRED") == ("mag" if data.unit_inferred else None)
        middle = 1.0 if unit == "mag" else np.nanmedian(flux)
        assert np.nanmedian(lc.flux.value) == pytest.approx(middle)
        mark = "mag" if data.unit_inferred else None
        marked = [mark] if mark else []
        frame = found.to_pandas()
        assert frame.attrs["unit_inferred"] == marked
        for as_flux in (True, False):
            assert lcdb.from_pandas(frame, as_flux=as_flux)[0].meta.get("UNIT_INFERRED") == mark
        wide = found.to_pandas(wide=True)
        assert wide.attrs["unit_inferred"] == ([f"Small {name}"] if mark else [])
        nested = found.to_nested()
        assert nested.get("unit_inferred", pd.Series([False])).tolist() == [bool(mark)]
        results = found.map(lambda lc: lc.meta.get("UNIT_INFERRED", "no"), workers=1)
        assert results["result"].tolist() == [mark or "no"]
        formats: list[FileFormat] = ["fits", "ecsv", "csv", "parquet"]
        for written in formats:
            (file,) = found.export(tmp_path / written, format=written)["file"]
            if written == "parquet":
                table = pq.read_table(file, partitioning=None)
                assert table["unit_inferred"].to_pylist() == [bool(mark)]
                inside = table.schema.field("lightcurve").type.field("flux").metadata
                assert inside[b"unit"].decode() in (unit, "see the column unit")
            else:
                assert lcdb.read_lightcurve(file).meta.get("UNIT_INFERRED") == mark


def test_to_pandas_wide_has_a_column_for_each_light_curve(star: lcdb.Selection) -> None:
    wide = star.to_pandas(wide=True)
    assert len(wide) == 60
    columns = ["target", "sector", "orbit_number", "time", "cadenceno", "quality"]
    assert wide.columns[:6].tolist() == columns
    assert set(wide.columns[6:]) == {
        f"{author} {source} {step}"
        for author in ("QLP", "SPOC")
        for source in ("SAP", "small aperture")
        for step in ("raw", f"{author} DET")
    }
    for data in star:
        name = f"{data.photometry} {data.processing or 'raw'}"
        here = (wide["sector"] == data.observation.fields["sector"]) & wide["cadenceno"].isin(
            data.cadence
        )
        rows = wide[here & (wide["time"].isin(data.time)) & wide[name].notna()]
        assert set(data.flux) <= set(rows[name])
    assert wide.attrs["units"]["QLP SAP raw"] == ["electron / s"]


@pytest.mark.parametrize("flagged", ["drop", "mask", "keep"])
def test_to_pandas_wide_has_the_fluxes_of_the_long_one(db: lcdb.Database, flagged: Any) -> None:
    found = db.search(1, sector=1)
    wide = found.to_pandas(wide=True, flagged=flagged, time_format="jd")
    long = found.to_pandas(flagged=flagged, time_format="jd")
    for (photometry, processing), rows in long.groupby(["photometry", "processing"], observed=True):
        name = f"{photometry} {processing}"
        assert np.array_equal(wide[name], rows["flux"], equal_nan=True)
        assert np.array_equal(wide["time"], rows["time"])
        assert np.array_equal(wide["quality"], rows["quality"])
