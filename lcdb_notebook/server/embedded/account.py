"""The account that runs the embedded server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lcdb_notebook.errors import EmbeddedServerError

__all__ = ["ALTERNATIVES", "Account", "server_account"]

SYSTEM_ACCOUNT = "lcdb_notebook"
_SYSTEM_ACCOUNT_OPTIONS = (
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir=/nonexistent",
    "--shell=/usr/sbin/nologin",
)

ALTERNATIVES = "Run as an ordinary user, or connect to a server by its URL."


@dataclass(frozen=True)
class Account:
    """The operating-system account that the server runs under.

    Parameters
    ----------
    uid, gid : int
        User and group numbers.
    name : str
        Name in the password database, which ``peer`` authentication compares.
    switched : bool
        Whether this process is root and has to switch to the account.
    """

    uid: int
    gid: int
    name: str
    switched: bool

    def environment(self) -> dict[str, str]:
        """Return the environment of this process without PG* and the locale, for the programs."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
        # Messages must be English, because advice depends on their text.
        return kept | {"LC_ALL": "C"}

    def run(
        self, command: Sequence[str | Path], *, timeout: float = 600.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program under this account.

        Parameters
        ----------
        command : sequence of str or pathlib.Path
            The program and its arguments.
        timeout : float, optional
            Seconds after which it is killed.

        Returns
        -------
        subprocess.CompletedProcess
            The result; ``stdout`` contains standard output and standard error.

        Raises
        ------
        PermissionError
            If the account may not execute the program.
        EmbeddedServerError
            If it takes longer than ``timeout`` seconds.
        """
        try:
            return subprocess.run(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                cwd="/",
                env=self.environment(),
                umask=0o077,
                timeout=timeout,
                user=self.uid if self.switched else None,
                group=self.gid if self.switched else None,
                extra_groups=[] if self.switched else None,
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedServerError(
                f"{Path(command[0]).name} took more than {timeout:g} s; try again"
            ) from None

    def can_enter(self, folder: Path) -> bool:
        """Return whether this account can enter a folder, through all its parents."""
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0


def server_account() -> Account:
    """Find the account for the server: the current user, or for root a system account.

    Returns
    -------
    Account
        ``switched`` is True for root only.

    Raises
    ------
    EmbeddedServerError
        If this process has no name in the password database (``initdb`` and ``peer`` need one), or
        root cannot create an account for the server.
    """
    uid = os.geteuid()
    if uid != 0:
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise EmbeddedServerError(
                f"user number {uid} has no name on this machine, and PostgreSQL refuses to run "
                f"without one. Add a line for {uid} to /etc/passwd, or connect to a server by its "
                "URL."
            ) from None
        return Account(uid, os.getegid(), entry.pw_name, switched=False)
    try:
        entry = pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        entry = _create_system_account()
    if entry.pw_uid == 0 or Path(entry.pw_shell).name not in {"nologin", "false"}:
        raise EmbeddedServerError(
            f"root's embedded server runs as the system account {SYSTEM_ACCOUNT!r}, which must "
            f"have no login; on this machine it is user number {entry.pw_uid} with the shell "
            f"{entry.pw_shell!r}. {ALTERNATIVES}"
        )
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, switched=True)


def _create_system_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    reason = "useradd not found"
    if useradd is not None:
        created = subprocess.run(
            [useradd, *_SYSTEM_ACCOUNT_OPTIONS, SYSTEM_ACCOUNT],
            capture_output=True,
            text=True,
            check=False,
        )
        reason = f"useradd failed: {created.stderr.strip()}"
    try:
        # The exit status is not checked: if two processes create it at once, one fails, but it
        # exists.
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        raise EmbeddedServerError(
            "PostgreSQL refuses to run as root, and the system account "
            f"{SYSTEM_ACCOUNT!r} for it cannot be created: {reason}. {ALTERNATIVES}"
        ) from None
