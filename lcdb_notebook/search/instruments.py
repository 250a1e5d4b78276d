"""InstrumentTree: a DataFrame of instruments, shown as a tree in notebooks. Imports pandas."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from uuid import UUID

import pandas as pd

from lcdb_notebook.errors.user_warnings import warn

__all__ = ["InstrumentTree", "as_tree"]

_MOST_DRAWN = 200

Row = tuple[UUID, str, UUID | None]


class InstrumentTree(pd.DataFrame):
    r"""A DataFrame of instruments that notebooks show as a tree; parts follow their instrument.

    Operations of pandas (selecting rows, sorting) return an ordinary DataFrame.

    Examples
    --------
    >>> InstrumentTree({"name": ["TESS", "Camera 1", "CCD 1"], "depth": [0, 1, 2]}).drawn()
    'TESS\n└─ Camera 1\n   └─ CCD 1'
    """

    def drawn(self) -> str:
        """Draw the tree as text, one line per instrument."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        depths = self["depth"].tolist()
        # Depths at which more instruments follow in the branch, computed from the last row up.
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


def as_tree(rows: Sequence[Row]) -> InstrumentTree:
    """Arrange instruments so that parts follow their instrument.

    A database may contain instruments that are part of themselves. A warning names the members of
    such a circle, which is listed beginning with one of them.

    Parameters
    ----------
    rows : sequence of Row
        Id, name and id of the parent (or None) of each instrument. Parts of the same instrument
        are listed in this order.

    Returns
    -------
    InstrumentTree
        ``name``, ``part_of`` (from the root), ``depth`` and ``id``.
    """
    by_id = {id_: (name, parent) for id_, name, parent in rows}
    parts: dict[UUID | None, list[UUID]] = {}
    for id_, _, parent in rows:
        parts.setdefault(parent, []).append(id_)
    listed: dict[UUID, tuple[str, str, int, UUID]] = {}

    def walk(id_: UUID, path: tuple[str, ...]) -> None:
        if id_ in listed:
            return
        name = by_id[id_][0]
        listed[id_] = (name, " / ".join(path), len(path), id_)
        for part in parts.get(id_, []):
            walk(part, (*path, name))

    for id_ in parts.get(None, []):
        walk(id_, ())
    circles: list[str] = []
    for id_, _, _ in rows:
        if id_ not in listed:
            # The remaining instruments are members of a circle and their parts: follow the parents.
            above = [id_]
            while (parent := by_id[above[-1]][1]) is not None and parent not in above:
                above.append(parent)
            assert parent is not None
            names = [by_id[member][0] for member in above[above.index(parent) :]]
            circles.append(" in ".join([*names, names[0]]))
            walk(parent, ())
    if circles:
        warn(
            f"instruments that are part of themselves: {'; '.join(circles)}; correct the parent_id "
            "of one in each circle"
        )
    return InstrumentTree([*listed.values()], columns=["name", "part_of", "depth", "id"])
