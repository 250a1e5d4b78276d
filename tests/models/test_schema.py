"""The tables: made whole or added to, never touched, and missed by name."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.schema import CreateTable

import lcdb_notebook as lcdb
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models import (
    Base,
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    Target,
)
from lcdb_notebook.models.tables import schema
from lcdb_notebook.models.tables.alterations import alterations

TABLES = [
    "mission",
    "mission_catalog",
    "target",
    "instrument",
    "observation",
    "fits_frame",
    "target_specific_time",
    "photometric_source",
    "processing_method",
    "dataset",
    "datasethierarchy",
    "quality_flag_array",
]
ARRAYS = {
    ("dataset", "values"): "double precision[]",
    ("dataset", "errors"): "double precision[]",
    ("fits_frame", "naxis_values"): "integer[]",
    ("observation", "cadence_reference"): "bigint[]",
    ("quality_flag_array", "quality_flags"): "integer[]",
    ("target_specific_time", "barycentric_julian_dates"): "double precision[]",
}


@pytest.fixture
def blank(blank_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(blank_dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def filled(blank: sa.Engine) -> sa.Engine:
    """A database with all tables and a light curve."""
    with blank.begin() as connection:
        schema.create(connection)
    with orm.Session(blank) as session:
        mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
        target = Target(name=1, catalog=MissionCatalog(name="TIC", host_mission=mission))
        observation = Observation(
            cadence_reference=[1, 2], instrument=Instrument(name="CCD 1", properties={"gain": 5.2})
        )
        session.add(DataSet(target=target, observation=observation, values=[np.nan, 0.1]))
        session.commit()
    return blank


def contents(engine: sa.Engine) -> dict[str, list[Any]]:
    """All rows of all tables as text."""
    with engine.connect() as connection:
        return {
            name: list(connection.scalars(sa.text(f"SELECT t::text FROM {name} t ORDER BY 1")))
            for name in sa.inspect(connection).get_table_names()
        }


def structure(engine: sa.Engine) -> set[str]:
    """Every column, constraint and index as PostgreSQL defines it."""
    queries = (
        "SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), "
        "attnotnull, attstorage, attstattarget) FROM pg_attribute JOIN pg_class c "
        "ON c.oid = attrelid WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' "
        "AND relnamespace = 'public'::regnamespace",
        "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) "
        "FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    )
    with engine.connect() as connection:
        return {line for query in queries for line in connection.scalars(sa.text(query))}


def without(engine: sa.Engine, *changes: str) -> None:
    with engine.begin() as connection:
        for change in changes:
            connection.execute(sa.text(change))


def test_the_tables_are_those_of_the_schema() -> None:
    assert sorted(Base.metadata.tables) == sorted(TABLES)


def test_an_empty_database_gets_all_tables(blank: sa.Engine) -> None:
    with blank.begin() as connection:
        assert sorted(schema.create(connection)) == sorted(TABLES)
        schema.check(connection)
    assert sorted(sa.inspect(blank).get_table_names()) == sorted(TABLES)


def test_creating_again_changes_nothing(filled: sa.Engine) -> None:
    before, rows = structure(filled), contents(filled)
    with filled.begin() as connection:
        assert schema.create(connection) == []
    assert structure(filled) == before
    assert contents(filled) == rows


def test_other_tables_of_the_database_are_unchanged(filled: sa.Engine) -> None:
    without(
        filled,
        "CREATE TABLE notes (id int PRIMARY KEY, note text)",
        "ALTER TABLE dataset ADD COLUMN note text NOT NULL DEFAULT 'mine'",
        "ALTER TABLE dataset ALTER COLUMN values SET STORAGE EXTENDED",
        "ALTER TABLE fits_frame ALTER COLUMN file_path TYPE varchar(99)",
    )
    before, rows = structure(filled), contents(filled)
    with filled.begin() as connection:
        assert schema.missing(connection) == []
        assert schema.create(connection) == []
        schema.check(connection)
    assert structure(filled) == before
    assert contents(filled) == rows


def test_added_tables_equal_newly_created_ones(filled: sa.Engine) -> None:
    before = structure(filled)
    without(
        filled,
        "DROP TABLE datasethierarchy",
        "ALTER TABLE observation DROP COLUMN sector, DROP COLUMN quarter",
        "ALTER TABLE dataset DROP COLUMN errors",
        "ALTER TABLE mission DROP COLUMN time_unit",
        "ALTER TABLE instrument DROP COLUMN parent_id",
    )
    missing = ["datasethierarchy", "dataset.errors", "instrument.parent_id", "mission.time_unit"]
    missing += ["observation.quarter", "observation.sector"]
    with filled.begin() as connection:
        assert sorted(schema.missing(connection)) == sorted(missing)
        assert sorted(schema.create(connection)) == sorted(missing)
    assert structure(filled) == before
    with orm.Session(filled) as session:
        assert session.query(Mission).one().time_unit == "d"
        assert session.query(DataSet).one().errors is None


def test_the_next_database_is_whole_after_another_was_completed(
    filled: sa.Engine, new_database: Callable[[], str]
) -> None:
    before = structure(filled)
    without(filled, "ALTER TABLE instrument DROP COLUMN parent_id")
    with filled.begin() as connection:
        schema.create(connection)
    engine = sa.create_engine(new_database(), poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema.create(connection)
    assert structure(engine) == before


@pytest.mark.parametrize("rows", [True, False])
def test_an_unknown_required_column_is_refused(filled: sa.Engine, rows: bool) -> None:
    without(filled, "ALTER TABLE observation DROP COLUMN cadence_reference, DROP COLUMN sector")
    if not rows:
        without(filled, "DELETE FROM observation")
    before = structure(filled)
    with (
        pytest.raises(SchemaError, match=r"observation.cadence_reference, required in every row"),
        filled.begin() as connection,
    ):
        schema.create(connection)
    assert structure(filled) == before


def test_a_rule_that_is_missing_is_added_and_never_refuses_a_database(filled: sa.Engine) -> None:
    name = "ck_observation_tess_observation_sector"
    without(
        filled,
        f"ALTER TABLE observation DROP CONSTRAINT {name}",
        "UPDATE observation SET type = 'tess_observation'",
    )
    with filled.begin() as connection:
        schema.check(connection)
        assert schema.missing(connection) == [f"observation.{name}"]
        assert schema.create(connection) == [f"observation.{name}"]
        assert schema.create(connection) == []
    with pytest.raises(sa.exc.IntegrityError, match=name):
        without(filled, "INSERT INTO observation SELECT id + 1, type, cadence_reference, "
                "instrument_id FROM observation")  # fmt: skip


def test_two_processes_that_create_at_once_make_one_database(blank: sa.Engine) -> None:
    together = threading.Barrier(4)
    added: list[int] = []
    failed: list[BaseException] = []

    def create() -> None:
        try:
            with blank.connect() as connection:
                together.wait(timeout=60)
                with connection.begin():
                    added.append(len(schema.create(connection)))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert not failed
    assert sorted(added) == [0, 0, 0, len(TABLES)]


def test_a_failed_creation_leaves_nothing_behind(blank: sa.Engine) -> None:
    without(blank, "CREATE TYPE dataset AS (x int)")
    with pytest.raises(sa.exc.ProgrammingError), blank.begin() as connection:
        schema.create(connection)
    assert sa.inspect(blank).get_table_names() == []


@pytest.mark.parametrize(("table", "column"), ARRAYS)
def test_arrays_are_stored_without_compression(engine: sa.Engine, table: str, column: str) -> None:
    query = sa.text(
        "SELECT attstorage::text, attstattarget, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = CAST(:table AS regclass) AND attname = :column"
    )
    with engine.connect() as connection:
        found = connection.execute(query, {"table": table, "column": column}).one()
    assert found == ("e", 0, ARRAYS[table, column])


def test_a_database_without_tables_is_refused_with_the_remedy(blank: sa.Engine) -> None:
    with (
        blank.connect() as connection,
        pytest.raises(
            SchemaError, match=r"is not a LightcurveDB.*write=True, create=True"
        ) as error,
    ):
        schema.check(connection)
    assert "mission_catalog" not in str(error.value)


def test_a_database_of_something_else_is_refused(blank: sa.Engine) -> None:
    without(blank, "CREATE TABLE galaxies (id int)")
    with blank.connect() as connection, pytest.raises(SchemaError, match="is not a LightcurveDB"):
        schema.check(connection)


def test_another_programs_table_of_the_same_name_is_left_alone(blank: sa.Engine) -> None:
    without(blank, "CREATE TABLE target (id int PRIMARY KEY, ra float8, dec float8)")
    before = structure(blank)
    with blank.connect() as connection, pytest.raises(SchemaError) as error:
        schema.check(connection)
    assert "table mission, " in str(error.value)
    assert "column target.catalog_id, column target.name. If" in str(error.value)
    with (
        pytest.raises(SchemaError, match="If another program made target"),
        blank.begin() as connection,
    ):
        schema.create(connection)
    assert structure(blank) == before


def test_check_names_a_missing_column_that_reading_needs(filled: sa.Engine) -> None:
    without(filled, "ALTER TABLE observation DROP COLUMN cadence_reference")
    message = "missing from this database: column observation.cadence_reference. If it is yours,"
    with (
        filled.connect() as connection,
        pytest.raises(SchemaError, match="^" + re.escape(message)),
    ):
        schema.check(connection)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE observation DROP COLUMN sector, DROP COLUMN author",
        "ALTER TABLE mission DROP COLUMN time_unit",
        "DROP TABLE fits_frame, quality_flag_array, datasethierarchy",
        "ALTER TABLE instrument DROP COLUMN properties",
    ],
)
def test_check_accepts_what_reading_can_do_without(filled: sa.Engine, change: str) -> None:
    without(filled, change)
    with filled.connect() as connection:
        schema.check(connection)


def test_a_view_does_as_well_as_a_table(filled: sa.Engine) -> None:
    without(
        filled,
        "ALTER TABLE processing_method RENAME TO all_methods",
        "CREATE VIEW processing_method AS SELECT * FROM all_methods",
    )
    with filled.begin() as connection:
        schema.check(connection)
        assert schema.create(connection) == []


def test_looking_changes_nothing_and_needs_no_right_to(filled: sa.Engine) -> None:
    with filled.connect() as connection:
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        assert schema.missing(connection) == []
        schema.check(connection)


def test_tables_in_another_schema_are_found_on_the_search_path(blank: sa.Engine) -> None:
    with blank.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA lightcurves"))
        connection.execute(sa.text("SET LOCAL search_path TO lightcurves"))
        assert len(schema.create(connection)) == len(TABLES)
    with blank.connect() as connection:
        assert len(schema.missing(connection)) == len(TABLES)
        connection.execute(sa.text("SET LOCAL search_path TO lightcurves"))
        assert schema.missing(connection) == []


def test_errors_of_the_tables_are_raised_by_connect(blank_dsn: str) -> None:
    with pytest.raises(SchemaError, match="is not a LightcurveDB"):
        lcdb.connect(blank_dsn)
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        assert db.create() == []


def test_alterations_leave_the_checks_of_tables_that_are_created_afterwards(
    blank: sa.Engine,
) -> None:
    with blank.connect() as connection:
        assert any("DROP CONSTRAINT" in statement for statement in alterations(connection))
    table = Observation.__table__
    assert isinstance(table, sa.Table)
    created = str(CreateTable(table).compile(dialect=blank.dialect))
    assert "ck_observation_tess_observation_sector" in created
