"""HDF5 files from bytes in memory, checked before the HDF5 library follows or allocates much."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector

LONGEST = 1_000_000
"""Elements beyond which no array is read; an orbit has about 6,000 cadences of 200 s."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Group:
    """A group of an HDF5 file; all that is missing or odd raises IngestError by its full name.

    Parameters
    ----------
    group
        An ``h5py.Group``; the file is the group of the name "".
    name
        Its path in the file, for messages.
    """

    def __init__(self, group: Any, name: str = "") -> None:
        self._group = group
        self._name = name

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def names(self) -> list[str]:
        """List what is in the group, in alphabetical order."""
        return sorted(self._group)

    def attribute(self, name: str) -> Any:
        """Give an attribute as a number or a text of Python; None where it is missing."""
        if name not in self._group.attrs:
            return None
        found = self._group.attrs[name]
        if isinstance(found, np.ndarray) and found.size == 1:
            found = found.reshape(-1)[0]
        if isinstance(found, np.generic):
            found = found.item()
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def number(self, name: str) -> float:
        """Give an attribute as a number; NaN where it is missing or is none."""
        found = self.attribute(name)
        try:
            return float("nan") if isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            return float("nan")

    def group(self, name: str) -> Group:
        """Go into a group that is in this one."""
        import h5py

        found = self._member(name)
        if not isinstance(found, h5py.Group):
            raise IngestError(f"{self._path(name)} is no group")
        return Group(found, self._path(name))

    def floats(self, name: str, size: int | None = None) -> FloatVector:
        """Read a vector of floating-point numbers as native float64.

        Parameters
        ----------
        name
            The dataset.
        size
            How many elements it has to have; None is any number but 0.
        """
        found = self._vector(name, "f", "floating-point numbers", size)
        return np.asarray(found, np.float64)

    def integers(self, name: str, size: int | None = None) -> IntVector:
        """Read a vector of integers as native int64; see :meth:`floats`."""
        found = self._vector(name, "iu", "integers", size)
        if found.dtype.kind == "u" and found.size and found.max() >= 2**63:
            raise IngestError(f"{self._path(name)} has integers that do not fit into 64 bits")
        return np.asarray(found, np.int64)

    def _vector(self, name: str, kinds: str, what: str, size: int | None) -> Any:
        import h5py

        found, path = self._member(name), self._path(name)
        if not isinstance(found, h5py.Dataset):
            raise IngestError(f"{path} is no dataset")
        if found.dtype.kind not in kinds or found.dtype.itemsize > 8:
            raise IngestError(f"{path} should hold {what}, but holds {found.dtype}")
        if found.ndim != 1 or found.size == 0:
            raise IngestError(f"{path} should be a vector, but has the shape {found.shape}")
        if size is not None and found.size != size:
            raise IngestError(f"{path} has {found.size} values for {size} cadences")
        # What it claims is allocated before a byte of it is looked for, chunks included.
        if max(found.size, *(found.chunks or (0,))) > LONGEST:
            raise IngestError(f"{path} claims {found.size} values, more than any orbit has")
        if found.external or found.is_virtual:
            raise IngestError(f"{path} lies in another file, which is not looked into")
        return found[()]

    def _member(self, name: str) -> Any:
        import h5py

        link = self._group.get(name, getlink=True)
        if link is None:
            there = ", ".join(self.names()) or "nothing"
            raise IngestError(f"{self._path(name)} is missing; {self._name or 'it'} has {there}")
        # A link may lead into any other file of this computer.
        if not isinstance(link, h5py.HardLink):
            raise IngestError(f"{self._path(name)} is a link to elsewhere, which is not followed")
        return self._group[name]

    def _path(self, name: str) -> str:
        return f"{self._name}/{name}".removeprefix("/")


@contextmanager
def open_hdf5(content: bytes) -> Iterator[Group]:
    """Open an HDF5 file whose bytes are given.

    Raises
    ------
    IngestError
        If they are none, are truncated, or a part that is read turns out to be damaged.
    """
    import h5py

    if not content.startswith(_SIGNATURE):
        raise IngestError(f"not an HDF5 file (it begins with {content[:8]!r})")
    _check_heaps(content)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield Group(file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, IngestError):
            raise
        reason = str(error).strip("'\"")
        if "truncated file" in reason:
            raise IngestError("truncated: the HDF5 data stop before their end") from error
        raise IngestError(f"its HDF5 structure is damaged ({reason})") from error


def _check_heaps(content: bytes) -> None:
    """Refuse a global heap (where texts are kept) whose objects do not fill it.

    The HDF5 library (2.0.0) never comes back from one in which an object has no length. Layout:
    HDF5 File Format Specification 3.0, section III.E, with the usual lengths of 8 bytes.
    """
    start = content.find(b"GCOL\x01")
    while start >= 0:
        head = content[start + 8 : start + 16]
        end = start + int.from_bytes(head, "little")
        here = start + 16
        while here + 16 <= min(end, len(content)):
            index, size = struct.unpack_from("<H6xQ", content, here)
            # Object 0 is the free space, and its size counts its own header.
            length = size if index == 0 else 16 + (size + 7) // 8 * 8
            if length < 16 or here + length > end:
                raise IngestError("its HDF5 structure is damaged (global heap)")
            here += length
        start = content.find(b"GCOL\x01", start + 8)
