"""Read ``postmaster.pid``: the process of the server of a data folder."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lcdb_notebook.server.embedded.account import Account
from lcdb_notebook.server.embedded.folder import write_private

__all__ = ["STOPS_WITHIN", "PidFile"]

STOPS_WITHIN = 20.0
"""Seconds after which a server that is stopping is ended immediately.

PostgreSQL 18 may never stop if it has to while it recovers from a crash: its checkpointer and
its I/O workers remain. The next start replays what the checkpoint would have written.
"""

_NO_SUCH_PROCESS = 2**31 - 1


@dataclass(frozen=True)
class PidFile:
    """The contents of ``postmaster.pid``; PostgreSQL's ``pidfile.h`` defines its lines.

    Parameters
    ----------
    data : pathlib.Path
        The data folder that contains it.
    pid : int
        The id of the process that wrote it.
    sockets : pathlib.Path
        The folder of the server's socket.
    status : str
        ``"starting"``, ``"ready"`` or ``"stopping"``.
    """

    data: Path
    pid: int
    sockets: Path
    status: str

    @classmethod
    def read(cls, data: Path) -> PidFile | None:
        """Read the file; return None if it does not exist or is incomplete."""
        try:
            lines = os.fsdecode((data / "postmaster.pid").read_bytes()).splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        lines += [""] * (8 - len(lines))
        return cls(data, pid, Path(lines[4]), lines[7].strip() or "starting")

    def is_alive(self) -> bool:
        """Return whether the process is the server of these data, not one with a reused number."""
        if Path("/proc/self/cwd").exists():
            with suppress(OSError):
                # PostgreSQL works in its data folder; a zombie process has no working folder.
                return Path(f"/proc/{self.pid}/cwd").readlink() == self.data
            return False
        shown = subprocess.run(
            ["/bin/ps", "-o", "command=", "-p", str(self.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return str(self.data) in shown.stdout

    def ended_within(self, timeout: float) -> bool:
        """Wait until a server that is stopping has exited.

        After :data:`STOPS_WITHIN` it is shut down like by ``pg_ctl stop -m immediate``.

        Parameters
        ----------
        timeout : float
            Seconds to wait.

        Returns
        -------
        bool
            Whether it has exited.
        """
        begun = time.monotonic()
        patience = STOPS_WITHIN
        while self.is_alive():
            waited = time.monotonic() - begun
            if waited > timeout:
                return False
            if waited > patience:
                patience = float("inf")
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGQUIT)
            time.sleep(0.005)
        return True

    def disown(self, account: Account) -> None:
        """Make a stale file harmless.

        Otherwise PostgreSQL refuses to start if another process of the same user now has the old
        process id. The rest of the file is kept: PostgreSQL uses the shared memory named in it to
        detect surviving processes of the old server.
        """
        try:
            os.kill(self.pid, 0)
        except OSError:
            return
        path = self.data / "postmaster.pid"
        rest = os.fsdecode(path.read_bytes()).split("\n", 1)[1]
        write_private(path, f"{_NO_SUCH_PROCESS}\n{rest}", account)
