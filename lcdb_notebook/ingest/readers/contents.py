"""Keep the header cards of a file, and the columns that are not light curves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.ingest.product import Contents
from lcdb_notebook.ingest.readers.headers import value
from lcdb_notebook.ingest.readers.table import LightCurveTable

__all__ = ["contents_of", "describes_layout"]

# Cards that describe the layout of the file: FITS Standard 4.0, sections 4.4.1 and 7.
_LAYOUT = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|EXTEND|NEXTEND|CHECKSUM|DATASUM|END"
    r"|COMMENT|HISTORY|CONTINUE|HIERARCH|T(TYPE|FORM|UNIT|DISP|NULL|SCAL|ZERO|DIM|BCOL)\d+"
    r"|[12]?[0-9]*C(TYP|RPX|RVL|UNI|DLT)[0-9A-Z]*|WCS.*|[12]+PC?[0-9]+|INHERIT|EXTVER|EXTNAME|"
)


def contents_of(table: LightCurveTable) -> Contents:
    """Return the header cards of a file, and the columns that its reader did not use."""
    cards: dict[str, tuple[Any, str]] = {}
    for hdu in reversed(table.hdus):
        text = table.content[hdu.start : hdu.data].decode("ascii", "replace")
        header: Any = hdu.header
        for keyword in _keywords(text):
            cards[keyword] = (value(header, keyword), str(header.comments[keyword]))
    columns: dict[str, tuple[str, npt.NDArray[Any]]] = {}
    for name in table.numbers:
        values = table.rows[name]
        if name in table.used or values.dtype.kind not in "fiu" or table.is_scaled(name):
            continue
        native = values.astype(values.dtype.newbyteorder("="))
        if native.dtype.kind == "f" and np.isnan(native).all():
            native = native[:0]
        columns[name.lower()] = (table.unit(name), native)
    return Contents(cards, columns)


@lru_cache(maxsize=4096)
def describes_layout(keyword: str) -> bool:
    """Check whether a card is about the layout of its file, and not about the star."""
    return _LAYOUT.fullmatch(keyword) is not None


def _keywords(text: str) -> Iterator[str]:
    """Yield the keywords of the cards with values in a header, without those of the layout."""
    for start in range(0, len(text), 80):
        keyword = text[start : start + 8].rstrip()
        if keyword == "END":
            return
        if text[start + 8 : start + 9] == "=" and not describes_layout(keyword):
            yield keyword
