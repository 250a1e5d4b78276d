"""Versions of the tables: marked where we made them, upgraded with the data kept, else left."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import SchemaError, UpgradeError
from lcdb_notebook.models import DataSet, Instrument, Observation
from lcdb_notebook.models.tables import migrations, schema
from lcdb_notebook.server import embedded

FIRST = migrations.ENVIRONMENT / "versions" / "v0001.py"

SECOND = '''
"""A wider number for light curves, a rule, an index, and a note of each time it was done."""
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade():
    op.execute("ALTER TABLE dataset ALTER COLUMN id TYPE bigint")
    op.execute("ALTER TABLE observation ADD CHECK (cardinality(cadence_reference) >= 0)")
    op.execute("CREATE INDEX later ON fits_frame (observation_id, cadence)")
    op.execute("CREATE TABLE IF NOT EXISTS done ()")
    op.execute("INSERT INTO done DEFAULT VALUES")
'''

FAILING = """
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade():
    op.execute("ALTER TABLE dataset ALTER COLUMN id TYPE bigint")
    op.execute("ALTER TABLE nowhere ADD x int")
"""


class Survey(Observation):
    """A mission's class that no version of the tables has heard of."""

    __mapper_args__ = {"polymorphic_identity": "upgrade_test_survey"}  # noqa: RUF012

    survey_field: orm.Mapped[str] = orm.mapped_column(index=True)
    survey_notes: orm.Mapped[dict[str, Any] | None]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the first version only, on a path with what paths may have."""
    place = tmp_path / "50 % of the Größe"
    shutil.copytree(migrations.ENVIRONMENT, place, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (place / "versions").glob("v*.py"):
        if file.name != FIRST.name:
            file.unlink()
    monkeypatch.setattr(migrations, "ENVIRONMENT", place)
    return place


@pytest.fixture
def database(blank_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(blank_dsn, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def release(steps: Path, code: str = SECOND) -> None:
    """Add a second version to the package."""
    (steps / "versions" / "v0002.py").write_text(code, encoding="utf-8")


def build_first_version(engine: sa.Engine) -> None:
    """Make the tables by the first step, independent of the present models, and mark them."""
    with engine.begin() as connection:
        skip_before_15(connection)
        migrations._run("upgrade", "0001", connection)


def fill(engine: sa.Engine) -> None:
    """Store the demonstration data, and every kind of value that is easily lost."""
    with engine.begin() as connection:
        schema.create(connection)  # the columns of Survey
    with orm.Session(engine) as session:
        demo.load(session, 2)
        observation = Survey(
            instrument=Instrument(name="Ä 'quoted' \\ name", properties={"gain": [5.2, None]}),
            cadence_reference=np.array([-(2**63), 0, 2**63 - 1]),
            survey_field="COSMOS\t\n\\N",
            survey_notes={"ß": [True, None, 1e-300]},
        )
        target = session.scalars(sa.select(lcdb.models.Target).limit(1)).one()
        values = np.array([np.nan, np.inf, -np.inf, 0.1 + 0.2, -0.0, 5e-324, 1.7e308])
        session.add(DataSet(target=target, observation=observation, values=values, errors=None))
        session.add(DataSet(target=target, observation=observation, values=[], errors=values))
        session.commit()


def contents(engine: sa.Engine) -> dict[str, list[str]]:
    """All rows of all tables of the models, each value as exact text."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SET extra_float_digits = 3")
        return {
            name: [
                str(dict(row._mapping))
                for row in connection.execute(
                    sa.text(f"SELECT {all_as_text(connection, name)} FROM {name} ORDER BY 1")
                )
            ]
            for name in lcdb.models.Base.metadata.tables
        }


def all_as_text(connection: sa.Connection, table: str) -> str:
    columns = sorted(column["name"] for column in sa.inspect(connection).get_columns(table))
    return ", ".join(f'"{column}"::text' for column in ["id", *columns])


def marked(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return migrations.stored_version(connection)


def number_type(engine: sa.Engine) -> str:
    """Of ``dataset.id``, which the second version widens."""
    with engine.connect() as connection:
        (column,) = (c for c in sa.inspect(connection).get_columns("dataset") if c["name"] == "id")
        return str(column["type"])


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- the versions themselves ------------------------------------------------------------------


def test_the_versions_lead_from_one_to_the_next_without_a_fork() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.ENVIRONMENT).replace("%", "%%"))
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [step.revision for step in reversed(steps)] == migrations.versions()
    assert [step.down_revision for step in reversed(steps)] == [None, *migrations.versions()[:-1]]


def skip_before_15(connection: sa.Connection) -> None:
    """Skip a test of the first version, which was made when PostgreSQL 15 was the oldest server."""
    if connection.scalar(sa.text("SELECT current_setting('server_version_num')::int")) < 150_000:
        pytest.skip("no database of the first version is on PostgreSQL 14")


def test_the_steps_lead_to_the_tables_that_the_models_make(
    new_database: Callable[[], str],
) -> None:
    described = []
    for by_steps in (True, False):
        engine = sa.create_engine(new_database(), poolclass=sa.NullPool)
        with engine.begin() as connection:
            if by_steps:
                skip_before_15(connection)
                migrations._run("upgrade", "head", connection)
            schema.create(connection)  # what mission classes of these tests add
            described.append(migrations._described(connection))
    assert described[0] == described[1]


def test_the_first_version_differs_only_in_columns_of_mission_classes(
    database: sa.Engine,
) -> None:
    with database.begin() as connection:
        skip_before_15(connection)
    build_first_version(database)
    with database.begin() as connection:
        before = migrations._described(connection)
        schema.create(connection)
        assert before <= migrations._described(connection)
    assert "survey_field" not in " ".join(before)


# --- what is marked ---------------------------------------------------------------------------


def test_a_database_that_connect_makes_is_marked_with_the_newest_version(
    blank_dsn: str, database: sa.Engine
) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    assert marked(database) == migrations.versions()[-1]


def test_a_database_that_was_there_is_not_marked_by_reading_writing_or_completing_it(
    blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    with database.begin() as connection:
        schema.create(connection)
        connection.exec_driver_sql("ALTER TABLE observation DROP COLUMN survey_notes")
    before = tables(database)
    release(steps)
    with lcdb.connect(blank_dsn, write=True) as db:
        assert db.create(alter=True) == ["observation.survey_notes"]
        assert db.create() == []
    lcdb.connect(blank_dsn, write=True, create=True).close()
    lcdb.connect(blank_dsn).close()
    assert marked(database) is None
    assert tables(database) == before
    assert number_type(database) == "INTEGER"


def tables(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(sa.inspect(connection).get_table_names())


@pytest.mark.parametrize(
    "difference",
    [
        "ALTER TABLE dataset ALTER COLUMN values SET STORAGE EXTENDED",
        "ALTER TABLE dataset ALTER COLUMN errors SET NOT NULL",
        "ALTER TABLE target ALTER COLUMN name TYPE integer",
        "ALTER TABLE mission RENAME CONSTRAINT uq_mission_name TO mission_name_key",
        "ALTER TABLE observation DROP CONSTRAINT ck_observation_k2_observation_campaign",
        "DROP INDEX ix_target_name",
        "DROP TABLE datasethierarchy",
    ],
)
def test_tables_of_others_are_not_marked_even_on_an_embedded_server(
    difference: str, database: sa.Engine
) -> None:
    with database.begin() as connection:
        skip_before_15(connection)
    build_first_version(database)
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {migrations.TABLE}")
        connection.exec_driver_sql(difference)
        migrations.create(connection, own=True)
    assert marked(database) is None


def test_tables_without_a_version_are_marked_on_an_embedded_server(
    database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    fill(database)
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {migrations.TABLE}")
    before = contents(database)
    release(steps)
    with database.begin() as connection:
        migrations.create(connection, own=True)
    assert (marked(database), number_type(database)) == ("0002", "BIGINT")
    assert contents(database) == before
    assert not [name for name in schemas(database) if name.startswith("lcdb")]


def schemas(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return sa.inspect(connection).get_schema_names()


# --- what an upgrade does ---------------------------------------------------------------------


def test_the_first_version_is_upgraded_with_every_value_kept(
    blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    fill(database)
    before = contents(database)
    assert all(before[name] for name in ("dataset", "observation", "instrument", "target"))
    assert "COSMOS" in str(before["observation"])
    release(steps)
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        assert (marked(database), number_type(database)) == ("0002", "BIGINT")
        assert contents(database) == before
        last = db.session.scalars(sa.select(sa.func.max(DataSet.id))).one()
        twin = db.session.get_one(DataSet, last)
        added = DataSet(target=twin.target, observation=twin.observation, values=[1.0])
        db.session.add(added)
        db.session.commit()
        assert added.id > last
        assert isinstance(twin.observation, Survey)


def test_create_upgrades_as_well_and_a_second_time_does_nothing(
    blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    release(steps)
    lcdb.connect(blank_dsn, write=True, create=True).close()
    with lcdb.connect(blank_dsn, write=True) as db:
        db.create()
    assert times_done(database) == 1


def times_done(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT count(*) FROM done")) or 0)


@pytest.mark.parametrize("write", [False, True])
def test_without_create_nothing_is_upgraded_and_reading_works(
    write: bool, blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    fill(database)
    release(steps)
    with lcdb.connect(blank_dsn, write=write) as db:
        assert len(db.search(1)) > 0
    assert (marked(database), number_type(database)) == ("0001", "INTEGER")


def test_a_step_that_fails_leaves_everything_unchanged(
    blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    fill(database)
    before = contents(database)
    release(steps, FAILING)
    with pytest.raises(SchemaError, match="nowhere"):
        lcdb.connect(blank_dsn, write=True, create=True)
    assert (marked(database), number_type(database)) == ("0001", "INTEGER")
    assert contents(database) == before


@pytest.mark.slow
def test_one_of_two_processes_that_upgrade_at_once_does_it(
    blank_dsn: str, database: sa.Engine, steps: Path
) -> None:
    build_first_version(database)
    fill(database)
    before = contents(database)
    release(steps)
    with database.begin() as connection:
        # Neither may begin before both are ready.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.create'))")
        others = [upgrading_process(blank_dsn, steps) for _ in range(2)]
        wait_until(lambda: waiting(connection) == 2)
    for other in others:
        assert other.communicate(timeout=300) == ("0002\n", "")
        assert other.returncode == 0
    assert times_done(database) == 1
    assert contents(database) == before


def upgrading_process(url: str, steps: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib, lcdb_notebook as lcdb; "
        "from lcdb_notebook.models.tables import migrations as upgrades; "
        "upgrades.ENVIRONMENT = pathlib.Path(sys.argv[2]); "
        "db = lcdb.connect(sys.argv[1], write=True, create=True); "
        "print(upgrades.stored_version(db.session.connection()))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, url, str(steps)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waiting(connection: sa.Connection) -> int:
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return int(connection.scalar(sa.text(query)) or 0)


def test_one_of_several_threads_that_make_the_tables_at_once_does_it(
    new_database: Callable[[], str],
) -> None:
    urls = [new_database(), new_database()]
    failed: list[BaseException] = []

    def make(url: str) -> None:
        try:
            lcdb.connect(url, write=True, create=True).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=make, args=(url,)) for url in urls * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert failed == []
    for url in urls:
        assert marked(sa.create_engine(url, poolclass=sa.NullPool)) == migrations.versions()[-1]


# --- version 0002: one array of times for each target in an observation ------------------------


def fill_first_version(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        skip_before_15(connection)
    build_first_version(engine)
    fill(engine)


DUPLICATES = r"several arrays of times.* DEMO 1 in observation 1 \(rows .*DEMO 2 in observation 1"


def duplicate_times(engine: sa.Engine) -> None:
    """Store the times of two targets a second time, one of them with another value."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO target_specific_time (target_id, observation_id, "
            "barycentric_julian_dates) SELECT target_id, observation_id, CASE target_id WHEN "
            "1 THEN barycentric_julian_dates ELSE barycentric_julian_dates || 1.5 END "
            "FROM target_specific_time WHERE observation_id = 1 AND target_id < 3"
        )


def has_unique_times(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        keys = sa.inspect(connection).get_unique_constraints("target_specific_time")
    return [key["column_names"] for key in keys] == [["target_id", "observation_id"]]


def test_version_0002_makes_times_unique_and_keeps_them(
    blank_dsn: str, database: sa.Engine
) -> None:
    fill_first_version(database)
    before = contents(database)
    assert not has_unique_times(database)
    lcdb.connect(blank_dsn, write=True, create=True).close()
    assert has_unique_times(database)
    assert contents(database) == before


def test_version_0002_names_duplicate_times_and_how_to_delete_them(
    blank_dsn: str, database: sa.Engine
) -> None:
    fill_first_version(database)
    duplicate_times(database)
    before = contents(database)
    with pytest.raises(UpgradeError, match=DUPLICATES) as error:
        lcdb.connect(blank_dsn, write=True, create=True)
    assert (marked(database), contents(database)) == ("0001", before)
    sql = dict(re.findall(r"([A-Z][^.\n]*):\n(.*);", str(error.value)))
    with lcdb.connect(blank_dsn, write=True) as db:
        assert len(db.lightcurves(1, sector=2)) > 0
        run: Any = db.session.execute
        assert len(run(sa.text(sql["List all of them"])).all()) == 2
        assert len(run(sa.text(sql["Look at one"])).all()) == 2
        assert run(sa.text(sql["Delete exact copies of others"])).rowcount == 1
        db.session.commit()
        with pytest.raises(UpgradeError, match="DEMO 2") as error:
            db.create()
        assert "DEMO 1" not in str(error.value)
        sql = dict(re.findall(r"([A-Z][^.\n]*):\n(.*);", str(error.value)))
        assert run(sa.text(sql["Delete one of those that differ"])).rowcount == 1
        db.session.commit()
        db.create()
    assert has_unique_times(database)
    assert marked(database) == migrations.versions()[-1]


# --- the embedded server ----------------------------------------------------------------------


@contextmanager
def own_folder() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="lcdb-test-"))
    base.chmod(0o711)
    try:
        yield base / "pg"
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_the_embedded_database_is_upgraded_when_it_is_opened_even_for_reading(steps: Path) -> None:
    with own_folder() as folder, embedded.start(folder) as server:
        engine = sa.create_engine(server.url(), poolclass=sa.NullPool)
        lcdb.connect(embedded=folder).close()
        assert marked(engine) == "0001"
        fill(engine)
        before = contents(engine)
        release(steps)
        with lcdb.connect(embedded=folder) as db:
            assert "read-only" in repr(db)
            assert (marked(engine), number_type(engine)) == ("0002", "BIGINT")
        assert contents(engine) == before


@pytest.mark.slow
def test_an_embedded_database_with_duplicate_times_is_opened_with_a_warning() -> None:
    with own_folder() as folder, embedded.start(folder) as server:
        engine = sa.create_engine(server.url(), poolclass=sa.NullPool)
        fill_first_version(engine)
        duplicate_times(engine)
        with pytest.warns(UserWarning, match=DUPLICATES), lcdb.connect(embedded=folder) as db:
            assert len(db.lightcurves(1, sector=2)) > 0
        with pytest.raises(UpgradeError, match=DUPLICATES):
            lcdb.connect(embedded=folder, write=True, create=True)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "DELETE FROM target_specific_time a USING target_specific_time b WHERE a.id > b.id "
                "AND a.target_id = b.target_id AND a.observation_id = b.observation_id"
            )
        lcdb.connect(embedded=folder).close()
        assert has_unique_times(engine)


@pytest.mark.slow
def test_one_of_several_processes_that_open_a_new_embedded_database_makes_the_tables() -> None:
    code = (
        "import sys, lcdb_notebook as lcdb; db = lcdb.connect(embedded=sys.argv[1]); "
        "print(len(db.targets())); print(sys.stdin.read(), end='')"
    )
    with own_folder() as folder:
        others = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for other in others:
            assert other.communicate("", timeout=120) == ("0\n", "")
        with embedded.start(folder) as server:
            engine = sa.create_engine(server.url(), poolclass=sa.NullPool)
            assert marked(engine) == migrations.versions()[-1]


# --- a newer version, and who may know --------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"write": True}, {"write": True, "create": True}])
def test_a_database_of_a_newer_version_is_named_with_what_to_do(
    arguments: dict[str, Any], blank_dsn: str, database: sa.Engine
) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    with database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {migrations.TABLE} SET version_num = '9999'")
    with pytest.raises(SchemaError, match=r"version 9999.*pip install --upgrade lcdb-notebook"):
        lcdb.connect(blank_dsn, **arguments)
    assert marked(database) == "9999"


def test_a_role_without_access_to_the_version_can_read(blank_dsn: str, database: sa.Engine) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    role = f"lcdb_test_reader_{os.getpid()}"
    try:
        with database.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {role}")
            for table in lcdb.models.Base.metadata.tables:
                connection.exec_driver_sql(f"GRANT SELECT ON {table} TO {role}")
    except sa.exc.ProgrammingError:
        pytest.skip("this server's user may not create roles")
    try:
        url = sa.make_url(blank_dsn).update_query_dict({"options": f"-c role={role}"})
        with lcdb.connect(url) as db:
            assert db.session.scalar(sa.text("SELECT current_user")) == role
            assert len(db.search(1)) == 0
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


# --- what it costs ----------------------------------------------------------------------------


@pytest.mark.slow
def test_alembic_is_loaded_only_to_make_or_upgrade_tables_and_logs_nothing(
    blank_dsn: str,
) -> None:
    code = (
        "import sys, logging; logging.basicConfig(level=logging.WARNING); import lcdb_notebook; "
        "db = lcdb_notebook.connect(sys.argv[1], write=True, create=True); "
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-W", "error::DeprecationWarning:alembic", "-c", code, blank_dsn]
    for loaded in ("True", "False"):
        completed = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (completed.stdout, completed.stderr) == (f"{loaded}\n", "")


def test_version_0003_creates_the_tables_for_the_contents_of_files(database: sa.Engine) -> None:
    tables = {"lcdb_notebook_header", "lcdb_notebook_column"}
    with database.begin() as connection:
        skip_before_15(connection)
        migrations._run("upgrade", "0002", connection)
        assert not tables & {*sa.inspect(connection).get_table_names()}
        migrations.create(connection)
        assert tables <= {*sa.inspect(connection).get_table_names()}
