"""Parsing the text of the search box."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SearchText", "parse_search_text"]

_LARGEST_NUMBER = 2**63 - 1  # of PostgreSQL's bigint


@dataclass(frozen=True)
class SearchText:
    """The contents of the search box.

    Parameters
    ----------
    digits : str
        The first digits of a catalog number; "" if there are none.
    numbers : tuple of int
        Complete catalog numbers.
    catalog : str or None
        The name of the catalog, if given.
    mistake : str
        An error message; "" if the text is valid.
    """

    digits: str = ""
    numbers: tuple[int, ...] = ()
    catalog: str | None = None
    mistake: str = ""


def parse_search_text(text: str) -> SearchText:
    """Parse the first digits of a number, or a list separated by spaces, commas or newlines.

    A comma after a single number marks it as complete.

    Parameters
    ----------
    text : str
        The text of the search box.

    Returns
    -------
    SearchText

    Examples
    --------
    >>> parse_search_text("TIC 2611")
    SearchText(digits='2611', numbers=(), catalog='TIC', mistake='')
    >>> parse_search_text("261136679, 38846515").numbers
    (261136679, 38846515)
    >>> parse_search_text("261136679,").numbers
    (261136679,)
    >>> parse_search_text("WASP-18").mistake
    "'WASP-18' is not a catalog number; use 261136679 or 'TIC 261136679'"
    """
    words = re.findall(r"[^\s,;]+", text)
    catalogs: dict[str, None] = {}
    digits: list[str] = []
    for word in words:
        split = re.fullmatch(r"([A-Za-z]*)([0-9]*)", word)
        if split is None or (split[1] and split[2] and not split[1].isupper()):
            return SearchText(
                mistake=f"{word!r} is not a catalog number; use 261136679 or 'TIC 261136679'"
            )
        if split[1]:
            catalogs[split[1]] = None
        if split[2]:
            digits.append(split[2])
    if len(catalogs) > 1:
        return SearchText(mistake=f"use one catalog at a time, got {', '.join(catalogs)}")
    catalog = next(iter(catalogs), None)
    if len(digits) == 1 and not re.search(r"[,;]\s*$", text):
        return SearchText(digits=digits[0], catalog=catalog)
    numbers = tuple(dict.fromkeys(int(number) for number in digits))
    if any(number > _LARGEST_NUMBER for number in numbers):
        return SearchText(mistake=f"{max(numbers)} is too large for a catalog number")
    return SearchText(numbers=numbers, catalog=catalog)
