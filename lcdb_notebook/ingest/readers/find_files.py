"""Expand paths, folders (recursively) and glob patterns into a list of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lcdb_notebook.errors import IngestError

SUFFIXES: tuple[str, ...] = (".fits", ".fits.gz", ".h5", ".h5.gz")
"""Suffixes, in lower case, of the files that are found in folders and by patterns."""

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class FoundFiles:
    """The result of a search for files.

    Parameters
    ----------
    files
        Each file once, in the order of the arguments, sorted by path within each argument.
    problems
        Arguments that could not be searched or match no file, each with the reason.
    """

    files: tuple[Path, ...]
    problems: tuple[tuple[str, str], ...]


def find_files(paths: AnyPath | Iterable[AnyPath]) -> FoundFiles:
    """List the light-curve files of ``paths``.

    A folder is searched recursively, including symbolic links, and only once. For example, you can
    pass lightkurve's download cache (``mastDownload/TESS/<observation>/<file>.fits``). Folders and
    patterns match only files whose names end in one of :data:`SUFFIXES`, and no hidden files. A
    file that is passed directly may have any name. ``**`` in a pattern does not follow symbolic
    links.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, folders or glob patterns; a leading ``~`` is the home folder.

    Returns
    -------
    FoundFiles
        The files, and the paths that do not exist or match nothing.

    Raises
    ------
    IngestError
        If something in ``paths`` is not a path.

    Examples
    --------
    >>> find_files("no/such/file.fits")
    FoundFiles(files=(), problems=(('no/such/file.fits', 'no such file or folder'),))
    """
    if _is_light_curve(paths):
        raise IngestError(_not_a_path(paths))
    try:
        given: list[object] = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    except TypeError:
        raise IngestError(_not_a_path(paths)) from None
    files: dict[str, Path] = {}
    problems: list[tuple[str, str]] = []
    for path in given:
        given_path = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(given_path, str):
            raise IngestError(_not_a_path(path))
        try:
            found = _expand(given_path, problems)
        except (OSError, ValueError, RuntimeError) as error:
            problems.append((given_path, f"cannot be searched: {error}"))
            continue
        for file in found:
            files.setdefault(os.path.realpath(file), file)
    return FoundFiles(tuple(files.values()), tuple(problems))


def _not_a_path(found: object) -> str:
    kind = type(found).__name__
    if _is_light_curve(found):
        return f"ingest() reads files, got a {kind}; use db.add() for light curves"
    return f"paths must be a path or an iterable of paths, got {found!r:.100} of type {kind}"


def _is_light_curve(found: object) -> bool:
    """Return whether this is a lightkurve object or a DataFrame, which are also iterable."""
    modules = {cls.__module__.partition(".")[0] for cls in type(found).__mro__}
    return not modules.isdisjoint({"lightkurve", "pandas"})


def _expand(given_path: str, problems: list[tuple[str, str]]) -> list[Path]:
    """List the files of one argument; append to ``problems`` if there are none."""
    path = Path(given_path).expanduser()
    if path.is_dir():
        found = sorted(_walk(path, problems, set()))
        if not found:
            problems.append((given_path, f"the folder has no {_endings()} files"))
        return found
    if path.is_file():
        return [path]
    if path.exists():
        problems.append((given_path, "not a regular file or folder"))
        return []
    if path.is_symlink():
        problems.append((given_path, f"broken link to {path.readlink()}"))
        return []
    if not any(_is_pattern(part) for part in path.parts):
        problems.append((given_path, "no such file or folder"))
        return []
    found = sorted(_match(path, problems))
    if not found:
        problems.append((given_path, f"the pattern matches no {_endings()} files"))
    return found


def _match(pattern: Path, problems: list[tuple[str, str]]) -> Iterator[Path]:
    """List the files that a pattern matches, and those in the folders that it matches."""
    first = next(i for i, part in enumerate(pattern.parts) if _is_pattern(part))
    folder, rest = Path(*pattern.parts[:first]), Path(*pattern.parts[first:])
    entered: set[tuple[int, int]] = set()
    # Not glob.glob, because its ** follows symbolic links even in a loop.
    for path in sorted(folder.glob(str(rest))):
        # As in a shell, hidden folders and files only match a pattern that begins with a dot.
        if _has_hidden(path.relative_to(folder)) and not _has_hidden(rest):
            continue
        if path.is_dir():
            yield from _walk(path, problems, entered)
        elif path.name.lower().endswith(SUFFIXES) and path.is_file():
            yield path


def _walk(
    top: Path, problems: list[tuple[str, str]], entered: set[tuple[int, int]]
) -> Iterator[Path]:
    """List the files below a folder, entering each folder (by device and inode) once."""

    def report(error: OSError) -> None:
        problems.append((str(error.filename), f"cannot be listed: {error.strerror}"))

    for folder, subfolders, names in os.walk(top, onerror=report, followlinks=True):
        status = Path(folder).stat()
        key = (status.st_dev, status.st_ino)
        if key in entered:
            subfolders.clear()
            continue
        entered.add(key)
        # Sorted, so that of several links to a folder the same one is always used.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for path in (Path(folder, name) for name in names):
            if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES):
                continue
            if path.is_file():
                yield path
            else:
                problems.append((str(path), "not a regular file, or a broken link"))


def _has_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_pattern(part: str) -> bool:
    return any(character in part for character in "*?[")


def _endings() -> str:
    return f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
