"""Private folders, the folder of the socket, and locks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import pwd
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lcdb_notebook.errors import EmbeddedServerError
from lcdb_notebook.server.embedded.account import Account
from lcdb_notebook.server.embedded.programs import major_version

__all__ = [
    "PORT",
    "acquire",
    "explained",
    "is_private",
    "open_lock",
    "prepare",
    "socket_folder",
    "write_private",
]

PORT = 5432
"""Part of the socket's name; the server does not listen on a TCP port."""

ROOTS_FOLDER = Path("/var/lib/lcdb_notebook")

_SOCKET_NAME = f".s.PGSQL.{PORT}"
# sun_path has 108 bytes on Linux and 104 on macOS, including the final zero: unix(7), unix(4).
_SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
# libpq splits hosts at a comma, and PostgreSQL quotes a list of folders with '"'.
_PLAIN = re.compile(r"[\w/.\- +~=]+")
_OURS = {
    "data",
    "data.new",
    "server.log",
    "server.log.old",
    "start.lock",
    "users.lock",
    "host",
    "host.new",
}
_OURS |= {_SOCKET_NAME, f"{_SOCKET_NAME}.lock", "lost+found", ".DS_Store"}
_ANOTHER = "Choose another folder, for example in the variable LCDB_DATA."
_ADVICE = {
    errno.ENOSPC: "The disk is full; free some space, or choose a folder on another disk.",
    errno.EDQUOT: "Your disk quota is used up; free some space, or choose another disk.",
    errno.EROFS: f"The disk is read-only. {_ANOTHER}",
}


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an OSError into an EmbeddedServerError with advice.

    Parameters
    ----------
    doing : str
        What the block does, for the message "cannot ...".

    Raises
    ------
    EmbeddedServerError
        For every :class:`OSError` inside the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise EmbeddedServerError(
            f"cannot {doing}: {reason}. {_ADVICE.get(error.errno or 0, _ANOTHER)}"
        ) from error


def prepare(folder: Path, account: Account) -> Path:
    """Create the server's folder, or check that it is private and contains no other files.

    Parameters
    ----------
    folder : pathlib.Path
        The folder that the user chose.
    account : Account
        Its owner.

    Returns
    -------
    pathlib.Path
        The folder with symbolic links resolved. For root, a folder in ``/var/lib/lcdb_notebook`` if
        the server's account cannot access the chosen one.

    Raises
    ------
    EmbeddedServerError
        If the folder belongs to another user, cannot be made private, or contains other files.
    """
    folder = folder.expanduser().resolve()
    if "\n" in str(folder):
        raise EmbeddedServerError(f"the path {str(folder)!r} contains a line break. {_ANOTHER}")
    if account.switched:
        folder = _within_reach(folder, account)
    if not folder.exists():
        for missing in [p for p in reversed(folder.parents) if not p.exists()]:
            missing.mkdir(exist_ok=True)
            if account.switched:
                # A new folder of root, which the server's account may traverse but not list.
                missing.chmod(0o711)
        folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"{folder} is not a folder. {_ANOTHER}")
    if found.st_uid in (os.geteuid(), account.uid):
        _refuse_strangers(folder)
    if account.switched and found.st_uid == 0 and not any(folder.iterdir()):
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        found = folder.lstat()
    if found.st_uid != account.uid:
        raise EmbeddedServerError(
            f"{folder} belongs to {_user_name(found.st_uid)}, and the server would run as "
            f"{account.name}. {_ANOTHER}"
        )
    if found.st_mode & 0o077:
        with suppress(OSError):
            folder.chmod(0o700)
        if folder.lstat().st_mode & 0o077:
            raise EmbeddedServerError(
                f"{folder} is open to other users and cannot be closed to them (mode "
                f"{stat.filemode(folder.lstat().st_mode)}); its file system may not support "
                f"permissions. {_ANOTHER}"
            )
    return folder


def _within_reach(folder: Path, account: Account) -> Path:
    existing = next(p for p in [folder.parent, *folder.parents] if p.exists())
    if account.can_enter(existing):
        return folder
    ROOTS_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not account.can_enter(ROOTS_FOLDER):
        raise EmbeddedServerError(
            f"the server's account {account.name!r} can enter neither {folder} nor {ROOTS_FOLDER}. "
            f"{_ANOTHER}"
        )
    return ROOTS_FOLDER / f"{folder.name}-{_digest(folder)}"


def _refuse_strangers(folder: Path) -> None:
    names = {entry.name for entry in folder.iterdir()}
    if "data" in names or names <= _OURS:
        return
    if "PG_VERSION" in names:
        raise EmbeddedServerError(
            f"{folder} is the data folder of another PostgreSQL "
            f"{(folder / 'PG_VERSION').read_text().strip()} server (this is {major_version()}), "
            f"and was not touched. Connect to that server with a URL, or choose an empty folder."
        )
    raise EmbeddedServerError(
        f"{folder} contains other files ({', '.join(sorted(names - _OURS)[:3])}, ...) and would "
        f"have to be closed to other users. Choose an empty folder for the server, such as "
        f"{folder / 'postgres'}."
    )


def socket_folder(folder: Path, account: Account) -> Path:
    """Find a private folder with a short enough path for the server's socket.

    Parameters
    ----------
    folder : pathlib.Path
        The server's folder, as returned by :func:`prepare`.
    account : Account
        Its owner.

    Returns
    -------
    pathlib.Path
        ``folder`` itself if its path is short enough, otherwise ``/tmp/lcdb-<uid>-<digest>``.

    Raises
    ------
    EmbeddedServerError
        If other users have created folders with all possible names.
    """
    fits = len(os.fsencode(folder / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT
    if fits and _PLAIN.fullmatch(str(folder)):
        return folder
    stem = f"lcdb-{account.uid}-{_digest(folder)}"
    bases = dict.fromkeys([Path("/tmp").resolve(), Path(tempfile.gettempdir()).resolve()])
    for base in bases:
        for name in [stem, *(f"{stem}-{n}" for n in range(1, 5))]:
            place = base / name
            if len(os.fsencode(place / _SOCKET_NAME)) > _SOCKET_PATH_LIMIT:
                continue
            try:
                place.mkdir(mode=0o700)
                if account.switched:
                    os.chown(place, account.uid, account.gid, follow_symlinks=False)
            except FileExistsError:
                pass
            except OSError:
                continue
            if is_private(place, account):
                return place
    raise EmbeddedServerError(
        f"the path {folder} is too long for a socket, and no private folder named {stem} can be "
        f"created in {' or '.join(map(str, bases))}. Choose a folder with a shorter path."
    )


def is_private(folder: Path, account: Account) -> bool:
    """Return whether a path is a real folder of this account that no other user can enter."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and not found.st_mode & 0o077


def open_lock(path: Path, account: Account) -> int:
    """Open a lock file, creating it if necessary, and return its descriptor."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if account.switched:
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a file that belongs to the server's account, readable only by it.

    The old file is replaced, so that a symbolic link at this path is never followed.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if account.switched:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(os.fsencode(text))
    draft.replace(path)


def acquire(descriptor: int, operation: int, timeout: float) -> bool:
    """Take a ``flock``; retry until a timeout.

    Parameters
    ----------
    descriptor : int
        File descriptor of the lock file.
    operation : int
        :data:`fcntl.LOCK_SH` or :data:`fcntl.LOCK_EX`.
    timeout : float
        Timeout in seconds.

    Returns
    -------
    bool
        Whether the lock was taken.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:10]


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"
