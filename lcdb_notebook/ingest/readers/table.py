"""A light-curve FITS file as two headers and one table, checked and in native byte order.

The headers are read by :mod:`astropy.io.fits`; the table is viewed with one numpy dtype made from
the TFORM cards (FITS Standard 4.0, section 7.3), since for tables of this size astropy's own column
objects take several times longer than all the rest.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector
from lcdb_notebook.ingest.readers import checksum
from lcdb_notebook.ingest.readers.headers import Header, integer, text, value

LARGEST = 128 * 1024 * 1024
"""Bytes of uncompressed file beyond which none is read; a light curve of 20 s cadences has 12."""

# Bytes of one element of each TFORM letter, and the numpy type of those that are read
# (FITS Standard 4.0, table 18).
_SIZE = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16}
_SIZE |= {"P": 8, "Q": 16}
_NUMPY = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}

# How the pipelines write electrons per second, and nothing.
_UNITS = {
    "electron / s": frozenset({"e-/s", "e/s", "electron/s", "electrons/s"}),
    "": frozenset({"unitless", "dimensionless", "1"}),
}


@dataclass(frozen=True)
class LightCurveTable:
    """The primary header, the first extension's header and that extension's rows.

    Parameters
    ----------
    label
        What to call the file in messages.
    primary, header
        Headers of the primary HDU and of the table.
    rows
        Structured array of shape (cadences,), big-endian as in the file; field names in upper case.
    numbers
        Position of each column in the header, counted from 1, by upper-case name.
    """

    label: str
    primary: Header
    header: Header
    rows: npt.NDArray[np.void]
    numbers: Mapping[str, int]

    def __contains__(self, column: str) -> bool:
        return column.upper() in self.numbers

    def __len__(self) -> int:
        return len(self.rows)

    def floats(self, column: str, unit: str | None = None) -> FloatVector:
        """Take a floating-point column as native float64.

        Parameters
        ----------
        column
            Its name, in any case.
        unit
            The unit that its TUNIT card has to state, if it states one: ``"electron / s"``, or
            ``""`` for dimensionless; None leaves the card unread.

        Raises
        ------
        IngestError
            If there is no such column, it is of another type, or in another unit.
        """
        values = self._column(column, "f", "floating-point numbers")
        if unit is not None:
            written = text(self.header, f"TUNIT{self.numbers[column.upper()]}")
            known = {unit.replace(" ", "")} | _UNITS[unit]
            if written and written.lower().replace(" ", "") not in known:
                expected = unit or "no unit"
                raise IngestError(f"column {column} is in {written!r}, where {expected} is known")
        return values.astype(np.float64)

    def integers(self, column: str) -> IntVector:
        """Take an integer column as native int64; raises IngestError as :meth:`floats` does."""
        values = self._column(column, "iu", "integers").astype(np.int64)
        null = value(self.header, f"TNULL{self.numbers[column.upper()]}")
        if null is not None and np.any(values == null):
            raise IngestError(f"column {column} has undefined values (TNULL {null})")
        return values

    def quality(self, column: str) -> npt.NDArray[np.int32]:
        """Take an integer column of flag bits as native int32."""
        values = self.integers(column)
        bits = values.astype(np.int32)
        if not np.array_equal(bits, values):
            raise IngestError(f"column {column} has flags that do not fit into 32 bits")
        return bits

    def sorted_by(self, column: str) -> LightCurveTable:
        """Order the rows by a column of integers; raises IngestError where one number is twice."""
        keys = self.integers(column)
        if np.all(keys[1:] > keys[:-1]):
            return self
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        twice = keys[1:][keys[1:] == keys[:-1]]
        if twice.size:
            raise IngestError(f"{column} {twice[0]} stands in more than one row")
        return replace(self, rows=self.rows[order])

    def _column(self, column: str, kinds: str, what: str) -> npt.NDArray[Any]:
        number = self.numbers.get(column.upper())
        if number is None:
            raise IngestError(
                f"column {column} is missing; the table has {', '.join(self.numbers) or 'none'}"
            )
        form = text(self.header, f"TFORM{number}")
        values = self.rows[column.upper()]
        if values.dtype.kind not in kinds:
            raise IngestError(f"column {column} should hold {what}, but its TFORM is {form!r}")
        for key, neutral in (("TSCAL", 1), ("TZERO", 0)):
            if value(self.header, f"{key}{number}", neutral) != neutral:
                raise IngestError(f"column {column} is scaled ({key}), which is not supported")
        return values


def open_table(path: Path) -> LightCurveTable:
    """Read a FITS file, gzip-compressed or not, whatever its name.

    Parameters
    ----------
    path
        A regular file of at most :data:`LARGEST` bytes when decompressed.

    Returns
    -------
    LightCurveTable

    Raises
    ------
    IngestError
        If it is no FITS file, is truncated, its first extension is no binary table, or its bytes
        contradict their CHECKSUM. Damaged headers can also raise whatever astropy makes of them;
        ``read_product`` translates that.
    """
    from astropy.io import fits

    content = file_content(path)
    if not content.startswith(b"SIMPLE  ="):
        raise IngestError(f"not a FITS file (it begins with {content[:9]!r})")
    with fits.open(
        io.BytesIO(content),
        memmap=False,
        lazy_load_hdus=True,
        disable_image_compression=True,
    ) as hdus:
        primary = hdus[0].header
        try:
            table = hdus[1]
        except IndexError:
            raise IngestError(
                "the file has no extension, so no table of a light curve (or is truncated)"
            ) from None
        if not isinstance(table, fits.BinTableHDU):
            raise IngestError(
                f"the first extension is a {type(table).__name__}, not a binary table"
            )
        header, start = table.header, table.fileinfo()["datLoc"]
        places = ((primary, hdus[0].fileinfo()), (header, table.fileinfo()))
    dtype, numbers = _row_type(header)
    count = integer(header, "NAXIS2", 0, 2**63 - 1)
    if count == 0:
        raise IngestError("the table has no rows")
    present = max(len(content) - start, 0) // dtype.itemsize
    if present < count:
        raise IngestError(f"truncated: of {count} rows only {present} are in the file")
    for of_hdu, place in places:
        checksum.check(content, of_hdu, place)
    rows = np.frombuffer(content, dtype, count, start)
    return LightCurveTable(str(path), primary, header, rows, numbers)


def file_content(path: Path, largest: int | None = None) -> bytes:
    """Return the uncompressed bytes of a file, gzip-compressed or not.

    Raises
    ------
    IngestError
        If they are more than ``largest`` (:data:`LARGEST` if not given), or cut short.
    """
    largest = LARGEST if largest is None else largest
    too_large = f"larger than {largest // 1024**2} MB, so hardly a light curve"
    status = path.stat()
    # Opening a pipe would wait for its other end.
    if not stat.S_ISREG(status.st_mode):
        raise IngestError("not a regular file")
    if status.st_size > largest:
        raise IngestError(too_large)
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    # In one go: gzip.GzipFile takes half as long again. It is left for files of several members.
    member = zlib.decompressobj(wbits=31)
    plain = member.decompress(content, largest + 1)
    if member.unused_data.strip(b"\0"):
        with gzip.open(io.BytesIO(content)) as members:
            plain = members.read(largest + 1)
    elif len(plain) <= largest and not member.eof:
        raise IngestError("truncated: the compressed data stop before their end")
    if len(plain) > largest:
        raise IngestError(too_large)
    return plain


def _row_type(header: Header) -> tuple[np.dtype[np.void], dict[str, int]]:
    """Lay out one row, and number its columns by upper-case name, from TTYPE and TFORM cards."""
    fields: list[tuple[str, str]] = []
    numbers: dict[str, int] = {}
    width = 0
    # 999 columns at most: FITS Standard 4.0, section 7.3.1.
    for number in range(1, integer(header, "TFIELDS", 0, 999) + 1):
        name = text(header, f"TTYPE{number}").upper() or f"COLUMN {number}"
        form = text(header, f"TFORM{number}")
        match = re.match(r"(\d{0,9})([A-Z])", form)
        if match is None or match[2] not in {*_SIZE, "X"}:
            raise IngestError(f"column {name} has no format that FITS knows (TFORM {form!r})")
        if name in numbers:
            raise IngestError(f"two columns are named {name}")
        repeat, letter = int(match[1] or 1), match[2]
        size = (repeat + 7) // 8 if letter == "X" else repeat * _SIZE[letter]
        fields.append((name, _NUMPY[letter] if repeat == 1 and letter in _NUMPY else f"V{size}"))
        numbers[name] = number
        width += size
    if width != integer(header, "NAXIS1", 1, 2**31 - 1):
        raise IngestError(
            f"the columns take {width} bytes a row, but NAXIS1 says {header['NAXIS1']}"
        )
    return np.dtype(fields), numbers
