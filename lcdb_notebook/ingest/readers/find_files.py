"""Which files a person means: paths, folders (recursively) and glob patterns become a list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lcdb_notebook.errors import IngestError

SUFFIXES: tuple[str, ...] = (".fits", ".fits.gz", ".h5", ".h5.gz")
"""Endings, in lower case, of the files that are picked up from folders and by patterns."""

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class FoundFiles:
    """The outcome of a search for files.

    Parameters
    ----------
    files
        Every file once, in the order of the arguments and sorted by path within each of them.
    problems
        What could not be searched or led to nothing: the path as it was given, and the reason.
    """

    files: tuple[Path, ...]
    problems: tuple[tuple[str, str], ...]


def find_files(paths: AnyPath | Iterable[AnyPath]) -> FoundFiles:
    """List the light-curve files that ``paths`` stand for.

    A folder is searched recursively, through symbolic links too, each folder once however many
    links lead to it; lightkurve's download cache (``mastDownload/TESS/<observation>/<file>.fits``)
    needs nothing more. In a folder or behind a pattern only files whose name ends in one of
    :data:`SUFFIXES` count, hidden ones not; a file named outright counts whatever it is called. A
    pattern's ``**`` does not follow symbolic links.

    Parameters
    ----------
    paths
        One or several files, folders or glob patterns; a leading ``~`` is the home folder.

    Returns
    -------
    FoundFiles
        The files, and the paths that do not exist or hold nothing.

    Raises
    ------
    IngestError
        If something in ``paths`` is not a path at all.

    Examples
    --------
    >>> find_files("no/such/file.fits")
    FoundFiles(files=(), problems=(('no/such/file.fits', 'there is no such file or folder'),))
    """
    try:
        given: list[object] = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    except TypeError:
        raise IngestError(_not_a_path(paths)) from None
    files: dict[str, Path] = {}
    problems: list[tuple[str, str]] = []
    for path in given:
        asked = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(asked, str):
            raise IngestError(_not_a_path(path))
        try:
            found = _expand(asked, problems)
        except (OSError, ValueError, RuntimeError) as error:
            problems.append((asked, f"cannot be searched: {error}"))
            continue
        for file in found:
            files.setdefault(os.path.realpath(file), file)
    return FoundFiles(tuple(files.values()), tuple(problems))


def _not_a_path(found: object) -> str:
    return f"a path, or several, were expected; found {found!r} of type {type(found).__name__}"


def _expand(asked: str, problems: list[tuple[str, str]]) -> list[Path]:
    """Files behind one argument; reasons for finding none are appended to ``problems``."""
    path = Path(asked).expanduser()
    if path.is_dir():
        found = sorted(_walk(path, problems, set()))
        if not found:
            problems.append((asked, f"the folder holds no {_endings()} file"))
        return found
    if path.is_file():
        return [path]
    if path.exists():
        problems.append((asked, "is neither a regular file nor a folder"))
        return []
    if path.is_symlink():
        problems.append((asked, f"is a broken link to {path.readlink()}"))
        return []
    if not any(_is_pattern(part) for part in path.parts):
        problems.append((asked, "there is no such file or folder"))
        return []
    found = sorted(_match(path, problems))
    if not found:
        problems.append((asked, f"the pattern matches no {_endings()} file"))
    return found


def _match(pattern: Path, problems: list[tuple[str, str]]) -> Iterator[Path]:
    """Files that a glob pattern matches, and those inside the folders that it matches."""
    first = next(i for i, part in enumerate(pattern.parts) if _is_pattern(part))
    folder, rest = Path(*pattern.parts[:first]), Path(*pattern.parts[first:])
    entered: set[tuple[int, int]] = set()
    # Not glob.glob: its ** follows symbolic links, round and round in a loop of them.
    for path in sorted(folder.glob(str(rest))):
        # As in a shell, hidden folders and files match only a pattern that begins with a dot.
        if _has_hidden(path.relative_to(folder)) and not _has_hidden(rest):
            continue
        if path.is_dir():
            yield from _walk(path, problems, entered)
        elif path.name.lower().endswith(SUFFIXES) and path.is_file():
            yield path


def _walk(
    top: Path, problems: list[tuple[str, str]], entered: set[tuple[int, int]]
) -> Iterator[Path]:
    """Files below a folder, each real folder (told by device and inode) being entered once."""

    def report(error: OSError) -> None:
        problems.append((str(error.filename), f"cannot be listed: {error.strerror}"))

    for folder, subfolders, names in os.walk(top, onerror=report, followlinks=True):
        status = Path(folder).stat()
        key = (status.st_dev, status.st_ino)
        if key in entered:
            subfolders.clear()
            continue
        entered.add(key)
        # Sorted, so that of several links to one folder it is always the same one that counts.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for path in (Path(folder, name) for name in names):
            if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES):
                continue
            if path.is_file():
                yield path
            else:
                problems.append((str(path), "is not a regular file, or a broken link"))


def _has_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_pattern(part: str) -> bool:
    return any(character in part for character in "*?[")


def _endings() -> str:
    return f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
