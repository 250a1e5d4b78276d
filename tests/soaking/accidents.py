"""What happens to the server and to the network during the soak."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from server.frozen_proxy import FrozenProxy

from lcdb_notebook.server.embedded import Server

CLIENT = "soak client %"
"""The names of connections that may be cut."""

# Seconds between two accidents, and for which the network is frozen.
_EVERY, _FROZEN = 1.0, 2.0

# After a restart, others may need so many seconds to connect again.
_AFTERMATH = 20.0

_CUT = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE :name "
    "AND usename = 'lcdb_reader' ORDER BY random() LIMIT 1"
)
_A_BACKEND = sa.text(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
    "AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
)


class Accidents:
    """Freezes a network, cuts connections, and restarts the server, in random order.

    Parameters
    ----------
    server : Server
        The embedded server.
    proxy : FrozenProxy
        The network.
    """

    def __init__(self, server: Server, proxy: FrozenProxy) -> None:
        self._server = server
        self._proxy = proxy
        self._chance = random.Random(0)
        self._engine = sa.create_engine(
            server.url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        self._over = threading.Event()
        self._outages: list[tuple[float, float]] = []
        self.happened: Counter[str] = Counter()
        #: When each began and how long it took, the last ones: seconds, and its name.
        self.last: deque[tuple[float, float, str]] = deque(maxlen=20)
        #: What was raised in the thread of the accidents.
        self.failure: BaseException | None = None

    @contextmanager
    def happening(self) -> Iterator[None]:
        """Cause accidents until the block ends."""
        thread = threading.Thread(target=self._happen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def explain(self, moment: float) -> bool:
        """Return whether the server was away at a moment of ``time.monotonic()``, or just before.

        Parameters
        ----------
        moment : float
            When somebody lost a connection.
        """
        return any(began <= moment <= ended + _AFTERMATH for began, ended in self._outages)

    def _happen(self) -> None:
        # Each kind as often as here in each round, so that a short soak has all of them as well.
        often = [self._freeze] * 4 + [self._cut] * 3
        restarts = [self._stop, self._crash_a_backend, self._kill]
        try:
            while True:
                coming = [*often, restarts[self.happened.total() % len(restarts)]]
                for accident in self._chance.sample(coming, len(coming)):
                    if self._over.wait(self._chance.uniform(0, 2 * _EVERY)):
                        return
                    name = accident.__name__.strip("_").replace("_", " ")
                    began = time.monotonic()
                    accident()
                    self.last.append((began, time.monotonic() - began, name))
                    self.happened[name] += 1
        except BaseException as error:
            self.failure = error

    def _freeze(self) -> None:
        self._proxy.freeze()
        self._over.wait(self._chance.uniform(0, _FROZEN))
        self._proxy.thaw()

    def _cut(self) -> None:
        # The server may be recovering.
        with suppress(sa.exc.DBAPIError), self._engine.connect() as connection:
            connection.execute(_CUT, {"name": CLIENT})

    def _stop(self) -> None:
        """Shut the server down as ``pg_ctl stop -m fast`` does, and start it again."""
        with self._outage():
            os.kill(self._postmaster(), signal.SIGINT)

    def _kill(self) -> None:
        """Kill the server's first process, which the others notice."""
        with self._outage():
            os.kill(self._postmaster(), signal.SIGKILL)

    def _crash_a_backend(self) -> None:
        """Kill one connection's process, after which the server ends all and recovers."""
        with self._outage(), self._engine.connect() as connection:
            if (pid := connection.scalar(_A_BACKEND)) is not None:
                os.kill(pid, signal.SIGKILL)

    @contextmanager
    def _outage(self) -> Iterator[None]:
        began = time.monotonic()
        self._outages.append((began, float("inf")))
        with suppress(sa.exc.DBAPIError, ProcessLookupError, FileNotFoundError):
            yield
        while True:
            self._server.ensure_running()
            with suppress(sa.exc.DBAPIError), self._engine.connect():
                break
            time.sleep(0.05)
        self._outages[-1] = (began, time.monotonic())

    def _postmaster(self) -> int:
        file = Path(self._server.folder) / "data" / "postmaster.pid"
        return int(file.read_text().split()[0])
