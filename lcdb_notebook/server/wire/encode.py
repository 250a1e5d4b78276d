"""Write a COPY stream: rows become blocks of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from lcdb_notebook.errors import WireError
from lcdb_notebook.server.wire.fields import SIGNATURE, TRAILER, Field
from lcdb_notebook.server.wire.values import encode_row

BLOCK_BYTES: Final = 256 * 1024
"""Bytes encoded at a time; a single row may be longer."""

_HEAD: Final = SIGNATURE + bytes(8)


class RowWriter:
    """A file-like object for ``cursor.copy_expert`` that encodes rows on demand.

    Only the current block is in memory. A row is a sequence with one value per field: int, float,
    bool, str, UUID, datetime with a time zone, a one-dimensional array or sequence of numbers, or
    None for NULL.

    psycopg2 replaces an exception of :meth:`read` with ``QueryCanceled`` and drops the cause. If
    the writer is used as a context manager, it raises the original exception. Pass ``size`` to
    ``copy_expert``: its default of 8 kB per call is slower than a block per call.

    Parameters
    ----------
    fields : sequence of Field
        The columns of the table, in the order of the COPY statement, with the types of the table,
        because the server does not convert them.
    rows : iterable of sequence
        The rows, read once.

    Attributes
    ----------
    rows : int
        Number of encoded rows.

    Examples
    --------
    >>> import numpy as np
    >>> from lcdb_notebook.server import wire
    >>> rows = [(1, np.zeros(3)), (2, np.ones(3)), (3, None)]
    >>> with RowWriter([wire.INT8, wire.FLOAT8_ARRAY], rows) as writer:
    ...     stream = writer.read()
    >>> len(stream), writer.rows
    (187, 3)
    """

    def __init__(self, fields: Sequence[Field], rows: Iterable[Sequence[Any]]) -> None:
        self.rows = 0
        self._fields = tuple(fields)
        self._error: BaseException | None = None
        self._blocks = self._encode(rows)
        self._block = b""
        self._at = 0
        for position, field in enumerate(self._fields):
            if len(field.numbers) > 1:
                raise WireError(
                    f"column {position + 1} must have one type to be written, got {field.label}; "
                    "use the type of the table's column"
                )

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the stream.

        Parameters
        ----------
        size : int, optional
            The maximum number of bytes; all that remain if negative.

        Returns
        -------
        bytes
            The bytes; empty only at the end of the stream.

        Raises
        ------
        WireError
            If a value does not fit its field. Exceptions of the iterator of rows are passed on.
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

    def _encode(self, rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
        """Build the stream, in non-empty blocks of about :data:`BLOCK_BYTES`."""
        parts: list[bytes | memoryview] = [_HEAD]
        encoded_bytes = len(_HEAD)
        for row in rows:
            encoded = encode_row(self._fields, row, self.rows)
            self.rows += 1
            parts += encoded
            encoded_bytes += sum(map(len, encoded))
            if encoded_bytes >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, encoded_bytes = [], 0
        yield b"".join([*parts, TRAILER])


def encode(fields: Sequence[Field], rows: Iterable[Sequence[Any]]) -> bytes:
    r"""Encode rows as one complete stream.

    Parameters
    ----------
    fields : sequence of Field
        The columns of the table, each of one type.
    rows : iterable of sequence
        One value per field; None for NULL.

    Returns
    -------
    bytes
        The stream, from the signature to the trailer.

    Raises
    ------
    WireError
        If a value does not fit its field.

    Examples
    --------
    >>> from lcdb_notebook.server import wire
    >>> encode([wire.INT2], [(258,)])[19:]
    b'\x00\x01\x00\x00\x00\x02\x01\x02\xff\xff'
    """
    return RowWriter(fields, rows).read()
