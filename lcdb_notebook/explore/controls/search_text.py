"""What a person typed or pasted into the search box."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Typed", "typed"]

_LARGEST_NUMBER = 2**63 - 1  # of PostgreSQL's bigint


@dataclass(frozen=True)
class Typed:
    """What was asked for.

    Parameters
    ----------
    digits
        The beginning of a catalog number; "" if there is none.
    numbers
        Whole numbers, of a list; empty if there is none.
    catalog
        The catalog that was named with them; None if none was.
    mistake
        What cannot be understood, in a sentence; "" if all can.
    """

    digits: str = ""
    numbers: tuple[int, ...] = ()
    catalog: str | None = None
    mistake: str = ""


def typed(text: str) -> Typed:
    """Read the beginning of a number, or a list of numbers with spaces, commas or lines between.

    A comma after a single number says that this is all of it.

    Examples
    --------
    >>> typed("TIC 2611")
    Typed(digits='2611', numbers=(), catalog='TIC', mistake='')
    >>> typed("261136679, 38846515").numbers
    (261136679, 38846515)
    >>> typed("261136679,").numbers
    (261136679,)
    >>> typed("WASP-18").mistake
    "'WASP-18' is no catalog number"
    """
    words = re.findall(r"[^\s,;]+", text)
    catalogs: dict[str, None] = {}
    digits: list[str] = []
    for word in words:
        split = re.fullmatch(r"([A-Za-z]*)([0-9]*)", word)
        if split is None or (split[1] and split[2] and not split[1].isupper()):
            return Typed(mistake=f"{word!r} is no catalog number")
        if split[1]:
            catalogs[split[1]] = None
        if split[2]:
            digits.append(split[2])
    if len(catalogs) > 1:
        return Typed(mistake=f"one catalog at a time, not {', '.join(catalogs)}")
    catalog = next(iter(catalogs), None)
    if len(digits) == 1 and not re.search(r"[,;]\s*$", text):
        return Typed(digits=digits[0], catalog=catalog)
    numbers = tuple(dict.fromkeys(int(number) for number in digits))
    if any(number > _LARGEST_NUMBER for number in numbers):
        return Typed(mistake=f"no catalog has a number as large as {max(numbers)}")
    return Typed(numbers=numbers, catalog=catalog)
