"""Types of the columns of a COPY stream, and constants of the format."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import numpy as np

# PostgreSQL manual, "COPY", "Binary Format": 11 bytes of signature, then int32 flags, of which bits
# 16-31 must not be ignored (bit 16: rows contain OIDs), then the int32 length of an extension.
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
PREAMBLE_BYTES: Final = len(SIGNATURE) + 8
CRITICAL_FLAGS: Final = 0xFFFF0000
TRAILER: Final = b"\xff\xff"

# MaxAllocSize in src/include/utils/memutils.h: the server cannot hold a longer value.
LONGEST_FIELD: Final = 0x3FFFFFFF

# array_send: int32 dimensions, flags, element OID; then int32 length and lower bound for each.
EMPTY_ARRAY_BYTES: Final = 12
ARRAY_HEADER_BYTES: Final = 20

# timestamptz_send: int64 microseconds since this moment (POSTGRES_EPOCH_JDATE).
TIMESTAMP_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Kind(enum.Enum):
    """The ways in which the bytes of a field are decoded."""

    NUMBER = enum.auto()
    ARRAY = enum.auto()
    BOOL = enum.auto()
    TEXT = enum.auto()
    UUID = enum.auto()
    TIMESTAMPTZ = enum.auto()


@dataclass(frozen=True)
class Number:
    """A numeric type of PostgreSQL.

    Parameters
    ----------
    name : str
        Name in SQL.
    oid : int
        Number in ``src/include/catalog/pg_type.dat``.
    code : str
        numpy type code, such as ``f8``.
    """

    name: str
    oid: int
    code: str

    @cached_property
    def native(self) -> np.dtype[Any]:
        """The dtype in this machine's byte order."""
        return np.dtype(self.code)

    @cached_property
    def sent(self) -> np.dtype[Any]:
        """The dtype in network byte order."""
        return self.native.newbyteorder(">")

    @cached_property
    def size(self) -> int:
        """Bytes of one value."""
        return self.native.itemsize

    @cached_property
    def prefix(self) -> int:
        """The four big-endian bytes of an element's length, as an integer in native byte order."""
        return int.from_bytes(self.size.to_bytes(4, "big"), sys.byteorder)


@dataclass(frozen=True)
class Field:
    """One column of a stream. Use the constants of :mod:`.wire`, not this class.

    Parameters
    ----------
    label : str
        The type, for messages.
    kind : Kind
        Decoding of its bytes.
    numbers : tuple of Number, optional
        The numeric types accepted for the value, or for the array's elements.
    dtype : numpy.dtype, optional
        The dtype of decoded numbers.
    name : str, optional
        The column's name, for messages.

    Examples
    --------
    >>> INT_ARRAY.named("quality_flags")
    Field(quality_flags int2[], int4[] or int8[])
    """

    label: str
    kind: Kind
    numbers: tuple[Number, ...] = ()
    dtype: np.dtype[Any] | None = None
    name: str = ""

    def named(self, name: str) -> Field:
        """Return a copy with a column's name, for error messages."""
        return replace(self, name=name)

    @property
    def is_integer(self) -> bool:
        """Whether the decoded numbers are integers, which cannot represent NULL."""
        return self.dtype is not None and self.dtype.kind == "i"

    def __repr__(self) -> str:
        return f"Field({f'{self.name} ' if self.name else ''}{self.label})"


_INT2 = Number("int2", 21, "i2")
_INT4 = Number("int4", 23, "i4")
_INT8 = Number("int8", 20, "i8")
_FLOAT4 = Number("float4", 700, "f4")
_FLOAT8 = Number("float8", 701, "f8")
TYPE_NAMES: Final = {number.oid: number.name for number in (_INT2, _INT4, _INT8, _FLOAT4, _FLOAT8)}


def _numeric(kind: Kind, *numbers: Number) -> Field:
    """Build a numeric field; if it accepts several types, values have the widest of them."""
    ending = "[]" if kind is Kind.ARRAY else ""
    names = [number.name + ending for number in numbers]
    label = ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]
    return Field(label, kind, numbers, numbers[-1].native)


INT2: Final = _numeric(Kind.NUMBER, _INT2)
INT4: Final = _numeric(Kind.NUMBER, _INT4)
INT8: Final = _numeric(Kind.NUMBER, _INT8)
FLOAT4: Final = _numeric(Kind.NUMBER, _FLOAT4)
FLOAT8: Final = _numeric(Kind.NUMBER, _FLOAT8)
INT: Final = _numeric(Kind.NUMBER, _INT2, _INT4, _INT8)
FLOAT: Final = _numeric(Kind.NUMBER, _FLOAT4, _FLOAT8)
BOOL: Final = Field("bool", Kind.BOOL)
TEXT: Final = Field("text", Kind.TEXT)
UUID: Final = Field("uuid", Kind.UUID)
TIMESTAMPTZ: Final = Field("timestamptz", Kind.TIMESTAMPTZ)
INT2_ARRAY: Final = _numeric(Kind.ARRAY, _INT2)
INT4_ARRAY: Final = _numeric(Kind.ARRAY, _INT4)
INT8_ARRAY: Final = _numeric(Kind.ARRAY, _INT8)
FLOAT4_ARRAY: Final = _numeric(Kind.ARRAY, _FLOAT4)
FLOAT8_ARRAY: Final = _numeric(Kind.ARRAY, _FLOAT8)
INT_ARRAY: Final = _numeric(Kind.ARRAY, _INT2, _INT4, _INT8)
FLOAT_ARRAY: Final = _numeric(Kind.ARRAY, _FLOAT4, _FLOAT8)
