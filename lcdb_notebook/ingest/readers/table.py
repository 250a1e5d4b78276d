"""Read a light-curve FITS file as two headers and one table, and verify its checksums.

The table is viewed with a numpy dtype built from the TFORM cards (FITS Standard 4.0, section 7.3).
Reading a light curve takes more than twice as long with astropy's columns, or with fitsio. Neither
verifies the CHECKSUM of NASA's files, which have no DATASUM.
"""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, IntVector, as_flags
from lcdb_notebook.ingest.readers import checksum
from lcdb_notebook.ingest.readers.hdus import HDU, primary_and_table
from lcdb_notebook.ingest.readers.headers import Header, integer, text, value
from lcdb_notebook.ingest.readers.row_type import row_type

LARGEST = 128 * 1024 * 1024
"""Size limit of uncompressed files, in bytes; a light curve with 20 s cadences has 12 MB."""

# How the pipelines write electrons per second and dimensionless.
_UNITS = {
    "electron / s": frozenset({"e-/s", "e/s", "electron/s", "electrons/s"}),
    "": frozenset({"unitless", "dimensionless", "1"}),
    "mag": frozenset(),
    "ppm": frozenset(),
    "adu": frozenset(),
}


@dataclass(frozen=True)
class LightCurveTable:
    """The rows of the first extension, with its header and the primary one.

    Parameters
    ----------
    label
        Name of the file in messages.
    rows
        Structured array of shape (cadences,), big-endian as in the file; fields in upper case.
    numbers
        Number of each column in the header, from 1, by upper-case name.
    content
        The file, decompressed.
    hdus
        The primary HDU and that of the table.
    used
        Upper-case names of the columns that were read, shared with sorted copies of the table.
    """

    label: str
    rows: npt.NDArray[np.void]
    numbers: Mapping[str, int]
    content: bytes
    hdus: tuple[HDU, HDU]
    used: set[str] = field(default_factory=set)

    @property
    def primary(self) -> Header:
        """The header of the primary HDU."""
        return self.hdus[0].header

    @property
    def header(self) -> Header:
        """The header of the table."""
        return self.hdus[1].header

    def __contains__(self, column: str) -> bool:
        return column.upper() in self.numbers

    def __len__(self) -> int:
        return len(self.rows)

    def floats(self, column: str, unit: str | None = None) -> FloatVector:
        """Return a floating-point column as native float64.

        Parameters
        ----------
        column
            Its name, in any case.
        unit
            The unit that its TUNIT card must have, if there is one: ``"electron / s"``, ``"mag"``,
            ``"ppm"``, ``"adu"``, or ``""`` for dimensionless. None ignores the card.

        Raises
        ------
        IngestError
            If the column does not exist, or has another type or unit.
        """
        values = self._column(column, "f", "floating-point numbers")
        if unit is not None:
            written = self.unit(column)
            known = {unit.replace(" ", "")} | _UNITS[unit]
            if written and written.lower().replace(" ", "") not in known:
                expected = unit or "no unit"
                raise IngestError(f"column {column} must be in {expected}, got {written!r}")
        return values.astype(np.float64)

    def unit(self, column: str) -> str:
        """Return the TUNIT card of a column; "" if there is none."""
        return text(self.header, f"TUNIT{self.numbers[column.upper()]}")

    def is_scaled(self, column: str) -> bool:
        """Return whether a column has an offset or a scale (TZERO, TSCAL)."""
        number = self.numbers[column.upper()]
        return any(value(self.header, f"{key}{number}") is not None for key in ("TZERO", "TSCAL"))

    def texts(self, column: str) -> npt.NDArray[np.bytes_]:
        """Return a column of text, without trailing spaces."""
        return np.char.rstrip(self._column(column, "S", "text"))

    def whole_numbers(self, column: str) -> IntVector:
        """Return a column of integers, or of floating-point numbers without fractions, as int64."""
        if self._column(column, "iuf", "numbers").dtype.kind != "f":
            return self.integers(column)
        values = self.floats(column)
        wrong = ~np.isfinite(values) | (values % 1 != 0) | (np.abs(values) >= 2**53)
        if wrong.any():
            raise IngestError(f"column {column} must contain integers, got {values[wrong][0]}")
        return values.astype(np.int64)

    def integers(self, column: str) -> IntVector:
        """Return an integer column as native int64; raise IngestError like :meth:`floats`."""
        values = self._column(column, "iu", "integers")
        null = value(self.header, f"TNULL{self.numbers[column.upper()]}")
        # TNULL is compared before TZERO is added (FITS Standard 4.0, section 7.3.2).
        if null is not None and np.any(self.rows[column.upper()] == null):
            raise IngestError(f"column {column} has undefined values (TNULL {null})")
        if values.dtype.kind == "u" and values.size and values.max() >= 2**63:
            raise IngestError(
                f"column {column} has {values.max()}, which does not fit into 63 bits"
            )
        return values.astype(np.int64)

    def quality(self, column: str) -> npt.NDArray[np.int32]:
        """Return an integer column of flags as int32; unsigned numbers keep their bits."""
        return as_flags(self.whole_numbers(column), f"column {column}")

    def sorted_by(self, column: str, *, floats: bool = False) -> LightCurveTable:
        """Sort the rows by a column of integers, which may be stored as floating-point numbers.

        Raises
        ------
        IngestError
            If there are duplicates, or other numbers.
        """
        keys = self.whole_numbers(column) if floats else self.integers(column)
        if np.all(keys[1:] > keys[:-1]):
            return self
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        twice = keys[1:][keys[1:] == keys[:-1]]
        if twice.size:
            raise IngestError(f"{column} {twice[0]} is in more than one row")
        return self.selected(order)

    def selected(self, rows: npt.NDArray[Any]) -> LightCurveTable:
        """Return the table of some rows, given by a mask or by indices."""
        return replace(self, rows=self.rows[rows])

    def with_finite(self, column: str) -> LightCurveTable:
        """Return the rows in which a column of floating-point numbers is finite, at least one."""
        finite = np.isfinite(self.floats(column))
        if not finite.any():
            raise IngestError(f"all {len(self)} values of {column} are NaN")
        return self if finite.all() else self.selected(finite)

    def check_sums(self) -> None:
        """Raise IngestError if the bytes of an HDU do not match its CHECKSUM or DATASUM."""
        for hdu in self.hdus:
            checksum.check(self.content, hdu)

    def _column(self, column: str, kinds: str, what: str) -> npt.NDArray[Any]:
        number = self.numbers.get(column.upper())
        if number is None:
            raise IngestError(
                f"column {column} is missing; the table has {', '.join(self.numbers) or 'none'}"
            )
        self.used.add(column.upper())
        form = text(self.header, f"TFORM{number}")
        values = self.rows[column.upper()]
        if values.dtype.kind not in kinds:
            raise IngestError(f"column {column} must contain {what}, got TFORM {form!r}")
        zero = value(self.header, f"TZERO{number}", 0)
        if value(self.header, f"TSCAL{number}", 1) != 1:
            raise IngestError(f"column {column} is scaled (TSCAL), which is not supported")
        if zero == 0:
            return values
        # Unsigned integers are stored with an offset (FITS Standard 4.0, table 19).
        bits = 8 * values.dtype.itemsize
        if values.dtype.kind != "i" or zero != 2 ** (bits - 1):
            raise IngestError(f"column {column} has an offset (TZERO), which is not supported")
        native = values.astype(values.dtype.newbyteorder("="))
        unsigned: npt.NDArray[Any] = native.view(f"u{values.dtype.itemsize}")
        unsigned ^= unsigned.dtype.type(2 ** (bits - 1))
        return unsigned


def open_table(path: Path) -> LightCurveTable:
    """Read a FITS file, gzip-compressed or not, with any name.

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
        If it is not a FITS file, is truncated, or its first extension is not a binary table.
        Damaged headers can also raise other errors of astropy, which ``read_product`` translates.
    """
    content = file_content(path)
    primary, table = primary_and_table(content)
    header, start = table.header, table.data
    dtype, numbers = row_type(header)
    count = integer(header, "NAXIS2", 0, 2**63 - 1)
    if count == 0:
        raise IngestError("the table has no rows")
    present = max(len(content) - start, 0) // dtype.itemsize
    if present < count:
        raise IngestError(f"truncated: the file has {present} of {count} rows")
    rows = np.frombuffer(content, dtype, count, start)
    return LightCurveTable(str(path), rows, numbers, content, (primary, table))


def file_content(path: Path, largest: int | None = None) -> bytes:
    """Read the bytes of a file, decompressed if it is gzip.

    Raises
    ------
    IngestError
        If the file is larger than ``largest`` (default :data:`LARGEST`), or truncated.
    """
    largest = LARGEST if largest is None else largest
    too_large = f"larger than {largest // 1024**2} MB, so probably not a light curve"
    status = path.stat()
    # Opening a pipe would block until something writes to it.
    if not stat.S_ISREG(status.st_mode):
        raise IngestError("not a regular file")
    if status.st_size > largest:
        raise IngestError(too_large)
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    # gzip.GzipFile takes 1.5 times as long; it is only used for files with several members.
    member = zlib.decompressobj(wbits=31)
    plain = member.decompress(content, largest + 1)
    if member.unused_data.strip(b"\0"):
        with gzip.open(io.BytesIO(content)) as members:
            plain = members.read(largest + 1)
    elif len(plain) <= largest and not member.eof:
        raise IngestError("truncated gzip file")
    if len(plain) > largest:
        raise IngestError(too_large)
    return plain
