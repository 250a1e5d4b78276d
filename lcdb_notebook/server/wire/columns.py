"""Decode the bytes of a run of rows into columns."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.fields import TIMESTAMP_EPOCH, Kind
from lcdb_notebook.server.wire.layout import Buffer, Slot, where
from lcdb_notebook.server.wire.rows import Column

_NATIVE_INT32 = np.dtype("=i4")
_SENT_INT32 = np.dtype(">i4")


def decode_column(
    slot: Slot, buffer: Buffer, start: int, count: int, stride: int, row: int
) -> Column:
    """Decode one field of a run.

    Parameters
    ----------
    slot : Slot
        The field's place in each row.
    buffer : bytes or memoryview
        The bytes that contain the run.
    start, count, stride : int
        The run: ``count`` rows, ``stride`` bytes apart, the first at ``start``.
    row : int
        Number of the first row in the stream, from 0, for messages.

    Returns
    -------
    Column
        Column in newly allocated memory, because ``buffer`` is reused for the next block.

    Raises
    ------
    WireError
        If the bytes are not a valid value of the field's type.
    """
    if slot.size is None:
        return None
    first = start + slot.offset
    match slot.field.kind:
        case Kind.ARRAY if slot.nulls:
            return _arrays_with_nulls(slot, buffer, first, count, stride, row)
        case Kind.ARRAY:
            return _arrays(slot, buffer, first, count, stride, row)
        case Kind.NUMBER:
            assert slot.number is not None
            sent = np.ndarray((count,), slot.number.sent, buffer, first, (stride,))
            return _native(sent, slot.field.dtype)
        case Kind.BOOL:
            bits = np.ndarray((count,), np.uint8, buffer, first, (stride,))
            if (bits > 1).any():
                raise _wrong(slot, row, bits <= 1, "must be 0 or 1")
            return bits.astype(np.bool_)
        case Kind.TIMESTAMPTZ:
            times = np.ndarray((count,), ">i8", buffer, first, (stride,)).tolist()
            return [_moment(slot, time, row + k) for k, time in enumerate(times)]
    places = range(first, first + count * stride, stride)
    values = [bytes(buffer[at : at + slot.size]) for at in places]
    if slot.field.kind is Kind.UUID:
        return [uuid.UUID(bytes=value) for value in values]
    return [_text(slot, value, row + k) for k, value in enumerate(values)]


def _native(sent: npt.NDArray[Any], dtype: np.dtype[Any] | None) -> npt.NDArray[Any]:
    """Copy numbers into fresh, contiguous memory of this machine's byte order."""
    if dtype is None or dtype.itemsize == sent.itemsize:
        return sent.astype(sent.dtype.newbyteorder("="), order="C")
    # Widening a signalling NaN raises the floating point flag that numpy warns of.
    with np.errstate(invalid="ignore"):
        return sent.astype(dtype, order="C")


def _arrays(
    slot: Slot, buffer: Buffer, first: int, count: int, stride: int, row: int
) -> npt.NDArray[Any]:
    """Decode arrays without NULL elements: shape (count, length)."""
    number = slot.number
    assert number is not None
    shape, strides = (count, slot.length), (stride, 4 + number.size)
    if not slot.length:
        return np.empty(shape, slot.field.dtype)
    prefixes = np.ndarray(shape, _NATIVE_INT32, buffer, first, strides)
    same = prefixes == number.prefix
    if not same.all():
        raise _wrong(
            slot, row, same.all(axis=1), f"has an element that is not {number.size} bytes long"
        )
    return _native(np.ndarray(shape, number.sent, buffer, first + 4, strides), slot.field.dtype)


def _arrays_with_nulls(
    slot: Slot, buffer: Buffer, first: int, count: int, stride: int, row: int
) -> npt.NDArray[Any]:
    """Decode float arrays with NULL elements, one by one, into NaN: shape (count, length)."""
    number, size = slot.number, slot.size
    assert number is not None
    assert size is not None
    values = np.full((count, slot.length), np.nan, slot.field.dtype)
    words_each = 1 + number.size // 4
    for k in range(count):
        at = first + k * stride
        words = np.ndarray((size // 4,), _SENT_INT32, buffer, at).tolist()
        elements, places, word = [], [], 0
        for element in range(slot.length):
            if word < len(words) and words[word] == number.size:
                elements.append(element)
                places.append(word)
                word += words_each
            elif word < len(words) and words[word] == -1:
                word += 1
            else:
                break
        if word != len(words) or slot.length - len(elements) != slot.nulls:
            raise _wrong(
                slot,
                row + k,
                np.zeros(1, np.bool_),
                "has element lengths that do not match its size",
            )
        octets = np.frombuffer(bytes(buffer[at : at + size]), np.uint8)
        starts = 4 * np.array(places, np.intp) + 4
        gathered = octets[starts[:, None] + np.arange(number.size)]
        values[k, elements] = _native(gathered.view(number.sent)[:, 0], slot.field.dtype)
    return values


def _wrong(slot: Slot, row: int, good: npt.NDArray[np.bool_], why: str) -> WireError:
    """Build the error for the first invalid row, counted from ``row``."""
    place = where(slot.field, slot.position, row + int(good.argmin()))
    return WireError(f"{place} {why}; the stream is damaged")


def _text(slot: Slot, value: bytes, row: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise WireError(
            f"{where(slot.field, slot.position, row)} is not UTF-8 ({error.reason}); set the "
            "connection's client_encoding to UTF8"
        ) from error


def _moment(slot: Slot, microseconds: int, row: int) -> datetime:
    try:
        return TIMESTAMP_EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise WireError(
            f"{where(slot.field, slot.position, row)} is infinite, or outside the years 1 to 9999 "
            "that Python supports; cast the column to text in the query"
        ) from error
