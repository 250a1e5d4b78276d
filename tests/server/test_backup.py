"""Backup and restore: every table and value comes back, or nothing is changed at all."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.cli import main
from lcdb_notebook.errors import BackupError, ConnectionFailedError, SchemaError
from lcdb_notebook.models import Base, DataSet, FITSFrame, Instrument, Observation, Target
from lcdb_notebook.models.tables import migrations, schema
from lcdb_notebook.models.tables.contents import COLUMNS, HEADERS
from lcdb_notebook.server import backup as backups
from lcdb_notebook.server import embedded
from lcdb_notebook.server.backup import restoring
from lcdb_notebook.server.backup.programs import Server

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can mount a disk")


class Night(Observation):
    """A mission's class with additional columns."""

    __mapper_args__ = {"polymorphic_identity": "backup_test_night"}  # noqa: RUF012

    night_name: orm.Mapped[str] = orm.mapped_column(index=True)
    night_log: orm.Mapped[dict[str, Any] | None]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the person testing out of it."""
    for name in [n for n in os.environ if n.startswith(("PG", "LCDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def filled(new_tables: Callable[[], str]) -> str:
    """URL of a database with rows in every table, and with every kind of value in them."""
    url = new_tables()
    values = np.array([np.nan, np.inf, -np.inf, 0.1 + 0.2, -0.0, 5e-324, 1.7e308])
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, 2)
        night = Night(
            instrument=Instrument(name="Ä 'quoted' \\ name", properties={"gain": [5.2, None]}),
            cadence_reference=np.array([-(2**63), 0, 2**63 - 1]),
            night_name="COSMOS\t\n\\N",
            night_log={"ß": [True, None, 1e-300]},
        )
        target = db.session.scalars(sa.select(Target).limit(1)).one()
        db.session.add(DataSet(target=target, observation=night, values=values, errors=None))
        db.session.add(DataSet(target=target, observation=night, values=[], errors=values))
        db.session.add(
            FITSFrame(observation=night, cadence=7, bitpix=-32, naxis=2, naxis_values=[])
        )
        db.session.flush()
        of_files = {"target": target.id, "observation": night.id}
        db.session.execute(
            sa.text(
                f"INSERT INTO {HEADERS} VALUES (:target, :observation, 1e-300, NULL, "
                """'{"TEFF": [5777, "K"]}', '{}', '\\x00ff')"""
            ),
            of_files,
        )
        db.session.execute(
            sa.text(
                f"INSERT INTO {COLUMNS} VALUES (:target, :observation, 'sap_bkg', '', '<f8', '')"
            ),
            of_files,
        )
        db.session.execute(sa.text("CREATE TABLE of_somebody_else AS SELECT 'kept' AS word"))
        db.session.commit()
    return url


@pytest.fixture(scope="module")
def dump(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    return backup(filled, tmp_path_factory.mktemp("backups") / "lcdb.dump")


def backup(url: str, file: Path) -> Path:
    return backups.backup(psycopg2_url(url), file, description="here")


def restore(url: str, file: Path, *, replace: bool = False, trust: bool = False) -> None:
    backups.restore(psycopg2_url(url), file, description="there", replace=replace, trust=trust)


def psycopg2_url(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg2")


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        yield connection


def contents(url: str) -> dict[str, list[str]]:
    """All rows of all tables, each value as exact text."""
    with connected(url) as connection:
        connection.exec_driver_sql("SET extra_float_digits = 3")
        return {
            name: sorted(connection.scalars(sa.text(f"SELECT t::text FROM {name} t")))
            for name in sorted(sa.inspect(connection).get_table_names())
        }


def run_cli(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lcdb_notebook", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- there and back ---------------------------------------------------------------------------


def test_every_table_and_value_comes_back(filled: str, dump: Path, blank_dsn: str) -> None:
    restore(blank_dsn, dump)
    before = contents(filled)
    ours = {*Base.metadata.tables, migrations.TABLE, HEADERS, COLUMNS}
    assert {*ours, "of_somebody_else"} == {*before}
    assert all(before.values())
    assert contents(blank_dsn) == before
    with connected(filled) as there, connected(blank_dsn) as here:
        assert migrations._described(here) == migrations._described(there)
        assert migrations.stored_version(here) == migrations.versions()[-1]


def test_a_restored_database_is_read_and_written_as_before(dump: Path, blank_dsn: str) -> None:
    restore(blank_dsn, dump)
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        last = db.session.scalars(sa.select(sa.func.max(DataSet.id))).one()
        night = db.session.scalars(sa.select(Night)).one()
        values = np.concatenate([dataset.values for dataset in night.datasets])
        assert np.isnan(values[0])
        assert np.isposinf(values[1])
        target = db.session.scalars(sa.select(Target).limit(1)).one()
        added = DataSet(target=target, observation=night, values=[1.0])
        db.session.add(added)
        db.session.commit()
        assert added.id == last + 1
        assert len(db.search(1, sector=1)) > 0


def test_restored_tables_have_statistics(dump: Path, blank_dsn: str) -> None:
    restore(blank_dsn, dump)
    with connected(blank_dsn) as connection:
        query = "SELECT reltuples FROM pg_class WHERE relname = 'dataset'"
        rows = connection.scalar(sa.text("SELECT count(*) FROM dataset"))
        assert connection.scalar(sa.text(query)) == rows


def test_empty_tables_as_connecting_makes_them_are_replaced(
    filled: str, dump: Path, blank_dsn: str
) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    restore(blank_dsn, dump)
    assert contents(blank_dsn) == contents(filled)


def test_a_backup_of_the_first_version_is_upgraded_where_it_is_restored(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    old, new = new_database(), new_database()
    with connected(old) as connection:
        if (
            connection.scalar(sa.text("SELECT current_setting('server_version_num')::int"))
            < 150_000
        ):
            pytest.skip("no database of the first version is on PostgreSQL 14")
        migrations._run("upgrade", "0001", connection)
        schema.create(connection)
    with orm.Session(sa.create_engine(old, poolclass=sa.NullPool)) as session:
        demo.load(session, 1)
    lcdb.connect(new, write=True, create=True).close()
    restore(new, backup(old, tmp_path / "first.dump"))
    before = contents(new)
    with connected(new) as connection:
        assert migrations.stored_version(connection) == "0001"
    lcdb.connect(new, write=True, create=True).close()
    with connected(new) as connection:
        assert migrations.stored_version(connection) == migrations.versions()[-1]
        found = sa.inspect(connection).get_unique_constraints("target_specific_time")
    assert [key["column_names"] for key in found] == [["target_id", "observation_id"]]
    # Its version differs, and the tables that it had not are empty.
    new_tables: dict[str, Any] = {migrations.TABLE: [], HEADERS: [], COLUMNS: []}
    assert contents(new) | {migrations.TABLE: []} == before | new_tables


def test_a_backup_is_readable_by_its_owner_only_and_nothing_is_left_beside_it(
    filled: str, tmp_path: Path
) -> None:
    file = tmp_path / "spaces and Größe 光"
    file.write_text("an earlier one")
    file.chmod(0o644)
    assert backup(filled, file) == file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_backup_through_a_link_goes_where_the_link_points(filled: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "file")
    assert backup(filled, tmp_path / "link") == tmp_path / "disk" / "file"
    assert (tmp_path / "link").is_symlink()


def test_the_command_backs_up_and_restores(
    filled: str, blank_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lcdb.dump"
    assert main(["backup", str(file), "--url", filled]) == 0
    assert f"to {file} (" in capsys.readouterr().out
    assert main(["restore", str(file), "--url", blank_dsn]) == 0
    assert f"Restored {file}" in capsys.readouterr().out
    assert contents(blank_dsn) == contents(filled)


@pytest.mark.slow
def test_a_backup_moves_to_an_embedded_server_that_is_made_for_it(dump: Path, filled: str) -> None:
    with tempfile.TemporaryDirectory(prefix="lcdb-test-", ignore_cleanup_errors=True) as base:
        Path(base).chmod(0o711)
        folder = Path(base) / "pg"
        assert main(["restore", str(dump), "--embedded", str(folder)]) == 0
        with embedded.start(folder) as server:
            url = server.url().render_as_string(hide_password=False)
            assert contents(url) == contents(filled)


def test_marks_that_one_server_makes_on_its_columns_do_not_stop_another(
    dump: Path, blank_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore(blank_dsn, dump)
    with connected(blank_dsn) as connection:
        connection.exec_driver_sql("ALTER TABLE target ALTER COLUMN name SET (n_distinct=7)")
    file = backup(blank_dsn, dump.with_name("marked.dump"))
    passed_on: list[bytes] = []
    mark = b"ALTER TABLE ONLY public.%b ALTER COLUMN name SET (%b);\n"
    copy = restoring._copy

    def with_marks(unpacked: Any, *arguments: Any) -> None:
        lines = [
            mark % (b"mission", b"pg_attver=1"),
            mark % (b"target", b"pg_attver=1, n_distinct=8"),
        ]
        whole = unpacked.read().replace(b"\nCOPY", b"\n" + b"".join(lines) + b"COPY", 1)
        passed_on.append(whole)
        copy(io.BytesIO(whole), *arguments)

    monkeypatch.setattr(restoring, "_copy", with_marks)
    restore(blank_dsn, file, replace=True, trust=True)
    assert passed_on[0].count(b"pg_attver") >= 2
    with connected(blank_dsn) as connection:
        query = "SELECT attoptions FROM pg_attribute WHERE attrelid = 'target'::regclass"
        kept = connection.scalar(sa.text(f"{query} AND attname = 'name'"))
        assert kept is not None
        assert "n_distinct=8" in kept


# --- what holds something is not overwritten ----------------------------------------------------


def test_a_database_that_is_not_empty_is_refused_and_unchanged(dump: Path, blank_dsn: str) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        db.session.add(Instrument(name="mine"))
        db.session.commit()
    before = contents(blank_dsn)
    with pytest.raises(BackupError, match=r"rows in instrument\. .*--replace"):
        restore(blank_dsn, dump)
    assert contents(blank_dsn) == before


def test_rows_in_tables_of_other_users_are_counted(dump: Path, blank_dsn: str) -> None:
    with connected(blank_dsn) as connection:
        connection.exec_driver_sql("CREATE SCHEMA other; CREATE TABLE other.notes AS SELECT 1 AS x")
    with pytest.raises(BackupError, match=r"rows in other\.notes"):
        restore(blank_dsn, dump)
    assert contents(blank_dsn) == {}


def test_restore_replaces_the_contents_with_replace(
    filled: str, dump: Path, blank_dsn: str
) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        demo.load(db.session, 1)
    assert main(["restore", str(dump), "--replace", "--url", blank_dsn]) == 0
    assert contents(blank_dsn) == contents(filled)


def test_a_restore_that_would_drop_other_objects_is_refused(dump: Path, blank_dsn: str) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    with connected(blank_dsn) as connection:
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT name FROM target")
    before = contents(blank_dsn)
    with pytest.raises(BackupError, match=r"target.*empty database instead"):
        restore(blank_dsn, dump, replace=True)
    assert contents(blank_dsn) == before


def test_a_restore_stops_waiting_for_tables_in_use(
    dump: Path, blank_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lcdb.connect(blank_dsn, write=True, create=True).close()
    monkeypatch.setattr(restoring, "PATIENCE", "50ms")
    with connected(blank_dsn) as connection:
        connection.exec_driver_sql("SELECT * FROM target")
        for replace in (False, True):
            with pytest.raises(BackupError, match="close the notebooks"):
                restore(blank_dsn, dump, replace=replace)


# --- files that are not backups -----------------------------------------------------------------


def cut(part: float) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: int(len(whole) * part)]


def flipped(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"CREATE TABLE dataset ();\n" * 40,
    "FITS": lambda _: b"SIMPLE  =                    T".ljust(2880),
    "its head only": cut(0.001),
    "a tenth": cut(0.1),
    "a half": cut(0.5),
    "all but the end": lambda whole: whole[:-1],
    "one bit": flipped,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_in_one_line_and_changes_nothing(
    damage: Callable[[bytes], bytes],
    dump: Path,
    blank_dsn: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "damaged.dump"
    file.write_bytes(damage(dump.read_bytes()))
    assert main(["restore", str(file), "--url", blank_dsn]) == 2
    text = capsys.readouterr()
    assert text.out == ""
    assert text.err.startswith(f"lcdb-notebook: {file} is ")
    assert "damaged" in text.err
    assert text.err.count("\n") == 1
    assert contents(blank_dsn) == {}


def test_the_backup_of_another_database_is_refused(blank_dsn: str, tmp_path: Path) -> None:
    with connected(blank_dsn) as connection:
        connection.exec_driver_sql("CREATE TABLE recipes AS SELECT 1 AS x")
    url = psycopg2_url(blank_dsn)
    server = Server.reach(url, "here")
    file = tmp_path / "recipes.dump"
    command: list[str | Path] = [
        embedded.binary("pg_dump"),
        "-Fc",
        f"--dbname={server.dsn}",
        f"--file={file}",
    ]
    subprocess.run(command, env=server.environment, check=True)
    with pytest.raises(BackupError, match="another database"):
        restore(blank_dsn, file, replace=True)


@pytest.mark.parametrize(("name", "why"), [("none", "No such file"), (".", "Is a directory")])
def test_a_file_that_is_not_a_backup_is_named(
    name: str, why: str, dsn: str, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match=why):
        restore(dsn, tmp_path / name)


# --- backups that fail --------------------------------------------------------------------------


def test_a_database_of_other_tables_is_not_backed_up(blank_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="nothing to back up"):
        backup(blank_dsn, tmp_path / "x.dump")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "why"), [("no/such/x", "No such file"), (".", "is a folder")])
def test_a_place_that_cannot_be_written_is_named(
    name: str, why: str, filled: str, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match=why):
        backup(filled, tmp_path / name)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailedError, match="here"):
        backup("postgresql://ada:s3cret@localhost:1/stars", tmp_path / "x.dump")
    assert not list(tmp_path.iterdir())


def test_a_backup_that_fails_leaves_the_earlier_one(
    dump: Path, blank_dsn: str, tmp_path: Path
) -> None:
    restore(blank_dsn, dump)
    with connected(blank_dsn) as connection:
        # pg_dump refuses to leave rows out.
        connection.exec_driver_sql("ALTER TABLE target ENABLE ROW LEVEL SECURITY")
        connection.exec_driver_sql("ALTER TABLE target FORCE ROW LEVEL SECURITY")
        role = f"lcdb_test_owner_{os.getpid()}"
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"CREATE ROLE {role}")
                connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
                connection.exec_driver_sql(
                    f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
                )
        except sa.exc.ProgrammingError:
            pytest.skip("this server's user may not create roles")
    file = tmp_path / "lcdb.dump"
    file.write_text("the earlier one")
    url = psycopg2_url(blank_dsn).update_query_dict({"options": f"-c role={role}"})
    try:
        with pytest.raises(BackupError, match="row-level security"):
            backups.backup(url, file, description="here")
    finally:
        with connected(blank_dsn) as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "the earlier one"


@as_root
def test_a_full_disk_leaves_no_incomplete_backup(filled: str, tmp_path: Path) -> None:
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount a file system")
    try:
        with pytest.raises(BackupError, match="No space left"):
            backup(filled, tmp_path / "x.dump")
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


# Both raise the same exception.
SIGNALS = [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]


@contextmanager
def kept_waiting(url: str, program: str) -> Iterator[Callable[[], bool]]:
    """Lock a table that the program uses; yield a function that returns whether it waits for it."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database() AND application_name = :program"
    )
    # Within a transaction, pg_stat_activity stays what it was when it was first looked at.
    watching = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with connected(url) as connection, watching.connect() as watch:
        connection.exec_driver_sql("LOCK TABLE dataset IN ACCESS EXCLUSIVE MODE")
        yield lambda: bool(watch.scalar(query, {"program": program}))


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_backup_leaves_no_file_and_no_program(
    number: signal.Signals, filled: str, tmp_path: Path
) -> None:
    with (
        kept_waiting(filled, "pg_dump") as waits,
        run_cli("backup", tmp_path / "x.dump", "--url", filled) as process,
    ):
        wait_until(waits)
        programs = psutil.Process(process.pid).children(recursive=True)
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        process.send_signal(number)
        assert process.wait(60) == 130
    assert not list(tmp_path.iterdir())
    assert programs
    assert psutil.wait_procs(programs, timeout=30)[1] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_restore_changes_nothing(
    number: signal.Signals, dump: Path, blank_dsn: str
) -> None:
    with lcdb.connect(blank_dsn, write=True, create=True) as db:
        demo.load(db.session, 1)
    before = contents(blank_dsn)
    with kept_waiting(blank_dsn, "psql") as waits:
        arguments = ("restore", dump, "--replace", "--url", blank_dsn)
        with run_cli(*arguments) as process:
            wait_until(waits)
            process.send_signal(number)
            assert process.wait(60) == 130
    assert contents(blank_dsn) == before


# --- files that would run something -------------------------------------------------------------

RAN = Path(tempfile.gettempdir()) / f"lcdb-restored-{os.getpid()}"
FUNCTION = (
    "CREATE FUNCTION ran() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN "
    f"COPY (SELECT 1) TO PROGRAM 'cat > {RAN}'; RETURN true; END $$"
)
TRIGGER_FUNCTION = (
    "CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
)
CODE = {
    "a function in a check": (
        [FUNCTION, "ALTER TABLE mission ADD CONSTRAINT harmless CHECK (ran()) NOT VALID"],
        "function public ran",
    ),
    "a trigger": (
        [TRIGGER_FUNCTION, "CREATE TRIGGER t AFTER INSERT ON mission EXECUTE FUNCTION fires()"],
        "function public fires",
    ),
    "an event trigger": (
        [
            "CREATE FUNCTION notes() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION notes()",
        ],
        "(?:event trigger|function public notes)",
    ),
    "an extension": (["CREATE EXTENSION vector"], "extension"),
    "a procedure": (["CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'"], "procedure public p"),
    "a rule": (
        ["CREATE RULE r AS ON INSERT TO mission DO ALSO SELECT lo_export(1, '/tmp/x')"],
        "rule public mission r",
    ),
    "a view": (["CREATE VIEW v AS SELECT pg_read_file('/etc/passwd')"], "view public v"),
    "a materialized view": (
        ["CREATE MATERIALIZED VIEW v AS SELECT 1 AS x"],
        "materialized view public v",
    ),
    "a type": (["CREATE TYPE mood AS ENUM ('good')"], "type public mood"),
    "a domain": (["CREATE DOMAIN d AS int CHECK (VALUE > 0)"], "domain public d"),
    "a policy": (["CREATE POLICY p ON mission USING (true)"], "policy public mission p"),
    "a large object": (["SELECT lo_create(4242)"], "blob"),
    "a function of PostgreSQL in a check": (
        [
            "ALTER TABLE mission ADD CONSTRAINT harmless CHECK "
            f"(lo_export(4242, '{RAN}') = 1) NOT VALID"
        ],
        r"a call of lo_export\(\)",
    ),
    "the same in another table": (
        [
            "CREATE TABLE notes (x text DEFAULT pg_read_file('/etc/passwd'), "
            "y bool CHECK (pg_terminate_backend(1)))"
        ],
        "a call of pg_",
    ),
    "a generated column": (
        ["CREATE TABLE notes (x text, y text GENERATED ALWAYS AS (repeat(x, 1000000)) STORED)"],
        r"a call of repeat\(\)",
    ),
    "an index": (["CREATE INDEX i ON mission (md5(name))"], r"a call of md5\(\)"),
    "a quoted name": (
        [
            'CREATE TABLE notes (x text CHECK ("pg_catalog"."query_to_xml"(x, true, true, \'\') IS '
            "NOT NULL))"
        ],
        "a call of query_to_xml",
    ),
}
# By the list of an archive, by a function's name, and by a quoted one; the others repeat these.
FOUND_DIFFERENTLY = (
    "a function in a check",
    "a function of PostgreSQL in a check",
    "a quoted name",
)


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        pytest.param(*case, id=name, marks=[] if name in FOUND_DIFFERENTLY else pytest.mark.slow)
        for name, case in CODE.items()
    ],
)
def test_restore_refuses_code_unless_the_file_is_trusted(
    statements: list[str],
    named: str,
    new_tables: Callable[[], str],
    blank_dsn: str,
    tmp_path: Path,
) -> None:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        extensions = set(db.session.scalars(sa.text("SELECT name FROM pg_available_extensions")))
        if named == "extension" and "vector" not in extensions:
            pytest.skip("this server has no extension vector")
        for statement in statements:
            db.session.execute(sa.text(statement))
        db.session.commit()
    file = backup(url, tmp_path / "code.dump")
    RAN.unlink(missing_ok=True)
    with pytest.raises(BackupError, match=f"contains (?:the statement )?{named}.*--trust"):
        restore(blank_dsn, file)
    assert contents(blank_dsn) == {}
    assert not RAN.exists()
    restore(blank_dsn, file, trust=True)
    assert "mission" in contents(blank_dsn)


PATCHES = {
    "a program for data": (
        b"COPY public.of_somebody_else (word) FROM stdin;\n",
        b"COPY public.of_somebody_else FROM PROGRAM 'a';\n",
        "a statement in its data",
    ),
    "a statement for data": (
        b"COPY public.of_somebody_else (word) FROM stdin;\n",
        b"DROP TABLE mission; COPY x (y)      FROM stdin;\n",
        "a statement in its data",
    ),
    "a command of psql": (b"    word text\n", b"\\! touch /t/x\n", "a command of psql"),
    "another statement": (
        b"CREATE TABLE public.of_somebody_else (\n    word text\n);",
        b"CREATE TABLE public.x(y int);DO $$BEGIN END$$     ;",
        "the statement do",
    ),
}


@pytest.mark.parametrize(("before", "after", "named"), PATCHES.values(), ids=PATCHES)
def test_restore_refuses_a_file_that_was_tampered_with(
    before: bytes, after: bytes, named: str, dump: Path, blank_dsn: str, tmp_path: Path
) -> None:
    whole = dump.read_bytes()
    assert whole.count(before) == 1
    file = tmp_path / "tampered.dump"
    # The texts of an archive have their lengths before them.
    file.write_bytes(whole.replace(before, after.ljust(len(before))))
    assert file.stat().st_size == len(whole)
    with pytest.raises(BackupError, match=f"contains {named}.*--trust"):
        restore(blank_dsn, file)
    assert contents(blank_dsn) == {}
