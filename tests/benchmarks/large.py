"""How long it takes to look at a large database, and at one of a twentieth of its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import crowd
from measure import Job, side_by_side
from report import Row, duration
from sky import Sky, tidy

import lcdb_notebook as lcdb
from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.explore.widget.own_connection import own_connection
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter

GROWTH = 1.3
"""Allowed ratio of durations in the large and the small database."""

FACETS = ("catalog", "sector", "instrument", "photometry", "processing", "flags")


def looking(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare what shows a part of a database, in a large one and in a small one."""
    sizes = sky.scale.crowds
    databases = [_made(sky, datasets) for datasets in sizes]
    for name, look in _looks().items():
        sky.report(name)
        medians = side_by_side(
            {
                str(datasets): Job(partial(_run, look, db))
                for datasets, db in zip(sizes, databases, strict=True)
            },
            repeat,
        )
        small, large = (medians[str(datasets)] for datasets in sizes)
        yield Row(
            f"{name}, {sizes[1]:,} DataSets",
            f"the same, {sizes[0]:,}",
            "at most",
            large / small,
            GROWTH,
            duration(large),
            duration(small),
        )


def _made(sky: Sky, datasets: int) -> lcdb.Database:
    sky.report(f"making {datasets:,} light curves of two cadences by SQL")
    db = sky.new_database(f"crowd_{datasets}")
    crowd.fill(db.session.connection(), datasets)
    db.session.commit()
    tidy(db)
    return sky.reader(db)


def _run(look: Callable[[lcdb.Database], object], db: lcdb.Database) -> None:
    look(db)


def _looks() -> dict[str, Callable[[lcdb.Database], object]]:
    looks: dict[str, Callable[[lcdb.Database], object]] = {
        "`repr(db.search())`": lambda db: repr(db.search()),
        "`repr(db.search(sector=1, processing='DET'))`": lambda db: repr(
            db.search(sector=1, processing="DET")
        ),
        "`db.search(sector=1)[-1]`": lambda db: db.search(sector=1)[-1],
        "the first light curve of `db.search().read()`": lambda db: next(db.search().read()),
        "the first light curve of `db.search(sector=1).read()`": lambda db: next(
            db.search(sector=1).read()
        ),
        "the explorer's first page": partial(_browse, browse.page),
    }
    for facet in FACETS:
        looks[f"the explorer's counts of {facet}"] = partial(_browse, browse.counts, facet=facet)
    return looks


def _browse(query: Callable[..., Any], db: lcdb.Database, **given: Any) -> object:
    with own_connection(db, Task(lambda _done, _text: None)) as session:
        return query(session, TargetFilter(), **given)
