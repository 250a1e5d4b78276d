"""Start an embedded server, or join the server that other processes use."""

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
from lcdb_notebook.server.driver_errors import is_away
from lcdb_notebook.server.embedded.account import Account, server_account
from lcdb_notebook.server.embedded.cluster import READER, SUPERUSER, Cluster
from lcdb_notebook.server.embedded.databases import create_database
from lcdb_notebook.server.embedded.folder import PORT, acquire, explained, open_lock, prepare

__all__ = ["Server", "start"]

DATABASE = "lightcurvedb"


@dataclass
class _Use:
    """The use of one server by this process."""

    cluster: Cluster
    lock: int  # descriptor with the shared lock on users.lock
    sockets: Path
    count: int


class Server:
    """The running server of one folder, as returned by :func:`start`.

    Release it with :meth:`stop`, or use it in a ``with`` statement. It is also released when the
    process ends. The server stops when its last user has released it.

    Attributes
    ----------
    folder : pathlib.Path
        The folder of the data, the log and the locks.
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

    def url(self, database: str = DATABASE, *, reading: bool = False) -> URL:
        """Return the SQLAlchemy URL of a database of this server; it contains no password.

        Parameters
        ----------
        database : str, optional
            The name of the database. Only ``lightcurvedb`` exists from the start.
        reading : bool, optional
            Whether to connect as a role that owns nothing and may only SELECT, instead of as
            superuser.

        Returns
        -------
        sqlalchemy.engine.URL
            URL with the socket's folder as host.
        """
        return URL.create(
            "postgresql+psycopg2",
            username=READER if reading else SUPERUSER,
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
        timeout : float, optional
            Seconds to wait for it.

        Raises
        ------
        EmbeddedServerError
            If the server was released with :meth:`stop`, or does not start.
        """
        with _guard, explained(f"start the server in {self.folder} again"):
            use = _uses.get(self.folder)
            if self._stopped or use is None:
                raise EmbeddedServerError(
                    f"the server of {self.folder} was released with stop(); call start() again"
                )
            self._sockets = use.sockets = _run(use.cluster, timeout)

    def stop(self) -> None:
        """Release the server, which stops if it has no other users; a second call does nothing."""
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
    folder : pathlib.Path or str
        The folder for its data, without other files; created with mode 0700.
    timeout : float, optional
        Seconds to wait for the server, and for other processes that are starting or stopping it.

    Returns
    -------
    Server
        The running server, with a database ``lightcurvedb``.

    Raises
    ------
    EmbeddedServerError
        If the folder belongs to another user, or the server does not start; the message contains
        the reason and what to do.

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
    """Join the server as a user; wait while another process is stopping it."""
    lock = open_lock(cluster.folder / "users.lock", cluster.account)
    if not acquire(lock, fcntl.LOCK_SH, timeout):
        os.close(lock)
        raise EmbeddedServerError(
            f"the server of {cluster.folder} has been stopping for {timeout:g} s. Wait until its "
            f"postgres processes have exited; its log is {cluster.log.path}."
        )
    return lock


def _run(cluster: Cluster, timeout: float) -> Path:
    """Start the server unless it is running; only one process at a time may do this."""
    lock = open_lock(cluster.folder / "start.lock", cluster.account)
    try:
        if not acquire(lock, fcntl.LOCK_EX, timeout):
            raise EmbeddedServerError(
                f"another process has been starting the server of {cluster.folder} for "
                f"{timeout:g} s. Stop that process; the server's log is {cluster.log.path}."
            )
        cluster.initialise()
        deadline = time.monotonic() + timeout
        while True:
            sockets = cluster.running(timeout) or cluster.launch(timeout)
            try:
                create_database(cluster, sockets, DATABASE)
            except EmbeddedServerError as error:
                # It was stopped or killed just now, or is recovering from a crash.
                if not is_away(error.__cause__) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return sockets
    finally:
        os.close(lock)


def _leave(use: _Use, timeout: float = 30.0) -> None:
    """Leave the server; if this was the last user, return when the server has exited.

    The lock file is closed and opened again, because a forked child may hold the same lock.
    Converting it to an exclusive lock would stop the server while the child uses it.
    """
    os.close(use.lock)
    try:
        lock = open_lock(use.cluster.folder / "users.lock", use.cluster.account)
    except OSError:  # the folder was deleted; the keeper gets the lock and stops the server
        return
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if acquire(lock, fcntl.LOCK_EX, 0):
                use.cluster.stop(timeout)
                return
            if acquire(lock, fcntl.LOCK_SH, 0):
                return  # there are other users
            time.sleep(0.005)  # the keeper has the lock and is stopping the server
    finally:
        os.close(lock)


def _leave_all() -> None:
    with _guard:
        while _uses:
            _leave(_uses.popitem()[1])


def _renew_guard() -> None:
    # A child inherits open lock files. A thread of the parent may hold this lock; it does not exist
    # in the child and would never release it.
    global _guard
    _guard = threading.RLock()


atexit.register(_leave_all)
os.register_at_fork(after_in_child=_renew_guard)
