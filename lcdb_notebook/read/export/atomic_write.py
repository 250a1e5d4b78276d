"""Write files completely or not at all, even if the process is killed."""

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
    """Yield a temporary path in the same folder, and rename it to ``path`` at the end.

    Renaming is atomic, and the bytes are on the disk before it (POSIX ``rename`` and ``fsync``), so
    other programs see the old file, the complete new file, or no file.

    Raises
    ------
    ExportError
        If the file system reports an error; errors of the block are not changed. No file is left
        behind.
    """
    # A short name, because names are limited to 255 bytes, which the file's name may have.
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
    """Remove temporary files of killed processes of this machine."""
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
