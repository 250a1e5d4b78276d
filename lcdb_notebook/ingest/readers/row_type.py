"""Build the numpy dtype of a row of a FITS table."""

from __future__ import annotations

import re

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.headers import Header, integer, text

__all__ = ["row_type"]

# Bytes per element of each TFORM letter, and the numpy types of the supported ones (FITS Standard
# 4.0, table 18).
_SIZE = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16}
_SIZE |= {"P": 8, "Q": 16}
_NUMPY = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}


def row_type(header: Header) -> tuple[np.dtype[np.void], dict[str, int]]:
    """Build the dtype of a row and the column numbers by upper-case name, from TTYPE and TFORM."""
    fields: list[tuple[str, str]] = []
    numbers: dict[str, int] = {}
    width = 0
    # FITS Standard 4.0, section 7.3.1, allows 999 columns.
    for number in range(1, integer(header, "TFIELDS", 0, 999) + 1):
        name = text(header, f"TTYPE{number}").upper() or f"COLUMN {number}"
        form = text(header, f"TFORM{number}")
        match = re.match(r"(\d{0,9})([A-Z])", form)
        if match is None or match[2] not in {*_SIZE, "X"}:
            raise IngestError(f"column {name} has an invalid format (TFORM {form!r})")
        if name in numbers:
            raise IngestError(f"two columns are named {name}")
        repeat, letter = int(match[1] or 1), match[2]
        size = (repeat + 7) // 8 if letter == "X" else repeat * _SIZE[letter]
        if letter == "A" and size:
            fields.append((name, f"S{size}"))
        else:
            single = repeat == 1 and letter in _NUMPY
            fields.append((name, _NUMPY[letter] if single else f"V{size}"))
        numbers[name] = number
        width += size
    if width != integer(header, "NAXIS1", 1, 2**31 - 1):
        raise IngestError(
            f"the columns take {width} bytes per row, but NAXIS1 is {header['NAXIS1']}"
        )
    return np.dtype(fields), numbers
