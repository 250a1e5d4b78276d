"""Verify the CHECKSUM and DATASUM of an HDU."""

from __future__ import annotations

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.hdus import HDU
from lcdb_notebook.ingest.readers.headers import text

_ALL_ONES = 0xFFFFFFFF


def ones_complement_sum(content: bytes | memoryview) -> int:
    """Sum 32-bit big-endian words in ones'-complement arithmetic; zeros pad the last word.

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


def check(content: bytes, hdu: HDU) -> None:
    """Compare an HDU with its CHECKSUM, or its data with DATASUM if there is no CHECKSUM.

    NASA's files have a CHECKSUM without DATASUM, which neither astropy nor CFITSIO can verify.

    Parameters
    ----------
    content
        The file.
    hdu
        Its header, and its place in the file.

    Raises
    ------
    IngestError
        If they differ. Without these keywords, nothing is compared.
    """
    header = hdu.header
    if text(header, "CHECKSUM"):
        # The keyword contains the complement of the sum, so the total is all ones, or zero.
        right = ones_complement_sum(memoryview(content)[hdu.start : hdu.end]) in (0, _ALL_ONES)
        keyword = "CHECKSUM"
    elif text(header, "DATASUM").isdecimal():
        found = ones_complement_sum(memoryview(content)[hdu.data : hdu.end])
        right = found == int(text(header, "DATASUM"))
        keyword = "DATASUM"
    else:
        return
    if not right:
        raise IngestError(
            f"{text(header, 'EXTNAME') or 'the primary HDU'} does not match its {keyword}, so the "
            "file was damaged or changed after it was written; download it again, or remove "
            f"{keyword} from the header if the change was intended"
        )
