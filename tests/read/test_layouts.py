"""Light curves out of every layout of LightcurveDB: what was put in comes out, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.lightcurve.record import LightCurveData
from lcdb_notebook.lightcurve.units import POSITIONS

STAR = 1_000_000_007 * 3
FOR_ALL, FOR_ONE = "ccd_wide_quality_flags", "tglc_quality_flags"


@pytest.fixture
def db(layout_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(layout_dsn) as db:
        yield db


def same_bits(found: Any, expected: Any) -> bool:
    """Compare two float64 arrays bit by bit, so that -0.0 differs from 0.0 and NaN equals NaN."""
    found, expected = (np.ascontiguousarray(a, np.float64) for a in (found, expected))
    nan = np.isnan(found) & np.isnan(expected)
    return found.shape == expected.shape and bool(
        (nan | (found.view(np.int64) == expected.view(np.int64))).all()
    )


def change(url: str, statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statements)


def name_of(data: LightCurveData) -> tuple[Any, ...]:
    return data.target, data.observation.fields["orbit_number"], data.photometry, data.processing


def test_read_returns_the_arrays_that_were_put_in(db: lcdb.Database, sky: Any) -> None:
    selections = (db.search(), db.search(processing=[*POSITIONS]))
    found = {name_of(data): data for selection in selections for data in selection}
    assert found.keys() == sky.light_curves.keys()
    for name, (values, errors) in sky.light_curves.items():
        star, orbit, *_ = name
        data = found[name]
        assert same_bits(data.flux, values)
        assert (data.flux_err is None) == (errors is None)
        assert errors is None or same_bits(data.flux_err, errors)
        np.testing.assert_array_equal(data.cadence, sky.cadences[orbit])
        assert same_bits(data.time, sky.times[star, orbit] - 2457000.0)
        np.testing.assert_array_equal(data.quality[FOR_ALL], sky.flags[FOR_ALL, None, orbit])
        own = sky.flags.get((FOR_ONE, star, orbit))
        assert (own is None) == (FOR_ONE not in data.quality)
        assert own is None or (data.quality[FOR_ONE] == own).all()


def test_table_has_the_fields_of_observations(db: lcdb.Database) -> None:
    table = db.search(STAR, photometry="TGLC Aperture Small", processing="raw").table
    assert table["orbit_number"].tolist() == [9, 10, 11, 13, 14]
    assert table["sector"].tolist() == [1, 1, 2, 3, 3]
    assert table["instrument"].unique().tolist() == ["TESS / Camera 1 / CCD 2"]
    assert table["cadences"].tolist() == [39, 40, 41, 43, 44]


ON_2 = pytest.mark.parametrize("layout", ["2.x"], indirect=True)


@ON_2
def test_a_field_that_the_database_does_not_have_is_named(layout_copy: str) -> None:
    change(layout_copy, "DROP TABLE tess_orbit_observation, orbit")
    with lcdb.connect(layout_copy) as db:
        assert "sector" not in db.search(STAR).table
        for method in (db.search, db.targets, db.observations, db.quality_flags, db.frames):
            with pytest.raises(
                SchemaError, match=r"observation\.sector does not exist; the fields"
            ):
                method(sector=1)
        with pytest.raises(TypeError, match="unknown argument 'sektor'"):
            db.search(sektor=1)
        assert len(list(db.search(STAR).read())) == 50


ODD_TABLES = {
    # PostgreSQL's own cast from float8 to numeric keeps 15 digits.
    "numeric arrays": "ALTER TABLE dataset "
    "ALTER values TYPE numeric[] USING values::text::numeric[], "
    "ALTER errors TYPE numeric[] USING errors::text::numeric[];"
    "ALTER TABLE target_specific_time ALTER barycentric_julian_dates TYPE numeric[] "
    "USING barycentric_julian_dates::text::numeric[]",
    "small flags": "ALTER TABLE quality_flag_array ALTER quality_flags TYPE smallint[]",
    "large flags": "ALTER TABLE quality_flag_array ALTER quality_flags TYPE bigint[];"
    "ALTER TABLE observation ALTER cadence_reference TYPE int[]",
    "views": "ALTER TABLE dataset RENAME TO all_datasets;"
    "CREATE VIEW dataset AS SELECT * FROM all_datasets;"
    "ALTER TABLE target RENAME TO all_targets; CREATE VIEW target AS SELECT * FROM all_targets;"
    "ALTER TABLE observation RENAME TO runs; CREATE VIEW observation AS SELECT * FROM runs",
    "another schema": "CREATE SCHEMA lc; ALTER TABLE dataset SET SCHEMA lc;"
    "ALTER TABLE observation SET SCHEMA lc; ALTER TABLE mission SET SCHEMA lc;"
    "ALTER DATABASE {name} SET search_path TO public, lc",
    "partitioned": "CREATE TABLE parts (LIKE dataset) PARTITION BY LIST (observation_id);"
    "CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts SELECT * FROM dataset;"
    "DROP TABLE dataset CASCADE; ALTER TABLE parts RENAME TO dataset",
    "no flags, frames or hierarchy": "DROP TABLE quality_flag_array, fits_frame, datasethierarchy",
    "no descriptions": "ALTER TABLE photometric_source DROP description;"
    "ALTER TABLE processing_method DROP description; ALTER TABLE mission DROP description",
}


@ON_2
@pytest.mark.parametrize("change_tables", ODD_TABLES.values(), ids=ODD_TABLES)
def test_read_takes_other_types_and_kinds_of_tables(
    layout_copy: str, change_tables: str, sky: Any
) -> None:
    change(layout_copy, change_tables.format(name=sa.make_url(layout_copy).database))
    with lcdb.connect(layout_copy) as db:
        assert len(list(db.search(STAR).read())) == 50
        for data in db.search(STAR, photometry="TGLC Aperture Small").read():
            orbit = data.observation.id + 8
            values, errors = sky.light_curves[STAR, orbit, data.photometry, data.processing]
            # A numeric has no negative zero.
            assert same_bits(data.flux, values + 0.0 if "numeric" in change_tables else values)
            assert errors is None or same_bits(data.flux_err, errors)
            assert same_bits(data.time, sky.times[STAR, orbit] - 2457000.0)
        assert db.observations()["cadences"].tolist() == [39, 40, 41, 42, 43, 44]
        assert len(db.frames()) == (0 if "fits_frame" in change_tables else 6)
        assert db.quality_flags().empty == ("DROP TABLE quality" in change_tables)
        assert len(db.lineage(db.search(STAR)[:3])) >= 3


def test_positions_are_columns_of_light_curves_and_found_only_by_name(
    db: lcdb.Database, sky: Any
) -> None:
    methods = set(db.search(STAR).table["processing"])
    assert not methods & POSITIONS.keys()
    assert set(db.search(STAR, processing="FFI X Position").table["unit"]) == {"pix"}
    lc = db.lightcurve(
        STAR, orbit_number=9, photometry="TGLC Aperture Small", processing="raw", flagged="keep"
    )
    values, _ = sky.light_curves[STAR, 9, None, "FFI X Position"]
    timed = np.isfinite(sky.times[STAR, 9])
    assert same_bits(np.asarray(lc["centroid_col"].value), values[timed])
    assert str(lc["centroid_col"].unit) == "pix"
