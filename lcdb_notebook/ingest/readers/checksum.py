"""Whether the bytes of an HDU still are those that its writer summed up."""

from __future__ import annotations

from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.headers import Header, text

_ALL_ONES = 0xFFFFFFFF


def ones_complement_sum(content: bytes | memoryview) -> int:
    """Sum 32-bit big-endian words in ones'-complement arithmetic, zeros filling up the last one.

    FITS Standard 4.0, section 4.4.2.7 and appendix J.

    Examples
    --------
    >>> ones_complement_sum(bytes([255, 255, 255, 255, 0, 0, 0, 2]))
    2
    """
    whole = len(content) // 4 * 4
    total = int(np.frombuffer(content[:whole], ">u4").sum(dtype=np.uint64))
    total += int.from_bytes(bytes(content[whole:]).ljust(4, b"\0"), "big")
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total


def check(content: bytes, header: Header, place: dict[str, Any]) -> None:
    """Compare an HDU with its CHECKSUM, or its data with a DATASUM that stands alone.

    NASA's files have a CHECKSUM and no DATASUM, over which astropy's own check stumbles.

    Parameters
    ----------
    content
        The whole file.
    header
        Of the HDU.
    place
        Where it is in the file: astropy's ``hdu.fileinfo()``.

    Raises
    ------
    IngestError
        If they differ. Without either keyword there is nothing to compare.
    """
    end = place["datLoc"] + place["datSpan"]
    if text(header, "CHECKSUM"):
        # A sum over the keyword's own encoded complement: all ones, or no bit at all.
        right = ones_complement_sum(memoryview(content)[place["hdrLoc"] : end]) in (0, _ALL_ONES)
        keyword = "CHECKSUM"
    elif text(header, "DATASUM").isdecimal():
        found = ones_complement_sum(memoryview(content)[place["datLoc"] : end])
        right = found == int(text(header, "DATASUM"))
        keyword = "DATASUM"
    else:
        return
    if not right:
        raise IngestError(
            f"the bytes of {text(header, 'EXTNAME') or 'the primary HDU'} contradict their "
            f"{keyword}, so the file was damaged or changed since it was written; fetch it again, "
            f"or if the change was meant, remove {keyword} from the header"
        )
