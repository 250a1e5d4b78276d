"""Convert the metadata of a LightCurve to FITS header cards, with the rest as JSON in one card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from astropy.io.fits import Card, Header

__all__ = ["KEYWORD", "put", "read", "write"]

KEYWORD = "LCDBMETA"
"""The card for metadata that do not fit into other cards, as JSON."""

# Cards about the file, not about the light curve.
_OF_THE_FILE = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|NEXTEND|XTENSION|PCOUNT|GCOUNT|TFIELDS|EXTNAME|EXTVER|INHERIT"
    r"|T(TYPE|FORM|UNIT|DISP|NULL|DIM|SCAL|ZERO)\d+|CHECKSUM|DATASUM|ORIGIN|DATE|CREATOR|PROCVER"
    rf"|COMMENT|HISTORY|CONTINUE|END||{KEYWORD}"
)
_COMMENTS = {
    "TELESCOP": "telescope",
    "OBJECT": "name of the target",
    "TICID": "TESS Input Catalog identifier",
    "KEPLERID": "Kepler or EPIC identifier",
    "RA_OBJ": "[deg] right ascension",
    "DEC_OBJ": "[deg] declination",
    "SECTOR": "observing sector",
    "QUARTER": "observing quarter",
    "CAMPAIGN": "observing campaign",
    "CAMERA": "camera number",
    "CCD": "CCD number",
    "CHANNEL": "CCD channel",
    "AUTHOR": "pipeline that made the light curve",
    "EXPTIME": "[s] time from cadence to cadence",
    "DATASET": "id of the light curve in its LightcurveDB",
    "LINEAGE": "sources of the light curve",
}
"""Comments of short keywords; there is no room for a comment after long ones."""

_STANDARD = re.compile(r"[A-Z0-9_-]{1,8}")
_HIERARCH = re.compile(r"[A-Z][A-Z0-9_-]{8,}")
_LONGEST_CARD = 80


def put(header: Header, key: str, value: Any) -> bool:
    """Set a card if it can represent the value; characters other than ASCII are escaped.

    Returns
    -------
    bool
        Whether reading the card returns exactly the value.
    """
    exact = True
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        # FITS Standard 4.0, section 4.2.1: printable ASCII.
        value = value.encode("ascii", "backslashreplace").decode()
        value = "".join(c if c.isprintable() else " " for c in value)
        exact = False
    card = _card(key, value)
    if card is None:
        return False
    if _STANDARD.fullmatch(key):
        comment = _COMMENTS.get(key, "")
        needed = len(f"{key:8}= {value!r:>20} / {comment}")
        header[key] = (value, comment if needed <= _LONGEST_CARD else "")
    else:
        header[f"HIERARCH {key}"] = value
    return exact and _same(_read_back(card), value)


def write(header: Header, meta: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    """Add a card for each entry of the metadata, and one for all entries that do not fit.

    Arrays, such as QUALITY_MASK, are left out.
    """
    before = {card.keyword.upper() for card in header.cards}
    remaining: dict[str, Any] = {}
    for key, value in meta.items():
        of_the_file = _OF_THE_FILE.fullmatch(key.upper()) is not None
        if key in before:
            written = not of_the_file and _same(header[key], value)
        else:
            written = not of_the_file and put(header, key, value)
        if not written and _is_plain(value):
            remaining[key] = value
    text = json.dumps({"form": form, "meta": remaining}, separators=(",", ":"))
    # astropy has misread both of these characters at the end of a card.
    header[KEYWORD] = text.replace("'", r"\u0027").replace("&", r"\u0026")


def read(header: Header) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return metadata and form; the form is None for headers of other programs."""
    meta: dict[str, Any] = {}
    for card in header.cards:
        if not _OF_THE_FILE.fullmatch(card.keyword.upper()):
            meta[card.keyword] = _value(card)
    try:
        remaining = json.loads(header[KEYWORD])
        return meta | remaining["meta"], remaining["form"]
    except (KeyError, TypeError, ValueError):
        return meta, None


def _card(key: str, value: Any) -> Card | None:
    """Return a card, or None if a card cannot represent the value."""
    from astropy.io import fits

    # None is an undefined value (FITS Standard 4.0, section 4.1.2.3).
    if not isinstance(value, str | bool | int | float | None):
        return None
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if _STANDARD.fullmatch(key):
        return fits.Card(key, value)
    # Values of longer keys are not continued in another card.
    if not _HIERARCH.fullmatch(key) or len(f"HIERARCH {key} = {value!r}") > _LONGEST_CARD:
        return None
    return fits.Card(f"HIERARCH {key}", value)


def _read_back(card: Card) -> Any:
    from astropy.io import fits

    return _value(fits.Card.fromstring(card.image))


def _value(card: Card) -> Any:
    return None if type(card.value).__name__ == "Undefined" else card.value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
