"""Tables of another program: nothing is added without consent, and it can still insert."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import SchemaError
from lcdb_notebook.models.tables import migrations
from lcdb_notebook.models.tables.catalog import Catalog

pytestmark = pytest.mark.parametrize("layout", ["2.x"], indirect=True)

THEIRS = (
    "INSERT INTO mission (id, time_epoch, time_epoch_scale, time_epoch_format, time_format_name, "
    "name, description) VALUES ('00000000-0000-0000-0000-000000000009', 2454833, 'tdb', 'jd', "
    "'bkjd', 'Kepler', '')",
    "INSERT INTO observation (type, cadence_reference, instrument_id) SELECT 'tess_observation', "
    "'{1,2}', id FROM instrument LIMIT 1",
    "INSERT INTO quality_flag_array (type, observation_id, quality_flags) "
    "SELECT 'mine', max(id), '{0,1}' FROM observation",
)


@pytest.fixture
def theirs(layout_copy: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(layout_copy, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def structure(engine: sa.Engine) -> list[str]:
    """List every column and constraint of the database."""
    columns = (
        "SELECT concat_ws(' ', c.relname, attname, format_type(atttypid, atttypmod), attnotnull) "
        "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attnum > 0 "
        "AND relnamespace = 'public'::regnamespace UNION ALL "
        "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace ORDER BY 1"
    )
    with engine.connect() as connection:
        return list(connection.scalars(sa.text(columns)))


def insert_theirs(engine: sa.Engine) -> None:
    """Insert a mission and a tess_observation as LightcurveDB's own code does."""
    with engine.begin() as connection:
        for statement in THEIRS:
            connection.exec_driver_sql(statement)


def test_create_adds_nothing_and_shows_the_sql(theirs: sa.Engine, layout_copy: str) -> None:
    before = structure(theirs)
    with pytest.raises(SchemaError, match=r"nothing was added") as error:
        lcdb.connect(layout_copy, write=True, create=True)
    with (
        lcdb.connect(layout_copy, write=True) as db,
        pytest.raises(SchemaError, match=r"create\(alter=True\)"),
    ):
        db.create()
    assert structure(theirs) == before
    insert_theirs(theirs)
    # The owner may run the SQL of the message.
    with theirs.begin() as connection:
        connection.exec_driver_sql(str(error.value).partition("\n")[2].replace("%", "%%"))
        assert not migrations.pending(connection, Catalog.read(connection))


def test_create_alter_lets_the_other_program_insert(theirs: sa.Engine, layout_copy: str) -> None:
    before = structure(theirs)
    with lcdb.connect(layout_copy, write=True) as db:
        added = db.create(alter=True)
        assert {"mission.time_unit", "observation.sector", "observation.author"} <= set(added)
        assert db.create(alter=True) == db.create() == []
    after = structure(theirs)
    assert set(before) <= set(after)
    assert not [line for line in set(after) - set(before) if "CHECK" in line]
    insert_theirs(theirs)
    with lcdb.connect(layout_copy, write=True, create=True) as db:
        assert db.search(processing="raw").table["sector"].notna().all()
        assert db.missions()["time_unit"].tolist() == ["d", "d"]


def test_create_alter_makes_missing_tables_into_which_the_other_program_can_insert(
    theirs: sa.Engine, layout_copy: str
) -> None:
    with theirs.begin() as connection:
        connection.exec_driver_sql(
            "DROP TABLE mission, mission_catalog, target, observation, fits_frame, dataset, "
            "photometric_source, datasethierarchy, target_specific_time, quality_flag_array, "
            "orbit, tess_orbit_observation"
        )
        migrations.create(connection, alter=True)
    insert_theirs(theirs)
    with lcdb.connect(layout_copy, write=True) as db:
        assert db.missions()["time_unit"].tolist() == ["d"]
        demo.load(db.session, 2)
        assert set(db.search(1, catalog="DEMO").table["sector"]) == {1, 2}


def test_light_curves_are_added_after_create_alter(theirs: sa.Engine, layout_copy: str) -> None:
    with lcdb.connect(layout_copy, write=True) as db:
        db.create(alter=True)
        demo.load(db.session, 2)
        assert set(db.search(1, catalog="DEMO").table["sector"]) == {1, 2}
        assert set(db.search(catalog="TIC").table["sector"]) == {1, 2, 3}
    insert_theirs(theirs)
