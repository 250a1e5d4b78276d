from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from lightkurve.search import _mask_by_exptime

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError, LightCurveNotFoundError, NameNotFoundError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.readers.pipelines import PIPELINES
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve.missions import MISSIONS
from lcdb_notebook.search.arguments import targets
from lcdb_notebook.search.lightkurve_words import AUTHORS, translated


def product(target: int, mission: str, author: str, exptime: int) -> Product:
    tess = mission == "TESS"
    field = {"TESS": "sector", "Kepler": "quarter", "K2": "campaign"}[mission]
    return Product(
        label="made here",
        mission="TESS" if tess else "Kepler",
        catalog={"TESS": "TIC", "Kepler": "KIC", "K2": "EPIC"}[mission],
        target=target,
        observation_type=f"{mission.lower()}_observation",
        observation_fields={field: 1, "author": author, "exptime": exptime},
        instrument=("TESS" if tess else "Kepler",),
        cadence=np.arange(3),
        time=np.arange(3.0),
        quality={},
        curves=(Curve(Named(f"{author} SAP", "[]"), None, None, np.arange(3.0)),),
    )


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str]) -> Iterator[Any]:
    with lcdb.connect(new_tables(), write=True) as db:
        store(
            db.session.connection(),
            [
                product(261136679, "TESS", "SPOC", 20),
                product(261136679, "TESS", "SPOC", 120),
                product(261136679, "TESS", "QLP", 1800),
                product(261136679, "TESS", "mine", 200),
                product(11446443, "Kepler", "Kepler", 60),
                product(211117077, "K2", "EVEREST", 1800),
            ],
        )
        db.session.commit()
        yield db


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        ({"author": "spoc"}, 2),
        ({"author": "Spoc"}, 2),
        ({"author": ["QLP", "everest"]}, 2),
        ({"author": "mine"}, 1),
        ({"exptime": "fast"}, 1),
        ({"exptime": "short"}, 2),
        ({"exptime": "LONG"}, 3),
        ({"exptime": "ffi"}, 3),
        ({"exptime": [20, "long"]}, 4),
        ({"cadence": "short"}, 2),
        ({"author": "any"}, 6),
        ({"author": "All", "mission": "K2"}, 1),
        ({"cadence": 120}, 1),
        ({"exptime": 120.0}, 1),
        ({"mission": "TESS"}, 4),
        ({"mission": "tess", "author": "qlp"}, 1),
        ({"mission": "Kepler"}, 1),
        ({"mission": ("Kepler", "K2")}, 2),
        ({"limit": 2}, 2),
        ({"limit": np.int64(2), "mission": "K2"}, 1),
        ({"target": "tic 261136679"}, 4),
        ({"target": "TIC-261136679"}, 4),
        ({"target": "TIC261136679"}, 4),
        ({"target": "kplr011446443"}, 1),
        ({"target": "ktwo211117077"}, 1),
        ({"target": "epic 211117077"}, 1),
        ({"target": 261136679.0}, 4),
        ({"target": np.float64(261136679)}, 4),
    ],
    ids=repr,
)
def test_search_accepts_the_words_of_lightkurve(
    db: Any, criteria: dict[str, Any], count: int
) -> None:
    found = db.search(**criteria)
    assert len(found) == len(found.table) == count


def test_targets_and_observations_accept_the_words_of_lightkurve(db: Any) -> None:
    assert db.targets(author="spoc", mission="TESS")["target"].tolist() == [261136679]
    assert set(db.observations(exptime="short", mission="TESS")["author"]) == {"SPOC"}
    assert set(db.observations(exptime="long", mission="TESS")["author"]) == {"QLP", "mine"}


@pytest.mark.parametrize("word", ["fast", "short", "long", "ffi"])
def test_words_for_exposure_times_have_the_limits_of_lightkurve(word: str) -> None:
    times = sorted({seconds for m in MISSIONS.values() for seconds in m.exposures.values()})
    theirs = _mask_by_exptime(Table({"exptime": times}), word)
    assert translated({"exptime": word}, ["exptime"])["exptime"] == np.array(times)[theirs].tolist()


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"mission": "TES"}, r"^no mission named 'tes'; available: 'tess', 'kepler', 'k2'$"),
        ({"author": "spok"}, r"^no author named 'spok'; available: 'SPOC', .*'EVEREST'"),
        ({"author": ["SPOK", "SPOCK"], "sector": 1}, r"^no author named 'SPOK'; .*'SPOC', "),
        ({"author": "tglc"}, r"^no author named 'tglc'; available: 'QLP'"),
    ],
    ids=repr,
)
def test_search_of_an_unknown_name_lists_what_exists(
    db: Any, criteria: dict[str, Any], message: str
) -> None:
    with pytest.raises(NameNotFoundError, match=message):
        db.search(**criteria).lightcurve()


def test_search_of_an_author_without_such_light_curves_names_the_criteria(db: Any) -> None:
    with pytest.raises(LightCurveNotFoundError, match=r"matches all of author=.*, sector=7"):
        db.search(author=["SPOC", "SPOK"], sector=7).lightcurve()


def test_listings_name_the_search_by_position(db: Any) -> None:
    with pytest.raises(ArgumentError, match=r"must not be a position here; .*db.search\(position"):
        db.targets(SkyCoord(1, 2, unit="deg"))


@pytest.mark.parametrize(
    ("column", "gaps"),
    [
        ([261136679.0, float("nan"), 11446443.0], 1),
        (pd.Series([261136679, None, 11446443]), 1),
        (pd.Series([261136679, pd.NA, 11446443], dtype="Int64"), 1),
        (pd.Series([261136679, None, None, 11446443], dtype=object), 2),
        (MaskedColumn([261136679, 5, 11446443], mask=[False, True, False]), 1),
        (np.ma.MaskedArray([261136679, 5, 11446443], mask=[False, True, False]), 1),
    ],
    ids=["floats", "Series", "Int64", "objects", "MaskedColumn", "MaskedArray"],
)
def test_targets_skips_the_gaps_of_a_column_with_one_warning(column: Any, gaps: int) -> None:
    with pytest.warns(UserWarning, match=rf"^{gaps} of {len(column)} targets are missing") as seen:
        numbers, _, _ = targets(column)
    assert numbers == (261136679, 11446443)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"target": float("nan")}, "only missing values such as nan"),
        ({"target": 1.5}, "must be a catalog number"),
        ({"target": 5707485527450614656.0}, "too large to be exact"),
        ({"target": "pi Men"}, r"Catalogs.query_object\('pi Men'"),
        ({"cadence": 120, "exptime": 120}, "are the same"),
        ({"exptime": "quick"}, "a number of seconds, 'fast', 'short' or 'long', got 'quick'"),
        ({"exptime": float("nan")}, "exptime must be int, a list of these or None, got nan"),
        ({"sector": [1, float("nan")]}, "sector must be int, .* got nan"),
        ({"mission": 3}, "mission must be a name"),
        ({"mission": []}, "empty list"),
        ({"limit": 0}, "limit must be a positive integer or None, got 0"),
        ({"limit": "2"}, "limit must be a positive integer or None, got '2'"),
        ({"limit": 10**30}, "limit must be a positive integer or None, got 1000"),
        ({"target": 261136679, "radius": 3}, "radius needs a position as the target"),
        ({"radius": 3}, "radius needs a position as the target, .* got target=None"),
        ({"target": SkyCoord([], [], unit="deg")}, "target must be a position, got <SkyCoord"),
        ({"target": SkyCoord(float("nan"), 1, unit="deg")}, "target must be a position"),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("archive")
def test_search_names_what_is_wrong(db: Any, criteria: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        db.search(**criteria)


def test_authors_are_those_of_the_readers() -> None:
    assert {*AUTHORS} == {author for pipeline in PIPELINES for author in pipeline.columns}
