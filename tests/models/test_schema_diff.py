"""Tables that are not as the models have them: each difference is named, and what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models.tables import schema
from lcdb_notebook.models.tables.schema_diff import differences


@pytest.fixture
def made(empty_dsn: str) -> Iterator[sa.Engine]:
    """A database with the tables as they should be."""
    engine = sa.create_engine(empty_dsn)
    yield engine
    engine.dispose()


def change(engine: sa.Engine, *statements: str) -> list[str]:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    with engine.connect() as connection:
        return [f"{'!' if one.blocks else ''}{one}" for one in differences(connection)]


def test_tables_of_this_package_have_no_differences(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert differences(connection) == []


# Changes to the tables, and the reported differences; those that prevent reading have a mark.
CHANGES = {
    "an array of another kind": (
        "ALTER TABLE dataset ALTER values TYPE text[]",
        "!dataset.values is text[], and must be double precision[] or numeric[] or real[]",
    ),
    "an array of texts": (
        "ALTER TABLE observation ALTER cadence_reference TYPE text[]",
        "!observation.cadence_reference is text[], and must be bigint[] or integer[] or smallint[]",
    ),
    "a number for an array": (
        "ALTER TABLE quality_flag_array DROP quality_flags, ADD quality_flags int NOT NULL",
        "!quality_flag_array.quality_flags is integer, "
        "and must be bigint[] or integer[] or smallint[]",
    ),
    "a text for a number": (
        "ALTER TABLE target ALTER name TYPE text",
        "!target.name is text, and must be bigint or integer or smallint",
    ),
    "a number for a key": (
        "ALTER TABLE instrument DROP properties, ADD properties int NOT NULL",
        "!instrument.properties is integer, and must be json or jsonb",
    ),
    "a column that may be empty": (
        "ALTER TABLE dataset ALTER values DROP NOT NULL",
        "dataset.values may be NULL, which the models do not allow",
    ),
    "a column that must be filled": (
        "ALTER TABLE dataset ALTER errors SET NOT NULL",
        "dataset.errors is required, although the models allow NULL",
    ),
    "a column more": (
        'ALTER TABLE target ADD "Gaia DR3" bigint',
        "target.Gaia DR3 is not in the models",
    ),
    "a column more that must be filled": (
        "ALTER TABLE target ADD ra float8 NOT NULL",
        "target.ra is not in the models and is required, so that new rows are rejected",
    ),
    "a column more that fills itself": (
        "ALTER TABLE target ADD ra float8 NOT NULL DEFAULT 0",
        "target.ra is not in the models",
    ),
}


@pytest.mark.parametrize(("statement", "difference"), CHANGES.values(), ids=CHANGES)
def test_a_difference_is_named(made: sa.Engine, statement: str, difference: str) -> None:
    assert change(made, statement) == [difference]
    with made.connect() as connection:
        if difference.startswith("!"):
            with pytest.raises(
                SchemaError,
                match=rf"types that cannot be read: .*{re.escape(difference[1:])}.*ALTER TABLE",
            ):
                schema.check(connection)
        else:
            schema.check(connection)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE dataset ALTER values TYPE real[]",
        "ALTER TABLE dataset ALTER values TYPE numeric[]",
        "ALTER TABLE observation ALTER cadence_reference TYPE integer[]",
        "ALTER TABLE quality_flag_array ALTER quality_flags TYPE smallint[]",
        "ALTER TABLE dataset ALTER id TYPE bigint",
        "ALTER TABLE photometric_source ALTER name TYPE varchar(80)",
        "ALTER TABLE mission ALTER time_epoch TYPE double precision",
        "ALTER TABLE instrument ALTER properties TYPE jsonb USING properties::jsonb",
        "CREATE DOMAIN catalog_number AS bigint; ALTER TABLE target ALTER name TYPE catalog_number",
    ],
)
def test_a_type_that_is_read_alike_is_accepted(made: sa.Engine, statement: str) -> None:
    assert change(made, statement) == []
    with made.connect() as connection:
        schema.check(connection)


def test_a_view_of_the_right_types_is_accepted(made: sa.Engine) -> None:
    assert (
        change(
            made,
            "ALTER TABLE dataset ALTER values TYPE text[]",
            "ALTER TABLE dataset RENAME TO dataset_rows",
            "CREATE VIEW dataset AS SELECT id, target_id, observation_id, photometric_method_id, "
            "processing_method_id, values::float8[] AS values, errors FROM dataset_rows",
        )
        == []
    )


def test_all_differences_are_reported_at_once(made: sa.Engine, empty_dsn: str) -> None:
    change(
        made,
        "ALTER TABLE dataset ALTER values TYPE text[], ALTER errors TYPE text[]",
        "ALTER TABLE observation DROP COLUMN cadence_reference",
        "ALTER TABLE target ADD ra float8",
        "DROP TABLE target_specific_time",
    )
    with pytest.raises(SchemaError) as raised:
        lcdb.connect(empty_dsn)
    message = str(raised.value)
    for difference in (
        "missing from this database: table target_specific_time, "
        "column observation.cadence_reference",
        "dataset.values is text[], and must be double precision[] or numeric[] or real[], "
        "dataset.errors is text[], and must be double precision[] or numeric[] or real[]",
        "do not prevent reading: target.ra is not in the models",
    ):
        assert difference in message


def test_another_programs_dataset_is_not_taken_for_it(blank_dsn: str) -> None:
    with sa.create_engine(blank_dsn, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE dataset (name text, size int)")
    with pytest.raises(SchemaError, match=r"missing .*column dataset.id"):
        lcdb.connect(blank_dsn)


def test_check_is_one_statement_and_requires_no_right_to_write(
    made: sa.Engine, statements: list[str]
) -> None:
    with made.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        statements.clear()
        assert differences(connection) == []
    assert len(statements) == 1
