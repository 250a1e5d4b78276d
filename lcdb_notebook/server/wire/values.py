"""From values to the bytes of rows: one row at a time, or a run of them together."""

from __future__ import annotations

import operator
import struct
import uuid
from collections.abc import Iterator, Sequence
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
from lcdb_notebook.server.wire.layout import Layout, LayoutBuilder, Slot, where
from lcdb_notebook.server.wire.rows import Column, Rows

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
    fields
        The columns.
    row
        One value a column.
    number
        The row's number in the stream, from 0, for messages.

    Returns
    -------
    list of buffers
        To be joined; the arrays among them are not copied once more.

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
                values = _numbers(field, value, 1)
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


def encode_run(
    fields: Sequence[Field], run: Rows, first: int, block_bytes: int
) -> Iterator[tuple[bytes, int]]:
    """Encode a run of rows without texts, many together.

    Parameters
    ----------
    fields, run
        The columns, and their values.
    first
        The first row's number in the stream, from 0, for messages.
    block_bytes
        About how many bytes to make at a time.

    Yields
    ------
    tuple of bytes and int
        The next rows, and how many they are.

    Raises
    ------
    WireError
        If a column does not fit its field.
    """
    if len(run.columns) != len(fields):
        raise WireError(
            f"the run at row {first + 1} has {len(run.columns)} columns for {len(fields)} fields"
        )
    builder = LayoutBuilder(len(fields))
    columns: list[npt.NDArray[Any] | None] = []
    for position, (field, column) in enumerate(zip(fields, run.columns, strict=True)):
        try:
            columns.append(_column(builder, field, position, column, run.count))
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            raise WireError(
                f"{where(field, position, first)} and on cannot be written: {error}"
            ) from error
    layout = builder.build()
    step = max(1, block_bytes // layout.size)
    for start in range(0, run.count, step):
        yield _fill(layout, columns, start, min(start + step, run.count))


def array_header(number: Number, length: int) -> bytes:
    """Write an array's first bytes, up to its elements, as ``array_send`` does.

    Parameters
    ----------
    number
        Type of the elements.
    length
        How many there are.

    Returns
    -------
    bytes
        12 for an empty array, which has no dimensions, and 20 otherwise.

    Raises
    ------
    ValueError
        If the array is longer than PostgreSQL takes.

    Examples
    --------
    >>> from lcdb_notebook import wire
    >>> array_header(wire.INT4.numbers[0], 2).hex(" ", 4)
    '00000001 00000000 00000017 00000002 00000001'
    """
    if not length:
        return _EMPTY.pack(0, 0, number.oid)
    if ARRAY_HEADER_BYTES + length * (4 + number.size) > LONGEST_FIELD:
        raise ValueError(f"{length} elements are more than the 1 GB that PostgreSQL takes")
    return _SHAPE.pack(1, 0, number.oid, length, 1)


def _scalar(field: Field, value: Any) -> bytes:
    """Encode a value with its length in front."""
    match field.kind:
        case Kind.NUMBER:
            number = operator.index(value) if field.is_integer else _real(value)
            return _SCALARS[field.numbers[0].code].pack(field.numbers[0].size, number)
        case Kind.BOOL if isinstance(value, bool | np.bool_):
            return b"\0\0\0\1" + (b"\1" if value else b"\0")
        case Kind.TEXT if isinstance(value, str):
            text = value.encode()
            if b"\0" in text:
                raise ValueError("PostgreSQL's text takes no NUL character")
            if len(text) > LONGEST_FIELD:
                raise ValueError("the text is longer than the 1 GB that PostgreSQL takes")
            return _INT32.pack(len(text)) + text
        case Kind.UUID if isinstance(value, uuid.UUID):
            return _INT32.pack(16) + value.bytes
        case Kind.TIMESTAMPTZ if isinstance(value, datetime):
            return _INT32.pack(8) + _INT64.pack(_microseconds(value))
    raise TypeError(f"it is a {type(value).__name__}")


def _real(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError(f"it is a {type(value).__name__}")
    return float(value)


def _microseconds(value: datetime) -> int:
    if value.utcoffset() is None:
        raise ValueError("the datetime has no time zone; give it one, such as datetime.UTC")
    return (value - TIMESTAMP_EPOCH) // _MICROSECOND


def _numbers(field: Field, value: Any, dimensions: int) -> npt.NDArray[Any]:
    """Take numbers that the field's type holds without loss, in native byte order."""
    dtype = field.numbers[0].native
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise ValueError("masked values have no place in an array; fill them first")
    values = np.asarray(value)
    if values.ndim != dimensions:
        raise ValueError(f"{values.ndim} dimensions where {dimensions} were expected")
    if values.dtype == dtype:
        return values
    # An empty list says nothing of its type.
    kinds = "biuf" if not (field.is_integer and values.size) else "biu"
    if values.dtype.kind not in kinds:
        raise TypeError(f"an array of {values.dtype} does not fit {field.label}")
    if field.is_integer and values.size and not np.can_cast(values.dtype, dtype):
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise OverflowError(
                f"{values.min()} to {values.max()} do not fit {field.numbers[0].name}"
            )
    with np.errstate(over="raise", invalid="ignore"):
        try:
            return values.astype(dtype)
        except FloatingPointError as error:
            raise OverflowError(f"values do not fit {field.numbers[0].name}") from error


def _elements(number: Number, values: npt.NDArray[Any]) -> memoryview:
    """Write each element behind its length."""
    elements = np.empty(len(values), [("length", ">i4"), ("value", number.sent)])
    elements["length"] = number.size
    elements["value"] = values
    return elements.view(np.uint8).data


def _column(
    builder: LayoutBuilder, field: Field, position: int, column: Column, count: int
) -> npt.NDArray[Any] | None:
    """Append a column of a run to its layout, and return its values as numpy can place them."""
    if column is None:
        builder.null(field, position)
        return None
    if len(column) != count:
        raise ValueError(f"it has {len(column)} values for {count} rows")
    match field.kind:
        case Kind.ARRAY:
            values = _numbers(field, column, 2)
            number, length = field.numbers[0], values.shape[1]
            builder.value(
                field,
                position,
                length * (4 + number.size),
                header=array_header(number, length),
                number=number,
                length=length,
            )
            return values
        case Kind.NUMBER:
            values = _numbers(field, column, 1)
            builder.value(field, position, field.numbers[0].size, number=field.numbers[0])
            return values
    # The few bytes of the others, lengths off, side by side.
    single = [_scalar(field, value)[4:] for value in column]
    size = len(single[0]) if single else 0
    builder.value(field, position, size)
    return np.frombuffer(b"".join(single), np.uint8).reshape(count, size)


def _fill(
    layout: Layout, columns: Sequence[npt.NDArray[Any] | None], start: int, stop: int
) -> tuple[bytes, int]:
    """Write rows ``start`` to ``stop`` of a run."""
    count = stop - start
    block = np.empty((count, layout.size), np.uint8)
    for offset, fixed in layout.fixed:
        block[:, offset : offset + len(fixed)] = fixed
    for slot, column in zip(layout.slots, columns, strict=True):
        if column is not None and slot.size:
            _place(slot, column[start:stop], block)
    return block.tobytes(), count


def _place(slot: Slot, values: npt.NDArray[Any], block: npt.NDArray[np.uint8]) -> None:
    """Write one column's values into their places in the rows of a block."""
    stride = block.strides[0]
    number = slot.number
    if number is None:
        block[:, slot.offset : slot.offset + values.shape[1]] = values
    elif slot.field.kind is Kind.NUMBER:
        np.ndarray(values.shape, number.sent, block.data, slot.offset, (stride,))[:] = values
    else:
        strides = (stride, 4 + number.size)
        np.ndarray(values.shape, ">i4", block.data, slot.offset, strides)[:] = number.size
        np.ndarray(values.shape, number.sent, block.data, slot.offset + 4, strides)[:] = values
