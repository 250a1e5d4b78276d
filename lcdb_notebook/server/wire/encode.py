"""Writing a COPY stream: rows, or runs of them, become blocks of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.fields import SIGNATURE, TRAILER, Field, Kind
from lcdb_notebook.server.wire.rows import Rows
from lcdb_notebook.server.wire.values import encode_row, encode_run

BLOCK_BYTES: Final = 256 * 1024
"""Bytes made at a time; a single row may be longer."""

_HEAD: Final = SIGNATURE + bytes(8)


class RowWriter:
    """A file for ``cursor.copy_expert`` to read from, which encodes rows as they are asked for.

    Nothing but the present block is in memory. A row is a sequence with one value a field: int,
    float, bool, str, UUID, datetime with a time zone, a one-dimensional array or sequence of
    numbers, or None for NULL. In the place of a row may stand a
    :class:`~lcdb_notebook.server.wire.Rows`, whose columns are encoded together.

    psycopg2 turns an exception in :meth:`read` into its own ``QueryCanceled`` and forgets the
    cause; as a context manager the writer raises the first one instead. Pass ``size`` to
    ``copy_expert``: its 8 kB a call are slower than a block.

    Parameters
    ----------
    fields
        The columns of the table, in the order of the COPY statement, each of the table's own type:
        the server converts nothing.
    rows
        Rows and runs, in any order; read once.

    Attributes
    ----------
    rows : int
        How many rows have been encoded.

    Examples
    --------
    >>> import numpy as np
    >>> from lcdb_notebook import wire
    >>> run = wire.Rows(2, (np.array([1, 2]), np.zeros((2, 3))))
    >>> with RowWriter([wire.INT8, wire.FLOAT8_ARRAY], [run, (3, None)]) as writer:
    ...     stream = writer.read()
    >>> len(stream), writer.rows
    (187, 3)
    """

    def __init__(self, fields: Sequence[Field], rows: Iterable[Sequence[Any] | Rows]) -> None:
        self.rows = 0
        self._fields = tuple(fields)
        self._error: BaseException | None = None
        self._blocks = self._encode(rows)
        self._block = b""
        self._at = 0
        for position, field in enumerate(self._fields):
            if len(field.numbers) > 1:
                raise WireError(
                    f"column {position + 1} is given as {field.label}; to write it, choose the "
                    "one type that the table has"
                )

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes of the stream.

        Parameters
        ----------
        size
            At most how many; all that are left if negative.

        Returns
        -------
        bytes
            Empty at the end of the stream, and only there.

        Raises
        ------
        WireError
            If a value does not fit its field. Whatever the iterator of rows raises comes through.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK_BYTES), b""))
        if self._at == len(self._block):
            try:
                self._block, self._at = next(self._blocks, b""), 0
            except BaseException as error:
                self._error = error
                raise
        if self._at == 0 and len(self._block) <= size:
            self._at = len(self._block)
            return self._block
        piece = self._block[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._error is not None and error is not None and error is not self._error:
            raise self._error from error

    def _encode(self, rows: Iterable[Sequence[Any] | Rows]) -> Iterator[bytes]:
        """Make the stream, in blocks of about :data:`BLOCK_BYTES`, none of them empty."""
        parts: list[Any] = [_HEAD]
        held = len(_HEAD)
        for block, count in self._parts(rows):
            self.rows += count
            parts += block
            held += sum(map(len, block))
            if held >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, held = [], 0
        yield b"".join([*parts, TRAILER])

    def _parts(
        self, rows: Iterable[Sequence[Any] | Rows]
    ) -> Iterator[tuple[list[bytes | memoryview], int]]:
        """Encode rows singly, and runs some at a time, as buffers and the rows they hold."""
        alike = all(field.kind is not Kind.TEXT for field in self._fields)
        row = 0
        for item in rows:
            if not isinstance(item, Rows):
                yield encode_row(self._fields, item, row), 1
                row += 1
            elif alike:
                for block, count in encode_run(self._fields, item, row, BLOCK_BYTES):
                    yield [block], count
                row += item.count
            else:
                # Texts differ in length, and with them the places of all that follows.
                for single in item:
                    yield encode_row(self._fields, single, row), 1
                    row += 1


def encode(fields: Sequence[Field], rows: Iterable[Sequence[Any] | Rows]) -> bytes:
    r"""Encode rows as one whole stream.

    Parameters
    ----------
    fields, rows
        As for :class:`RowWriter`.

    Returns
    -------
    bytes
        From the signature to the trailer.

    Raises
    ------
    WireError
        If a value does not fit its field.

    Examples
    --------
    >>> from lcdb_notebook import wire
    >>> encode([wire.INT2], [(258,)])[19:]
    b'\x00\x01\x00\x00\x00\x02\x01\x02\xff\xff'
    """
    return RowWriter(fields, rows).read()
