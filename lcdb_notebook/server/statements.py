"""Split SQL into statements and words, without parsing its grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["first_words", "statements", "tokens"]

# Lexical structure of SQL (PostgreSQL manual, chapter 4.1). All characters above 127 can be part of
# identifiers, including those that Python does not consider letters.
_TOKEN = re.compile(
    r"""
    (?P<word> [A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]* )
    | (?P<end> ; )
    | (?P<block> /\* )
    | --[^\n\r]*
    | '[^']*'
    | "[^"]*"
    | \$(?P<tag> (?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)? )\$
      .*? \$(?P=tag)\$
    | \$?[0-9]+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_FIRST_WORDS = re.compile(r"[\s(]*([A-Za-z]*)\s*([A-Za-z]*)")


def first_words(text: str) -> list[str]:
    """Return the first two words of a statement, in capitals.

    Parameters
    ----------
    text : str
        One statement.

    Examples
    --------
    >>> first_words("/* why */ alter system set work_mem = '5MB'")
    ['ALTER', 'SYSTEM']
    """
    if any(mark in text for mark in (";", "/*", "--")):
        found = statements(text)
        return found[0][:2] if found else []
    # Nearly all statements are of this kind, and splitting them would take longer than running
    # them.
    match = _FIRST_WORDS.match(text)
    return [word.upper() for word in match.groups() if word] if match else []


def statements(text: str) -> list[list[str]]:
    """Return the words of each statement of a string, in capitals, without quoted text.

    Parameters
    ----------
    text : str
        Any number of statements; backslashes have no special meaning.

    Examples
    --------
    >>> statements("/* 1; */ SELECT 'a;b' ; commit;")
    [['SELECT'], ['COMMIT']]
    """
    found: list[list[str]] = [[]]
    empty = True
    for kind, token in tokens(text):
        if kind == "end":
            if not empty:
                found.append([])
            empty = True
        elif kind == "word":
            found[-1].append(token.upper())
            empty = False
        elif kind != "comment" and not token.isspace():
            empty = False
    return found[:-1] if empty else found


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Split a string into tokens.

    Parameters
    ----------
    text : str
        Any number of statements; backslashes have no special meaning.

    Yields
    ------
    tuple of str and str
        The kind (``"word"``, ``"end"`` of a statement, ``"comment"``, or another) and the token.
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "block":
            position = _end_of_comment(text, position)
            kind = "comment"
        elif match[0].startswith("--"):
            kind = "comment"
        yield kind, match[0]


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position
