"""Light curves into the unaltered tables of LightcurveDB 2, whose fields are in tables beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import LCDBError, SchemaError
from lcdb_notebook.ingest.readers.dispatch import read_product

from .test_frames import ffi

pytestmark = [
    pytest.mark.parametrize("layout", ["2.x"], indirect=True),
    pytest.mark.filterwarnings("ignore:this database has no columns:UserWarning"),
]

STAR = 1_000_000_007 * 3
RAW: dict[str, Any] = {"photometry": "TGLC Aperture Small", "processing": "raw"}
SPOC = "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz"

MOVE_TO = (
    "INSERT INTO {0} SELECT t.id, sector, orbit_number FROM tess_orbit_observation t "
    "JOIN orbit ON orbit.id = orbit_id;"
    "DROP TABLE tess_orbit_observation, orbit; UPDATE observation SET type = 'tess_observation'"
)
BESIDE = {
    "orbit": "SELECT 1",
    "tess_observation": "CREATE TABLE tess_observation (id int PRIMARY KEY REFERENCES observation, "
    "sector int NOT NULL, orbit_number int, spacecraft_quaternion jsonb);"
    + MOVE_TO.format("tess_observation"),
    "another name and key": 'CREATE TABLE "About" (run int PRIMARY KEY REFERENCES observation, '
    "sector bigint NOT NULL, orbit_number smallint, note text DEFAULT '');"
    + MOVE_TO.format('"About"'),
}
"""What has the fields of observations, as SQL that makes it from the tables of orbits."""

every_kind = pytest.mark.parametrize("beside", BESIDE)


@pytest.fixture
def beside() -> str:
    return "orbit"


@pytest.fixture
def theirs(layout_copy: str, beside: str) -> Iterator[sa.Engine]:
    """The database as its owner has it."""
    engine = sa.create_engine(layout_copy, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(BESIDE[beside])
    yield engine
    engine.dispose()


def run(engine: sa.Engine, sql: str) -> list[Any]:
    with engine.begin() as connection:
        result = connection.exec_driver_sql(sql)
        return list(result) if result.returns_rows else []


def structure(engine: sa.Engine) -> list[Any]:
    return run(
        engine,
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'public' UNION ALL SELECT conrelid::regclass::text, conname, "
        "pg_get_constraintdef(oid), '' FROM pg_constraint ORDER BY 1, 2",
    )


def insert_theirs(engine: sa.Engine, beside: str) -> None:
    """Insert a mission and an observation of a sector as the owner's program does."""
    type_ = "tess_orbit_observation" if beside == "orbit" else "tess_observation"
    fields = {
        "orbit": "INSERT INTO orbit (sector, orbit_number) VALUES (77, 177); INSERT INTO "
        "tess_orbit_observation SELECT max(o.id), max(orbit.id) FROM observation o, orbit",
        "tess_observation": "INSERT INTO tess_observation SELECT max(id), 77, 177 FROM observation",
        "another name and key": 'INSERT INTO "About" SELECT max(id), 77, 177 FROM observation',
    }
    run(
        engine,
        "INSERT INTO mission (id, time_epoch, time_epoch_scale, time_epoch_format, "
        "time_format_name, name, description) VALUES (gen_random_uuid(), 2454833, 'tdb', 'jd', "
        "'theirs', 'Theirs', '');"
        "INSERT INTO observation (type, cadence_reference, instrument_id) "
        f"SELECT '{type_}', '{{1,2}}', id FROM instrument LIMIT 1; {fields[beside]}",
    )


@every_kind
def test_add_stores_a_derived_light_curve_in_the_observation_of_its_source(
    theirs: sa.Engine, layout_copy: str, beside: str
) -> None:
    before, observations = structure(theirs), run(theirs, "SELECT * FROM observation ORDER BY id")
    with lcdb.connect(layout_copy, write=True) as db:
        lc = db.lightcurve(STAR, orbit_number=9, **RAW)
        (id_,) = db.add(lc.flatten(), derived_from=lc, processing="flattened").files[0].datasets
        again = db.lightcurve(STAR, orbit_number=9, processing="flattened")
        np.testing.assert_array_equal(again.flux.value, lc.flatten().flux.value)
        assert db.lineage(id_).to_pandas()["processing"].tolist() == ["raw", "flattened"]
        report = db.add(lc.flatten(), derived_from=lc, processing="flattened")
        assert report.unchanged == 1
    assert structure(theirs) == before
    assert run(theirs, "SELECT * FROM observation ORDER BY id") == observations
    insert_theirs(theirs, beside)


@every_kind
def test_add_stores_a_light_curve_of_a_new_observation_with_its_fields(
    theirs: sa.Engine, layout_copy: str, beside: str
) -> None:
    before = structure(theirs)
    with lcdb.connect(layout_copy, write=True) as db:
        lc = db.lightcurve(STAR, orbit_number=9, **RAW)
        with pytest.warns(UserWarning, match="no columns for exptime of observations"):
            db.add(
                lc,
                processing="copied",
                observation_fields={"sector": 5, "orbit_number": 17, "exptime": 1800},
            )
        db.add(lc.bin(0.2), derived_from=lc, processing="binned")
        assert db.lightcurve(STAR, sector=5).meta["ORBIT_NUMBER"] == 17
        assert db.lightcurve(STAR, sector=1, processing="binned").meta["ORBIT_NUMBER"] == 9
        types = set(db.observations(target=STAR)["type"])
    assert len(types) == 1
    assert structure(theirs) == before
    insert_theirs(theirs, beside)


def test_ingest_stores_orbits_beside_observations(
    theirs: sa.Engine, layout_copy: str, data_folder: Path, beside: str
) -> None:
    before = structure(theirs)
    files = sorted((data_folder / "qlp-h5").rglob("LC/*.h5.gz"))
    with lcdb.connect(layout_copy, write=True) as db:
        with pytest.warns(UserWarning, match="no columns for author, .*exptime"):
            report = db.ingest(files)
        assert (report.added, report.skipped) == (len(files), 0), report
        assert db.ingest(files).unchanged == len(files)
        product = read_product(files[0])
        fields = product.observation_fields
        found = list(db.search(product.target, orbit_number=fields["orbit_number"]))
        assert {data.observation.type for data in found} == {"tess_orbit_observation"}
        assert {data.observation.fields["sector"] for data in found} == {fields["sector"]}
        for curve in product.curves:
            (data,) = (
                data
                for data in found
                if data.photometry == curve.photometry.name
                and data.processing == (curve.processing and curve.processing.name)
            )
            places = np.searchsorted(data.cadence, product.cadence)
            np.testing.assert_array_equal(data.flux[places], curve.flux)
            np.testing.assert_array_equal(data.time[places], product.time)
            for name, flags in product.quality.items():
                np.testing.assert_array_equal(data.quality[name][places], flags)
    assert structure(theirs) == before
    insert_theirs(theirs, beside)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("beside", ["tess_observation"])
@pytest.mark.usefixtures("theirs")
def test_ingest_keeps_numberings_of_a_sector_apart_whose_exposure_time_is_not_stored(
    layout_copy: str, data_folder: Path, backwards: bool
) -> None:
    files = [
        data_folder / "qlp/hlsp_qlp_tess_ffi_s0024-0000000188589164_tess_v01_llc.fits.gz",
        data_folder / "spoc/tess2020106103520-s0024-0000000188589164-0180-s_lc.fits.gz",
    ]
    files = files[::-1] if backwards else files
    with lcdb.connect(layout_copy, write=True) as db:
        for _ in range(2):
            for file in files:
                db.ingest(file, on_error="raise")
        cadences = {len(read_product(file).cadence) for file in files}
        assert set(db.observations(sector=24)["cadences"]) == cadences
        assert len(db.observations(sector=24)) == 2
        assert db.ingest(files).unchanged == 2


def test_ingest_uses_a_row_of_orbits_that_it_could_not_make(
    theirs: sa.Engine, layout_copy: str, data_folder: Path
) -> None:
    files = sorted((data_folder / "qlp-h5").rglob("LC/*.h5.gz"))
    fields = read_product(files[0]).observation_fields
    run(
        theirs,
        "ALTER TABLE orbit ADD basename text; UPDATE orbit SET basename = ''; "
        "ALTER TABLE orbit ALTER basename SET NOT NULL",
    )
    with lcdb.connect(layout_copy, write=True) as db:
        (outcome,) = db.ingest(files[:1]).files
        assert "tess_orbit_observation requires orbit.basename" in str(outcome.error)
        values = f"({fields['sector']}, {fields['orbit_number']}, 'here')"
        run(theirs, f"INSERT INTO orbit (sector, orbit_number, basename) VALUES {values}")
        assert db.ingest(files[:1]).added == 1


def test_ingest_names_what_is_missing_and_the_sql_that_adds_it(
    theirs: sa.Engine, layout_copy: str, data_folder: Path, beside: str
) -> None:
    with lcdb.connect(layout_copy, write=True) as db:
        # A file of a whole sector, which is not in one orbit.
        (outcome,) = db.ingest(data_folder / SPOC).files
        message = str(outcome.error)
        assert "'tess_observation' with sector=1: " in message
        assert "tess_orbit_observation requires orbit.orbit_number" in message
        assert "db.create(alter=True)" in message
        run(theirs, message[message.index("ALTER TABLE observation") :])
    insert_theirs(theirs, beside)
    with lcdb.connect(layout_copy, write=True) as db:
        assert db.ingest(data_folder / SPOC).added == 1
        assert db.search(261136679, sector=1).table["author"].tolist() == ["SPOC"] * 2


def test_ingest_names_the_columns_that_a_database_without_fields_needs(
    theirs: sa.Engine, layout_copy: str, data_folder: Path
) -> None:
    run(theirs, "DROP TABLE tess_orbit_observation, orbit")
    with lcdb.connect(layout_copy, write=True) as db:
        with pytest.raises(SchemaError, match=r"needs column observation.sector.*alter=True"):
            db.ingest(data_folder / SPOC)
        db.create(alter=True)
        assert db.ingest(data_folder / SPOC).added == 1


def test_every_kind_of_row_is_stored_for_a_mission_that_is_new_there(
    theirs: sa.Engine, layout_copy: str, data_folder: Path, beside: str
) -> None:
    run(
        theirs,
        "CREATE TABLE kepler_observation (id int PRIMARY KEY REFERENCES observation, "
        "quarter int NOT NULL, author text, exptime int)",
    )
    before = structure(theirs)
    with lcdb.connect(layout_copy, write=True) as db:
        report = db.ingest(data_folder / "kepler/kplr011446443-2009131105131_llc.fits.gz")
        assert report.added == 1, report
        (name,) = {data.observation.type for data in db.search(11446443, quarter=0)}
        assert name == "kepler_observation"
        table = db.search(11446443, quarter=0, author="Kepler", exptime=1800).table
        assert table["instrument"].unique().tolist()[0].startswith("Kepler / Channel ")
        assert db.missions().set_index("name")["time_unit"].to_dict() == {
            "Kepler": "d",
            "TESS": "d",
        }
        lc = db.lightcurve(11446443, quarter=0, processing="raw", flagged="keep")
        product = read_product(data_folder / "kepler/kplr011446443-2009131105131_llc.fits.gz")
        kept = np.isfinite(product.time)
        np.testing.assert_array_equal(lc.time.value, product.time[kept])
        np.testing.assert_array_equal(lc.flux.value, product.curves[0].flux[kept])
        assert lc.time.format == "bkjd"
    assert structure(theirs) == before
    insert_theirs(theirs, beside)


def test_ingest_stores_the_quaternion_where_the_table_beside_has_it(
    layout_copy: str, data_folder: Path
) -> None:
    engine = sa.create_engine(layout_copy, poolclass=sa.NullPool)
    run(engine, BESIDE["tess_observation"])
    with lcdb.connect(layout_copy, write=True) as db:
        report = db.ingest(data_folder / "qlp-h5/orbit-147")
        assert (report.skipped, report.added > 0) == (0, True), report
    stored = run(
        engine, "SELECT spacecraft_quaternion FROM tess_observation WHERE orbit_number = 147"
    )
    assert stored[0][0]


def test_add_frames_finds_the_observation_by_a_sector_beside_it(
    theirs: sa.Engine, layout_copy: str, tmp_path: Path
) -> None:
    run(
        theirs,
        "UPDATE instrument SET name = 'Camera 2' WHERE name = 'Camera 1';"
        "UPDATE instrument SET name = 'CCD 3' WHERE name = 'CCD 2'",
    )
    (id_, cadences), *_ = run(
        theirs, "SELECT id, cadence_reference FROM observation ORDER BY id LIMIT 1"
    )
    with lcdb.connect(layout_copy, write=True) as db:
        path = ffi(tmp_path / "a.fits", cadences[1])
        table = db.add_frames(path)
        assert table["observation"].tolist() == [id_]
        assert str(path) in set(map(str, db.frames(observation=id_)["file_path"]))


def test_add_refuses_an_orbit_that_the_database_has_in_another_sector(
    theirs: sa.Engine, layout_copy: str
) -> None:
    before = run(theirs, "SELECT * FROM orbit ORDER BY id")
    with lcdb.connect(layout_copy, write=True) as db:
        lc = db.lightcurve(STAR, orbit_number=9, **RAW)
        with pytest.raises(LCDBError, match="orbit_orbit_number_key"):
            db.add(lc, processing="new", observation_fields={"sector": 2, "orbit_number": 9})
    assert run(theirs, "SELECT * FROM orbit ORDER BY id") == before
