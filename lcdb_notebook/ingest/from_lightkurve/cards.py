"""Keep the header cards of the file from which lightkurve read a light curve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lcdb_notebook.ingest.product import Contents
from lcdb_notebook.ingest.readers.contents import describes_layout

__all__ = ["contents_of"]

# Entries that lightkurve adds or changes.
_ADDED = {"AUTHOR", "DEC", "FILENAME", "LABEL", "MISSION", "RA", "TARGETID"}


def contents_of(meta: Mapping[str, Any]) -> Contents | None:
    """Return the header cards among metadata; None if they are not from a FITS file.

    Parameters
    ----------
    meta : mapping of str to object
        By upper-case key. Comments are lost when lightkurve reads a file.

    Examples
    --------
    >>> contents_of({"SIMPLE": True, "TESSMAG": 5.1, "FLUX_ORIGIN": "pdcsap_flux"}).cards
    {'TESSMAG': (5.1, '')}
    """
    # Every FITS file begins with it.
    if "SIMPLE" not in meta:
        return None
    cards = {
        key: (_plain(value), "")
        for key, value in meta.items()
        if re.fullmatch(r"[A-Z0-9_-]{1,8}", key) and key not in _ADDED and not describes_layout(key)
    }
    return Contents(cards, {})


def _plain(value: Any) -> str | float | bool | None:
    """Return the value of a card; None if it has none."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float) else None
