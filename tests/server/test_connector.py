"""Opening connections: the round trips that it takes, counted by a proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.server.engine import make_engine


class Proxy:
    """Forwards connections to a server, and counts how often a client waits for an answer."""

    def __init__(self, server: sa.URL) -> None:
        host, port = server.host or server.query["host"], server.port or server.query.get("port")
        self._server = (str(host), int(str(port or 5432)))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = sa.URL.create(
            "postgresql+psycopg2",
            server.username,
            server.password,
            "127.0.0.1",
            self._listener.getsockname()[1],
            server.database,
            {"sslmode": "disable", "gssencmode": "disable"},
        )
        self.round_trips = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                host, port = self._server
                if host.startswith("/"):
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(f"{host}/.s.PGSQL.{port}")
                else:
                    server = socket.create_connection((host, port))
                answered = threading.Event()
                answered.set()
                for source, target, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(
                        target=self._forward, args=(source, target, asks, answered), daemon=True
                    ).start()

    def _forward(
        self, source: socket.socket, target: socket.socket, asks: bool, answered: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                # A client's goodbye ("X") has no answer.
                if asks and answered.is_set() and data[:1] != b"X":
                    self.round_trips += 1
                    answered.clear()
                elif not asks:
                    answered.set()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    proxy = Proxy(sa.make_url(dsn))
    yield proxy
    proxy.close()


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
def test_opening_a_connection_takes_at_most_three_round_trips(proxy: Proxy, write: bool) -> None:
    if proxy.url.password is not None:
        pytest.skip("a password takes round trips that depend on the server's configuration")
    engine = make_engine(proxy.url, "here", write=write, statement_timeout=77)
    with engine.connect() as connection:
        # BEGIN and ROLLBACK are the transaction of this block.
        assert proxy.round_trips <= 3 + write
        version = connection.dialect.server_version_info
        assert version is not None
        assert int(version[0]) >= 14
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "77s"
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
        assert connection.scalar(sa.text(r"SELECT 'a\b'")) == r"a\b"
    engine.dispose()
    proxy.round_trips = 0
    with engine.connect():
        assert proxy.round_trips <= 3
    engine.dispose()


def test_a_read_takes_one_round_trip_and_the_test_of_the_connection(proxy: Proxy) -> None:
    with lcdb.connect(proxy.url) as db:
        db.targets()
        proxy.round_trips = 0
        db.targets()
        assert proxy.round_trips == 2
