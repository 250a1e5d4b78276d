"""The byte layout of a row, parsed from one row and compared with the following rows.

Rows of equal shape differ only in their values; all other bytes (field counts, lengths, array
headers) are the same, at the same offsets. A :class:`RowLayout` contains these bytes, so that any
number of rows can be compared with it in a few strided numpy operations. Equality checks a row
completely, except for the lengths of array elements.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.fields import (
    ARRAY_HEADER_BYTES,
    EMPTY_ARRAY_BYTES,
    LONGEST_FIELD,
    TYPE_NAMES,
    Field,
    Kind,
    Number,
)

Buffer = bytes | memoryview
Bytes = npt.NDArray[np.uint8]

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_FIVE_INT32 = struct.Struct(">iiIii")
_THREE_INT32 = struct.Struct(">iiI")
_FIXED_BYTES = {Kind.BOOL: 1, Kind.UUID: 16, Kind.TIMESTAMPTZ: 8}
# Number of rows that are compared first. It is multiplied by four each time all rows match, so that
# whole blocks are never compared if the shape of rows changes.
_FIRST_WINDOW = 32


@dataclass(frozen=True)
class Slot:
    """One field's values in a row.

    Parameters
    ----------
    field : Field
        The field.
    position : int
        Its index in the row, from 0.
    offset : int, optional
        Bytes from the start of the row to the value; for an array, to its first element's length.
    size : int or None, optional
        Bytes of the value, or of all elements with their lengths; None if the field is NULL.
    number : Number or None, optional
        The numeric type found.
    length : int, optional
        Number of elements of an array.
    nulls : int, optional
        Number of NULL elements.
    """

    field: Field
    position: int
    offset: int = 0
    size: int | None = None
    number: Number | None = None
    length: int = 0
    nulls: int = 0


@dataclass(frozen=True)
class RowLayout:
    """The shape of a row: its size in bytes, its fixed bytes, and the slots for values."""

    size: int
    fixed: tuple[tuple[int, Bytes], ...]
    slots: tuple[Slot, ...]

    def count(self, buffer: Buffer, start: int, end: int) -> int:
        """Count the complete rows of this shape between ``start`` and ``end``.

        Returns
        -------
        int
            Number of rows; 0 if the first row differs or is incomplete.
        """
        available = (end - start) // self.size
        found, window = 0, _FIRST_WINDOW
        while found < available:
            compared = equal = min(window, available - found)
            first = start + found * self.size
            for offset, expected in self.fixed:
                seen = np.ndarray(
                    (equal, len(expected)), np.uint8, buffer, first + offset, (self.size, 1)
                )
                same = seen == expected
                if not same.all():
                    equal = int(same.all(axis=1).argmin())
                    if not equal:
                        break
            found += equal
            if equal < compared:
                break
            window *= 4
        return found


class LayoutBuilder:
    """Collects the fixed bytes and the slots of a row in order."""

    def __init__(self, fields: int) -> None:
        self._fixed: list[tuple[int, Bytes]] = []
        self._slots: list[Slot] = []
        self._pending = bytearray(_INT16.pack(fields))
        self._start = 0

    @property
    def offset(self) -> int:
        """The offset of the next byte."""
        return self._start + len(self._pending)

    def null(self, field: Field, position: int) -> None:
        """Append a NULL field."""
        self._pending += _INT32.pack(-1)
        self._slots.append(Slot(field, position))

    def value(
        self,
        field: Field,
        position: int,
        size: int,
        *,
        header: bytes = b"",
        number: Number | None = None,
        length: int = 0,
        nulls: int = 0,
    ) -> None:
        """Append a field: ``header``, which is fixed, and a value of ``size`` bytes."""
        self._pending += _INT32.pack(len(header) + size)
        self._pending += header
        offset = self.offset
        self._slots.append(Slot(field, position, offset, size, number, length, nulls))
        self._flush()
        self._start = offset + size

    def build(self) -> RowLayout:
        """Finish the layout."""
        size = self.offset
        self._flush()
        return RowLayout(size, tuple(self._fixed), tuple(self._slots))

    def _flush(self) -> None:
        if self._pending:
            self._fixed.append((self._start, np.frombuffer(bytes(self._pending), np.uint8)))
            self._pending = bytearray()


def where(field: Field, position: int, row: int) -> str:
    """Return a field's name for messages: ``column 2 ("values", float8[]) of row 17``."""
    name = f'"{field.name}", ' if field.name else ""
    return f"column {position + 1} ({name}{field.label}) of row {row + 1}"


def read_layout(
    fields: Sequence[Field], buffer: Buffer, start: int, end: int, row: int
) -> RowLayout | int:
    """Parse the row that begins at ``start``.

    Parameters
    ----------
    fields : sequence of Field
        The expected fields of the row.
    buffer : bytes or memoryview
        The received bytes.
    start, end : int
        Start of the row, and end of the received bytes; ``end - start`` is at least 2.
    row : int
        Number of the row in the stream, from 0, for messages.

    Returns
    -------
    RowLayout or int
        The shape of the row; or, if the row is incomplete, the smallest ``end`` with which parsing
        can continue.

    Raises
    ------
    WireError
        If the bytes cannot be a row of these fields.
    """
    (count,) = _INT16.unpack_from(buffer, start)
    if count != len(fields):
        names = ", ".join(field.name or field.label for field in fields)
        raise WireError(
            f"row {row + 1} of the COPY stream must have {len(fields)} fields ({names}), got "
            f"{count}; the stream is damaged, or belongs to a different query"
        )
    builder = LayoutBuilder(count)
    for position, field in enumerate(fields):
        at = start + builder.offset + 4
        if at > end:
            return at
        size: int = _INT32.unpack_from(buffer, at - 4)[0]
        if size == -1:
            builder.null(field, position)
            continue
        if not 0 <= size <= LONGEST_FIELD:
            raise WireError(
                f"{where(field, position, row)} has an impossible length of {size} bytes; the "
                "stream is damaged"
            )
        if field.kind is Kind.ARRAY:
            header = min(size, ARRAY_HEADER_BYTES)
            if at + header > end:
                return at + header
            _read_array(builder, field, position, bytes(buffer[at : at + header]), size, row)
        else:
            builder.value(field, position, size, number=_scalar(field, position, size, row))
        if at + size > end:
            return at + size
    return builder.build()


def _scalar(field: Field, position: int, size: int, row: int) -> Number | None:
    """Check the size of a scalar, and return the numeric type of that size, if it is a number."""
    if field.kind is Kind.NUMBER:
        for number in field.numbers:
            if number.size == size:
                return number
        expected = " or ".join(str(number.size) for number in field.numbers)
    elif field.kind is Kind.TEXT or _FIXED_BYTES[field.kind] == size:
        return None
    else:
        expected = str(_FIXED_BYTES[field.kind])
    raise WireError(
        f"{where(field, position, row)} must have {expected} bytes, got {size}; cast the "
        "column in the query, or use the field of its type"
    )


def _read_array(
    builder: LayoutBuilder, field: Field, position: int, header: bytes, size: int, row: int
) -> None:
    """Check an array's header against its type and size, and append it."""
    place = where(field, position, row)
    if len(header) < EMPTY_ARRAY_BYTES:
        raise WireError(f"{place} has {size} bytes, too few for an array")
    dimensions, flags, oid = _THREE_INT32.unpack_from(header)
    number = next((number for number in field.numbers if number.oid == oid), None)
    if number is None:
        found = TYPE_NAMES.get(oid, f"the type with OID {oid}")
        raise WireError(
            f"{place} has elements of type {found}; cast the column in the query, or use the "
            "field of its type"
        )
    if flags not in (0, 1):
        raise WireError(f"{place} has array flags {flags}; they must be 0 or 1")
    if dimensions == 0 and size == EMPTY_ARRAY_BYTES:
        builder.value(field, position, 0, header=header, number=number)
        return
    if dimensions != 1:
        raise WireError(
            f"{place} must be a one-dimensional array, got {dimensions} dimensions in {size} bytes"
        )
    if len(header) < ARRAY_HEADER_BYTES:
        raise WireError(f"{place} has {size} bytes, too few for an array of one dimension")
    length = _FIVE_INT32.unpack(header)[3]
    # NULL elements have no bytes for the value, so their number follows from the size.
    missing = ARRAY_HEADER_BYTES + length * (4 + number.size) - size
    nulls, rest = divmod(missing, number.size)
    if rest or not 0 <= nulls <= length or (nulls and not flags):
        raise WireError(
            f"{place} has {length} elements in {size} bytes, which is impossible; the stream is "
            "damaged"
        )
    if nulls and field.is_integer:
        raise WireError(
            f"{place} has {nulls} NULL elements, which integers cannot represent; replace them in "
            "the query or in the table"
        )
    elements = size - ARRAY_HEADER_BYTES
    builder.value(
        field, position, elements, header=header, number=number, length=length, nulls=nulls
    )
