"""Start a PgBouncer in front of a PostgreSQL server, for tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import sqlalchemy as sa

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

_CONFIGURATION = """\
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
ignore_startup_parameters = {ignored}
server_lifetime = 3600
server_login_retry = 1
logfile = {folder}/log
"""


@contextmanager
def pgbouncer(
    server: sa.URL,
    mode: str,
    *,
    lenient: bool,
    size: int = 3,
    users: tuple[str, ...] = (),
    log: Path | None = None,
) -> Iterator[sa.URL]:
    """Run a PgBouncer until the end of the block.

    Parameters
    ----------
    server : sqlalchemy.engine.URL
        A database of the embedded server.
    mode : {"session", "transaction", "statement"}
        When a server connection is handed to the next client.
    lenient : bool
        Whether startup options are ignored (``ignore_startup_parameters=options``) or refused.
    size : int, optional
        The number of server connections for each user and database.
    users : tuple of str, optional
        The roles that may connect beside that of the URL.
    log : pathlib.Path, optional
        Where its log is kept after the end.

    Yields
    ------
    sqlalchemy.engine.URL
        The same database through the pooler.
    """
    assert PGBOUNCER is not None
    folder = Path(tempfile.mkdtemp(prefix="lcdb-pgbouncer-"))
    account = Path(str(server.query["host"])).stat().st_uid
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = probe.getsockname()[1]
    names = {str(server.username), *users}
    (folder / "users").write_text("".join(f'"{name}" ""\n' for name in sorted(names)))
    (folder / "configuration").write_text(
        _CONFIGURATION.format(
            host=server.query["host"],
            port=server.query["port"],
            listen=listen,
            folder=folder,
            mode=mode,
            size=size,
            ignored="options" if lenient else "",
        )
    )
    for path in (folder, *folder.iterdir()):
        os.chown(path, account, -1)
    # It refuses to run as root, and the embedded server admits only the account that owns it.
    name = pwd.getpwuid(account).pw_name
    prefix = ["runuser", "-u", name, "--"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [*prefix, PGBOUNCER, "-q", folder / "configuration"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = sa.URL.create(
        "postgresql+psycopg2", server.username, None, "127.0.0.1", listen, server.database
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg2.connect(
                    host="127.0.0.1", port=listen, user=server.username, dbname=server.database
                ).close()
                break
            except psycopg2.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait()
        if log is not None:
            shutil.copyfile(folder / "log", log)
        shutil.rmtree(folder, ignore_errors=True)
