"""A password appears nowhere, on a real server that requires one; and TLS as requested."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cloudpickle
import pandas as pd
import psutil
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.cli import main
from lcdb_notebook.errors import BackupError, ConnectionFailedError, LCDBError
from lcdb_notebook.server import backup, config
from lcdb_notebook.server.backup import programs
from lcdb_notebook.server.config.url import read_url
from lcdb_notebook.server.embedded import account as accounts
from lcdb_notebook.server.embedded.programs import server_programs

SECRET = "hunter2-Zq%7/@:x"
"""With characters that a URL has to encode; the first ten are the same in every encoding."""
TELLTALE = "hunter2-Zq"
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)


@dataclass(frozen=True)
class Server:
    """A server of the tests' own that asks for a password, and for TLS where it has it."""

    folder: Path
    port: int
    has_tls: bool

    def url(self, database: str = "stars", **query: str) -> str:
        """Return a URL with the password in it."""
        where = f"postgresql://ada:{quote(SECRET, safe='')}@localhost:{self.port}/{database}"
        return where + ("?" if query else "") + "&".join(f"{k}={v}" for k, v in query.items())

    def write_conf(self, **more: object) -> Path:
        """Write a db.conf."""
        values: dict[str, object] = {
            "username": "ada",
            "password": SECRET,
            "database_name": "stars",
            "database_host": "localhost",
            "database_port": self.port,
        }
        file = Path(tempfile.mkdtemp(dir=self.folder)) / "db.conf"
        lines = ["[Credentials]", *(f"{key} = {value}" for key, value in (values | more).items())]
        file.write_text("\n".join(lines))
        file.chmod(0o600)
        return file


def engine(url: str, **options: Any) -> sa.Engine:
    """Make an engine of psycopg2, which not every SQLAlchemy takes by itself."""
    return sa.create_engine(read_url(url, "url="), poolclass=sa.NullPool, **options)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """Make two authorities, ``ca`` and ``wrong``, and certificates of the first: server, carol."""
    key: tuple[object, ...] = (
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    )
    for name in ("ca", "wrong"):
        where = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", *where)
    for name, subject in (("server", "localhost"), ("carol", "carol")):
        request, certificate = folder / f"{name}.csr", folder / f"{name}.crt"
        private = folder / f"{name}.key"
        openssl("req", *key, "-subj", f"/CN={subject}", "-keyout", private, "-out", request)
        signed_by = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", request, *signed_by, "-days", "2", "-out", certificate)
        private.chmod(0o600)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Debian's PostgreSQL, which has TLS, or otherwise the embedded server's programs."""
    account = accounts.server_account()
    has_tls = bool(DEBIAN) and shutil.which("openssl") is not None
    programs = DEBIAN[0].parent if DEBIAN else server_programs(account)
    base = Path(tempfile.mkdtemp(prefix="lcdb-secret-"))
    base.chmod(0o711)
    folder = base / "server"
    folder.mkdir()
    (folder / "password").write_text(SECRET)
    rules = "host all ada 127.0.0.1/32 scram-sha-256\nlocal all all reject\n"
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    if has_tls:
        make_certificates(base)
        for name in ("server.crt", "server.key", "ca.crt"):
            shutil.copy(base / name, folder)
        rules += "hostssl all carol 127.0.0.1/32 cert\n"
        settings += [f"ssl_cert_file={folder}/server.crt", f"ssl_key_file={folder}/server.key"]
        settings += [f"ssl_ca_file={folder}/ca.crt", "ssl=on"]
    if account.switched:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.uid, account.gid)
    data = folder / "data"
    options = ("--username=ada", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
    made = account.run(
        [programs / "initdb", data, *options, "--locale=C", f"--pwfile={folder / 'password'}"]
    )
    assert made.returncode == 0, made.stdout
    (data / "pg_hba.conf").write_text(rules)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = " ".join(f"-c {setting}" for setting in [*settings, f"port={port}"])
    start: list[str | Path] = ["start", "-w", "-D", data, "-l", folder / "log", "-o", words]
    started = account.run([programs / "pg_ctl", *start])
    assert started.returncode == 0, (folder / "log").read_text()
    try:
        given = Server(base, port, has_tls)
        with engine(given.url("postgres"), isolation_level="AUTOCOMMIT").connect() as c:
            c.exec_driver_sql("CREATE DATABASE stars")
            c.exec_driver_sql("CREATE ROLE carol LOGIN SUPERUSER")
        with lcdb.connect(given.url(), write=True, create=True) as db:
            demo.load(db.session, 1)
        yield given
    finally:
        account.run([programs / "pg_ctl", "stop", "-D", data, "-m", "immediate"])
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def blank(server: Server) -> Iterator[str]:
    """Name of a database without tables on that server."""
    name = "blank"
    url = server.url("postgres")
    with engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield name
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the person testing out of it."""
    for name in [n for n in os.environ if n.startswith(("PG", "LCDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def all_text(error: BaseException) -> str:
    """Return all that a traceback, its causes and the objects in them could print."""
    text = "".join(traceback.format_exception(error))
    chained: list[BaseException] = [error]
    for one in chained:
        text += f"{one!r} {one} {one.args!r} {vars(one)!r} {getattr(one, '__notes__', '')}"
        chained += [
            e for e in (one.__cause__, one.__context__) if e is not None and e not in chained
        ]
    return text


# --- what can be looked at ----------------------------------------------------------------------


def test_no_object_shows_it(server: Server) -> None:
    with lcdb.connect(server.url(), write=True) as db:
        found = db.search(
            1, sector=1, exptime=120, photometry="DEMO aperture 2px", processing="raw"
        )
        lc = found.lightcurve()
        lineage = db.lineage(lc)
        (record,) = found.read()
        things: list[object] = [db, db.session, db.session.bind, db.session.connection(), found]
        things += [db.session.connection().connection.driver_connection, lc, lc.meta, record]
        things += [
            found.table,
            found.to_pandas(),
            lineage,
            *vars(db).values(),
            *vars(found).values(),
        ]
        things += [config.resolve(server.url()), db.session.connection().engine.url]
        for thing in things:
            html = getattr(thing, "_repr_html_", None)
            text = f"{thing!r} {thing} {html() if html else ''} {getattr(thing, 'attrs', '')}"
            assert TELLTALE not in text, type(thing)
        for help_text in (db.__doc__, str(vars(db)), str(vars(found))):
            assert TELLTALE not in str(help_text)


def no_password(server: Server) -> str:
    return server.url().replace(quote(SECRET, safe=""), quote(SECRET + "wrong", safe=""))


FAILURES: dict[str, Callable[[Server], object]] = {
    "a wrong password": lambda s: lcdb.connect(no_password(s)),
    "no such database": lambda s: lcdb.connect(s.url("nowhere")),
    "no server": lambda s: lcdb.connect(s.url().replace(str(s.port), "1")),
    "no such host": lambda s: lcdb.connect(s.url().replace("localhost", "nowhere.invalid")),
    "no required TLS": lambda s: lcdb.connect(s.url(sslmode="verify-full", sslrootcert="/none")),
    "an unknown option": lambda s: lcdb.connect(s.url(options="-c%20nonsense%3D1")),
    "a password that was not encoded": lambda s: lcdb.connect(
        f"postgresql://ada:{SECRET}@localhost:{s.port}/stars"
    ),
    "a password for a port": lambda _: lcdb.connect(f"postgresql://ada@localhost:{SECRET}/stars"),
    "a wrong key in a file": lambda s: lcdb.connect(config=s.write_conf(database_port=SECRET)),
    "a change while reading": lambda s: lcdb.connect(s.url()).session.execute(
        sa.text("CREATE TABLE x ()")
    ),
    "a lost connection": lambda s: cut_off(lcdb.connect(s.url())),
    "backing up nothing": lambda s: backup.backup(
        read_url(s.url("postgres"), "here"), Path("x"), description="here"
    ),
}


def cut_off(db: lcdb.Database) -> None:
    with db.session_scope() as session:
        session.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))


CELLS = {
    "a wrong password of a file": "lcdb.connect(config=conf(password=wrong()))",
    "no such database of a file": "lcdb.connect(config=conf(database_name='nowhere'))",
    "no such host of a file": "lcdb.connect(config=conf(database_host='nowhere.invalid'))",
    "a password for a port": "lcdb.connect(config=conf(database_port=wrong()))",
    "no required TLS": "lcdb.connect(url(sslmode='verify-full', sslrootcert='/none'))",
    "a wrong password of a URL": "lcdb.connect(url().replace('%40', '%41'))",
    "a port of a URL": "lcdb.connect(url().replace('localhost:', 'localhost:x'))",
    "an unknown option of a URL": "lcdb.connect(url(options='-c%20nonsense%3D1'))",
    "a timeout": "lcdb.connect(url(), statement_timeout=-1)",
    "create without write": "lcdb.connect(url(), create=True)",
    "the environment": "lcdb.connect()",
    "not our tables": "lcdb.connect(url('postgres'))",
    "a mistake in a statement": "lcdb.connect(url()).session.execute(sa.text('SELEC'))",
    "a lost connection": "cut_off(lcdb.connect(url()))",
    "a backup": "backup.backup(read_url(url('nowhere'), 'here'), Path('x'), description='here')",
    "a restore": "backup.restore(read_url(url(), 'here'), Path('/dev/null'), description='here')",
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_no_verbose_traceback_of_ipython_shows_it(
    server: Server,
    cell: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from IPython.core import interactiveshell
    from traitlets.config import Config

    monkeypatch.setenv("LCDB_URL", server.url().replace(str(server.port), "1"))
    monkeypatch.setenv("PGPASSWORD", SECRET)
    shell_class: Any = interactiveshell.InteractiveShell
    monkeypatch.setattr(shell_class, "_instance", None)
    shell = shell_class.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("xmode", "Verbose")
    shell.run_line_magic("colors", "nocolor")
    shell.push(
        {
            "lcdb": lcdb,
            "sa": sa,
            "Path": Path,
            "backup": backup,
            "read_url": read_url,
            "cut_off": cut_off,
            "url": server.url,
            "conf": server.write_conf,
            "wrong": lambda: SECRET + "wrong",
        }
    )
    capsys.readouterr()
    shell.run_cell(cell)
    shell_class.clear_instance()
    output = "".join(capsys.readouterr())
    assert "Error" in output
    assert "lcdb_notebook" in output
    assert TELLTALE not in output, output[max(0, output.index(TELLTALE) - 800) :][:1200]


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_no_error_or_cause_contains_the_password(
    fail: Callable[[Server], object], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((LCDBError, sa.exc.SQLAlchemyError)) as caught:
        fail(server)
    text = all_text(caught.value)
    assert len(text) > 100
    assert TELLTALE not in text
    assert TELLTALE not in caplog.text


def test_no_log_of_any_level_contains_the_password(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "lcdb_notebook", "alembic"):
        caplog.set_level(logging.DEBUG, logger=name)
    with lcdb.connect(server.url(), write=True) as db:
        db.create()
        db.search(1, sector=1).to_pandas()
        db.session.execute(sa.text("SELECT 1"))
    assert "SELECT 1" in caplog.text
    assert "dsn:" in caplog.text  # the pool names its connections so
    assert TELLTALE not in caplog.text


@pytest.mark.parametrize("take", [pickle.dumps, cloudpickle.dumps, copy.deepcopy])
def test_connected_objects_cannot_be_pickled(
    take: Callable[[object], object], server: Server
) -> None:
    with lcdb.connect(server.url()) as db:
        for thing in (db, db.search(1)):
            with pytest.raises(TypeError, match=r"can be pickled.*lcdb\.connect") as caught:
                take(thing)
            assert TELLTALE not in all_text(caught.value)


def test_results_are_pickled_without_the_password(server: Server) -> None:
    with lcdb.connect(server.url()) as db:
        found = db.search(1, sector=1)
        (first, *_) = found.read()
        datasets = db.session.scalars(sa.select(lcdb.models.DataSet)).all()
        for thing in (first, found.table, found.to_pandas(), found[:1].lightcurve(), datasets):
            assert TELLTALE.encode() not in pickle.dumps(thing)


# --- what is written somewhere ------------------------------------------------------------------


@pytest.mark.slow
def test_no_notebook_shows_it(server: Server, tmp_path: Path) -> None:
    cells = [
        "import lcdb_notebook as lcdb, os, logging, sys; logging.basicConfig(level=logging.DEBUG)",
        "lcdb.connect(os.environ['WRONG'])",
        "lcdb.connect(os.environ['NOWHERE'])",
        "db = lcdb.connect(); db",
        "db.search(1)",
        "db.session.bind, db.session, vars(db)",
        "db.session.execute('nonsense')",
        "db.ingest('x.fits')",
        "import pickle; pickle.dumps(db)",
    ]
    # Its import takes seconds, which every process of the tests would spend while collecting.
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    )
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    own = {
        "WRONG": no_password(server),
        "NOWHERE": server.url("nowhere"),
        "LCDB_URL": server.url(),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    done = client.execute(env={**os.environ, **own})
    outputs = [[output.output_type for output in cell.outputs] for cell in done.cells]
    assert "error" in outputs[1]
    assert "execute_result" in outputs[3]
    written = nbformat.writes(done)  # type: ignore[no-untyped-call]
    assert "ConnectionFailedError" in written
    assert TELLTALE not in written


@pytest.mark.parametrize("how", ["--url", "--config", "LCDB_URL"])
@pytest.mark.parametrize("wrong", [False, True])
def test_no_command_prints_it(
    how: str,
    wrong: bool,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = no_password(server) if wrong else server.url()
    arguments = ["info", "--debug"]
    if how == "LCDB_URL":
        monkeypatch.setenv(how, url)
    elif how == "--url":
        arguments += [how, url]
    else:
        arguments += [
            how,
            str(server.write_conf(**{"password": SECRET + "wrong"} if wrong else {})),
        ]
    assert main(arguments) == (2 if wrong else 0)
    text = capsys.readouterr()
    assert ("Traceback" in text.err) == wrong
    assert TELLTALE not in text.out + text.err


@contextmanager
def dataset_locked(url: str) -> Iterator[None]:
    with engine(url).begin() as connection:
        connection.exec_driver_sql("LOCK TABLE dataset IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_no_command_line_of_a_child_has_it(
    command: str, server: Server, blank: str, tmp_path: Path
) -> None:
    file = tmp_path / "lcdb.dump"
    url = config.resolve(server.url(sslmode="disable")).url
    assert url is not None
    backup.backup(url, file, description="here")
    if command == "restore":
        lcdb.connect(server.url(blank), write=True, create=True).close()
    used = server.url("stars" if command == "backup" else blank, sslmode="disable")
    with dataset_locked(used):
        process = subprocess.Popen(
            [sys.executable, "-m", "lcdb_notebook", command, str(file)],
            env={**os.environ, "LCDB_URL": used},
            stderr=subprocess.PIPE,
        )
        with process:
            lines = command_lines_of_children(process.pid)
            process.terminate()
    assert any("dbname=" in line and "user=ada" in line for line in lines)
    assert TELLTALE not in "\n".join(lines)


def command_lines_of_children(pid: int) -> list[str]:
    """Wait until a process has started a program on a database, and list all that it runs then."""
    deadline = time.monotonic() + 60
    while True:
        lines = []
        for program in psutil.Process(pid).children(recursive=True):
            # It may have ended in the meantime.
            with suppress(psutil.NoSuchProcess):
                lines.append(" ".join(program.cmdline()))
        if any("--dbname=" in line for line in lines):
            return lines
        assert time.monotonic() < deadline, "no program was started"
        time.sleep(0.01)


def test_no_backup_has_it(server: Server, tmp_path: Path) -> None:
    url = config.resolve(server.url(sslmode="disable")).url
    assert url is not None
    file = backup.backup(url, tmp_path / "lcdb.dump", description="here")
    assert TELLTALE.encode() not in file.read_bytes()


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture
def tls(server: Server) -> Server:
    if not server.has_tls:
        pytest.skip("neither Debian's PostgreSQL nor openssl here; the embedded one has no TLS")
    return server


WAYS = ("url", "config", "environment")


def connect_by(
    way: str, server: Server, monkeypatch: pytest.MonkeyPatch, **options: object
) -> lcdb.Database:
    if way == "config":
        return lcdb.connect(config=server.write_conf(**options))
    if way == "url":
        return lcdb.connect(server.url(**{name: str(value) for name, value in options.items()}))
    for name, value in options.items():
        monkeypatch.setenv(f"PG{name.upper()}", str(value))
    for name, value in {"HOST": "localhost", "PORT": server.port, "USER": "ada"}.items():
        monkeypatch.setenv(f"PG{name}", str(value))
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("PGDATABASE", "stars")
    return lcdb.connect()


def in_tls(db: lcdb.Database) -> bool:
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    return bool(db.session.scalar(sa.text(query)))


@pytest.mark.parametrize("way", WAYS)
def test_a_server_is_accepted_whose_authority_is_the_right_one(
    way: str, tls: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": tls.folder / "ca.crt"}
    with connect_by(way, tls, monkeypatch, **options) as db:
        assert in_tls(db)
        assert len(db.search(1)) > 0


@pytest.mark.parametrize("way", WAYS)
def test_a_server_is_refused_whose_authority_is_another(
    way: str, tls: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": tls.folder / "wrong.crt"}
    with pytest.raises(ConnectionFailedError, match="certificate verify failed") as caught:
        connect_by(way, tls, monkeypatch, **options)
    assert TELLTALE not in all_text(caught.value)


def test_a_server_of_another_name_is_refused(tls: Server) -> None:
    url = tls.url(sslmode="verify-full", sslrootcert=str(tls.folder / "ca.crt"))
    with pytest.raises(ConnectionFailedError, match="does not match host name"):
        lcdb.connect(url.replace("localhost", "127.0.0.1"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("mode", "encrypted"), [("disable", False), ("require", True)])
def test_the_tls_mode_is_the_requested_one(
    mode: str, encrypted: bool, way: str, tls: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect_by(way, tls, monkeypatch, sslmode=mode) as db:
        assert in_tls(db) is encrypted


def test_a_url_overrides_the_environment(tls: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    with lcdb.connect(tls.url(sslmode="require")) as db:
        assert in_tls(db)


@pytest.mark.parametrize("way", ["url", "config"])
def test_a_certificate_does_instead_of_a_password(way: str, tls: Server, tmp_path: Path) -> None:
    shutil.copy(tls.folder / "carol.key", tmp_path)
    certificate = {"sslmode": "require", "sslcert": str(tls.folder / "carol.crt")}
    if way == "url":
        certificate["sslkey"] = str(tmp_path / "carol.key")
        url = tls.url(**certificate).replace(f"ada:{quote(SECRET, safe='')}", "carol")
        opened = lcdb.connect(url)
    else:
        certificate["sslkey"] = "~/carol.key"  # which libpq alone would not find
        opened = lcdb.connect(config=tls.write_conf(username="carol", password="", **certificate))
    with opened as db:
        assert db.session.scalar(sa.text("SELECT current_user")) == "carol"


def test_a_backup_is_encrypted_where_the_connection_is(
    tls: Server, blank: str, tmp_path: Path
) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": str(tls.folder / "ca.crt")}
    file = tmp_path / "lcdb.dump"
    assert main(["backup", str(file), "--url", tls.url(**options)]) == 0
    assert main(["restore", str(file), "--url", tls.url(blank, **options)]) == 0
    with lcdb.connect(tls.url()) as there, lcdb.connect(tls.url(blank)) as here:
        pd.testing.assert_frame_equal(here.search(1).table, there.search(1).table)
        pd.testing.assert_frame_equal(here.search(1).to_pandas(), there.search(1).to_pandas())


def test_without_programs_that_know_tls_nothing_is_sent_in_the_clear(
    tls: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "installed", lambda _: iter(()))
    url = config.resolve(tls.url()).url
    assert url is not None
    with pytest.raises(BackupError, match=r"pg_dump .* does not support TLS.*postgresql-client"):
        backup.backup(url, tmp_path / "lcdb.dump", description="here")
    assert not list(tmp_path.iterdir())
