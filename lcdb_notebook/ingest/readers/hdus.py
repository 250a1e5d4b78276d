"""Read the headers of the primary HDU of a FITS file and of its first extension, a table."""

from __future__ import annotations

import io
import math
from typing import Any, NamedTuple

from lcdb_notebook.errors import IngestError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.ingest.readers.cards import BLOCK, parse_header
from lcdb_notebook.ingest.readers.headers import Header, value

__all__ = ["HDU", "an_image", "is_image", "primary_and_table"]


class HDU(NamedTuple):
    """The header of an HDU, and its place in the file.

    Parameters
    ----------
    header
        The header.
    start, data, end
        Where the header begins, where the data begin, and where they end, in bytes.
    """

    header: Header
    start: int
    data: int
    end: int


def primary_and_table(content: bytes) -> tuple[HDU, HDU]:
    """Return the primary HDU of a file and its first extension, a binary table.

    Raises
    ------
    IngestError
        If it is not a FITS file, or its first extension is not a binary table. Damaged headers can
        also raise other errors of astropy, which ``read_product`` translates.
    """
    if not content.startswith(b"SIMPLE  ="):
        raise IngestError(f"not a FITS file (it begins with {content[:9]!r})")
    return _parsed(content) or _by_astropy(content)


def an_image() -> str:
    """Return a description of an image, with the method that stores it, for messages."""
    method = advice(python="; use db.add_frames() for images", terminal="")
    return f"an image, not a light curve{method}"


def is_image(header: Header) -> bool:
    """Return whether an HDU has an image."""
    axes = value(header, "NAXIS", 0)
    return isinstance(axes, int) and axes >= 2


def _parsed(content: bytes) -> tuple[HDU, HDU] | None:
    """Return the HDUs of an ordinary file; None if astropy has to read it."""
    primary = _parsed_hdu(content, 0)
    if primary is None or primary.header["SIMPLE"] is not True or "GROUPS" in primary.header:
        return None
    table = _parsed_hdu(content, primary.end)
    if table is None or next(iter(table.header.items()), None) != ("XTENSION", "BINTABLE"):
        return None
    return primary, table


def _parsed_hdu(content: bytes, start: int) -> HDU | None:
    found = parse_header(content, start)
    if found is None:
        return None
    header, data = found
    axes = header.get("NAXIS")
    if type(axes) is not int or not 0 <= axes <= 999:
        return None
    lengths: list[Any] = [header.get(f"NAXIS{axis}") for axis in range(1, axes + 1)]
    bits, groups, more = header.get("BITPIX"), header.get("GCOUNT", 1), header.get("PCOUNT", 0)
    if any(type(number) is not int or number < 0 for number in (*lengths, groups, more)):
        return None
    if type(bits) is not int:
        return None
    # FITS Standard 4.0, sections 4.4.1.1 and 4.4.1.2; without axes there are no data.
    size = abs(bits) * groups * (more + math.prod(lengths)) // 8 if axes else 0
    return HDU(header, start, data, data + -(-size // BLOCK) * BLOCK)


def _by_astropy(content: bytes) -> tuple[HDU, HDU]:
    from astropy.io import fits

    with fits.open(
        io.BytesIO(content),
        memmap=False,
        lazy_load_hdus=True,
        disable_image_compression=True,
    ) as hdus:
        primary = hdus[0].header
        try:
            table = hdus[1]
        except IndexError:
            if is_image(primary):
                raise IngestError(f"this is {an_image()}") from None
            raise IngestError(
                "the file has no extension with a light curve; it may be truncated"
            ) from None
        if not isinstance(table, fits.BinTableHDU):
            raise IngestError(
                f"the first extension is a {type(table).__name__}, not a binary table; the file "
                f"may be {an_image()}"
            )
        return _with_place(hdus[0]), _with_place(table)


def _with_place(hdu: Any) -> HDU:
    place = hdu.fileinfo()
    data = place["datLoc"]
    return HDU(hdu.header, place["hdrLoc"], data, data + place["datSpan"])
