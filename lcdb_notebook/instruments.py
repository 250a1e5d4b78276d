"""Instruments as a table that a notebook draws as a tree. Imports pandas."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pandas as pd

__all__ = ["InstrumentTree"]

_MOST_DRAWN = 200


class InstrumentTree(pd.DataFrame):
    r"""A DataFrame of instruments, each below what it is part of, drawn as a tree by a notebook.

    What pandas makes of it (a selection of rows, a sorted copy) is a DataFrame like any other.

    Examples
    --------
    >>> InstrumentTree({"name": ["TESS", "Camera 1", "CCD 1"], "depth": [0, 1, 2]}).drawn()
    'TESS\n└─ Camera 1\n   └─ CCD 1'
    """

    def drawn(self) -> str:
        """Draw the tree in letters, a line an instrument."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        depths = self["depth"].tolist()
        # From below: whether at each depth something is still to come before the branch ends.
        to_come: set[int] = set()
        stems: list[str] = []
        for depth in reversed(depths):
            bars = "".join("│  " if level in to_come else "   " for level in range(1, depth))
            stems.append(f"{bars}{'├─ ' if depth in to_come else '└─ '}" if depth else "")
            to_come = {level for level in to_come if level < depth} | {depth}
        yield from (
            f"{stem}{name}" for stem, name in zip(reversed(stems), self["name"], strict=True)
        )

    def _repr_html_(self) -> str:
        if not {"name", "depth"} <= {*self.columns}:
            return str(self.to_html())
        if self.empty:
            return "<p>no instruments</p>"
        lines = list(self._lines())
        more = len(lines) - _MOST_DRAWN
        drawn = html.escape("\n".join(lines[:_MOST_DRAWN]))
        rest = f"<p>and {more:,} more</p>" if more > 0 else ""
        return f'<pre style="line-height: 1.25">{drawn}</pre>{rest}'
