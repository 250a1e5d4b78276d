"""The binary COPY stream, against a plain reading of the manual and against PostgreSQL itself."""

from __future__ import annotations

import io
import math
import struct
import tracemalloc
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lcdb_notebook.errors import WireError
from lcdb_notebook.server import wire

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
SCALARS = [wire.INT2, wire.INT4, wire.INT8, wire.FLOAT4, wire.FLOAT8]
ARRAYS = [
    wire.INT2_ARRAY,
    wire.INT4_ARRAY,
    wire.INT8_ARRAY,
    wire.FLOAT4_ARRAY,
    wire.FLOAT8_ARRAY,
]
OTHERS = [wire.BOOL, wire.TEXT, wire.UUID, wire.TIMESTAMPTZ]
EVERY = [*SCALARS, *ARRAYS, *OTHERS]


# ---------------------------------------------------------------------------------------------
# What is compared with what


def numbers(field: wire.Field) -> st.SearchStrategy[Any]:
    code = field.numbers[0].code
    if code[0] == "i":
        bits = 8 * int(code[1]) - 1
        return st.integers(-(2**bits), 2**bits - 1)
    return st.floats(width=8 * int(code[1]))  # type: ignore[arg-type]


def present(field: wire.Field) -> st.SearchStrategy[Any]:
    """Any value of a field but NULL."""
    if field is wire.BOOL:
        some: st.SearchStrategy[Any] = st.booleans()
    elif field is wire.TEXT:
        some = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    elif field is wire.UUID:
        some = st.uuids()
    elif field is wire.TIMESTAMPTZ:
        some = st.datetimes(timezones=st.just(UTC))
    elif field in SCALARS:
        some = numbers(field)
    else:
        dtype = field.numbers[0].native
        some = st.lists(numbers(field), max_size=5).map(lambda array: np.array(array, dtype))
    return some


def values(field: wire.Field) -> st.SearchStrategy[Any]:
    """Any value of a field, NULL among them."""
    return st.none() | present(field)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[wire.Field], list[tuple[Any, ...]]]:
    """Some fields, and rows of them; rows are repeated so that some are of equal shape."""
    fields = draw(st.lists(st.sampled_from(EVERY), max_size=4))
    rows = draw(st.lists(st.tuples(*map(values, fields)), max_size=5))
    if rows:
        rows = draw(st.lists(st.sampled_from(rows), max_size=12))
    return fields, rows


def plain(value: Any) -> Any:
    """A value as something that == compares bit by bit."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tobytes())
    return struct.pack(">d", value) if isinstance(value, float) else value


def table(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(map(plain, row)) for row in rows]


def one_nan(value: Any) -> Any:
    """Return a value as in the text of PostgreSQL, where all NaN are the same."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.where(np.isnan(value), np.array(math.nan, value.dtype), value)
    return math.nan if isinstance(value, float) and math.isnan(value) else value


class PlainReader:
    """The manual's format read one number at a time: slow, and too simple to be wrong."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def take(self, size: int) -> bytes:
        data = self.file.read(size) if size >= 0 else b""
        if len(data) != size:
            raise ValueError(f"{size} bytes expected")
        return data

    def number(self, code: str) -> Any:
        return struct.unpack(">" + code, self.take(struct.calcsize(code)))[0]

    def check(self, truth: bool) -> None:
        if not truth:
            raise ValueError("it is not so")

    def rows(self, fields: Sequence[wire.Field]) -> list[tuple[Any, ...]]:
        self.check(self.take(11) == HEAD[:11])
        self.check(self.number("I") < 0x10000)
        self.take(self.number("i"))
        rows = []
        while (count := self.number("h")) != -1:
            self.check(count == len(fields))
            rows.append(tuple(self.field(field) for field in fields))
        self.check(self.file.read() == b"")
        return rows

    def field(self, field: wire.Field) -> Any:
        size = self.number("i")
        if size == -1:
            return None
        inner = PlainReader(self.take(size))
        value = inner.value(field)
        self.check(inner.file.read() == b"")
        return value

    def value(self, field: wire.Field) -> Any:
        if field is wire.BOOL:
            self.check((bit := self.number("B")) < 2)
            return bool(bit)
        if field is wire.TEXT:
            return self.file.read().decode()
        if field is wire.UUID:
            return uuid.UUID(bytes=self.take(16))
        if field is wire.TIMESTAMPTZ:
            try:
                return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.number("q"))
            except OverflowError as error:
                raise ValueError from error
        code = {"i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d"}[field.numbers[0].code]
        if field in SCALARS:
            return self.number(code)
        dimensions, flags, oid = self.number("i"), self.number("i"), self.number("I")
        self.check(dimensions in (0, 1) and flags in (0, 1) and oid == field.numbers[0].oid)
        length = self.number("i") if dimensions else 0
        self.check(length >= 0)
        if dimensions:
            self.number("i")
        size, array = struct.calcsize(code), []
        for _ in range(length):
            prefix = self.number("i")
            self.check(prefix == size or (prefix == -1 and flags == 1 and code in "fd"))
            array.append(self.take(size) if prefix == size else struct.pack(">" + code, math.nan))
        dtype = field.numbers[0].native
        return np.frombuffer(b"".join(array), dtype.newbyteorder(">")).astype(dtype)


def read_in_pieces(
    data: bytes, fields: Sequence[wire.Field], cuts: Sequence[int], block_bytes: int
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with wire.RowReader(fields, rows.extend, block_bytes=block_bytes) as reader:
        for start, stop in pairwise(edges):
            assert reader.write(data[start:stop]) == stop - start
    assert reader.rows == len(rows)
    return rows


# ---------------------------------------------------------------------------------------------
# Round trips


@given(tables())
def test_encoded_values_are_decoded_to_the_same_bits(
    content: tuple[list[wire.Field], list[tuple[Any, ...]]],
) -> None:
    fields, rows = content
    assert table(wire.decode(wire.encode(fields, rows), fields)) == table(rows)


@given(tables())
def test_the_encoder_writes_the_format_of_the_manual(
    content: tuple[list[wire.Field], list[tuple[Any, ...]]],
) -> None:
    fields, rows = content
    assert table(PlainReader(wire.encode(fields, rows)).rows(fields)) == table(rows)


@given(tables(), st.lists(st.integers(0, 400), max_size=8), st.sampled_from([2, 40, 200, 4096]))
def test_where_the_stream_is_cut_does_not_matter(
    content: tuple[list[wire.Field], list[tuple[Any, ...]]], cuts: list[int], block: int
) -> None:
    fields, rows = content
    data = wire.encode(fields, rows)
    assert table(read_in_pieces(data, fields, cuts, block)) == table(rows)


@pytest.mark.parametrize("piece", [1, 7, 1000, 65536])
def test_rows_longer_than_a_block_are_read_from_pieces_of_any_size(piece: int) -> None:
    fields = [wire.INT4, wire.FLOAT8_ARRAY]
    lengths = [3, 20_000, 0, 5, 20_000, 20_000, 1]
    rows = [(k, np.arange(length) + k / 7) for k, length in enumerate(lengths)]
    data = wire.encode(fields, rows)
    cuts = range(piece, len(data), piece)
    assert table(read_in_pieces(data, fields, cuts, 8192)) == table(rows)


# ---------------------------------------------------------------------------------------------
# Runs


def test_rows_of_equal_shape_arrive_together_and_in_order() -> None:
    fields = [wire.INT8, wire.FLOAT8_ARRAY]
    lengths = [4] * 3 + [5] * 2 + [4] + [None] * 2 + [0]
    rows = [(k, None if n is None else np.full(n, k / 2)) for k, n in enumerate(lengths)]
    runs: list[wire.Rows] = []
    with wire.RowReader(fields, runs.append) as reader:
        reader.write(wire.encode(fields, rows))
    assert [(run.first, len(run)) for run in runs] == [(0, 3), (3, 2), (5, 1), (6, 2), (8, 1)]
    assert table([row for run in runs for row in run]) == table(rows)


@given(st.lists(st.integers(0, 2), max_size=300))
def test_runs_are_as_long_as_equal_rows_last(texts: list[int]) -> None:
    runs: list[wire.Rows] = []
    with wire.RowReader([wire.TEXT], runs.append) as reader:
        reader.write(wire.encode([wire.TEXT], [("x" * size,) for size in texts]))
    changes = sum(one != other for one, other in pairwise(texts))
    assert len(runs) == (changes + 1 if texts else 0)
    assert [len(text) for run in runs for (text,) in run] == texts


def test_decoded_arrays_are_contiguous_writable_and_of_this_machine() -> None:
    fields = [wire.INT4, wire.FLOAT_ARRAY, wire.INT_ARRAY]
    written = [wire.INT4, wire.FLOAT4_ARRAY, wire.INT2_ARRAY]
    runs: list[wire.Rows] = []
    data = bytearray(wire.encode(written, [(k, [0.5, k], [k, 2]) for k in range(6)]))
    with wire.RowReader(fields, runs.append) as reader:
        reader.write(bytes(data))
    keys, floats, integers = runs[0].columns
    for column, dtype in ((keys, "i4"), (floats, "f8"), (integers, "i8")):
        assert isinstance(column, np.ndarray)
        assert column.dtype == np.dtype(dtype)
        assert column.dtype.isnative
        assert column.flags.c_contiguous
        assert column.flags.writeable
        assert column.flags.owndata
    assert table(runs[0])[5] == table([(5, np.array([0.5, 5]), np.array([5, 2]))])[0]


def test_runs_keep_nothing_of_the_readers_memory() -> None:
    fields = [wire.INT8, wire.FLOAT8_ARRAY]
    rows = [(k, np.full(50, k / 3)) for k in range(200)]
    runs: list[wire.Rows] = []
    data = wire.encode(fields, rows)
    with wire.RowReader(fields, runs.append, block_bytes=2048) as reader:
        for start in range(0, len(data), 500):
            reader.write(data[start : start + 500])
    assert len(runs) > 20
    assert table([row for run in runs for row in run]) == table(rows)


@pytest.mark.parametrize(
    ("fields", "written", "value", "read"),
    [
        (wire.INT, wire.INT2, -5, -5),
        (wire.INT, wire.INT8, 2**60, 2**60),
        (wire.FLOAT, wire.FLOAT4, 0.5, 0.5),
        (wire.INT_ARRAY, wire.INT4_ARRAY, [1, -2], np.array([1, -2], "i8")),
        (wire.INT_ARRAY, wire.INT8_ARRAY, [], np.array([], "i8")),
        (wire.FLOAT_ARRAY, wire.FLOAT4_ARRAY, [0.1], np.array([np.float32(0.1)], "f8")),
    ],
)
def test_a_field_of_several_types_reads_each_into_the_widest(
    fields: wire.Field, written: wire.Field, value: Any, read: Any
) -> None:
    assert table(wire.decode(wire.encode([written], [(value,)]), [fields])) == table([(read,)])


def array_bytes(flags: int, oid: int, shape: Sequence[tuple[int, int]], elements: bytes) -> bytes:
    head = struct.pack(">iii", len(shape), flags, oid)
    return head + b"".join(struct.pack(">ii", *one) for one in shape) + elements


def stream(*fields: bytes | None) -> bytes:
    row = struct.pack(">h", len(fields))
    for field in fields:
        row += struct.pack(">i", -1) if field is None else struct.pack(">i", len(field)) + field
    return HEAD + row + TRAILER


ONE, NULL = struct.pack(">id", 8, 1.5), struct.pack(">i", -1)
INT_ONE = struct.pack(">ii", 4, 7)


@pytest.mark.parametrize("many", [1, 3])
def test_null_elements_become_nan_in_float_arrays(many: int) -> None:
    one = array_bytes(1, 701, [(5, 1)], NULL + ONE + NULL + NULL + ONE)
    data = HEAD + stream(one)[19:-2] * many + TRAILER
    expected = [np.nan, 1.5, np.nan, np.nan, 1.5]
    assert table(wire.decode(data, [wire.FLOAT_ARRAY])) == table([(np.array(expected),)] * many)


def test_a_signalling_nan_is_widened_without_a_warning() -> None:
    data = stream(array_bytes(0, 700, [(1, 1)], b"\0\0\0\4\x7f\x80\0\1"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((array,),) = wire.decode(data, [wire.FLOAT_ARRAY])
    assert np.isnan(array).tolist() == [True]


def test_a_lower_bound_other_than_one_is_read_over() -> None:
    data = stream(array_bytes(0, 701, [(1, -3)], ONE))
    assert table(wire.decode(data, [wire.FLOAT8_ARRAY])) == table([(np.array([1.5]),)])


def test_the_flag_for_nulls_without_a_null_is_read_as_the_server_means_it() -> None:
    data = stream(array_bytes(1, 23, [(1, 1)], INT_ONE))
    assert table(wire.decode(data, [wire.INT4_ARRAY])) == table([(np.array([7], "i4"),)])


def test_a_header_extension_and_harmless_flags_are_skipped() -> None:
    data = HEAD[:11] + struct.pack(">Ii", 0xFFFF, 3) + b"abc" + stream(b"hi")[19:]
    assert wire.decode(data, [wire.TEXT]) == [("hi",)]


@pytest.mark.parametrize("empty", [[], np.array([], "f8"), np.array([], "i4")])
def test_an_empty_array_is_written_without_dimensions_as_the_server_does(empty: Any) -> None:
    assert wire.encode([wire.FLOAT8_ARRAY], [(empty,)]) == stream(array_bytes(0, 701, [], b""))


# ---------------------------------------------------------------------------------------------
# Invalid streams


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        (b"", wire.INT4, "without a trailer"),
        (b"id,values\n1,2\n", wire.INT4, "FORMAT binary"),
        (HEAD[:11] + struct.pack(">Ii", 1 << 16, 0) + TRAILER, wire.INT4, "OIDs"),
        (HEAD[:11] + struct.pack(">Ii", 0, -1) + TRAILER, wire.INT4, "extension of -1"),
        (HEAD[:11] + struct.pack(">Ii", 0, 2**31 - 1), wire.INT4, "extension of 2147483647"),
        (HEAD, wire.INT4, "after 0 complete rows and 0 more bytes"),
        (stream(b"abcd")[:-2], wire.INT4, "after 1 complete rows and 0 more bytes"),
        (stream(b"abcd") + b"\0", wire.INT4, "1 bytes follow the trailer"),
        (stream(b"abcd", b"abcd"), wire.INT4, r"row 1 .* must have 1 fields .*, got 2"),
        (HEAD + b"\xff\xfe", wire.INT4, "must have 1 fields .*, got -2"),
        (HEAD + b"\0\1\xff\xff\xff\xfe", wire.INT4, "length of -2 bytes"),
        (HEAD + b"\0\1\x7f\xff\xff\xff", wire.TEXT, "length of 2147483647 bytes"),
        (stream(b"abc"), wire.INT4, r'column 1 \("id", int4\) of row 1 must have 4 bytes, got 3'),
        (stream(b"abc"), wire.INT, "must have 2 or 4 or 8 bytes, got 3"),
        (stream(b"abc"), wire.UUID, "must have 16 bytes, got 3"),
        (stream(b"\2"), wire.BOOL, "must be 0 or 1"),
        (stream(b"\xff\xfe"), wire.TEXT, "client_encoding"),
        (stream(struct.pack(">q", 2**63 - 1)), wire.TIMESTAMPTZ, "infinite"),
        (stream(struct.pack(">q", -(2**63))), wire.TIMESTAMPTZ, "infinite"),
        (stream(b"abcdefgh"), wire.INT8_ARRAY, "too few for an array"),
        (stream(array_bytes(0, 1700, [(1, 1)], b"abcdefgh")), wire.INT8_ARRAY, "OID 1700"),
        (stream(array_bytes(0, 701, [(1, 1)], ONE)), wire.INT_ARRAY, "elements of type float8"),
        (stream(array_bytes(2, 701, [(1, 1)], ONE)), wire.FLOAT_ARRAY, "flags 2"),
        (stream(array_bytes(0, 701, [(1, 1)] * 2, ONE)), wire.FLOAT_ARRAY, "2 dimensions"),
        (stream(array_bytes(0, 701, [], ONE)), wire.FLOAT_ARRAY, "0 dimensions in 24 bytes"),
        (stream(struct.pack(">5i", -1, 0, 701, 0, 1)), wire.FLOAT_ARRAY, "-1 dimensions"),
        (stream(struct.pack(">4i", 1, 0, 701, 0)), wire.FLOAT_ARRAY, "too few"),
        (stream(array_bytes(0, 701, [(2, 1)], ONE)), wire.FLOAT_ARRAY, "2 elements in 32"),
        (stream(array_bytes(0, 701, [(-1, 1)], b"")), wire.FLOAT_ARRAY, "-1 elements"),
        (
            stream(array_bytes(0, 701, [(2**31 - 1, 1)], ONE)),
            wire.FLOAT_ARRAY,
            "which is impossible",
        ),
        (
            stream(array_bytes(1, 701, [(2**31 - 1, 1)], ONE)),
            wire.FLOAT_ARRAY,
            "which is impossible",
        ),
        (stream(array_bytes(0, 701, [(1, 1)], NULL)), wire.FLOAT_ARRAY, "which is impossible"),
        (
            stream(array_bytes(1, 701, [(2, 1)], NULL + ONE[:-4])),
            wire.FLOAT_ARRAY,
            "which is impossible",
        ),
        (
            stream(array_bytes(0, 701, [(2, 1)], ONE + ONE[:8])),
            wire.FLOAT_ARRAY,
            "which is impossible",
        ),
        (
            stream(array_bytes(1, 701, [(4, 1)], ONE + ONE)),
            wire.FLOAT_ARRAY,
            "element lengths that do not",
        ),
        (
            stream(array_bytes(1, 701, [(3, 1)], NULL * 5)),
            wire.FLOAT_ARRAY,
            "element lengths that do not",
        ),
        (
            stream(array_bytes(1, 701, [(2, 1)], ONE + struct.pack(">i", -2))),
            wire.FLOAT_ARRAY,
            "element lengths that do not match its size",
        ),
        (
            stream(array_bytes(1, 701, [(2, 1)], struct.pack(">i", -2) + ONE)),
            wire.FLOAT_ARRAY,
            "element lengths that do not match its size",
        ),
        (
            stream(array_bytes(0, 23, [(2, 1)], INT_ONE + b"\0\0\0\5abcd")),
            wire.INT_ARRAY,
            "of row 1 has an element that is not 4 bytes",
        ),
        (
            stream(array_bytes(1, 23, [(3, 1)], NULL + INT_ONE + NULL)),
            wire.INT_ARRAY,
            r'"id", .* of row 1 has 2 NULL elements',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_or_foreign_stream_is_named(data: bytes, field: wire.Field, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.decode(data, [field.named("id")])


def test_damage_inside_a_run_is_blamed_on_its_own_row() -> None:
    fields = [wire.INT8, wire.FLOAT8_ARRAY.named("values")]
    data = bytearray(wire.encode(fields, [(k, [0.5, 1.5]) for k in range(40)]))
    size = (len(data) - 21) // 40
    data[19 + 32 * size - 9] = 7
    with pytest.raises(
        WireError, match=r'"values", float8\[\]\) of row 32 has an element that is not 8'
    ):
        wire.decode(bytes(data), fields)


def test_a_stream_cut_off_anywhere_is_not_taken_for_whole() -> None:
    fields = [wire.INT4, wire.TEXT, wire.FLOAT8_ARRAY]
    data = wire.encode(fields, [(1, "a", [1.0, 2.0]), (2, None, []), (3, "bc", None)])
    for size in range(len(data)):
        with pytest.raises(WireError):
            wire.decode(data[:size], fields)


def agrees_with_a_plain_reading(data: bytes, fields: Sequence[wire.Field]) -> None:
    try:
        expected = table(PlainReader(data).rows(fields))
    except ValueError:
        with pytest.raises(WireError):
            wire.decode(data, fields)
    else:
        assert table(wire.decode(data, fields)) == expected


@settings(max_examples=400)
@given(tables(), st.data())
def test_damaged_bytes_are_decoded_as_by_a_plain_reader_or_refused(
    content: tuple[list[wire.Field], list[tuple[Any, ...]]], data: st.DataObject
) -> None:
    fields, rows = content
    damaged = bytearray(wire.encode(fields, rows))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        stop = at + data.draw(st.sampled_from([0, 1, 1, 2, 4, 4, 8]))
        size = data.draw(st.sampled_from([0, stop - at, stop - at]))
        new = st.sampled_from(
            [b"\xff", b"\0", b"\1", b"\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\0\0\0\0"]
        )
        damaged[at:stop] = data.draw(new | st.binary(min_size=size, max_size=size))
    agrees_with_a_plain_reading(bytes(damaged), fields)


@given(st.lists(st.sampled_from(EVERY), max_size=3), st.binary(max_size=200), st.booleans())
def test_any_bytes_are_decoded_as_by_a_plain_reader_or_refused(
    fields: list[wire.Field], data: bytes, headed: bool
) -> None:
    agrees_with_a_plain_reading(HEAD + data if headed else data, fields)


@given(tables(), st.data())
def test_one_flipped_bit_is_decoded_as_by_a_plain_reader_or_refused(
    content: tuple[list[wire.Field], list[tuple[Any, ...]]], data: st.DataObject
) -> None:
    fields, rows = content
    flipped = bytearray(wire.encode(fields, rows))
    bit = data.draw(st.integers(0, 8 * len(flipped) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    agrees_with_a_plain_reading(bytes(flipped), fields)


@contextmanager
def memory_peak() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "flags", "length"), [(20 + 12 * 89_478_483, 0, 89_478_483), (32, 1, 2**31 - 1)]
)
def test_claimed_lengths_take_no_memory_before_their_bytes_come(
    size: int, flags: int, length: int
) -> None:
    claim = HEAD + b"\0\1" + struct.pack(">i", size)
    claim += array_bytes(flags, 701, [(length, 1)], ONE)
    with memory_peak() as peak:
        with pytest.raises(WireError):
            wire.decode(claim, [wire.FLOAT8_ARRAY])
        assert peak() < 4 << 20


def test_reading_a_long_stream_takes_the_memory_of_a_block() -> None:
    fields = [wire.INT8, wire.FLOAT8_ARRAY]
    row = wire.encode(fields, [(1, np.arange(2000.0))])[19:-2]
    with memory_peak() as peak:
        with wire.RowReader(fields, len, block_bytes=1 << 17) as reader:
            reader.write(HEAD)
            for _ in range(500):
                reader.write(row)
            reader.write(TRAILER)
        assert reader.rows == 500
        assert peak() < 1 << 20


def test_writing_a_long_stream_takes_the_memory_of_a_block() -> None:
    long, short = (np.zeros(2000),), ([1.0] * 9,)
    with memory_peak() as peak:
        writer = wire.RowWriter([wire.FLOAT8_ARRAY], ([long] * 500 + [short]) * 2)
        size = sum(map(len, iter(lambda: writer.read(8192), b"")))
        assert size == 21 + 2 * (500 * (26 + 24_000) + 26 + 9 * 12)
        assert peak() < 2 << 20


def test_rows_are_fetched_only_as_the_stream_is_read() -> None:
    pulled = []

    def rows() -> Iterator[tuple[Any]]:
        for k in range(100):
            pulled.append(k)
            yield (np.zeros(10_000),)

    writer = wire.RowWriter([wire.FLOAT8_ARRAY], rows())
    assert not pulled
    assert len(writer.read(1000)) == 1000
    assert len(pulled) == 3


def test_a_reader_that_failed_takes_nothing_more() -> None:
    def consume(run: wire.Rows) -> None:
        raise LookupError(f"{run.count} rows")

    reader = wire.RowReader([wire.INT4], consume)
    reader.write(wire.encode([wire.INT4], [(1,), (2,)]))
    with pytest.raises(LookupError, match="2 rows"):
        reader.close()
    with pytest.raises(WireError, match="has failed before"):
        reader.close()


# ---------------------------------------------------------------------------------------------
# Values that cannot be written


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (wire.INT2, 40_000, "cannot be written"),
        (wire.INT4, 1.5, "cannot be written"),
        (wire.INT8, 2**63, "cannot be written"),
        (wire.FLOAT8, "1.5", "unsupported type str"),
        (wire.FLOAT8, 10**400, "cannot be written"),
        (wire.FLOAT4, 1e300, "cannot be written"),
        (wire.BOOL, 1, "unsupported type int"),
        (wire.TEXT, b"a", "unsupported type bytes"),
        (wire.TEXT, "a\0b", "NUL"),
        (wire.TEXT, "\ud800", "surrogates"),
        (wire.UUID, "x", "unsupported type str"),
        (wire.TIMESTAMPTZ, datetime(2020, 1, 1), "time zone"),
        (wire.INT2_ARRAY, [1, 40_000], "1 to 40000 do not fit int2"),
        (wire.INT8_ARRAY, np.array([2**63], "u8"), "do not fit int8"),
        (wire.INT4_ARRAY, [1.5], "float64 does not fit int4"),
        (wire.FLOAT4_ARRAY, [1e300], "do not fit float4"),
        (wire.FLOAT8_ARRAY, [[1.0]], "one-dimensional array, got 2 dimensions"),
        (wire.FLOAT8_ARRAY, 1.0, "one-dimensional array, got 0 dimensions"),
        (wire.FLOAT8_ARRAY, [1.0, None], "object does not fit"),
        (wire.FLOAT8_ARRAY, ["1"], "does not fit"),
        (wire.FLOAT8_ARRAY, [[1.0], [1.0, 2.0]], "cannot be written"),
        (wire.FLOAT8_ARRAY, np.ma.masked_array([1.0, 2.0], [True, False]), "masked"),
        (wire.FLOAT8_ARRAY, np.broadcast_to(1.0, 100_000_000), "1 GB"),
    ],
)
def test_a_value_that_does_not_fit_is_named(field: wire.Field, value: Any, message: str) -> None:
    with pytest.raises(WireError, match=message) as caught:
        wire.encode([wire.INT4, field.named("it")], [(1, None), (2, value)])
    assert f'column 2 ("it", {field.label}) of row 2' in str(caught.value)


def test_encode_refuses_a_row_of_another_length_than_the_fields() -> None:
    with pytest.raises(WireError, match="row 1 has 1 values for 2 columns"):
        wire.encode([wire.INT4, wire.FLOAT8_ARRAY], [(1,)])


def test_a_field_of_several_types_cannot_be_written() -> None:
    with pytest.raises(WireError, match="must have one type"):
        wire.encode([wire.INT_ARRAY], [])


# ---------------------------------------------------------------------------------------------
# PostgreSQL itself


@pytest.fixture(scope="module")
def cursor(dsn: str) -> Iterator[Any]:
    engine = sa.create_engine(dsn)
    connection = engine.raw_connection()
    cursor: Any = connection.cursor()
    cursor.execute("SET client_encoding TO 'UTF8'; SET timezone TO 'UTC'")
    connection.commit()
    yield cursor
    connection.rollback()
    connection.close()
    engine.dispose()


def sent(cursor: Any, query: str, parameters: Sequence[Any], *fields: wire.Field) -> list[Any]:
    rows: list[Any] = []
    inner = cursor.mogrify(query, parameters).decode()
    with wire.RowReader(fields, rows.extend) as reader:
        cursor.copy_expert(f"COPY ({inner}) TO STDOUT (FORMAT binary)", reader)
    return rows


AWKWARD = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ARRAYS), st.data())
def test_copy_returns_what_psycopg2_reads_from_the_literal(
    cursor: Any, field: wire.Field, data: st.DataObject
) -> None:
    element = numbers(field)
    if not field.is_integer:
        element = element | st.none() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])
    array = data.draw(st.none() | st.lists(element, max_size=6))
    query = f"SELECT %s::{field.label}"
    cursor.execute(query, [array])
    read = cursor.fetchone()[0]
    if read is not None:
        read = np.array([math.nan if x is None else x for x in read], field.numbers[0].native)
    assert table(map(one_nan, row) for row in sent(cursor, query, [array], field)) == table(
        [(read,)]
    )


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ARRAYS), st.data())
def test_psycopg2_reads_what_copy_has_written(
    cursor: Any, field: wire.Field, data: st.DataObject
) -> None:
    arrays = data.draw(st.lists(st.none() | st.lists(numbers(field), max_size=6), max_size=4))
    dtype = field.numbers[0].native
    rows = [(k, None if one is None else np.array(one, dtype)) for k, one in enumerate(arrays)]
    cursor.execute(f"CREATE TEMP TABLE written (id int, it {field.label}) ON COMMIT DROP")
    with wire.RowWriter([wire.INT4, field], rows) as writer:
        cursor.copy_expert("COPY written FROM STDIN (FORMAT binary)", writer)
    cursor.execute("SELECT it FROM written ORDER BY id")
    read = [(None if one is None else np.array(one, dtype),) for (one,) in cursor.fetchall()]
    cursor.connection.rollback()
    assert table(read) == table([(one_nan(array),) for _, array in rows])


@pytest.mark.parametrize("array", [AWKWARD, [], None])
def test_awkward_arrays_are_the_same_by_copy_and_by_text_both_ways(
    cursor: Any, array: list[float] | None
) -> None:
    expected = table([(None if array is None else np.array(array),)])
    cursor.execute("CREATE TEMP TABLE awkward (it float8[]) ON COMMIT DROP")
    with wire.RowWriter([wire.FLOAT8_ARRAY], [(array,)]) as writer:
        cursor.copy_expert("COPY awkward FROM STDIN (FORMAT binary)", writer)
    copied = sent(cursor, "SELECT it FROM awkward", [], wire.FLOAT8_ARRAY)
    cursor.execute("SELECT it FROM awkward")
    text = [(None if one is None else np.array(one, "f8"),) for (one,) in cursor.fetchall()]
    cursor.connection.rollback()
    assert table(copied) == expected
    assert table(text) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(), max_size=6))
@example(AWKWARD)
def test_the_server_stores_the_same_bytes_for_copy_and_for_psycopg2s_literal(
    cursor: Any, array: list[float]
) -> None:
    # An unquoted -0.0 is a numeric to the server, which has no signed zero.
    array = [one_nan(x + 0.0) for x in array]
    cursor.execute("CREATE TEMP TABLE stored (it float8[]) ON COMMIT DROP")
    with wire.RowWriter([wire.FLOAT8_ARRAY], [(array,)]) as writer:
        cursor.copy_expert("COPY stored FROM STDIN (FORMAT binary)", writer)
    cursor.execute("SELECT array_send(it), array_send(%s::float8[]) FROM stored", [array])
    copied, literal = map(bytes, cursor.fetchone())
    cursor.connection.rollback()
    assert copied == literal


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*map(values, [*SCALARS, *OTHERS])), max_size=4))
def test_scalars_go_through_the_server_and_come_back(
    cursor: Any, rows: list[tuple[Any, ...]]
) -> None:
    fields = [*SCALARS, *OTHERS]
    columns = ", ".join(f"c{k} {field.label}" for k, field in enumerate(fields))
    cursor.execute(f"CREATE TEMP TABLE kept ({columns}) ON COMMIT DROP")
    with wire.RowWriter(fields, rows) as writer:
        cursor.copy_expert("COPY kept FROM STDIN (FORMAT binary)", writer)
    back = sent(cursor, "SELECT * FROM kept", [], *fields)
    cursor.execute("SELECT c1, c2, c4, c5, c6, c7::text, c8 FROM kept")
    text = cursor.fetchall()
    cursor.connection.rollback()
    assert table(back) == table(rows)
    named = [(*row[:7], None if row[7] is None else str(row[7]), row[8]) for row in rows]
    assert table(text) == table(tuple(map(one_nan, [*row[1:3], *row[4:]])) for row in named)


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ("ARRAY[1, NULL]::int4[]", wire.INT_ARRAY, "1 NULL elements"),
        ("ARRAY[[1, 2], [3, 4]]::float8[]", wire.FLOAT_ARRAY, "2 dimensions"),
        ("ARRAY[1.5]::numeric[]", wire.FLOAT_ARRAY, "OID 1700"),
        ("ARRAY[1]::int4[]", wire.FLOAT_ARRAY, "elements of type int4"),
        ("ARRAY['a']::text[]", wire.INT_ARRAY, "OID 25"),
        ("1::int4", wire.INT8, "must have 8 bytes, got 4"),
        ("'infinity'::timestamptz", wire.TIMESTAMPTZ, "infinite"),
        ("'2000-01-01 BC'::timestamptz", wire.TIMESTAMPTZ, "years 1 to 9999"),
        ("1, 2", wire.INT4, "must have 1 fields .*, got 2"),
    ],
)
def test_a_type_that_does_not_fit_the_field_is_named(
    cursor: Any, value: str, field: wire.Field, message: str
) -> None:
    with pytest.raises(WireError, match=message):
        sent(cursor, f"SELECT {value}", [], field)


def test_an_array_whose_null_was_overwritten_is_read_as_the_whole_array_it_is(
    cursor: Any,
) -> None:
    cursor.execute("CREATE TEMP TABLE mended (it int4[]) ON COMMIT DROP")
    cursor.execute("INSERT INTO mended VALUES (ARRAY[1, NULL, 3])")
    cursor.execute("UPDATE mended SET it[2] = 2")
    rows = sent(cursor, "SELECT it FROM mended", [], wire.INT4_ARRAY)
    cursor.connection.rollback()
    assert table(rows) == table([(np.array([1, 2, 3], "i4"),)])


def test_a_shifted_array_is_read_from_its_first_element(cursor: Any) -> None:
    rows = sent(cursor, "SELECT '[5:6]={1,2}'::float8[]", [], wire.FLOAT8_ARRAY)
    assert table(rows) == table([(np.array([1.0, 2.0]),)])


def test_a_query_without_rows_yields_none(cursor: Any) -> None:
    assert sent(cursor, "SELECT 1 WHERE false", [], wire.INT4) == []


def test_many_rows_of_changing_shape_arrive_in_the_servers_order(cursor: Any) -> None:
    query = (
        "SELECT k, (SELECT array_agg(k + x / 8.0::float8 ORDER BY x) FROM "
        "generate_series(1, (k / 100) %% 3 * 40) x), CASE WHEN k %% 7 > 0 THEN 'row ' || k END "
        "FROM generate_series(1, 3000) k"
    )
    rows = sent(cursor, query, [], wire.INT4, wire.FLOAT8_ARRAY, wire.TEXT)
    steps = {k: np.arange(1, k // 100 % 3 * 40 + 1) for k in range(1, 3001)}
    expected = [
        (k, k + x / 8 if len(x) else None, f"row {k}" if k % 7 else None) for k, x in steps.items()
    ]
    assert table(rows) == table(expected)


def test_a_writers_own_error_comes_out_of_the_copy_and_the_connection_lives(cursor: Any) -> None:
    cursor.execute("CREATE TEMP TABLE refused (it int4) ON COMMIT DROP")
    with (
        pytest.raises(WireError, match="row 2 cannot be written"),
        wire.RowWriter([wire.INT4], [(1,), (2**40,)]) as writer,
    ):
        cursor.copy_expert("COPY refused FROM STDIN (FORMAT binary)", writer)
    cursor.connection.rollback()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


def test_the_error_of_the_server_is_raised_by_copy_unchanged(cursor: Any) -> None:
    cursor.execute("CREATE TEMP TABLE other (it int8) ON COMMIT DROP")
    with (
        pytest.raises(Exception, match="insufficient data left in message"),
        wire.RowWriter([wire.INT4], [(1,)]) as writer,
    ):
        cursor.copy_expert("COPY other FROM STDIN (FORMAT binary)", writer)
    cursor.connection.rollback()


def test_an_exception_of_the_consumer_is_raised_by_the_copy(cursor: Any) -> None:
    def consume(run: wire.Rows) -> None:
        raise LookupError(f"{run.count} rows")

    with (
        pytest.raises(LookupError, match="3 rows"),
        wire.RowReader([wire.INT4], consume) as reader,
    ):
        cursor.copy_expert("COPY (SELECT generate_series(1, 3)) TO STDOUT (FORMAT binary)", reader)


def test_a_time_zone_does_not_change_the_moment(cursor: Any) -> None:
    moment = datetime(2019, 4, 18, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=-7)))
    cursor.execute("CREATE TEMP TABLE clock (it timestamptz) ON COMMIT DROP")
    with wire.RowWriter([wire.TIMESTAMPTZ], [(moment,)]) as writer:
        cursor.copy_expert("COPY clock FROM STDIN (FORMAT binary)", writer)
    cursor.execute("SELECT it FROM clock")
    assert cursor.fetchone() == (moment,)
    cursor.connection.rollback()
