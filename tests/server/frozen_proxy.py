"""A TCP proxy that can stop passing bytes, like a network that fails without a message."""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path
from typing import Self

import sqlalchemy as sa


class FrozenProxy:
    """Passes bytes between clients and a server until it is frozen, and again once it is thawed.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL
        The server, on TCP or on a Unix socket.

    Attributes
    ----------
    round_trips : int
        How often clients sent something after an answer of the server.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self._target = sa.make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.round_trips = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the database, through the proxy."""
        query = {
            name: value
            for name, value in self._target.query.items()
            if name not in ("host", "port", "requirepeer")
        }
        through = sa.URL.create(
            self._target.drivername,
            self._target.username,
            self._target.password,
            "127.0.0.1",
            self._listener.getsockname()[1],
            self._target.database,
            query,
        )
        return through.render_as_string(hide_password=False)

    def freeze(self) -> None:
        """Pass no bytes any more, in either direction; keep all connections open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass bytes again, beginning with those that were held."""
        self._flowing.set()

    def cut(self) -> None:
        """Close all connections."""
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._pairs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed = True
        self.thaw()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # A frozen network accepts no connection either, but the kernel has shaken hands.
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        self._pairs.append((client, server))
        other = {client: server, server: client}
        latest = server
        try:
            while not self._closed:
                ready, _, _ = select.select([client, server], [], [])
                self._flowing.wait()
                for one in ready:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    self._flowing.wait()
                    # What a client sends after it heard from the server, it had to wait for.
                    self.round_trips += one is client and latest is server
                    latest = one
                    other[one].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            client.close()
            server.close()

    def _connect(self) -> socket.socket:
        host = str(self._target.query.get("host") or self._target.host or "127.0.0.1")
        port = int(str(self._target.query.get("port") or self._target.port or 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server
