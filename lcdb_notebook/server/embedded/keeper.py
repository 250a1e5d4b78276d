"""The keeper: a process that runs the server and stops it after its last user has left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lcdb_notebook.server.embedded.account import Account
from lcdb_notebook.server.embedded.pidfile import STOPS_WITHIN

__all__ = ["ServerLog", "spawn"]

# It runs the server as its child and waits, in a thread, for the exclusive lock on users.lock. When
# it gets the lock, the server has no users left. The lock is released when the keeper exits. It is
# a separate process, because a notebook that is killed cannot stop the server. A server that does
# not stop in time is ended immediately (see STOPS_WITHIN).
_KEEPER = """
import fcntl, os, signal, sys, threading, time
uid, gid, patience, lock, sockets, *command = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
users = os.open(lock, os.O_RDWR)
server = os.posix_spawn(command[0], command, os.environ)
unused = threading.Event()
def stop_when_unused():
    fcntl.flock(users, fcntl.LOCK_EX)
    unused.set()
    os.kill(server, signal.SIGINT)
    time.sleep(float(patience))
    os.kill(server, signal.SIGQUIT)
threading.Thread(target=stop_when_unused, daemon=True).start()
status = os.waitpid(server, 0)[1]
if unused.is_set():
    try: os.rmdir(sockets)
    except OSError: pass
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""

_SIZE_LIMIT = 1_000_000

_keepers: list[subprocess.Popen[bytes]] = []


class ServerLog:
    """The server's log, of about one megabyte at most, and the previous log.

    Parameters
    ----------
    path : pathlib.Path
        The file ``server.log``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def open(self) -> int:
        """Open the log for a new start of the server, and return the descriptor."""
        if self.path.exists() and self.path.stat().st_size > _SIZE_LIMIT:
            self.path.replace(self.path.with_name(f"{self.path.name}.old"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        self._start = os.fstat(descriptor).st_size
        return descriptor

    def last_lines(self) -> str:
        """Return the last 12 lines written since the log was opened."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._start)
                output = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(output.splitlines()[-12:])


def spawn(
    command: list[str], *, folder: Path, sockets: Path, account: Account, log: ServerLog
) -> subprocess.Popen[bytes]:
    """Start a server under a keeper, and return before it is ready.

    Parameters
    ----------
    command : list of str
        The server's command line.
    folder : pathlib.Path
        The server's folder with ``users.lock``, on which the caller holds a shared lock.
    sockets : pathlib.Path
        The socket's folder; the keeper removes it at the end if it is empty.
    account : Account
        The account that runs both.
    log : ServerLog
        The log of both.

    Returns
    -------
    subprocess.Popen
        The keeper, which exits when the server exits.
    """
    users = folder / "users.lock"
    words = [str(account.uid), str(account.gid), str(STOPS_WITHIN), str(users), str(sockets)]
    words += command
    descriptor = log.open()
    try:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, *words],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=account.environment(),
            umask=0o077,
            start_new_session=True,  # Ctrl-C in the notebook must not reach the server
        )
    finally:
        os.close(descriptor)
    # Kept and polled, so that exited processes do not remain as zombies.
    _keepers[:] = [earlier for earlier in _keepers if earlier.poll() is None]
    _keepers.append(keeper)
    return keeper
