"""Use a server together: start or join it, and leave it to the others."""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from lcdb_notebook.errors import EmbeddedServerError
from lcdb_notebook.server.embedded.account import Account, server_account
from lcdb_notebook.server.embedded.cluster import SUPERUSER, Cluster
from lcdb_notebook.server.embedded.folder import PORT, acquire, explained, open_lock, prepare

__all__ = ["Server", "start"]

DATABASE = "lightcurvedb"


@dataclass
class _Use:
    """The share of this process in one server."""

    cluster: Cluster
    lock: int  # descriptor with the shared lock on users.lock
    sockets: Path
    count: int


class Server:
    """A share in the running server of one folder; :func:`start` gives it.

    Give it back with :meth:`stop`, or as a ``with`` block; at the end of the process it is given
    back anyway.

    Attributes
    ----------
    folder : pathlib.Path
        Where the data, the log and the locks are.
    """

    def __init__(self, use: _Use) -> None:
        self.folder = use.cluster.folder
        self._account: Account = use.cluster.account
        self._sockets = use.sockets
        self._stopped = False

    def __repr__(self) -> str:
        return f"<embedded PostgreSQL in {self.folder}>"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def url(self, database: str = DATABASE) -> URL:
        """Give the SQLAlchemy URL of a database of this server; it contains no password.

        Parameters
        ----------
        database
            Its name. Only ``lightcurvedb`` is created for you.

        Returns
        -------
        sqlalchemy.engine.URL
            With the socket's folder as host.
        """
        return URL.create(
            "postgresql+psycopg2",
            username=SUPERUSER,
            database=database,
            query={
                "host": str(self._sockets),
                "port": str(PORT),
                "requirepeer": self._account.name,
            },
        )

    def ensure_running(self, *, timeout: float = 60.0) -> None:
        """Start the server again if it has died; do nothing if it runs.

        Parameters
        ----------
        timeout
            Seconds to wait for it.

        Raises
        ------
        EmbeddedServerError
            If this share was given back, or the server does not start.
        """
        with _guard, explained(f"start the server in {self.folder} again"):
            use = _uses.get(self.folder)
            if self._stopped or use is None:
                raise EmbeddedServerError(
                    f"this share in the server of {self.folder} was given back; call start() again."
                )
            self._sockets = use.sockets = _run(use.cluster, timeout)

    def stop(self) -> None:
        """Give this share back; the server stops if nobody else uses it. Twice does nothing."""
        with _guard:
            use = _uses.get(self.folder)
            if self._stopped or use is None:
                return
            self._stopped = True
            use.count -= 1
            if use.count == 0:
                del _uses[self.folder]
                _leave(use)


_uses: dict[Path, _Use] = {}
_guard = threading.RLock()


def start(folder: Path | str, *, timeout: float = 60.0) -> Server:
    """Start PostgreSQL in a folder, or join the server that already runs there.

    Parameters
    ----------
    folder
        Where it keeps its data; created with mode 0700. It holds nothing else.
    timeout
        Seconds to wait for the server, and for other processes that are starting or stopping it.

    Returns
    -------
    Server
        One share in it, with an existing database ``lightcurvedb``.

    Raises
    ------
    EmbeddedServerError
        If the folder is not one's own, or the server does not start; the message says why and
        what to do.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, start(folder) as server:
    ...     server.url().database
    'lightcurvedb'
    """
    with _guard, explained(f"start a server in {folder}"):
        account = server_account()
        place = prepare(Path(folder), account)
        use = _uses.get(place)
        if use is None:
            cluster = Cluster(place, account)
            lock = _join(cluster, timeout)
            try:
                use = _Use(cluster, lock, _run(cluster, timeout), count=0)
            except BaseException:
                os.close(lock)
                raise
            _uses[place] = use
        else:
            use.sockets = _run(use.cluster, timeout)
        use.count += 1
        return Server(use)


def _join(cluster: Cluster, timeout: float) -> int:
    """Become one of the server's users; wait for whoever is just stopping it."""
    lock = open_lock(cluster.folder / "users.lock", cluster.account)
    if not acquire(lock, fcntl.LOCK_SH, timeout):
        os.close(lock)
        raise EmbeddedServerError(
            f"the server of {cluster.folder} has been stopping for {timeout:g} s. Wait until its "
            f"postgres processes are gone, and see {cluster.log.path}."
        )
    return lock


def _run(cluster: Cluster, timeout: float) -> Path:
    """Have the server running, with one process at a time looking after that."""
    lock = open_lock(cluster.folder / "start.lock", cluster.account)
    try:
        if not acquire(lock, fcntl.LOCK_EX, timeout):
            raise EmbeddedServerError(
                f"another process has been starting the server of {cluster.folder} for "
                f"{timeout:g} s. See {cluster.log.path}, or end that process."
            )
        cluster.initialise()
        sockets = cluster.running(timeout) or cluster.launch(timeout)
        cluster.create_database(sockets, DATABASE)
        return sockets
    finally:
        os.close(lock)


def _leave(use: _Use, timeout: float = 30.0) -> None:
    """Stop being a user; if that was the last one, return when the server is gone.

    The lock is given back by closing it, and asked for anew: a forked child may hold the same one,
    and turning that into an exclusive lock would stop the server under the child.
    """
    os.close(use.lock)
    try:
        lock = open_lock(use.cluster.folder / "users.lock", use.cluster.account)
    except OSError:  # the folder was deleted: the keeper has the lock, and stops the server
        return
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if acquire(lock, fcntl.LOCK_EX, 0):
                use.cluster.stop(timeout)
                return
            if acquire(lock, fcntl.LOCK_SH, 0):
                return  # there are other users
            time.sleep(0.005)  # the keeper has it, and is stopping the server
    finally:
        os.close(lock)


def _leave_all() -> None:
    with _guard:
        while _uses:
            _leave(_uses.popitem()[1])


def _renew_guard() -> None:
    # A child has the open locks of its parent, and so its share; only a thread of the parent, which
    # the child does not have, may be holding this one.
    global _guard
    _guard = threading.RLock()


atexit.register(_leave_all)
os.register_at_fork(after_in_child=_renew_guard)
