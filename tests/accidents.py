"""Accidents for the soak: frozen networks, lost connections, forked processes and interrupts."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa
from server.frozen_proxy import FrozenProxy

from lcdb_notebook.errors import ConnectionFailedError

CLIENT = "soak client"
"""Name of the connections that are cut; those of the pooler serve other programs as well."""

# Seconds between two accidents, how long a network is frozen, and within which a call succeeds.
_EVERY, _FROZEN, _PATIENCE = 1.0, 2.0, 60.0

CUT = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name "
    "ORDER BY random() LIMIT 1"
)


@contextmanager
def accidents(url: sa.URL, seed: int = 0) -> Iterator[str]:
    """Freeze a network and cut connections at random while the block runs.

    Parameters
    ----------
    url : sqlalchemy.engine.URL
        The server.
    seed : int, optional
        Of the accidents.

    Yields
    ------
    str
        The URL of the server through the network that freezes.
    """
    over, chance = threading.Event(), random.Random(seed)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def happen(proxy: FrozenProxy) -> None:
        while not over.wait(chance.uniform(0, 2 * _EVERY)):
            if chance.random() < 0.5:
                with engine.connect() as connection:
                    connection.execute(CUT, {"name": CLIENT})
            else:
                proxy.freeze()
                over.wait(chance.uniform(0, _FROZEN))
                proxy.thaw()

    with FrozenProxy(url) as proxy:
        thread = threading.Thread(target=happen, args=(proxy,), daemon=True)
        thread.start()
        try:
            yield proxy.url
        finally:
            over.set()
            thread.join()


def survive(call: Callable[[], object], chance: random.Random) -> None:
    """Make a call in this process or a forked one, interrupted or not, until it succeeds.

    Parameters
    ----------
    call : callable
        Raises an AssertionError if it finds something wrong.
    chance : random.Random
        Decides.
    """
    deadline = time.monotonic() + _PATIENCE
    if chance.random() < 0.05:
        _interrupt(call, chance)
    if chance.random() < 0.05:
        _fork(call, deadline)
        return
    while True:
        try:
            call()
        except ConnectionFailedError:
            assert time.monotonic() < deadline, "the server cannot be reached any more"
        else:
            return


def _interrupt(call: Callable[[], object], chance: random.Random) -> None:
    def press(after: float) -> None:
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGINT)

    with suppress(KeyboardInterrupt, ConnectionFailedError):
        thread = threading.Thread(target=press, args=(chance.uniform(0, 0.1),))
        thread.start()
        call()
        thread.join()
    with suppress(KeyboardInterrupt):
        thread.join()


def _fork(call: Callable[[], object], deadline: float) -> None:
    child = os.fork()
    if not child:
        try:
            survive(call, random.Random(1))
            os._exit(0)
        except BaseException as error:
            os.write(2, f"in a forked process: {error!r}\n".encode())
        finally:
            os._exit(1)
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended:
        assert time.monotonic() < deadline, "a forked process hangs"
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    assert os.waitstatus_to_exitcode(status) == 0, "a forked process found something wrong"
