"""Files that are there as a whole or not at all, also when the process is killed."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from lcdb_notebook.errors import ExportError

__all__ = ["atomic_write", "remove_stale"]

_HOST = re.sub(r"\W", "", socket.gethostname())[:32]
_PART = re.compile(r"\.lcdb-(\w*)-(\d+)-\d+\.part")
_numbers = count()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Lend a temporary path in the same folder; what is written there becomes ``path`` at the end.

    Renaming is atomic, and the bytes are on the disk before it (POSIX ``rename`` and ``fsync``), so
    that whoever looks finds the old file, the new one, or none.

    Raises
    ------
    ExportError
        If the file system refuses; an error of the block passes through. Nothing is left behind.
    """
    # Short, for file systems take 255 bytes and the name itself may have them.
    part = path.with_name(f".lcdb-{_HOST}-{os.getpid()}-{next(_numbers)}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that were killed."""
    for path in folder.glob(".lcdb-*.part"):
        named = _PART.fullmatch(path.name)
        if named and named[1] == _HOST and not _is_alive(int(named[2])):
            with suppress(OSError):
                path.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
