"""Check before every flush that no DataSet becomes its own ancestor.

Importing this module registers the check with SQLAlchemy; ``models`` imports it.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.dialects import postgresql

from lcdb_notebook.errors import LineageError
from lcdb_notebook.models.dataset import DataSet, DataSetHierarchy

Node = Any  # a DataSet's id, or the DataSet itself while it has none
Links = dict[Node, set[Node]]  # by source: the DataSets derived from it


@event.listens_for(orm.Session, "before_flush")
def _refuse_circles_with_stored_links(session: orm.Session, _context: Any, _some: Any) -> None:
    """Check the links of a flush together with the stored ones, in at most one query."""
    # The database itself rejects a link without a source or a child.
    added = {link for link in _added(session) if None not in link}
    if not added:
        return
    children: Links = {}
    stored = {child for _, child in added if isinstance(child, int)}
    if stored and any(isinstance(source, int) for source, _ in added):
        removed, deleted = set(_removed(session)), set(_deleted(session))
        for link in _stored_descent(session, stored):
            if link not in removed and deleted.isdisjoint(link):
                children.setdefault(link[0], set()).add(link[1])
    for source, child in added:
        children.setdefault(source, set()).add(child)
    try:
        graphlib.TopologicalSorter(children).prepare()
    except graphlib.CycleError:
        # Circles that are already stored must not make this flush fail: search for one with a new
        # link.
        for source, child in added:
            path = _path(child, source, children)
            if path:
                raise LineageError(
                    f"DataSet {_name(child)} cannot be derived from {_name(source)}, which itself "
                    f"descends from it: {' -> '.join(map(_name, path))}; remove the link, or roll "
                    "the session back"
                ) from None


def _added(session: orm.Session) -> Iterator[tuple[Node, Node]]:
    """Yield the links (source, child) that a flush would add."""
    for row in (*session.new, *session.dirty):
        # Reading the history of a collection does not load it.
        attributes = sa.inspect(row).attrs
        if isinstance(row, DataSet):
            for source in attributes.source_datasets.history.added or ():
                yield _node(source), _node(row)
            for child in attributes.derived_datasets.history.added or ():
                yield _node(row), _node(child)
        elif isinstance(row, DataSetHierarchy):
            yield row.source_dataset_id, row.child_dataset_id


def _removed(session: orm.Session) -> Iterator[tuple[Node, Node]]:
    """Yield the links (source, child) that a flush would remove."""
    for row in session.dirty:
        attributes = sa.inspect(row).attrs
        if isinstance(row, DataSet):
            for source in attributes.source_datasets.history.deleted or ():
                yield _node(source), _node(row)
            for child in attributes.derived_datasets.history.deleted or ():
                yield _node(row), _node(child)
        elif isinstance(row, DataSetHierarchy):
            yield _before(attributes.source_dataset_id), _before(attributes.child_dataset_id)
    for row in session.deleted:
        if isinstance(row, DataSetHierarchy):
            yield row.source_dataset_id, row.child_dataset_id


def _deleted(session: orm.Session) -> Iterator[Node]:
    return (_node(row) for row in session.deleted if isinstance(row, DataSet))


def _before(attribute: orm.AttributeState) -> Any:
    history = attribute.history
    return history.deleted[0] if history.deleted else attribute.value


def _node(dataset: DataSet) -> Node:
    identity = sa.inspect(dataset).identity
    return identity[0] if identity else dataset.__dict__.get("id") or dataset


def _stored_descent(session: orm.Session, ids: set[int]) -> list[tuple[int, int]]:
    """Fetch all links below some DataSets; UNION (not UNION ALL) ends it if there is a circle."""
    source, child = DataSetHierarchy.source_dataset_id, DataSetHierarchy.child_dataset_id
    start = sa.literal(sorted(ids), postgresql.ARRAY(sa.Integer))
    below = sa.select(sa.func.unnest(start).label("id")).cte("below", recursive=True)
    below = below.union(sa.select(child).join(below, source == below.c.id))
    rows = session.execute(sa.select(source, child).join(below, source == below.c.id))
    return [(row[0], row[1]) for row in rows]


def _path(start: Node, goal: Node, children: Links) -> list[Node]:
    """Find a shortest path down from one DataSet to another; [] if there is none."""
    came_from: dict[Node, Node] = {start: None}
    level = [start]
    while level and goal not in came_from:
        below = []
        for node in level:
            for child in children.get(node, ()):
                if child not in came_from:
                    came_from[child] = node
                    below.append(child)
        level = below
    path = [goal] if goal in came_from else []
    while path and path[-1] is not start and came_from[path[-1]] is not None:
        path.append(came_from[path[-1]])
    return path[::-1]


def _name(node: Node) -> str:
    return str(node) if isinstance(node, int) else repr(node)
