r"""Convert PostgreSQL's binary COPY stream to and from numpy arrays, without a connection.

To read, pass a :class:`RowReader` as the file to ``cursor.copy_expert``; consecutive rows of equal
shape are combined to :class:`Rows`. To write, pass a :class:`RowWriter` as the file. :func:`decode`
and :func:`encode` do the same with a whole stream in memory.

The stream's format is documented in the PostgreSQL manual, "COPY", "Binary Format"; the bytes
within a field are those of the types' ``send`` functions in the server's source (``array_send`` in
``src/backend/utils/adt/arrayfuncs.c``, and so on).

Examples
--------
>>> import numpy as np
>>> from lcdb_notebook.server import wire
>>> fields = [wire.INT8.named("id"), wire.FLOAT8_ARRAY.named("values")]
>>> stream = wire.encode(fields, [(1, np.array([0.5, np.nan])), (2, None)])
>>> stream[:11]
b'PGCOPY\n\xff\r\n\x00'
>>> wire.decode(stream, fields)
[(1, array([0.5, nan])), (2, None)]
"""

from __future__ import annotations

from lcdb_notebook.server.wire.decode import RowReader, decode
from lcdb_notebook.server.wire.encode import RowWriter, encode
from lcdb_notebook.server.wire.fields import (
    BOOL,
    FLOAT,
    FLOAT4,
    FLOAT4_ARRAY,
    FLOAT8,
    FLOAT8_ARRAY,
    FLOAT_ARRAY,
    INT,
    INT2,
    INT2_ARRAY,
    INT4,
    INT4_ARRAY,
    INT8,
    INT8_ARRAY,
    INT_ARRAY,
    TEXT,
    TIMESTAMPTZ,
    UUID,
    Field,
)
from lcdb_notebook.server.wire.rows import Column, Rows

__all__ = [
    "BOOL",
    "FLOAT",
    "FLOAT4",
    "FLOAT4_ARRAY",
    "FLOAT8",
    "FLOAT8_ARRAY",
    "FLOAT_ARRAY",
    "INT",
    "INT2",
    "INT2_ARRAY",
    "INT4",
    "INT4_ARRAY",
    "INT8",
    "INT8_ARRAY",
    "INT_ARRAY",
    "TEXT",
    "TIMESTAMPTZ",
    "UUID",
    "Column",
    "Field",
    "RowReader",
    "RowWriter",
    "Rows",
    "decode",
    "encode",
]
