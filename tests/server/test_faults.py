"""Accidents, done for real to servers of these tests: one clear error, and the next call works."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import psycopg2
import pytest
import sqlalchemy as sa
from pandas.testing import assert_frame_equal

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import ConnectionFailedError, LCDBError
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet
from lcdb_notebook.read.fetch import raw_connection
from lcdb_notebook.read.parallel import batches as parallel_batches
from lcdb_notebook.server import embedded
from lcdb_notebook.server.connector import refuse_old_server
from lcdb_notebook.server.embedded.account import server_account
from lcdb_notebook.server.embedded.pidfile import PidFile
from lcdb_notebook.server.embedded.programs import server_programs
from lcdb_notebook.server.interrupt import interruptible

from .frozen_proxy import FrozenProxy
from .stopwatch import Stopwatch

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix"),
]

SOON = 2.0
"""Seconds from the fault to the error."""

LIGHT_CURVES = 12

SLOW_READING = """
ALTER TABLE dataset RENAME TO dataset_rows;
CREATE FUNCTION slowly(a float8[]) RETURNS float8[] LANGUAGE sql VOLATILE
AS 'SELECT a FROM pg_sleep(30)';
CREATE VIEW dataset AS SELECT id, slowly(values) AS values, errors FROM dataset_rows
"""
READING_AGAIN = (
    "DROP VIEW dataset; DROP FUNCTION slowly; ALTER TABLE dataset_rows RENAME TO dataset"
)
SLOW_WRITING = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$;
CREATE TRIGGER slowly BEFORE INSERT ON dataset FOR EACH ROW EXECUTE FUNCTION slowly()
"""
WRITING_AGAIN = "DROP FUNCTION slowly CASCADE"


class Server:
    """A server that somebody else runs: it can be stopped, killed and started at will."""

    def __init__(self) -> None:
        self._account = server_account()
        self._programs = server_programs(self._account)
        self.folder = Path(tempfile.mkdtemp(prefix="lcdb-fault-"))
        self.change_owner(self.folder)
        self._data = self.folder / "data"
        self.pidfile = self._data / "postmaster.pid"
        made = self._account.run(
            [
                self._programs / "initdb",
                f"--pgdata={self._data}",
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
            ]
        )
        assert made.returncode == 0, made.stdout
        self.url = f"postgresql:///postgres?host={self.folder}&user=postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def change_owner(self, folder: Path) -> None:
        """Make a folder the server's, whose sockets only it and root can reach."""
        os.chown(folder, self._account.uid, self._account.gid)
        folder.chmod(0o700)

    def launch(self, **settings: str) -> None:
        """Start it, and wait for nothing."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "8",
            "superuser_reserved_connections": "0",
            "max_wal_senders": "0",
            "logging_collector": "off",
            **settings,
        }
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [word for k, v in settings.items() for word in ("-c", f"{k}={v}")]
        switched = self._account.switched
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._account.environment(),
                user=self._account.uid if switched else None,
                group=self._account.gid if switched else None,
                extra_groups=[] if switched else None,
            )

    def start(self, **settings: str) -> None:
        """Start it, and wait until it answers."""
        self.launch(**settings)
        deadline = time.monotonic() + 60
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            # After kill -9 the old one's processes hold its memory for a moment.
            if self._process is not None and self._process.poll() is not None:
                self.launch(**settings)
            time.sleep(0.01)

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def connect(self) -> Any:
        return psycopg2.connect(host=str(self.folder), user="postgres", dbname="postgres")

    def ask(self, statement: str) -> Any:
        connection = self.connect()
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def end(self, how: signal.Signals) -> None:
        """Stop it, or kill it, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)

    def restart(self) -> None:
        self.end(signal.SIGINT)
        self.start()

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def machine() -> Iterator[Server]:
    server = Server()
    try:
        server.start()
        with lcdb.connect(server.url, write=True, create=True) as db:
            store(db.session.connection(), list(demo.products(1, cadences=50)))
            db.session.commit()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(machine: Server) -> Server:
    """The server, started if the test before left it stopped."""
    if not machine.answers():
        machine.start()
    return machine


@pytest.fixture(params=[False, True], ids=["read-only", "writable"])
def db(server: Server, request: pytest.FixtureRequest) -> Iterator[lcdb.Database]:
    with lcdb.connect(server.url, write=request.param) as db:
        yield db


@pytest.fixture
def writable(server: Server) -> Iterator[lcdb.Database]:
    with lcdb.connect(server.url, write=True) as db:
        yield db


@contextmanager
def soon(kind: type[LCDBError], match: str, *, again: bool = True) -> Iterator[list[Stopwatch]]:
    """Expect one error of ours within two seconds of the fault; the list takes its time."""
    fault = [Stopwatch()]
    with pytest.raises(kind, match=match) as raised:
        yield fault
    assert fault[-1].seconds() < SOON
    message = str(raised.value)
    assert "Traceback" not in message
    if again and isinstance(raised.value, ConnectionFailedError):
        assert "the next call reconnects automatically" in raised.value.__notes__


@contextmanager
def when(
    condition: Callable[[], Any], do: Callable[[], Any], fault: list[Stopwatch]
) -> Iterator[None]:
    """Do something in a second thread, as soon as something is so."""
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            deadline = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < deadline, "it did not come to that"
                # Each question has a separate connection, whose end takes the server a moment.
                time.sleep(0.01)
            fault.append(Stopwatch())
            do()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not failed, failed


def sleeping(server: Server, like: str) -> bool:
    """Whether the server is in the middle of a statement, made slow so that it can be met."""
    try:
        found = server.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
            f"AND wait_event = 'PgSleep' AND query LIKE '{like}'"
        )
    except psycopg2.OperationalError:
        # Connections that are ending may fill the server.
        return False
    return bool(found[0][0])


def all_is_well(db: lcdb.Database) -> None:
    assert len(db.targets()) == 1
    assert len(list(db.search())) == LIGHT_CURVES


# A server that goes and comes back


def test_a_restart_between_two_calls_goes_unnoticed(db: lcdb.Database, server: Server) -> None:
    all_is_well(db)
    server.restart()
    all_is_well(db)


def test_a_restart_under_a_session_is_one_error(db: lcdb.Database, server: Server) -> None:
    db.session.execute(sa.text("SELECT 1"))
    server.restart()
    with soon(ConnectionFailedError, "no connection to"):
        db.targets()
    all_is_well(db)


def test_each_call_while_the_server_is_down_reports_it(db: lcdb.Database, server: Server) -> None:
    server.end(signal.SIGINT)
    for _ in range(2):
        with soon(ConnectionFailedError, "no connection to.*Is the server running"):
            db.targets()
    server.start()
    all_is_well(db)


COPY_OUT: dict[str, Callable[[lcdb.Database], Any]] = {
    "read": lambda db: list(db.search()),
    "to_pandas": lambda db: db.dataframe(1),
    "load": lambda db: db.load([one_dataset(db)]),
}


def one_dataset(db: lcdb.Database) -> DataSet:
    with db.session_scope() as session:
        return session.scalars(sa.select(DataSet).limit(1)).one()


@pytest.mark.parametrize("read", COPY_OUT.values(), ids=COPY_OUT)
def test_a_server_killed_while_it_sends_is_one_error(
    server: Server, read: Callable[[lcdb.Database], Any]
) -> None:
    with lcdb.connect(server.url) as db:
        found = db.search()
        assert len(found.table) == LIGHT_CURVES
        db.search = lambda *_args, **_fields: found  # type: ignore[method-assign]
        dataset = one_dataset(db)
        db.session.rollback()
        server.ask(SLOW_READING)
        reading: Callable[[], Any] = (
            (lambda: db.load([dataset]))
            if read is COPY_OUT["load"]
            else (lambda: found.to_pandas() if read is COPY_OUT["to_pandas"] else list(found))
        )
        with (
            soon(ConnectionFailedError, "no connection to") as fault,
            when(lambda: sleeping(server, "COPY%"), lambda: server.end(signal.SIGKILL), fault),
        ):
            reading()
        server.start()
        server.ask(READING_AGAIN)
        reading()
        assert len(list(found)) == LIGHT_CURVES


def another(db: lcdb.Database) -> Callable[[], Any]:
    """Prepare to take a light curve in."""
    lc = db.search(processing="raw")[0].lightcurve(quality_bitmask="none", flagged="keep")
    lc.meta["PROCESSING"] = f"once more {time.time_ns()}"
    return lambda: db.add(lc)


def test_a_server_killed_while_it_is_sent_to_is_one_error_and_stores_nothing(
    server: Server, writable: lcdb.Database
) -> None:
    add = another(writable)
    server.ask(SLOW_WRITING)
    with (
        soon(ConnectionFailedError, "no connection to", again=False) as fault,
        when(lambda: sleeping(server, "COPY%"), lambda: server.end(signal.SIGKILL), fault),
    ):
        add()
    server.start()
    server.ask(WRITING_AGAIN)
    all_is_well(writable)
    assert add().light_curves == 1
    server.ask(f"DELETE FROM dataset WHERE id > {LIGHT_CURVES}")


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
def test_a_connection_cut_in_the_middle_is_one_error(server: Server, write: bool) -> None:
    with lcdb.connect(server.url, write=write) as db:
        found = db.search()
        assert len(found.table) == LIGHT_CURVES
        work = another(db) if write else lambda: list(found)
        server.ask(SLOW_WRITING if write else SLOW_READING)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        with (
            soon(ConnectionFailedError, "terminat", again=not write) as fault,
            when(lambda: sleeping(server, "COPY%"), lambda: server.ask(cut), fault),
        ):
            work()
        server.ask(WRITING_AGAIN if write else READING_AGAIN)
        work()
        server.ask(f"DELETE FROM dataset WHERE id > {LIGHT_CURVES}")
        all_is_well(db)


def lives(connection: Any) -> bool:
    """Check whether a connection still works."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_recovered(server: Server, witness: Any) -> None:
    """Wait until a server that lost a process has ended all others, and recovered.

    Until it has noticed, which takes it a moment on a busy machine, it still answers.
    """
    wait_until(lambda: not lives(witness) and server.answers())


def test_one_process_of_the_server_killed_is_one_error(db: lcdb.Database, server: Server) -> None:
    pid = db.session.scalar(sa.text("SELECT pg_backend_pid()"))
    assert pid is not None
    db.session.rollback()
    sleep = sa.text("SELECT pg_sleep(30)")
    witness = server.connect()
    with (
        soon(ConnectionFailedError, "no connection to") as fault,
        when(lambda: sleeping(server, "%sleep(30)"), lambda: os.kill(pid, signal.SIGKILL), fault),
        db.session_scope() as session,
    ):
        session.execute(sleep)
    wait_until_recovered(server, witness)
    all_is_well(db)


@pytest.mark.slow
def test_an_embedded_server_killed_while_it_sends_is_started_again() -> None:
    folder = Path(tempfile.mkdtemp(prefix="lcdb-fault-"))
    try:
        with lcdb.connect(embedded=folder, write=True) as db:
            store(db.session.connection(), list(demo.products(1, cadences=50)))
            db.session.commit()
            address = embedded.start(folder)
            watcher = sa.create_engine(address.url(), isolation_level="AUTOCOMMIT")
            found = PidFile.read(folder / "data")
            assert found is not None

            def busy() -> bool:
                with watcher.connect() as connection:
                    return bool(
                        connection.scalar(
                            sa.text("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                        )
                    )

            with (
                soon(ConnectionFailedError, "no connection to") as fault,
                when(busy, lambda: os.kill(found.pid, signal.SIGKILL), fault),
                db.session_scope() as session,
            ):
                session.execute(sa.text("SELECT pg_sleep(30)"))
            watcher.dispose()
            all_is_well(db)
            address.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# A server that refuses


def test_a_full_server_is_reported_with_the_remedy(db: lcdb.Database, server: Server) -> None:
    db.targets()
    server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'"
    )
    wait_until_alone(server)
    with ExitStack() as others:
        try:
            for _ in range(20):
                others.callback(server.connect().close)
        except psycopg2.OperationalError:
            pass
        else:
            pytest.fail("the server was never full")
        with soon(ConnectionFailedError, "the server is full: close notebooks"):
            db.targets()
        with soon(ConnectionFailedError, "the server is full", again=False):
            lcdb.connect(server.url)
    wait_until_alone(server)
    all_is_well(db)


def test_a_server_that_is_starting_is_reported_with_advice_to_wait(
    db: lcdb.Database, server: Server
) -> None:
    all_is_well(db)
    server.end(signal.SIGINT)
    go = server.folder / "go"
    (server.folder / "data" / "recovery.signal").touch()
    # It requests the next of its archived files until the command reports that there is none.
    server.launch(
        restore_command=f"while [ ! -e {go} ]; do sleep 0.02; done; false", wal_level="replica"
    )
    try:
        deadline = time.monotonic() + 60
        while "starting" not in refusal(server):
            assert time.monotonic() < deadline
        with soon(ConnectionFailedError, "starting up.*call again in a moment"):
            db.targets()
        with soon(ConnectionFailedError, "starting up.*call again in a moment", again=False):
            lcdb.connect(server.url)
    finally:
        go.touch()
    while not server.answers():
        assert time.monotonic() < deadline + 60
    all_is_well(db)
    go.unlink()
    server.restart()


def refusal(server: Server) -> str:
    try:
        server.connect().close()
    except psycopg2.OperationalError as error:
        return str(error)
    return ""


@pytest.fixture
def small_disk(server: Server) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = server.folder / "small"
    folder.mkdir(exist_ok=True)
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("only root, where it may mount, can make a small disk")
    server.change_owner(folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_error_and_stores_nothing(
    server: Server, writable: lcdb.Database, small_disk: Path
) -> None:
    server.ask(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    server.ask("ALTER TABLE dataset SET TABLESPACE small")
    try:
        few = one_dataset(writable)
        large = np.zeros(500_000)
        with soon(LCDBError, "disk is full: nothing of this call was stored") as fault:
            fault.append(Stopwatch())
            with writable.session_scope() as session:
                session.add(
                    DataSet(
                        target_id=few.target_id, observation_id=few.observation_id, values=large
                    )
                )
        all_is_well(writable)
        add = another(writable)
        assert add().light_curves == 1
        server.ask(f"DELETE FROM dataset WHERE id > {LIGHT_CURVES}")
        all_is_well(writable)
    finally:
        server.ask("ALTER TABLE dataset SET TABLESPACE pg_default")
        server.ask("DROP TABLESPACE small")


# A server that is not the right one


class Peer:
    """A server that greets like a PostgreSQL of a certain version, and sends no more.

    A server of that age is not available here, and the version is in the greeting
    (PostgreSQL manual, "Message Flow": ParameterStatus after AuthenticationOk).
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        settings = {
            "server_version": version,
            "client_encoding": "UTF8",
            "DateStyle": "ISO, MDY",
            "standard_conforming_strings": "on",
        }
        self._greeting = b"R" + struct.pack("!ii", 8, 0)
        for name, value in settings.items():
            pair = f"{name}\0{value}\0".encode()
            self._greeting += b"S" + struct.pack("!i", 4 + len(pair)) + pair
        self._greeting += b"K" + struct.pack("!iii", 12, 1, 1) + b"Z" + struct.pack("!ic", 5, b"I")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(self._greeting)
                while client.recv(4096):
                    pass

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(60)


@pytest.mark.parametrize("version", ["13.12", "9.6.24", "13.12 (Debian 13.12-1.pgdg120+1)"])
def test_a_server_that_is_too_old_is_refused_by_its_version(version: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lcdb-fault-"))
    peer = Peer(folder, version)
    try:
        with soon(
            ConnectionFailedError,
            rf"runs on PostgreSQL {version.split('.')[0]}\..*needs 14 or later: ask",
            again=False,
        ):
            lcdb.connect(f"postgresql:///x?host={folder}&user=ada")
    finally:
        peer.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize(("version", "old"), [(130022, True), (90624, True), (140000, False)])
def test_the_oldest_version_is_fourteen(version: int, old: bool) -> None:
    if old:
        with pytest.raises(ConnectionFailedError, match="needs 14 or later"):
            refuse_old_server(version, "pdo/lightcurvedb")
    else:
        refuse_old_server(version, "pdo/lightcurvedb")


def test_a_server_that_does_not_answer_times_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        began = Stopwatch()
        with pytest.raises(ConnectionFailedError, match="timeout expired"):
            lcdb.connect(f"postgresql://ada@127.0.0.1:{port}/x?connect_timeout=2")
        assert began.seconds() < 2 + SOON


# A client that dies

INGEST = """
import sys
import lcdb_notebook as lcdb
from lcdb_notebook.ingest import batches

batches.BATCH_FILES = 2
with lcdb.connect(sys.argv[1], write=True) as db:
    db.ingest(sys.argv[2:], progress=False)
"""


def counted(url: str) -> dict[str, Any]:
    """What an ingest has stored, whichever ids it got."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return {
            what: connection.execute(sa.text(statement)).all()
            for what, statement in {
                "datasets": "SELECT t.name, p.name, m.name, md5(d.values::text), "
                "md5(d.errors::text) FROM dataset d JOIN target t ON t.id = d.target_id "
                "JOIN photometric_source p ON p.id = d.photometric_method_id "
                "LEFT JOIN processing_method m ON m.id = d.processing_method_id "
                "ORDER BY 1, 2, 3, 4, 5",
                "times": "SELECT t.name, md5(s.barycentric_julian_dates::text) "
                "FROM target_specific_time s JOIN target t ON t.id = s.target_id ORDER BY 1, 2",
                "flags": "SELECT type, md5(quality_flags::text) FROM quality_flag_array "
                "ORDER BY 1, 2",
                "cadences": "SELECT type, md5(cadence_reference::text) FROM observation "
                "ORDER BY 1, 2",
                "links": "SELECT count(*) FROM datasethierarchy",
            }.items()
        }


@pytest.fixture
def files(data_folder: Path, tmp_path: Path) -> list[Path]:
    """Six files of light curves, as if of six stars."""
    from astropy.io import fits

    original = next((data_folder / "qlp").glob("*0188589164*"))
    made = []
    with fits.open(original) as hdus:
        for star in range(6):
            hdus[0].header["TICID"] = 1000 + star
            for hdu in hdus:
                hdu.header.pop("CHECKSUM", None)
                hdu.header.pop("DATASUM", None)
            made.append(tmp_path / f"star{star}.fits")
            hdus.writeto(made[-1])
    return made


@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_client_killed_in_an_ingest_leaves_whole_files_which_the_next_completes(
    new_database: Callable[[], str], files: list[Path], after: int
) -> None:
    undisturbed, url = new_database(), new_database()
    with lcdb.connect(undisturbed, write=True, create=True) as db:
        expected = {f.label: f.light_curves for f in db.ingest(files, progress=False).files}
    assert min(expected.values()) > 1
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with lcdb.connect(url, write=True, create=True), engine.connect() as watcher:
        # Stops for ever in the middle of a COPY, once so many files are in.
        watcher.exec_driver_sql(
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF (SELECT count(*) FROM target_specific_time) > {after} THEN "
            "PERFORM pg_sleep(600); END IF; RETURN NEW; END $$"
        )
        watcher.exec_driver_sql(
            "CREATE TRIGGER stop BEFORE INSERT ON dataset FOR EACH ROW EXECUTE FUNCTION stop()"
        )
        process = subprocess.Popen([sys.executable, "-c", INGEST, url, *map(str, files)])
        with process:
            busy = sa.text(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event = 'PgSleep' AND query LIKE 'COPY%'"
            )
            deadline = time.monotonic() + 60
            while not watcher.scalar(busy):
                assert process.poll() is None
                assert time.monotonic() < deadline
            process.kill()
        deadline = time.monotonic() + 20
        while watcher.scalar(busy):
            assert time.monotonic() < deadline, "the server still works for a client that is gone"
        watcher.exec_driver_sql("DROP FUNCTION stop CASCADE")
        with lcdb.connect(url, write=True) as db:
            before = len(db.search()) if after else 0
            report = db.ingest(files, progress=False)
            there = [f for f in report.files if f.status == "unchanged"]
            assert sum(expected[f.label] for f in there) == before
            assert bool(there) == bool(after)
            for outcome in report.files:
                if outcome.status != "unchanged":
                    assert (outcome.status, outcome.light_curves) == (
                        "added",
                        expected[outcome.label],
                    )
    engine.dispose()
    assert counted(url) == counted(undisturbed)


# A connection that is lost while rows are on their way


class Killer:
    """A file for a COPY, which kills the process of the server once rows have arrived."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._received = 0

    def write(self, data: bytes) -> int:
        self._received += len(data)
        if self._pid and self._received > 1_000_000:
            os.kill(self._pid, signal.SIGKILL)
            self._pid = 0
        return len(data)


ROWS = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"


def wait_until_alone(server: Server) -> None:
    """Wait until the server has ended all connections but the one that asks."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"

    def is_alone() -> bool:
        try:
            return bool(server.ask(query) == [(1,)])
        except psycopg2.OperationalError:
            return False

    wait_until(is_alone)


def wait_until_stopped(server: Server) -> None:
    """Wait until the server has ended, whichever process of this test started it."""
    wait_until(lambda: not server.pidfile.exists())


def copy_until_killed(db: lcdb.Database, pid: int) -> None:
    sink: Any = Killer(pid)
    with db.session_scope() as session:
        driver = raw_connection(session)
        with driver.cursor() as cursor:
            interruptible(driver, lambda: cursor.copy_expert(ROWS, sink))


def test_a_backend_killed_in_a_copy_is_a_lost_connection(
    db: lcdb.Database, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    pid = db.session.scalar(sa.text("SELECT pg_backend_pid()"))
    assert pid is not None
    db.session.rollback()
    witness = server.connect()
    with pytest.raises(ConnectionFailedError, match="no connection to") as raised:
        copy_until_killed(db, pid)
    assert "reconnects automatically" in raised.value.__notes__[-1]
    shown = "".join(traceback.format_exception(raised.value)) + capfd.readouterr().err
    assert "SystemError" not in shown
    wait_until_recovered(server, witness)
    all_is_well(db)


class EndsCopies(FrozenProxy):
    """A proxy that ends a connection in a COPY, as a pooler does whose server is restarted."""

    def _serve(self, client: socket.socket) -> None:
        server = self._connect()
        threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
        with server, client, server.makefile("rb") as messages:
            # Frontend/Backend Protocol: a letter, the length, and the rest.
            while head := messages.read(5):
                client.sendall(head + messages.read(int.from_bytes(head[1:]) - 4))
                if head[:1] == b"d":
                    for code in (b"57P01", b"08P01"):
                        fields = b"SFATAL\0C" + code + b"\0Mserver conn crashed?\0\0"
                        client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
                    client.shutdown(socket.SHUT_RDWR)
                    return


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)


@pytest.mark.usefixtures("db")
def test_a_pooler_that_ends_a_copy_is_a_lost_connection(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    with EndsCopies(server.url) as proxy:
        far = lcdb.connect(sa.make_url(proxy.url).update_query_dict({"sslmode": "disable"}))
        with soon(ConnectionFailedError, "no connection to"):
            list(far.search().read())
        assert capfd.readouterr().err == ""
        far.close()


# Where only SQLAlchemy is called


def end_connections(server: Server) -> None:
    server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'"
    )


def test_an_attribute_that_meets_a_lost_connection_is_one_error_and_the_next_call_works(
    db: lcdb.Database, server: Server
) -> None:
    dataset = db.session.scalars(sa.select(DataSet).order_by(DataSet.id).limit(1)).one()
    end_connections(server)
    with soon(ConnectionFailedError, "no connection to"):
        _ = dataset.values
    all_is_well(db)
    assert dataset.values.size == 50


def test_the_session_itself_reconnects_after_a_lost_connection(
    db: lcdb.Database, server: Server
) -> None:
    session = db.session
    session.execute(sa.text("SELECT 1"))
    end_connections(server)
    with soon(ConnectionFailedError, "no connection to"):
        session.execute(sa.text("SELECT 1"))
    assert session.scalar(sa.text("SELECT 42")) == 42


def test_errors_of_the_driver_on_the_session_are_errors_of_ours(db: lcdb.Database) -> None:
    with pytest.raises(LCDBError, match="division by zero"):
        db.session.execute(sa.text("SELECT 1/0"))
    db.session.rollback()
    all_is_well(db)


# Server-side cursors


def test_yield_per_reads_in_a_transaction_that_ends_with_it(
    db: lcdb.Database, server: Server
) -> None:
    found = db.session.scalars(
        sa.select(DataSet.id).order_by(DataSet.id).execution_options(yield_per=2)
    )
    assert list(found) == list(range(1, LIGHT_CURVES + 1))
    streamed = db.session.connection().execution_options(stream_results=True)
    assert streamed.scalar(sa.text("SELECT count(*) FROM dataset")) == LIGHT_CURVES
    db.session.rollback()
    open_ = server.ask("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
    assert open_[0][0] == 0
    all_is_well(db)


def test_yield_per_may_be_left_before_its_end(db: lcdb.Database, server: Server) -> None:
    found = db.session.scalars(sa.select(DataSet.id).execution_options(yield_per=1))
    assert next(iter(found)) > 0
    found.close()
    db.session.rollback()
    open_ = server.ask("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
    assert open_[0][0] == 0
    all_is_well(db)


def test_a_failed_stream_is_closed_though_its_connection_was_lost(
    db: lcdb.Database, server: Server
) -> None:
    connection: Any = db.session.connection().connection.dbapi_connection
    cursor = connection.cursor("failed")
    with pytest.raises(psycopg2.Error, match="division by zero"):
        cursor.execute("SELECT 1 / 0")
    server.ask(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 10000)")
    cursor.close()
    with soon(ConnectionFailedError, "terminat|closed"):
        db.session.execute(sa.text("SELECT 1"))
    all_is_well(db)


# A function over many light curves


def stopping(server: Server, log: Path) -> Callable[[Any], int]:
    """Return a function that stops the server at its first call, and notes all calls."""
    # The process last launched may have ended at once, because the server was running already.
    pid, calls = int(server.pidfile.read_text().split()[0]), str(log)
    sockets = str(server.folder / ".s.PGSQL.5432")

    def stop_once(record: Any) -> int:
        first = not Path(calls).exists()
        with Path(calls).open("a") as file:
            file.write(f"{record.dataset}\n")
        if first:
            os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + 60
            while Path(sockets).exists():
                assert time.monotonic() < deadline, "the server does not stop"
                time.sleep(0.01)
        return int(record.dataset)

    return stop_once


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of a Dask cluster of two processes."""
    import distributed

    cluster: Any = distributed.LocalCluster
    with (
        cluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        two.get_client() as client,
    ):
        yield client


@pytest.fixture(
    params=["here", *(pytest.param(name, marks=pytest.mark.slow) for name in ("processes", "dask"))]
)
def ways(request: pytest.FixtureRequest, server: Server) -> dict[str, Any]:
    """Arguments of map() for each of the three kinds of workers."""
    if request.param == "dask":
        return {"client": request.getfixturevalue("client"), "database": server.url}
    return {"workers": 1 if request.param == "here" else 2}


def test_map_waits_for_a_server_that_is_restarted(
    server: Server, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parallel_batches, "_FIRST", 2)
    calls = tmp_path / "calls"

    def start_again() -> None:
        wait_until_stopped(server)
        # Several attempts are to fail first.
        threading.Event().wait(1.5)
        server.start()

    with lcdb.connect(server.url) as db:
        with when(calls.exists, start_again, []):
            done = db.search().map(stopping(server, calls), datasets="record", **ways)
        assert done["error"].isna().all()
        assert done["result"].tolist() == done["dataset"].tolist()
        # What was done before the restart is not done again.
        assert sorted(map(int, calls.read_text().split())) == sorted(done["dataset"])


def test_map_keeps_what_was_done_when_a_server_stays_away(
    server: Server, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parallel_batches, "_FIRST", 2)
    monkeypatch.setattr(parallel_batches, "PATIENCE", 1.0)
    with lcdb.connect(server.url) as db:
        done = db.search().map(stopping(server, tmp_path / "c"), datasets="record", **ways)
        kept, lost = done[done["error"].isna()], done[done["error"].notna()]
        assert kept["result"].tolist() == kept["dataset"].tolist()
        # The batch that stopped the server, and perhaps others that were read before.
        assert 2 <= len(kept) < LIGHT_CURVES
        assert len(kept) + len(lost) == LIGHT_CURVES
        assert ways.get("workers") != 1 or len(kept) == 2
        assert lost["error"].str.contains("ConnectionFailedError: no connection to").all()
        assert not lost["error"].str.contains("password").any()
        wait_until_stopped(server)
        server.start()
        all_is_well(db)


NIGHT = """
import os, sys, time
import lcdb_notebook as lcdb
from lcdb_notebook.read.parallel import batches, checkpoint
url, folder, calls, result, kind = sys.argv[1:]
checkpoint.SECONDS = 0.2
batches._SECONDS = 0.1

def slowly(record):
    with open(calls, "a") as file:
        file.write(f"{record.dataset} {os.getpid()}\\n")
    if kind != "undisturbed":
        time.sleep(0.02)
    return {"middle": float(record.flux[:10].mean()), "first": record.flux[:2]}

def run(**ways):
    with lcdb.connect(url) as db:
        db.search().map(
            slowly, datasets="record", checkpoint=folder, progress=False, **ways
        ).to_pickle(result)

if __name__ == "__main__":
    if kind == "dask":
        from distributed import LocalCluster
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            with cluster.get_client() as client:
                run(client=client, database=url)
    else:
        run(workers=2 if kind == "processes" else 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_map_with_a_checkpoint_survives_its_kernel_a_worker_and_the_server(
    server: Server, tmp_path: Path, kind: str
) -> None:
    server.ask("DROP DATABASE IF EXISTS night")
    server.ask("CREATE DATABASE night")
    url = server.url.replace("/postgres?", "/night?")
    with lcdb.connect(url, write=True, create=True) as db:
        store(db.session.connection(), list(demo.products(40, cadences=20)))
        db.session.commit()
        number = len(db.search())
    program, calls = tmp_path / "night.py", tmp_path / "calls"
    program.write_text(NIGHT)
    calls.touch()

    def begin(folder: str, noted: Path, kind: str) -> subprocess.Popen[bytes]:
        given = [url, str(tmp_path / folder), str(noted), str(tmp_path / f"{folder}.pickle"), kind]
        return subprocess.Popen([sys.executable, str(program), *given])

    def noted() -> list[list[int]]:
        whole = calls.read_text().rpartition("\n")[0].splitlines()
        return [[*map(int, line.split())] for line in whole]

    def after_further(number: int) -> None:
        enough = len(noted()) + number
        deadline = time.monotonic() + 120
        while len(noted()) < enough:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)

    running = begin("disturbed", calls, kind)
    try:
        after_further(100)
        for process in [*psutil.Process(running.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        running.kill()
        running.wait()
        stored = pd.read_parquet(tmp_path / "disturbed", columns=["dataset"])["dataset"]
        assert 0 < len(stored) < number
        running = begin("disturbed", calls, kind)
        after_further(60)
        os.kill(noted()[-1][1], signal.SIGKILL)
        after_further(60)
        server.restart()
        assert running.wait(120) == 0
    finally:
        running.kill()
        running.wait()
    times = Counter(dataset for dataset, _ in noted())
    assert len(times) == number
    assert {times[dataset] for dataset in stored} == {1}
    assert times.total() < 1.5 * number
    assert begin("undisturbed", tmp_path / "others", "undisturbed").wait(120) == 0
    disturbed, undisturbed = (
        pd.read_pickle(tmp_path / f"{name}.pickle") for name in ("disturbed", "undisturbed")
    )
    assert len(undisturbed) == number
    assert undisturbed["error"].isna().all()
    assert_frame_equal(disturbed, undisturbed)
    server.ask("DROP DATABASE night")
