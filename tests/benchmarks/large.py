"""How long it takes to look at a large database, and at one of a twentieth of its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import crowd
from measure import Job, peak_memory, side_by_side
from report import Row, duration
from sky import Sky, libpq_url, tidy

import lcdb_notebook as lcdb
from lcdb_notebook.explore.widget.background import Task
from lcdb_notebook.explore.widget.own_connection import own_connection
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter

GROWTH = 1.3
"""Allowed ratio of durations in the large and the small database."""

FACETS = ("catalog", "sector", "instrument", "photometry", "processing", "flags")


LONGEST = 300
"""Milliseconds that what only looks may take."""

FIRST = 500
"""Milliseconds to a first light curve or a first result."""

STREAM = """
import tempfile
import lcdb_notebook as lcdb
with lcdb.connect({url!r}) as db, tempfile.TemporaryDirectory() as folder:
    found = db.search({search}){part}
    read = {read}
# The databases have a few more than the number by which they are named.
assert {number} <= read < {number} + 100, read
"""

READ = "sum(1 for data in found.read(progress=False))"
BY_OBSERVATION = "sector=list(range(1, 9))"
STREAMS = {
    "`db.search().read()`": ("", READ),
    f"`db.search({BY_OBSERVATION}).read()`": (BY_OBSERVATION, READ),
    "`db.search().nested_parts()`": (
        "",
        "sum(len(part) for part in found.nested_parts(progress=False))",
    ),
    "`db.search().export(...)` to Parquet": (
        "",
        "found.export(folder, format='parquet', progress=False).status.eq('written').sum()",
    ),
    "`db.search().map(..., collect=False)`": (
        "",
        "found.map(lambda data: data.flux[0], datasets='record', workers=1, "
        "checkpoint=folder, collect=False, progress=False).light_curves.sum()",
    ),
}
"""Ways to use all light curves: the search, and an expression for how many were used."""


def looking(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare what shows a part of a database, in a large one and in a small one."""
    sizes = sky.scale.crowds
    databases = [made(sky, datasets) for datasets in sizes]
    yield from compare(sky, databases, sizes, repeat)
    yield from streamed(sky, databases[-1], sizes[-1], [*STREAMS][:1])


def million(sky: Sky, repeat: int) -> Iterator[Row]:
    """Look at a database of a million light curves, and stream all of them."""
    datasets = sky.scale.crowds[0]
    db = made(sky, datasets)
    for name, look in _looks().items():
        sky.report(name)
        (seconds,) = side_by_side({name: Job(partial(_run, look, db))}, repeat).values()
        most = FIRST if "first" in name and "page" not in name else LONGEST
        yield Row(
            f"{name}, {datasets:,} DataSets",
            "nothing",
            "ms",
            1e3 * seconds,
            most,
            duration(seconds),
            "-",
        )
    yield from streamed(sky, db, datasets)


def streamed(
    sky: Sky, db: lcdb.Database, datasets: int, ways: Iterable[str] = STREAMS
) -> Iterator[Row]:
    """Measure the memory of a stream of all light curves, beyond one of a hundredth of them."""
    for name in ways:
        sky.report(name)
        search, read = STREAMS[name]
        few, many = (
            peak_memory(
                STREAM.format(url=libpq_url(db), search=search, part=part, number=number, read=read)
            )
            for number, part in ((datasets // 100, f"[:{datasets // 100}]"), (datasets, ""))
        )
        yield Row(
            f"peak memory of {name} over {datasets:,} light curves",
            f"over {datasets // 100:,}",
            "MB more",
            many - few,
            64,
            f"{many:.0f} MB",
            f"{few:.0f} MB",
        )


def compare(
    sky: Sky, databases: Sequence[lcdb.Database], sizes: Sequence[int], repeat: int
) -> Iterator[Row]:
    """Compare a large database with a small one."""
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


def made(sky: Sky, datasets: int) -> lcdb.Database:
    """Make a database of so many light curves of two cadences, and open it for reading."""
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
    for digits in ("", "1"):
        after = " after the digit 1" if digits else ""
        wanted = TargetFilter(digits)
        for facet in FACETS:
            looks[f"the explorer's counts of {facet}{after}"] = partial(
                _browse, browse.counts, wanted=wanted, facet=facet
            )
    looks["the first result of `db.search(sector=1).map(...)` in this process"] = _first_result
    return looks


def _browse(
    query: Callable[..., Any],
    db: lcdb.Database,
    wanted: TargetFilter = TargetFilter(),  # noqa: B008 - it cannot be changed
    **given: Any,
) -> object:
    with own_connection(db, Task(lambda _done, _text: None)) as session:
        return query(session, wanted, **given)


class _StartedError(Exception):
    """The function that is mapped was called."""


def _first_result(db: lcdb.Database) -> None:
    def stop(_: Any) -> None:
        raise _StartedError

    with suppress(_StartedError):
        db.search(sector=1).map(stop, workers=1, datasets="record", on_error="raise")
