"""The embedded server: its owner's alone, shared by its owner's processes, and hard to break."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.errors import EmbeddedServerError, ReadOnlyError
from lcdb_notebook.server import embedded
from lcdb_notebook.server.embedded import account as accounts
from lcdb_notebook.server.embedded import folder as folders
from lcdb_notebook.server.embedded import programs
from lcdb_notebook.server.embedded.pidfile import PidFile

NOBODY = 65534
OTHER_POSTGRESQL = [
    path
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if path.parent.name != str(programs.WHEEL_VERSION)
]
ROOT = os.geteuid() == 0
# In memory if there is space: forty data folders of 40 MB are made and removed here.
MEMORY = Path("/dev/shm")
DISK = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2e9 else None
as_root = pytest.mark.skipif(not ROOT, reason="only root can become another user or mount a disk")


@contextmanager
def scratch(*parts: str) -> Iterator[Path]:
    """Return a new path, below a folder that the server's account can reach."""
    base = Path(tempfile.mkdtemp(prefix="lcdb-test-", dir=DISK))
    base.chmod(0o711)
    try:
        yield base.joinpath("pg", *parts)
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[embedded.Server]:
    with scratch() as folder, embedded.start(folder) as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as path:
        yield path


@pytest.fixture(scope="module")
def seed() -> Iterator[Path]:
    """The folder of a server that ran and was stopped, for tests that spoil a copy of it."""
    with scratch() as folder:
        embedded.start(folder).stop()
        yield folder


@pytest.fixture
def spoilt(seed: Path, folder: Path) -> Path:
    """A copy of a stopped server's folder."""
    subprocess.run(["cp", "-a", seed, folder], check=True)
    return folder


def query(server: embedded.Server, sql: str, **changes: Any) -> Any:
    engine = sa.create_engine(server.url().set(**changes), poolclass=sa.NullPool)
    with engine.connect() as connection:
        result = connection.exec_driver_sql(sql)
        answer = result.scalar() if result.returns_rows else None
        connection.commit()
        return answer


def postmaster(folder: Path) -> int | None:
    """Return the number of the server's process, or None if none runs."""
    found = PidFile.read(folder / "data")
    return found.pid if found is not None and found.is_alive() else None


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that starts the server, prints its number, and stays."""
    code = (
        "import sys; from lcdb_notebook.server import embedded; "
        "from lcdb_notebook.server.embedded.pidfile import PidFile; "
        "server = embedded.start(sys.argv[1]); "
        "print(PidFile.read(server.folder / 'data').pid, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    """End the other process like a notebook that is closed."""
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


def ask_stranger(sockets: Path) -> subprocess.CompletedProcess[str]:
    """Connect through the socket as another user of the machine."""
    psql = programs.server_programs(accounts.server_account()) / "psql"
    return subprocess.run(
        [psql, "-h", sockets, "-p", "5432", "-U", "postgres", "-c", "SELECT 1", "lightcurvedb"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )


def sockets_of(server: embedded.Server) -> Path:
    host = server.url().query["host"]
    assert isinstance(host, str)
    return Path(host)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- what one gets --------------------------------------------------------------------------


def test_a_server_has_postgresql_18_and_an_empty_lightcurvedb(server: embedded.Server) -> None:
    assert query(server, "SHOW server_version").startswith("18.")
    assert query(server, "SELECT current_database()") == "lightcurvedb"


def test_text_is_utf8_and_sorted_alike_on_every_machine(server: embedded.Server) -> None:
    assert query(server, "SHOW server_encoding") == "UTF8"
    assert query(server, "SELECT 'Z' < 'a' AND 'z' < 'ä'") is True
    assert query(server, "SELECT upper('ä')") == "Ä"
    provider = "SELECT datlocprovider FROM pg_database WHERE datname = 'lightcurvedb'"
    assert query(server, provider) in ("b", b"b")


def test_committed_data_are_on_the_disk(server: embedded.Server) -> None:
    assert query(server, "SHOW fsync") == "on"
    assert query(server, "SHOW synchronous_commit") == "on"
    assert query(server, "SHOW data_checksums") == "on"


def test_the_url_names_the_requested_database(server: embedded.Server) -> None:
    assert server.url("postgres").database == "postgres"
    assert query(server, "SELECT current_database()", database="postgres") == "postgres"


def test_the_url_and_the_repr_have_no_password_and_name_the_folder(server: embedded.Server) -> None:
    assert server.url().password is None
    assert repr(server) == f"<embedded PostgreSQL in {server.folder}>"


def test_the_owner_may_take_any_role(server: embedded.Server) -> None:
    query(server, "CREATE ROLE reader LOGIN")
    try:
        assert query(server, "SELECT current_user", username="reader") == "reader"
    finally:
        query(server, "DROP ROLE reader")


def test_the_tools_for_a_backup_are_of_the_servers_version(server: embedded.Server) -> None:
    for name in ("pg_dump", "pg_restore"):
        completed = subprocess.run(
            [embedded.binary(name), "--version"], capture_output=True, check=True
        )
        assert query(server, "SHOW server_version") in completed.stdout.decode()


def test_a_missing_program_is_named() -> None:
    with pytest.raises(EmbeddedServerError, match="pg_dance"):
        embedded.binary("pg_dance")


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Hide the wheel of PostgreSQL's programs, as in an environment of conda."""
    caches = (programs._wheel, programs._programs, programs.server_programs)
    monkeypatch.setattr(programs, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    for cached in caches:
        cached.cache_clear()
    yield monkeypatch
    for cached in caches:
        cached.cache_clear()


@pytest.mark.skipif(not OTHER_POSTGRESQL, reason="no PostgreSQL in /usr/lib/postgresql")
def test_without_the_wheel_the_programs_on_path_are_used(
    without_wheel: pytest.MonkeyPatch, folder: Path
) -> None:
    installed = OTHER_POSTGRESQL[-1]
    without_wheel.setenv("PATH", str(installed), prepend=os.pathsep)
    assert embedded.binary("pg_dump") == installed / "pg_dump"
    with pytest.raises(EmbeddedServerError, match=r"Install PostgreSQL's pg_dance there"):
        embedded.binary("pg_dance")
    for _ in range(2):  # with new data, and with existing data
        with embedded.start(folder) as started:
            assert query(started, "SHOW server_version").startswith(installed.parent.name)
            assert query(started, "SELECT 'b' < 'C'") is False  # sorted by code point
            assert query(started, "SELECT current_user", username="lcdb_reader") == "lcdb_reader"


def test_without_the_wheel_and_programs_on_path_the_error_names_both(
    without_wheel: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    without_wheel.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match="nor a program initdb on PATH"):
        embedded.start(folder)
    for name, output in (("initdb", ""), ("postgres", "postgres (PostgreSQL) 13.2")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{output}'\n")
        program.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"needs PostgreSQL 14 or newer; .* version 13"):
        embedded.start(folder)


# --- who may use it -------------------------------------------------------------------------


def test_no_tcp_port_is_listened_on(server: embedded.Server) -> None:
    assert query(server, "SHOW listen_addresses") == ""
    pid = postmaster(server.folder)
    opened = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        # It may have been closed meanwhile.
        with suppress(FileNotFoundError):
            opened.add(str(fd.readlink()))
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            listening.add(f"socket:[{line.split()[9]}]")
    assert any(name.startswith("socket:") for name in opened)
    assert not opened & listening


def test_only_peers_are_admitted_and_nothing_is_trusted(server: embedded.Server) -> None:
    rules = "SELECT string_agg(type || ' ' || auth_method, ',') FROM pg_hba_file_rules"
    assert query(server, rules) == "local peer"


def test_folder_data_and_socket_are_closed_to_others(server: embedded.Server) -> None:
    assert mode(server.folder) == 0o700
    assert mode(server.folder / "data") == 0o700
    assert mode(sockets_of(server)) == 0o700
    assert mode(sockets_of(server) / ".s.PGSQL.5432") == 0o700
    for name in ("server.log", "users.lock", "start.lock"):
        assert mode(server.folder / name) == 0o600


PLACES = {
    "short": (),
    "just too long": ("x" * 70,),
    "very long": ("x" * 200, "y" * 200),
    "spaces and letters": ("Æther und Große Körper", "光变曲线"),
    "commas and quotes": ("""a, "b" 'c' $(d) `e` \\f %g""",),
}
SIMILAR = ("just too long", "spaces and letters")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(parts, id=name, marks=pytest.mark.slow if name in SIMILAR else [])
        for name, parts in PLACES.items()
    ],
)
def test_a_server_starts_and_is_private_wherever_its_folder_is(parts: tuple[str, ...]) -> None:
    with scratch(*parts) as folder:
        with embedded.start(folder) as server:
            assert server.folder == folder.resolve()
            assert query(server, "SELECT 1") == 1
            sockets = sockets_of(server)
            assert len(os.fsencode(sockets / ".s.PGSQL.5432")) <= 107
            assert mode(server.folder) == mode(sockets) == 0o700
            assert query(server, "SHOW listen_addresses") == ""
            if ROOT:
                refused = ask_stranger(sockets)
                assert refused.returncode != 0
                assert "Permission denied" in refused.stderr
        assert postmaster(folder) is None
        assert sockets == folder.resolve() or not sockets.exists()


@as_root
def test_another_user_is_refused_even_if_the_folder_is_open(server: embedded.Server) -> None:
    sockets = sockets_of(server)
    try:
        sockets.chmod(0o755)
        (sockets / ".s.PGSQL.5432").chmod(0o777)
        refused = ask_stranger(sockets)
    finally:
        sockets.chmod(0o700)
        (sockets / ".s.PGSQL.5432").chmod(0o700)
    assert refused.returncode != 0
    assert "Peer authentication failed" in refused.stderr


def test_the_client_refuses_a_server_of_another_user(server: embedded.Server) -> None:
    owner = Path(f"/proc/{postmaster(server.folder)}").owner()
    assert server.url().query["requirepeer"] == owner
    impostors = server.url().update_query_dict({"requirepeer": "somebody"})
    engine = sa.create_engine(impostors)
    with pytest.raises(sa.exc.OperationalError, match="requirepeer"):
        engine.connect()


def test_a_folder_that_was_opened_to_others_is_closed_again(spoilt: Path) -> None:
    spoilt.chmod(0o755)
    with embedded.start(spoilt):
        assert mode(spoilt) == 0o700


@as_root
def test_the_folder_of_another_user_is_refused_and_left_alone(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    user = pwd.getpwuid(NOBODY).pw_name
    with pytest.raises(EmbeddedServerError, match=rf"belongs to {user}.*Choose another folder"):
        embedded.start(folder)
    assert folder.stat().st_uid == NOBODY
    assert mode(folder) == 0o755
    assert not list(folder.iterdir())


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    (folder / "thesis.tex").touch()
    with pytest.raises(EmbeddedServerError, match=r"thesis\.tex"):
        embedded.start(folder)
    assert mode(folder) == 0o755
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_named(folder: Path) -> None:
    folder.touch()
    with pytest.raises(EmbeddedServerError, match="is not a folder"):
        embedded.start(folder)


@pytest.mark.parametrize("squatter", ["open folder", "link", "file"])
def test_a_short_socket_folder_that_is_not_private_is_not_used(squatter: str) -> None:
    account = accounts.server_account()
    with scratch("z" * 150) as folder, ExitStack() as cleanup:
        folder.mkdir(parents=True)
        expected = folders.socket_folder(folder, account)
        expected.rmdir()
        if squatter == "open folder":
            expected.mkdir()
            expected.chmod(0o777)
            cleanup.callback(expected.rmdir)
        else:
            cleanup.callback(expected.unlink)
            if squatter == "link":
                expected.symlink_to(folder)
            else:
                expected.touch()
        found = folders.socket_folder(folder, account)
        cleanup.callback(found.rmdir)
        assert found.name == f"{expected.name}-1"
        assert folders.is_private(found, account)


def test_a_lock_file_that_is_a_link_is_not_followed(spoilt: Path) -> None:
    target = spoilt.parent / "target"
    target.touch()
    (spoilt / "start.lock").unlink()
    (spoilt / "start.lock").symlink_to(target)
    with pytest.raises(EmbeddedServerError, match="symbolic links"):
        embedded.start(spoilt)
    assert postmaster(spoilt) is None


# --- root -----------------------------------------------------------------------------------


@as_root
def test_the_server_of_root_runs_under_an_account_without_login(
    server: embedded.Server,
) -> None:
    account = accounts.server_account()
    assert account.uid not in (0, NOBODY)
    assert Path(f"/proc/{postmaster(server.folder)}").stat().st_uid == account.uid
    assert server.folder.stat().st_uid == account.uid


@as_root
def test_roots_closed_folder_stays_closed_and_the_data_go_elsewhere() -> None:
    with scratch() as closed:
        closed.mkdir(mode=0o700)
        chosen = closed / "db"
        with embedded.start(chosen) as server:
            try:
                assert query(server, "SELECT 1") == 1
                assert server.folder.parent == folders.ROOTS_FOLDER
                assert mode(server.folder) == 0o700
                assert mode(closed) == 0o700
                assert not chosen.exists()
                assert "Permission denied" in ask_stranger(sockets_of(server)).stderr
                with embedded.start(chosen) as again:
                    assert again.folder == server.folder
            finally:
                server.stop()
                shutil.rmtree(server.folder)


@as_root
def test_programs_in_roots_closed_folder_are_copied_for_all_to_run_and_root_to_change(
    folder: Path,
) -> None:
    wheel = embedded.binary("postgres").parents[2]
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    for source in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(source, closed / source.name, ignore=shutil.ignore_patterns("pginstall"))
    for path in closed.rglob("*"):
        path.chmod(0o770)
    copied = programs.copy_programs(closed / wheel.name, folder)
    completed = subprocess.run(
        [copied / "initdb", "--version"], user=NOBODY, group=NOBODY, cwd="/", check=True
    )
    assert completed.returncode == 0
    for path in [folder, *folder.rglob("*")]:
        assert path.is_symlink() or (path.stat().st_uid == 0 and not mode(path) & 0o022)
    assert programs.copy_programs(closed / wheel.name, folder) == copied
    copied.parents[2].chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="Remove it"):
        programs.copy_programs(closed / wheel.name, folder)


@as_root
def test_an_ordinary_user_gets_a_separate_server() -> None:
    code = (
        "import sys; from lcdb_notebook.server import embedded; "
        "server = embedded.start(sys.argv[1]); "
        "import os, psycopg2; url = server.url(); "
        "connection = psycopg2.connect(dbname=url.database, user=url.username, **url.query); "
        "print(os.stat(server.folder).st_uid, connection.server_version)"
    )
    command = [sys.executable, "-c", code]
    outsider: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
    try:
        subprocess.run([sys.executable, "-c", "import lcdb_notebook"], check=True, **outsider)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"other users cannot run {sys.executable}")
    with scratch() as folder:
        folder.parent.chmod(0o777)
        completed = subprocess.run(
            [*command, folder], capture_output=True, text=True, check=True, **outsider
        )
        assert completed.stdout.split()[0] == str(NOBODY)
        assert postmaster(folder) is None


# --- sharing --------------------------------------------------------------------------------


def test_another_process_joins_the_running_server_and_leaves_it_running(
    server: embedded.Server,
) -> None:
    before = postmaster(server.folder)
    with another_process(server.folder) as other:
        assert first_line(other) == str(before)
        leave(other)
    assert postmaster(server.folder) == before
    assert query(server, "SELECT 1") == 1


@pytest.mark.slow
def test_several_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(another_process(folder)) for _ in range(4)]
        assert {first_line(other) for other in others} == {str(postmaster(folder))}
        for other in others[:-1]:
            leave(other)
        assert postmaster(folder) is not None
        leave(others[-1])
        assert postmaster(folder) is None


@pytest.mark.slow
def test_a_process_may_start_it_twice_and_stops_it_with_the_second_stop(spoilt: Path) -> None:
    first, second = embedded.start(spoilt), embedded.start(spoilt)
    first.stop()
    first.stop()
    assert query(second, "SELECT 1") == 1
    second.stop()
    assert postmaster(spoilt) is None
    with pytest.raises(EmbeddedServerError, match="call start"):
        second.ensure_running()


@pytest.mark.slow
def test_a_killed_notebook_does_not_count_as_a_user_for_ever(spoilt: Path) -> None:
    with another_process(spoilt) as other:
        assert first_line(other) == str(postmaster(spoilt))
        other.kill()
        wait_until(lambda: postmaster(spoilt) is None)


def test_the_server_outlives_the_process_that_started_it_while_another_uses_it(
    spoilt: Path,
) -> None:
    with another_process(spoilt) as starter:
        pid = int(first_line(starter))
        with embedded.start(spoilt) as server:
            starter.kill()
            starter.wait()
            assert query(server, "SELECT 1") == 1
            assert postmaster(spoilt) == pid
    assert postmaster(spoilt) is None


def test_the_server_stops_although_its_keeper_was_killed() -> None:
    with scratch("k" * 150) as folder:
        with embedded.start(folder) as server:
            pid = postmaster(folder)
            parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
            os.kill(int(parent), signal.SIGKILL)
            wait_until(lambda: ") Z " in Path(f"/proc/{parent}/stat").read_text())
            assert postmaster(folder) == pid
        assert postmaster(folder) is None
        assert not sockets_of(server).exists()


def test_a_forked_child_does_not_stop_the_server(spoilt: Path) -> None:
    with embedded.start(spoilt) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert query(server, "SELECT 1") == 1


def test_a_forked_child_keeps_the_server_while_it_lives(spoilt: Path) -> None:
    server = embedded.start(spoilt)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    server.stop()
    assert query(server, "SELECT 1") == 1
    os.close(write)
    os.waitpid(child, 0)
    wait_until(lambda: postmaster(spoilt) is None)


def test_an_interrupt_in_the_notebook_does_not_reach_the_server(spoilt: Path) -> None:
    with embedded.start(spoilt):
        pid = postmaster(spoilt)
        assert pid is not None
        assert os.getsid(pid) != os.getsid(0)


# --- accidents ------------------------------------------------------------------------------


def test_after_a_crash_the_next_start_recovers_what_was_committed(spoilt: Path) -> None:
    with embedded.start(spoilt) as server:
        query(server, "CREATE TABLE kept AS SELECT 1 AS x")
        pid = postmaster(spoilt)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: postmaster(spoilt) is None)
        server.ensure_running()
        assert postmaster(spoilt) not in (None, pid)
        assert query(server, "SELECT x FROM kept") == 1


@pytest.mark.slow
def test_ensure_running_waits_while_the_server_recovers_from_a_crash(spoilt: Path) -> None:
    with embedded.start(spoilt) as server:
        where = server.url().query
        connections = [
            psycopg2.connect(
                host=where["host"], port=where["port"], user="postgres", dbname="postgres"
            )
            for _ in range(2)
        ]
        slow, killed = (connection.info.backend_pid for connection in connections)
        # The server ends all of its processes before it recovers, and waits for this one.
        os.kill(slow, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: refuses(server))
        server.ensure_running()
        assert query(server, "SELECT 1") == 1


@pytest.fixture
def hangs(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[embedded.Server, int]]:
    """A server that does not stop on request, as PostgreSQL 18 may while it recovers."""
    monkeypatch.setattr("lcdb_notebook.server.embedded.pidfile.STOPS_WITHIN", 0.5)
    monkeypatch.setattr("lcdb_notebook.server.embedded.keeper.STOPS_WITHIN", 0.5)
    with embedded.start(spoilt) as server:
        found = PidFile.read(spoilt / "data")
        assert found is not None
        sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        os.kill(query(server, sql), signal.SIGSTOP)
        yield server, found.pid


@pytest.mark.slow
def test_ensure_running_ends_a_server_that_does_not_stop(
    hangs: tuple[embedded.Server, int],
) -> None:
    server, pid = hangs
    os.kill(pid, signal.SIGINT)
    server.ensure_running()
    assert query(server, "SELECT 1") == 1


@pytest.mark.slow
def test_stop_ends_a_server_that_does_not_stop(hangs: tuple[embedded.Server, int]) -> None:
    server, pid = hangs
    server.stop()
    # Its number is free once the keeper has read its exit status.
    wait_until(lambda: not psutil.pid_exists(pid))


@pytest.mark.slow
def test_a_server_that_does_not_stop_is_ended_after_its_last_user_was_killed(
    hangs: tuple[embedded.Server, int],
) -> None:
    server, pid = hangs
    # As if this process had died: it neither waits nor stops the server.
    use = embedded.server._uses.pop(server.folder)
    os.close(use.lock)
    wait_until(lambda: not psutil.pid_exists(pid))


def refuses(server: embedded.Server) -> bool:
    try:
        query(server, "SELECT 1")
    except sa.exc.OperationalError:
        return True
    return False


@pytest.mark.slow
def test_after_everything_was_killed_at_once_the_next_start_recovers(spoilt: Path) -> None:
    with another_process(spoilt) as other:
        pid = int(first_line(other))
        os.kill(pid, signal.SIGKILL)
        other.kill()
    with embedded.start(spoilt) as server:
        assert query(server, "SELECT 1") == 1


def test_a_stale_pid_file_with_the_number_of_another_process_is_ignored(
    spoilt: Path,
) -> None:
    account = accounts.server_account()
    namesake = subprocess.Popen(
        ["/bin/cat"],
        stdin=subprocess.PIPE,
        user=account.uid if ROOT else None,
        cwd="/",
    )
    with namesake:
        lines = [str(namesake.pid), str(spoilt / "data"), "0", "5432", str(spoilt), "", "0 0", ""]
        (spoilt / "data" / "postmaster.pid").write_text("\n".join([*lines[:7], "ready", ""]))
        with embedded.start(spoilt) as server:
            assert query(server, "SELECT 1") == 1
            assert namesake.poll() is None
        namesake.kill()


def test_incomplete_data_are_created_again(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    if ROOT:
        subprocess.run(["chown", "-R", accounts.server_account().name, folder], check=True)
    with embedded.start(folder) as server:
        assert query(server, "SELECT 1") == 1
        assert not (folder / "data.new").exists()


def test_data_of_another_major_version_are_named_and_not_touched(spoilt: Path) -> None:
    (spoilt / "data" / "PG_VERSION").write_text("16\n")
    before = {path: path.stat().st_mtime_ns for path in (spoilt / "data").rglob("*")}
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 16.*not touched.*pg_dump"):
        embedded.start(spoilt)
    assert {path: path.stat().st_mtime_ns for path in (spoilt / "data").rglob("*")} == before


@pytest.mark.skipif(not OTHER_POSTGRESQL, reason="no other PostgreSQL on this machine")
def test_the_data_of_a_real_older_server_are_named_and_not_touched(folder: Path) -> None:
    programs = OTHER_POSTGRESQL[-1]
    account = accounts.server_account()
    folder.mkdir()
    if ROOT:
        os.chown(folder, account.uid, account.gid)
    made = account.run([programs / "initdb", folder / "data", "--no-sync", "--no-instructions"])
    assert made.returncode == 0, made.stdout
    before = {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*")}
    cure = rf"PostgreSQL {programs.parent.name}, .*not touched.*lcdb-notebook restore FILE"
    with pytest.raises(EmbeddedServerError, match=cure):
        embedded.start(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*")} == before
    with pytest.raises(EmbeddedServerError, match=rf"another PostgreSQL {programs.parent.name} "):
        embedded.start(folder / "data")


def test_the_data_folder_of_another_server_is_named_and_not_touched(folder: Path) -> None:
    folder.mkdir()
    (folder / "PG_VERSION").write_text("15\n")
    if ROOT:
        os.chown(folder, accounts.server_account().uid, -1)
    with pytest.raises(EmbeddedServerError, match=r"another PostgreSQL 15 server.*not touched"):
        embedded.start(folder)
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_a_folder_whose_server_runs_on_another_host_is_refused(spoilt: Path) -> None:
    with embedded.start(spoilt):
        (spoilt / "host").write_text("observatory\n")
        with pytest.raises(EmbeddedServerError, match=r"host 'observatory'.*postmaster\.pid"):
            embedded.start(spoilt)
        (spoilt / "host").write_text(f"{socket.gethostname()}\n")


def test_a_server_that_does_not_start_is_reported_with_its_log(spoilt: Path) -> None:
    with (spoilt / "data" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = plenty\n")
    with pytest.raises(EmbeddedServerError) as caught:
        embedded.start(spoilt)
    assert "shared_buffers" in str(caught.value)
    assert str(spoilt / "server.log") in str(caught.value)


def test_a_large_log_is_started_again(spoilt: Path) -> None:
    (spoilt / "server.log").write_text("x" * 1_000_001)
    with embedded.start(spoilt):
        assert (spoilt / "server.log").stat().st_size < 100_000
        assert (spoilt / "server.log.old").stat().st_size > 1_000_000


def test_mistakes_in_statements_do_not_fill_the_log(server: embedded.Server) -> None:
    before = (server.folder / "server.log").stat().st_size
    with pytest.raises(sa.exc.ProgrammingError):
        query(server, "SELECT 'hunter2' FROM nowhere")
    assert (server.folder / "server.log").stat().st_size == before


@contextmanager
def small_disk(options: str) -> Iterator[Path]:
    with scratch() as folder:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this root may not mount a file system")
        try:
            yield folder
        finally:
            # Lazily, as a process of a server that has just ended may still hold a file.
            subprocess.run(["umount", "-l", folder], check=True)


@as_root
@pytest.mark.parametrize(
    "size", ["size=10m", pytest.param("size=10m,nr_inodes=2", marks=pytest.mark.slow)]
)
def test_a_full_disk_is_reported_and_nothing_incomplete_remains(size: str) -> None:
    with small_disk(size) as disk:  # no room for initdb; not even for a lock file
        with pytest.raises(EmbeddedServerError, match="disk is full; free some space"):
            embedded.start(disk / "db")
        assert not (disk / "db" / "data").exists()
        assert not (disk / "db" / "data.new").exists()


@as_root
@pytest.mark.slow
def test_a_read_only_disk_is_reported() -> None:
    with (
        small_disk("ro,size=1m") as disk,
        pytest.raises(EmbeddedServerError, match="disk is read-only"),
    ):
        embedded.start(disk / "db")


@as_root
@pytest.mark.slow
def test_data_on_a_disk_that_became_read_only_are_not_served_and_that_is_reported() -> None:
    with small_disk("size=200m") as disk:
        embedded.start(disk / "db").stop()
        # It is busy until the last of the server's processes has closed its files.
        read_only: list[str | Path] = ["mount", "-o", "remount,ro", disk]
        wait_until(lambda: subprocess.run(read_only, check=False).returncode == 0)
        with pytest.raises(EmbeddedServerError, match="disk is read-only"):
            embedded.start(disk / "db")


@as_root
@pytest.mark.slow
def test_data_whose_disk_has_become_full_are_served_again_once_there_is_room() -> None:
    with small_disk("size=200m") as disk:
        embedded.start(disk / "db").stop()
        with suppress(OSError), (disk / "ballast").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises(EmbeddedServerError, match="disk is full; free some space"):
            embedded.start(disk / "db")
        (disk / "ballast").unlink()
        with embedded.start(disk / "db") as server:
            assert query(server, "SELECT 1") == 1


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_without_permission_to_write_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EmbeddedServerError, match=r"Permission denied.*Give another folder"):
        embedded.start(tmp_path / "db")


def test_a_deleted_folder_does_not_hang_the_last_user(spoilt: Path) -> None:
    server = embedded.start(spoilt)
    pid = postmaster(spoilt)
    # The server goes on writing, into folders that are just being emptied.
    while spoilt.exists():
        shutil.rmtree(spoilt, ignore_errors=True)
    server.stop()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.slow
def test_a_server_whose_short_socket_folder_was_swept_away_is_named_with_what_to_do() -> None:
    with scratch("s" * 150) as folder, embedded.start(folder) as server:
        pid = postmaster(folder)
        shutil.rmtree(sockets_of(server))  # as those who tidy /tmp do
        with pytest.raises(EmbeddedServerError, match=rf"is gone.*kill -INT {pid}"):
            embedded.start(folder)
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        wait_until(lambda: postmaster(folder) is None)
        server.ensure_running()
        assert query(server, "SELECT 1") == 1


def test_a_connection_left_open_does_not_keep_the_server(spoilt: Path) -> None:
    server = embedded.start(spoilt)
    with sa.create_engine(server.url()).connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
        connection.rollback()
        server.stop()
        assert postmaster(spoilt) is None
        connection.invalidate()


# --- readers are another role -----------------------------------------------------------------

# Each changes something, or could, for a superuser in a read-only transaction or outside one.
BEYOND_READING = {
    "explain, which makes": "EXPLAIN ANALYZE SELECT 1 AS a INTO mine",
    "explain, which makes a table": "EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1",
    "a block": "DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE CREATE TABLE mine AS SELECT 1'; END $$",
    "a block with analyze": "DO $$ BEGIN EXECUTE 'ANALYZE target'; END $$",
    "a program": "COPY (SELECT 1) TO PROGRAM 'touch /tmp/lcdb-mine'",
    "a file of the server": "COPY (SELECT 1) TO '/tmp/lcdb-mine'",
    "a file read": "SELECT pg_read_file('/etc/passwd')",
    "a large object": "SELECT lo_create(4343)",
    "a large object behind a comment": "SELECT lo_create/* */(4343)",
    "a large object by another spelling": 'SELECT U&"lo\\005Fcreate"(4343)',
    "a large object in a query in a string": (
        "SELECT query_to_xml('SELECT lo_from_bytea(4343, ''x'')', true, true, '')"
    ),
    "insert": "INSERT INTO processing_method (name, description) VALUES ('x', '')",
    "create": "CREATE TABLE mine (x int)",
    "temporary table": "CREATE TEMPORARY TABLE mine (x int)",
    "schema": "CREATE SCHEMA mine",
    "locked rows": "SELECT id FROM target FOR UPDATE",
    "reindex": "REINDEX TABLE target",
    "setting of the server": "ALTER SYSTEM SET work_mem = '5MB'",
    "checkpoint": "CHECKPOINT",
    "another role": "SET ROLE postgres",
    "another user": "SET SESSION AUTHORIZATION postgres",
    "a new role": "CREATE ROLE mine",
    "a library": "LOAD '/tmp/lcdb-mine'",
}


def as_reader(server: embedded.Server) -> sa.Engine:
    """Connect like a program without read-only connections."""
    return sa.create_engine(server.url(reading=True), isolation_level="AUTOCOMMIT")


def test_the_role_of_readers_owns_nothing_and_may_only_select(spoilt: Path) -> None:
    with lcdb.connect(embedded=spoilt, write=True) as db:
        db.session.execute(sa.text("CREATE SCHEMA later"))
        db.session.execute(sa.text("CREATE TABLE later.things AS SELECT 7 AS x"))
        db.session.commit()
        server = embedded.start(spoilt)
        engine = as_reader(server)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT x FROM later.things")) == 7
            assert connection.scalar(sa.text("SELECT count(*) FROM target")) == 0
            connection.execute(sa.text("SET default_transaction_read_only = off"))
            for name, statement in BEYOND_READING.items():
                with pytest.raises(sa.exc.DBAPIError) as raised:
                    connection.exec_driver_sql(statement)
                assert getattr(raised.value.orig, "pgcode", None) == "42501", (name, raised.value)
            owned = "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = :role"
            role = connection.scalar(sa.text("SELECT current_user::regrole::oid"))
            assert connection.scalar(sa.text(owned), {"role": role}) == 0
            analyzed = "SELECT last_analyze FROM pg_stat_user_tables WHERE relname = 'target'"
            connection.exec_driver_sql("ANALYZE target")  # PostgreSQL only warns that it may not
            assert connection.scalar(sa.text(analyzed)) is None
        engine.dispose()
        server.stop()


def test_connect_reads_as_that_role_and_writes_as_the_owner(spoilt: Path) -> None:
    with lcdb.connect(embedded=spoilt) as db:
        assert db.session.scalar(sa.text("SELECT current_user")) == "lcdb_reader"
        for statement in ("LOCK TABLE target", "EXPLAIN ANALYZE SELECT 1 AS a INTO mine"):
            with (
                pytest.raises(ReadOnlyError, match=r"opened for reading.*write=True"),
                db.session_scope() as session,
            ):
                session.execute(sa.text(statement))
        with lcdb.connect(embedded=spoilt, write=True) as owner:
            assert owner.session.scalar(sa.text("SELECT current_user")) == "postgres"
            owner.session.rollback()
        assert len(db.targets()) == 0


def test_a_server_from_before_gets_the_role(spoilt: Path) -> None:
    server = embedded.start(spoilt)
    engine = sa.create_engine(server.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP ROLE lcdb_reader")
        connection.exec_driver_sql("GRANT TEMPORARY ON DATABASE lightcurvedb TO PUBLIC")
    engine.dispose()
    server.stop()
    with lcdb.connect(embedded=spoilt) as db:
        assert db.session.scalar(sa.text("SELECT current_user")) == "lcdb_reader"
        may = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
        assert db.session.scalar(sa.text(may)) is False
