"""Read a COPY stream: blocks of bytes become runs of rows."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.columns import decode_column
from lcdb_notebook.server.wire.fields import (
    CRITICAL_FLAGS,
    LONGEST_FIELD,
    PREAMBLE_BYTES,
    SIGNATURE,
    TRAILER,
    Field,
)
from lcdb_notebook.server.wire.layout import Buffer, RowLayout, read_layout
from lcdb_notebook.server.wire.rows import Rows

BLOCK_BYTES: Final = 384 * 1024
"""Bytes gathered before they are decoded: many rows that still fit into the processor's cache."""

_FLAGS = struct.Struct(">Ii")


@functools.cache
def _reuse_freed_memory() -> None:
    """Prevent the C library from returning each block to the system and requesting it again.

    If the kernel has to zero pages again, this takes longer than decoding into them. When a large
    block is freed, glibc raises its threshold for returning memory, once per process: mallopt(3),
    M_MMAP_THRESHOLD. The block is never written to, so it uses no memory. Other C libraries are not
    affected.
    """
    np.empty(16 << 20, np.uint8)


class RowReader:
    """A file-like object for ``cursor.copy_expert`` that decodes the rows of a query.

    Rows arrive in the order of the stream, as runs of rows of equal shape. A run never spans two
    blocks, and at most one block of bytes is in memory (more only if a single row is longer). The
    stream may be split anywhere; psycopg2 passes one row per call, and then no byte is copied
    twice. Text is decoded as UTF-8, so the connection's ``client_encoding`` must be UTF8.

    As a context manager, it calls :meth:`close` if the block ends without an exception. After an
    exception the reader cannot be used again.

    Parameters
    ----------
    fields : sequence of Field
        The columns of the query, in order.
    consume : callable
        Called with each run. :meth:`write` passes its exceptions on.
    block_bytes : int, optional
        Bytes gathered before they are decoded. Blocks of 256 kB to 512 kB were measured to be
        fastest; larger ones do not fit into the processor's cache.

    Attributes
    ----------
    rows : int
        Number of rows passed to ``consume``.

    Examples
    --------
    >>> from lcdb_notebook.server import wire
    >>> fields = [wire.INT4.named("id"), wire.FLOAT8_ARRAY.named("values")]
    >>> with RowReader(fields, lambda run: print(run.count, run.columns[1].shape)) as reader:
    ...     size = reader.write(wire.encode(fields, [(1, [0.5, 1.5]), (2, [2.5, 3.5]), (3, [])]))
    2 (2, 2)
    1 (1, 0)
    """

    def __init__(
        self,
        fields: Sequence[Field],
        consume: Callable[[Rows], object],
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.rows = 0
        self._fields = tuple(fields)
        self._consume = consume
        self._block_bytes = block_bytes
        self._memory = memoryview(bytearray(block_bytes))
        self._held = 0
        # Bytes of an incomplete row, counted from its start, that are needed to parse it again.
        self._needed = 0
        # Bytes that are gathered before anything else is done.
        self._limit = block_bytes
        self._direct = block_bytes // 2
        self._layout: RowLayout | None = None
        self._begun = self._ended = self._failed = False
        _reuse_freed_memory()

    def write(self, data: bytes) -> int:
        """Add the next bytes of the stream.

        Parameters
        ----------
        data : bytes
            Any number of bytes.

        Returns
        -------
        int
            The number of bytes in ``data``.

        Raises
        ------
        WireError
            If the stream is not a binary COPY stream of the reader's fields. Because bytes are
            decoded in blocks, the error may be raised by a later call or by :meth:`close`.
        """
        size = len(data)
        end = self._held + size
        if end <= self._limit and size < self._direct:
            self._memory[self._held : end] = data
            self._held = end
        else:
            self._take(data)
        return size

    def close(self) -> None:
        """Decode the remaining bytes, and check that the stream is complete.

        Raises
        ------
        WireError
            If the stream is damaged or ends before its trailer.
        """
        self._decode(self._memory, self._held)
        if not self._ended:
            raise WireError(
                f"the COPY stream ends after {self.rows} complete rows and {self._held} more "
                "bytes, without a trailer; the connection was lost, or the file is truncated"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def _take(self, data: bytes) -> None:
        """Decode bytes to make room; a long row that is passed in one piece is not copied."""
        if self._held:
            self._decode(self._memory, self._held)
        if not self._held:
            self._decode(data, len(data))
            return
        end = self._held + len(data)
        self._reserve(end)
        self._memory[self._held : end] = data
        self._held = end
        if end >= self._limit:
            self._decode(self._memory, end)

    def _reserve(self, size: int) -> None:
        """Make room for ``size`` bytes.

        Memory grows with the number of received bytes, never with the declared length of a row.
        """
        if size > len(self._memory):
            larger = memoryview(bytearray(max(size, 2 * len(self._memory))))
            larger[: self._held] = self._memory[: self._held]
            self._memory = larger
        self._limit = min(len(self._memory), max(self._block_bytes, self._needed))

    def _decode(self, buffer: Buffer, end: int) -> None:
        """Pass on every complete row in ``buffer[:end]``, and keep the rest."""
        if self._failed:
            raise WireError("this reader has failed before; read the stream again with a new one")
        self._failed = True
        start = 0 if self._begun else self._preamble(buffer, end)
        needed = end + 1
        while self._begun and end - start >= 2:
            if buffer[start : start + 2] == TRAILER and not self._ended:
                self._ended = True
                start += 2
            if self._ended:
                break
            count = self._layout.count(buffer, start, end) if self._layout else 0
            if not count:
                layout = read_layout(self._fields, buffer, start, end, self.rows)
                if isinstance(layout, int):
                    needed = layout
                    break
                self._layout = layout
                count = layout.count(buffer, start, end)
            start += self._pass_on(buffer, start, count)
        if self._ended and start < end:
            raise WireError(f"{end - start} bytes follow the trailer of the COPY stream")
        self._needed = needed - start
        self._keep(buffer, start, end)
        self._failed = False

    def _keep(self, buffer: Buffer, start: int, end: int) -> None:
        """Keep the rest of a block until the remaining bytes of its row arrive."""
        rest = bytes(buffer[start:end])
        self._held = 0
        self._reserve(len(rest))
        self._memory[: len(rest)] = rest
        self._held = len(rest)

    def _preamble(self, buffer: Buffer, end: int) -> int:
        """Check the stream's header; return where the rows begin, or 0 if it is incomplete."""
        seen = bytes(buffer[: min(end, len(SIGNATURE))])
        if seen != SIGNATURE[: len(seen)]:
            raise WireError(
                f"not a PostgreSQL binary COPY stream: it must begin with {SIGNATURE!r}, got "
                f"{seen!r}; use COPY ... (FORMAT binary)"
            )
        if end < PREAMBLE_BYTES:
            return 0
        flags: int
        extension: int
        flags, extension = _FLAGS.unpack_from(buffer, len(SIGNATURE))
        if flags & CRITICAL_FLAGS:
            raise WireError(
                f"the COPY stream has unsupported flags {flags:#010x}; bit 16 means rows with "
                "OIDs, which PostgreSQL 11 and older could write"
            )
        if not 0 <= extension <= LONGEST_FIELD:
            raise WireError(f"the COPY stream claims a header extension of {extension} bytes")
        if end < PREAMBLE_BYTES + extension:
            return 0
        self._begun = True
        return PREAMBLE_BYTES + extension

    def _pass_on(self, buffer: Buffer, start: int, count: int) -> int:
        """Decode ``count`` rows of the current layout and return their size in bytes."""
        layout = self._layout
        assert layout is not None
        columns = tuple(
            decode_column(slot, buffer, start, count, layout.size, self.rows)
            for slot in layout.slots
        )
        run = Rows(count, columns, self.rows)
        self.rows += count
        self._consume(run)
        return count * layout.size


def decode(data: bytes, fields: Sequence[Field]) -> list[tuple[Any, ...]]:
    r"""Decode a whole stream.

    Parameters
    ----------
    data : bytes
        The stream, from its signature to its trailer.
    fields : sequence of Field
        Its columns, in order.

    Returns
    -------
    list of tuple
        One tuple per row, in the stream's order: int, float, bool, str, UUID, datetime (UTC), 1-D
        arrays, and None for NULL.

    Raises
    ------
    WireError
        If the bytes are not a complete stream of these fields.

    Examples
    --------
    >>> from lcdb_notebook.server import wire
    >>> stream = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\0\0\0\2hi" + b"\xff\xff"
    >>> decode(stream, [wire.TEXT])
    [('hi',)]
    """
    rows: list[tuple[Any, ...]] = []
    with RowReader(fields, rows.extend) as reader:
        reader.write(data)
    return rows
