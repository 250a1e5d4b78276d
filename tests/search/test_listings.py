"""Listings, filtered and cut to pages by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import (
    FITSFrame,
    Instrument,
    KeplerObservation,
    Mission,
    MissionCatalog,
    Observation,
    QualityFlagArray,
    Target,
    TESSObservation,
)


def product(catalog: str, target: int, season: int, **changes: Any) -> Product:
    tess = catalog == "TIC"
    fields: dict[str, Any] = {
        "label": f"{catalog} {target}, {season}",
        "mission": "TESS" if tess else "Kepler",
        "catalog": catalog,
        "target": target,
        "observation_type": "tess_observation" if tess else "kepler_observation",
        "observation_fields": {"sector": season, "author": "SPOC"}
        if tess
        else {"quarter": season, "author": "Kepler"},
        "instrument": ("TESS", "Camera 1", f"CCD {season}") if tess else ("Kepler", "Channel 33"),
        "cadence": np.arange(season + 2),
        "time": np.arange(season + 2.0),
        "quality": {"tess_quality_flag": np.zeros(season + 2, np.int32)} if tess else {},
        "curves": (
            Curve(Named("SAP", "[electron / s] Sum"), None, None, np.ones(season + 2)),
            Curve(Named("SAP", "[electron / s] Sum"), Named("DET", "[] x"), 0, np.ones(season + 2)),
        ),
    }
    return Product(**(fields | changes))


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> Iterator[lcdb.Database]:
    """Stars 1 to 3 of TESS, 1 and 2 in two sectors; stars 2 and 9 of Kepler; frames and flags."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        products = [product("TIC", t, s) for t, s in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1))]
        products += [product("KIC", t, 4) for t in (2, 9)]
        outcomes = store(db.session.connection(), products)
        assert not [outcome.error for outcome in outcomes if outcome.error]
        session = db.session
        by_sector = {o.sector: o for o in session.scalars(sa.select(TESSObservation))}
        for cadence in range(30):
            session.add(
                FITSFrame(
                    type="basefits",
                    cadence=cadence,
                    observation=by_sector[1 + cadence % 2],
                    bitpix=32,
                    naxis=2,
                    naxis_values=[2048, 2048],
                    file_path=Path(f"/frames/{cadence}.fits"),
                )
            )
        session.add(
            QualityFlagArray(
                type="base_quality_flag",
                observation=by_sector[1],
                quality_flags=np.zeros(3, np.int32),
            )
        )
        session.commit()
    with lcdb.connect(in_layout(url)) as db:
        yield db


def keys(frame: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(frame["catalog"], frame["target"], strict=True))


ALL_TARGETS = [("TIC", 1), ("KIC", 2), ("TIC", 2), ("TIC", 3), ("KIC", 9)]


# Targets


def test_targets_are_listed_by_number_with_catalog_and_mission(db: lcdb.Database) -> None:
    frame = db.targets()
    assert list(frame.columns) == ["target", "catalog", "mission", "id"]
    assert sorted(keys(frame)) == sorted(ALL_TARGETS)
    assert frame["target"].is_monotonic_increasing
    assert set(zip(frame["catalog"], frame["mission"], strict=True)) == {
        ("TIC", "TESS"),
        ("KIC", "Kepler"),
    }


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"target": 2}, [("KIC", 2), ("TIC", 2)]),
        ({"target": [1, 9, 77]}, [("TIC", 1), ("KIC", 9)]),
        ({"target": "KIC 2"}, [("KIC", 2)]),
        ({"target": 2, "catalog": "TIC"}, [("TIC", 2)]),
        ({"catalog": "KIC"}, [("KIC", 2), ("KIC", 9)]),
        ({"sector": 2}, [("TIC", 1), ("TIC", 2)]),
        ({"sector": [1, 2]}, [("TIC", 1), ("TIC", 2), ("TIC", 3)]),
        ({"quarter": 4}, [("KIC", 2), ("KIC", 9)]),
        ({"target": 2, "quarter": 4}, [("KIC", 2)]),
        ({"instrument": "CCD 2"}, [("TIC", 1), ("TIC", 2)]),
        ({"observation": KeplerObservation}, [("KIC", 2), ("KIC", 9)]),
        ({"processing": "DET", "sector": 2}, [("TIC", 1), ("TIC", 2)]),
        ({"photometry": "no such"}, []),
        ({"target": 77}, []),
    ],
    ids=str,
)
def test_targets_are_filtered(
    db: lcdb.Database, search: dict[str, Any], found: list[tuple[str, int]]
) -> None:
    assert sorted(keys(db.targets(**search))) == sorted(found)


def test_a_target_is_listed_as_an_object_too(db: lcdb.Database) -> None:
    some = db.session.scalars(sa.select(Target).where(Target.name == 2)).all()
    db.session.rollback()
    assert keys(db.targets(some[0])) == [(_catalog(db, some[0]), 2)]


def _catalog(db: lcdb.Database, target: Target) -> str:
    name = target.catalog.name
    db.session.rollback()
    return name


@pytest.mark.parametrize(("limit", "offset"), [(2, 0), (2, 2), (2, 4), (10, 0), (0, 0), (None, 1)])
def test_pages_of_targets_are_runs_of_the_whole(
    db: lcdb.Database, limit: int | None, offset: int
) -> None:
    everything = keys(db.targets())
    stop = None if limit is None else offset + limit
    assert keys(db.targets(limit=limit, offset=offset)) == everything[offset:stop]


@pytest.mark.parametrize("listing", ["targets", "observations", "frames", "quality_flags"])
def test_pages_are_cut_by_the_server(
    db: lcdb.Database, statements: list[str], listing: str
) -> None:
    statements.clear()
    assert len(getattr(db, listing)(limit=2, offset=1)) == 2
    assert "LIMIT" in statements[0]
    assert "OFFSET" in statements[0]


def test_a_page_has_a_thousand_rows_by_default(db: lcdb.Database) -> None:
    import inspect

    for listing in (db.targets, db.observations, db.frames, db.quality_flags):
        assert inspect.signature(listing).parameters["limit"].default == 1000


# Observations


def test_observations_are_listed_with_the_fields_that_they_have(db: lcdb.Database) -> None:
    frame = db.observations()
    fields = {"sector", "author", "quarter"}
    assert set(frame.columns) == {"id", "type", *fields, "instrument", "cadences"}
    assert list(frame.columns[:2]) == ["id", "type"]
    assert list(frame.columns[-2:]) == ["instrument", "cadences"]
    assert frame["id"].is_monotonic_increasing
    tess = frame[frame["type"] == "tess_observation"]
    assert tess["sector"].tolist() == [1, 2]
    assert tess["quarter"].isna().all()
    assert tess["cadences"].tolist() == [3, 4]
    assert tess["instrument"].tolist() == ["TESS / Camera 1 / CCD 1", "TESS / Camera 1 / CCD 2"]


@pytest.mark.parametrize(
    ("search", "seasons"),
    [
        ({"sector": 1}, {1}),
        ({"sector": [1, 2]}, {1, 2}),
        ({"quarter": 4}, {4}),
        ({"observation": TESSObservation}, {1, 2}),
        ({"instrument": "CCD 2"}, {2}),
        ({"instrument": "Camera 1"}, {1, 2}),
        ({"author": "Kepler"}, {4}),
        ({"target": 3}, {1}),
        ({"target": 2}, {1, 2, 4}),
        ({"target": "TIC 2"}, {1, 2}),
        ({"target": 2, "sector": 2}, {2}),
        ({"target": 77}, set()),
    ],
    ids=str,
)
def test_observations_are_filtered(
    db: lcdb.Database, search: dict[str, Any], seasons: set[int]
) -> None:
    frame = db.observations(**search)
    found: set[int] = set()
    for name in ("sector", "quarter"):
        if name in frame:
            found |= set(frame[name].dropna())
    assert found == seasons


def test_observations_of_nothing_are_a_table_of_nothing(db: lcdb.Database) -> None:
    frame = db.observations(10**6)
    assert frame.empty
    assert {"id", "type", "sector", "instrument", "cadences"} <= set(frame.columns)


# The small tables


def test_instruments_are_listed_below_their_parent(db: lcdb.Database) -> None:
    frame = db.instruments()
    paths = (frame["part_of"] + " / " + frame["name"]).str.removeprefix(" / ")
    shown = paths.tolist()
    assert shown == [
        *("Kepler", "Kepler / Channel 33", "TESS", "TESS / Camera 1"),
        *("TESS / Camera 1 / CCD 1", "TESS / Camera 1 / CCD 2"),
    ]
    assert frame["depth"].tolist() == [0, 1, 0, 1, 2, 2]
    assert db.session.get(Instrument, frame["id"][0]) is not None
    db.session.rollback()


def test_missions_are_listed_with_their_clocks_and_catalogs(db: lcdb.Database) -> None:
    frame = db.missions().set_index("name")
    assert frame.loc["TESS", "catalogs"] == "TIC"
    assert frame.loc["Kepler", "time_format_name"] == "bkjd"
    assert float(frame.loc["TESS", "time_epoch"]) == 2457000  # type: ignore[arg-type]


def test_methods_are_listed_with_their_units(db: lcdb.Database) -> None:
    assert db.photometric_sources()["description"].tolist() == ["[electron / s] Sum"]
    assert db.processing_methods()["name"].tolist() == ["DET"]


# Frames and flags


def test_frames_are_listed_by_observation_and_cadence(db: lcdb.Database) -> None:
    frame = db.frames()
    assert len(frame) == 30
    key = list(zip(frame["observation_id"], frame["cadence"], strict=True))
    assert key == sorted(key)
    assert frame["file_path"][0] == Path(f"/frames/{frame['cadence'][0]}.fits")


@pytest.mark.parametrize(
    ("search", "number"),
    [
        ({"sector": 1}, 15),
        ({"observation": TESSObservation}, 30),
        ({"observation": KeplerObservation}, 0),
        ({"instrument": "CCD 2"}, 15),
        ({"sector": [1, 2], "instrument": "CCD 1"}, 15),
    ],
    ids=str,
)
def test_frames_are_filtered(db: lcdb.Database, search: dict[str, Any], number: int) -> None:
    assert len(db.frames(**search)) == number


def test_frames_of_one_observation(db: lcdb.Database) -> None:
    (id_,) = db.observations(sector=2)["id"]
    assert set(db.frames(id_)["observation_id"]) == {id_}
    assert len(db.frames(id_)) == 15


@pytest.mark.parametrize(
    ("search", "number"),
    [
        ({}, 6),
        ({"target": 1}, 2),
        ({"target": 2}, 2),
        ({"target": "KIC 2"}, 0),
        ({"target": 2, "sector": 1}, 1),
        ({"sector": 1}, 4),
        ({"catalog": "TIC"}, 5),
        ({"observation": TESSObservation}, 6),
        ({"observation": KeplerObservation}, 0),
    ],
    ids=str,
)
def test_flag_arrays_are_filtered(db: lcdb.Database, search: dict[str, Any], number: int) -> None:
    frame = db.quality_flags(**search)
    assert len(frame) == number
    assert "quality_flags" not in frame


def test_flag_arrays_of_a_target_are_listed_for_the_object_too(db: lcdb.Database) -> None:
    star = db.session.scalars(sa.select(Target).where(Target.name == 3)).one()
    db.session.rollback()
    assert db.quality_flags(star)["target"].tolist() == [3]


def test_flag_arrays_of_everyone_have_no_target(db: lcdb.Database) -> None:
    frame = db.quality_flags(sector=1)
    (everyones,) = frame[frame["type"] == "base_quality_flag"].index
    assert pd.isna(frame.loc[everyones, "target"])
    assert pd.isna(frame.loc[everyones, "catalog"])


# Arguments

UNKNOWN = [
    ("targets", {"sektor": 1}, "sektor"),
    ("observations", {"processing": "DET"}, "processing"),
    ("frames", {"target": 1}, "target"),
    ("quality_flags", {"photometry": "SAP"}, "photometry"),
]


@pytest.mark.parametrize(("listing", "arguments", "wrong"), UNKNOWN)
def test_an_argument_that_a_listing_does_not_take_is_refused_and_not_ignored(
    db: lcdb.Database, listing: str, arguments: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(TypeError) as raised:
        getattr(db, listing)(**arguments)
    assert str(raised.value).startswith(f"{listing}() got an unknown argument {wrong!r}; it takes ")
    assert "sector" in str(raised.value)


def test_a_number_beside_a_missing_one_keeps_all_its_digits(empty_dsn: str) -> None:
    number = 5707485527450614657  # odd, and beyond 2**53: no float64 holds it
    with lcdb.connect(empty_dsn, write=True) as db:
        mission = Mission(name="TESS", time_epoch=Decimal(2457000), time_format_name="btjd")
        observation = Observation(
            cadence_reference=np.array([1]), instrument=Instrument(name="TESS")
        )
        target = Target(catalog=MissionCatalog(name="Gaia DR3", host_mission=mission), name=number)
        for whose in (None, target):
            flags = np.zeros(1, np.int32)
            db.session.add(
                QualityFlagArray(observation=observation, target=whose, quality_flags=flags)
            )
        db.session.commit()
        assert set(db.quality_flags()["target"]) == {None, number}


@pytest.mark.parametrize("listing", ["targets", "observations", "frames", "quality_flags"])
@pytest.mark.parametrize("page", [{"limit": -1}, {"limit": "x"}, {"limit": 1.5}, {"offset": -3}])
def test_listings_name_an_impossible_limit(
    db: lcdb.Database, listing: str, page: dict[str, Any]
) -> None:
    ((name, value),) = page.items()
    with pytest.raises(ArgumentError, match=f"^{name} must be .*got {value!r}"):
        getattr(db, listing)(**page)
