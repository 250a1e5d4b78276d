"""Encode the values of one row as the bytes of a COPY stream."""

from __future__ import annotations

import operator
import struct
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.fields import (
    ARRAY_HEADER_BYTES,
    LONGEST_FIELD,
    TIMESTAMP_EPOCH,
    Field,
    Kind,
    Number,
)
from lcdb_notebook.server.wire.layout import where

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
_NULL: Final = _INT32.pack(-1)
_SCALARS = {
    code: struct.Struct(f">i{letter}")
    for code, letter in zip(("i2", "i4", "i8", "f4", "f8"), "hiqfd", strict=True)
}
_MICROSECOND = timedelta(microseconds=1)
_SHAPE = struct.Struct(">iiIii")
_EMPTY = struct.Struct(">iiI")


def encode_row(
    fields: Sequence[Field], row: Sequence[Any], number: int
) -> list[bytes | memoryview]:
    """Encode one row.

    Parameters
    ----------
    fields : sequence of Field
        The columns.
    row : sequence
        One value per column.
    number : int
        Number of the row in the stream, from 0, for messages.

    Returns
    -------
    list of bytes or memoryview
        Pieces to join, so that arrays are copied only once.

    Raises
    ------
    WireError
        If a value does not fit its field.
    """
    if len(row) != len(fields):
        raise WireError(f"row {number + 1} has {len(row)} values for {len(fields)} columns")
    parts: list[bytes | memoryview] = [_INT16.pack(len(fields))]
    for position, (field, value) in enumerate(zip(fields, row, strict=True)):
        if value is None:
            parts.append(_NULL)
            continue
        try:
            if field.kind is Kind.ARRAY:
                values = _numbers(field, value)
                header = array_header(field.numbers[0], len(values))
                elements = _elements(field.numbers[0], values)
                parts += (_INT32.pack(len(header) + len(elements)), header, elements)
            else:
                parts.append(_scalar(field, value))
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise WireError(
                f"{where(field, position, number)} cannot be written: {error}"
            ) from error
    return parts


def array_header(number: Number, length: int) -> bytes:
    """Build the header of an array, as ``array_send`` writes it in front of the elements.

    Parameters
    ----------
    number : Number
        Type of the elements.
    length : int
        Number of elements.

    Returns
    -------
    bytes
        The header: 12 bytes for an empty array, which has no dimensions, else 20 bytes.

    Raises
    ------
    WireError
        If the array is longer than PostgreSQL accepts.

    Examples
    --------
    >>> from lcdb_notebook.server import wire
    >>> array_header(wire.INT4.numbers[0], 2).hex(" ", 4)
    '00000001 00000000 00000017 00000002 00000001'
    """
    if not length:
        return _EMPTY.pack(0, 0, number.oid)
    if ARRAY_HEADER_BYTES + length * (4 + number.size) > LONGEST_FIELD:
        raise WireError(f"{length} elements exceed PostgreSQL's limit of 1 GB per value")
    return _SHAPE.pack(1, 0, number.oid, length, 1)


def _scalar(field: Field, value: Any) -> bytes:
    """Encode a value, preceded by its length."""
    match field.kind:
        case Kind.NUMBER:
            number = operator.index(value) if field.is_integer else _real(value)
            return _SCALARS[field.numbers[0].code].pack(field.numbers[0].size, number)
        case Kind.BOOL if isinstance(value, bool | np.bool_):
            return b"\0\0\0\1" + (b"\1" if value else b"\0")
        case Kind.TEXT if isinstance(value, str):
            text = value.encode()
            if b"\0" in text:
                raise WireError("text must not contain NUL characters")
            if len(text) > LONGEST_FIELD:
                raise WireError("the text exceeds PostgreSQL's limit of 1 GB per value")
            return _INT32.pack(len(text)) + text
        case Kind.UUID if isinstance(value, uuid.UUID):
            return _INT32.pack(16) + value.bytes
        case Kind.TIMESTAMPTZ if isinstance(value, datetime):
            return _INT32.pack(8) + _INT64.pack(_microseconds(value))
    raise WireError(f"unsupported type {type(value).__name__}")


def _real(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise WireError(f"unsupported type {type(value).__name__}")
    return float(value)


def _microseconds(value: datetime) -> int:
    if value.utcoffset() is None:
        raise WireError("datetime has no time zone; use for example datetime.UTC")
    return (value - TIMESTAMP_EPOCH) // _MICROSECOND


def _numbers(field: Field, value: Any) -> npt.NDArray[Any]:
    """Convert to the field's type, in native byte order, without changing any number."""
    dtype = field.numbers[0].native
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise WireError("masked values cannot be stored in an array; fill them first")
    values = np.asarray(value)
    if values.ndim != 1:
        raise WireError(f"expected a one-dimensional array, got {values.ndim} dimensions")
    if values.dtype == dtype:
        return values
    # numpy converts an empty list to float64.
    kinds = "biuf" if not (field.is_integer and values.size) else "biu"
    if values.dtype.kind not in kinds:
        raise WireError(f"an array of {values.dtype} does not fit {field.label}")
    if field.is_integer and values.size and not np.can_cast(values.dtype, dtype):
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise WireError(f"{values.min()} to {values.max()} do not fit {field.numbers[0].name}")
    with np.errstate(over="raise", invalid="ignore"):
        try:
            return values.astype(dtype)
        except FloatingPointError as error:
            raise WireError(f"values do not fit {field.numbers[0].name}") from error


def _elements(number: Number, values: npt.NDArray[Any]) -> memoryview:
    """Write each element preceded by its length."""
    elements = np.empty(len(values), [("length", ">i4"), ("value", number.sent)])
    elements["length"] = number.size
    elements["value"] = values
    return elements.view(np.uint8).data
