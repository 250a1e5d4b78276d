"""Open HDF5 files from bytes, and check them before the HDF5 library reads them."""

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
"""Largest number of elements to read; an orbit has about 6,000 cadences of 200 s."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Group:
    """A group of an HDF5 file. Members that are missing or invalid raise IngestError.

    Parameters
    ----------
    group
        An ``h5py.Group``.
    name
        Its path in the file, for messages; "" for the root.
    """

    def __init__(self, group: Any, name: str = "") -> None:
        self._group = group
        self._name = name

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def names(self) -> list[str]:
        """Return the names of the members, in alphabetical order."""
        return sorted(self._group)

    def attribute(self, name: str) -> Any:
        """Return an attribute as a Python number or str; None if it is missing."""
        if name not in self._group.attrs:
            return None
        found = self._group.attrs[name]
        if isinstance(found, np.ndarray) and found.size == 1:
            found = found.reshape(-1)[0]
        if isinstance(found, np.generic):
            found = found.item()
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def number(self, name: str) -> float:
        """Return an attribute as a number; NaN if it is missing or not a number."""
        found = self.attribute(name)
        try:
            return float("nan") if isinstance(found, bool) else float(found)
        except (TypeError, ValueError):
            return float("nan")

    def group(self, name: str) -> Group:
        """Return a subgroup."""
        import h5py

        found = self._member(name)
        if not isinstance(found, h5py.Group):
            raise IngestError(f"{self._path(name)} is not a group")
        return Group(found, self._path(name))

    def floats(self, name: str, size: int | None = None) -> FloatVector:
        """Read a vector of floating-point numbers as native float64.

        Parameters
        ----------
        name
            Name of the dataset.
        size
            Required number of elements; None for any number except 0.
        """
        found = self._vector(name, "f", "floating-point numbers", size)
        return np.asarray(found, np.float64)

    def integers(self, name: str, size: int | None = None) -> IntVector:
        """Read a vector of integers as native int64, with ``size`` elements if it is given."""
        found = self._vector(name, "iu", "integers", size)
        if found.dtype.kind == "u" and found.size and found.max() >= 2**63:
            raise IngestError(f"{self._path(name)} has integers that do not fit into 64 bits")
        return np.asarray(found, np.int64)

    def _vector(self, name: str, kinds: str, what: str, size: int | None) -> Any:
        import h5py

        found, path = self._member(name), self._path(name)
        if not isinstance(found, h5py.Dataset):
            raise IngestError(f"{path} is not a dataset")
        if found.dtype.kind not in kinds or found.dtype.itemsize > 8:
            raise IngestError(f"{path} must contain {what}, got {found.dtype}")
        if found.ndim != 1 or found.size == 0:
            raise IngestError(
                f"{path} must be one-dimensional and not empty, got shape {found.shape}"
            )
        if size is not None and found.size != size:
            raise IngestError(f"{path} has {found.size} values for {size} cadences")
        # HDF5 allocates the declared size, including chunks, before it reads anything.
        if max(found.size, *(found.chunks or (0,))) > LONGEST:
            raise IngestError(f"{path} declares {found.size} values, more than any orbit has")
        if found.external or found.is_virtual:
            raise IngestError(f"{path} is stored in another file, which is not supported")
        return found[()]

    def _member(self, name: str) -> Any:
        import h5py

        link = self._group.get(name, getlink=True)
        if link is None:
            found = ", ".join(self.names()) or "nothing"
            raise IngestError(
                f"{self._path(name)} is missing; {self._name or 'the file'} contains {found}"
            )
        # A soft or external link could point to any other file of this computer.
        if not isinstance(link, h5py.HardLink):
            raise IngestError(f"{self._path(name)} is a soft or external link; not followed")
        return self._group[name]

    def _path(self, name: str) -> str:
        return f"{self._name}/{name}".removeprefix("/")


@contextmanager
def open_hdf5(content: bytes) -> Iterator[Group]:
    """Open an HDF5 file from its bytes.

    Raises
    ------
    IngestError
        If it is not an HDF5 file, is truncated, or the required parts are damaged.
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
            raise IngestError("truncated HDF5 file") from error
        raise IngestError(f"damaged HDF5 structure ({reason})") from error


def _check_heaps(content: bytes) -> None:
    """Reject a global heap (where strings are stored) whose objects do not fill it.

    The HDF5 library (2.0.0) loops forever if an object has length 0. Layout: HDF5 File Format
    Specification 3.0, section III.E, with lengths of 8 bytes.
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
                raise IngestError("damaged HDF5 structure (global heap)")
            here += length
        start = content.find(b"GCOL\x01", start + 8)
