"""Listings: what there is, filtered and paged by the server, and never an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo, listing
from lcdb_notebook.models import FITSFrame, Instrument, MissionCatalog, Observation, Target

STARS = 9  # eight share a CCD in the synthetic sky, so these are on two


@pytest.fixture(scope="module")
def db(new_database: Callable[[], str]) -> Iterator[lcdb.Database]:
    with lcdb.connect(new_database(), write=True, create=True) as db:
        demo.load(db.session, targets=STARS)
        session = db.session
        catalog = session.scalars(sa.select(MissionCatalog)).one()
        session.add(Target(catalog=catalog, name=77))  # known, but never observed
        observation = session.scalars(sa.select(Observation).order_by(Observation.id)).first()
        for cadence in (5, 4):
            session.add(
                FITSFrame(
                    observation=observation,
                    cadence=cadence,
                    bitpix=-32,
                    naxis=2,
                    naxis_values=[4, 3],
                    file_path=f"/ffi/{cadence}.fits",
                )
            )
        session.commit()
        yield db


def test_targets_are_listed_by_number_with_catalog_and_mission(db: lcdb.Database) -> None:
    listed = db.targets()
    assert listed["target"].tolist() == [*range(1, STARS + 1), 77]
    assert set(listed["catalog"]) == {"DEMO"}
    assert set(listed["mission"]) == {"TESS"}


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        ({"target": [3, 1]}, [1, 3]),
        ({"target": 5, "sector": 99}, []),
        ({"sector": 1}, list(range(1, STARS + 1))),
        ({"sector": 99}, []),
        ({"instrument": "CCD 2"}, [9]),
        ({"exptime": 120}, [1, 2]),
        ({"processing": "DEMO DET", "target": 4}, [4]),
        ({"limit": 2, "offset": 1}, [2, 3]),
        ({"limit": None, "offset": 8}, [9, 77]),
    ],
    ids=str,
)
def test_targets_are_those_with_a_light_curve_that_matches(
    db: lcdb.Database, search: dict[str, Any], numbers: list[int]
) -> None:
    assert db.targets(**search)["target"].tolist() == numbers


def test_observations_show_the_fields_of_their_class_and_where_they_were_taken(
    db: lcdb.Database,
) -> None:
    listed = db.observations(sector=2, exptime=1800)
    assert listed["type"].unique().tolist() == ["tess_observation"]
    assert listed["author"].unique().tolist() == ["DEMO"]
    assert listed["instrument"].tolist() == ["TESS / Camera 1 / CCD 1", "TESS / Camera 1 / CCD 2"]
    assert listed["cadences"].tolist() == [1200, 1200]
    # Fields that no observation listed has are left out, such as Kepler's.
    assert "quarter" not in listed
    assert db.observations(limit=1, offset=2)["id"].tolist() == [db.observations()["id"][2]]
    assert len(db.observations(sector=99)) == 0


def test_instruments_stand_below_what_they_are_part_of(db: lcdb.Database) -> None:
    listed = db.instruments()
    rows = list(zip(listed["name"], listed["part_of"], listed["depth"], strict=True))
    assert rows == [
        ("TESS", "", 0),
        ("Camera 1", "TESS", 1),
        ("CCD 1", "TESS / Camera 1", 2),
        ("CCD 2", "TESS / Camera 1", 2),
    ]


def test_missions_tell_their_clocks_and_catalogs(db: lcdb.Database) -> None:
    (mission,) = db.missions().to_dict("records")
    assert (mission["name"], mission["time_format_name"], mission["catalogs"]) == (
        "TESS",
        "btjd",
        "DEMO",
    )
    assert (float(mission["time_epoch"]), mission["time_unit"]) == (2457000.0, "d")


def test_methods_are_listed_with_their_descriptions(db: lcdb.Database) -> None:
    assert db.photometric_sources()["name"].tolist() == ["DEMO aperture 2px", "DEMO aperture 3px"]
    assert db.processing_methods()["name"].tolist() == ["DEMO DET", "DEMO SYS_RM"]
    assert db.photometric_sources()["description"].str.startswith("[electron / s]").all()


def test_frames_come_by_cadence_with_their_paths(db: lcdb.Database) -> None:
    observation = int(db.frames()["observation_id"][0])
    listed = db.frames(observation)
    assert listed["cadence"].tolist() == [4, 5]
    assert [str(path) for path in listed["file_path"]] == ["/ffi/4.fits", "/ffi/5.fits"]
    assert [list(values) for values in listed["naxis_values"]] == [[4, 3], [4, 3]]
    assert len(db.frames(observation + 1)) == 0


def test_quality_flags_tell_whose_they_are_and_hold_no_arrays(db: lcdb.Database) -> None:
    listed = db.quality_flags(3, sector=1)
    assert listed["type"].tolist() == ["tess_quality_flag"]
    assert listed["target"].tolist() == [3]
    assert "quality_flags" not in listed
    assert len(db.quality_flags(limit=4)) == 4


def test_no_listing_reads_an_array(db: lcdb.Database, statements: list[str]) -> None:
    for call in (db.targets, db.observations, db.instruments, db.quality_flags, db.frames):
        call()
    arrays = ("barycentric_julian_dates", ".values", ".errors", "quality_flag_array.quality_flags")
    assert statements
    assert not [s for s in statements for array in arrays if array in s]


def test_the_summary_counts_and_names_what_there_is(
    db: lcdb.Database, statements: list[str]
) -> None:
    with db.using() as session:
        summary = listing.summary(session).set_index("what")
    assert len(statements) == 4
    assert summary["number"].to_dict() == {
        "targets": STARS + 1,
        "observations": 6,
        "light curves": STARS * 2 * 2 * 3 + 2 * 2 * 2 * 3,
        "photometry": 2,
        "processing": 2,
    }
    assert summary["exact"].all()
    assert summary["which"]["observations"] == "sector 1 to 2"


def test_an_empty_database_is_listed_as_empty(blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        for call in (db.targets, db.observations, db.instruments, db.missions, db.frames):
            assert len(call()) == 0
        db.session.add(Instrument(name="Lone telescope"))
        db.session.commit()
        assert db.instruments()["name"].tolist() == ["Lone telescope"]
