"""LightcurveDB 3 with thousands of partitions: connecting, searching, and reading."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from measure import Job, side_by_side
from report import Row, duration
from sky import Sky, outside_transactions

import lcdb_notebook as lcdb

sys.path.append(str(Path(__file__).parents[1] / "layouts"))

STAR = 1001
"""It has 300 light curves, in 50 observations."""


class _Fresh:
    """A database that is opened again for each measurement, with nothing known to the server."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self.db = lcdb.connect(url)

    def close(self) -> None:
        self.db.close()

    def connect(self) -> None:
        self.db = lcdb.connect(self._url)

    def again(self) -> None:
        self.close()
        self.connect()


def partitions(sky: Sky, repeat: int) -> Iterator[Row]:
    """Measure a database of partitions, and compare reading with the same rows in plain tables."""
    number = sky.scale.partitions
    parted = _filled(sky, "parted", number, partitioned=True)
    flat = lcdb.connect(_filled(sky, "flat", number, partitioned=False))
    sky.say("connecting, searching and reading")
    fresh = _Fresh(parted)
    connecting = side_by_side({"connect": Job(fresh.connect, fresh.close)}, repeat)
    searching = side_by_side({"first": Job(lambda: _search(fresh.db), fresh.again)}, repeat)
    again = side_by_side(
        {
            "again": Job(lambda: _search(fresh.db)),
            "sector": Job(lambda: len(fresh.db.search(STAR, sector=1).table) * 0 + 300),
        },
        repeat,
    )
    what = f"of a LightcurveDB 3 with {number:,} partitions of each table"
    for work, seconds, goal in (
        (f"connect() {what}", connecting["connect"], 1000),
        (f"search by number {what}, first on a connection", searching["first"], 500),
        (f"search by number {what}, again", again["again"], 500),
        (f"search by number and sector {what}", again["sector"], 50),
    ):
        yield Row(work, "", "ms", 1e3 * seconds, goal, duration(seconds), "")
    selections = {"parted": fresh.db.search(STAR), "flat": flat.search(STAR)}
    for selection in selections.values():
        _search_kept(selection)
    medians = side_by_side({n: Job(partial(_read, s)) for n, s in selections.items()}, 3 * repeat)
    yield Row(
        f"read 300 light curves of one star {what}",
        "the same rows in tables of LightcurveDB 2",
        "at most",
        medians["parted"] / medians["flat"],
        1.5,
        duration(medians["parted"], 300),
        duration(medians["flat"], 300),
    )
    fresh.close()
    flat.close()


def _filled(sky: Sky, name: str, number: int, *, partitioned: bool) -> sa.URL:
    # In the folder beside, with the SQL.
    from partitions import fill

    sky.say(f"filling a database of {number:,} observations{' with partitions' * partitioned}")
    url = sky.blank_database(name)
    with outside_transactions(url) as connection:
        fill(connection, number, partitioned=partitioned)
    return url


def _search(db: lcdb.Database) -> int:
    return len(db.search(STAR).table)


def _search_kept(selection: lcdb.Selection) -> None:
    assert len(selection.datasets) == 300


def _read(selection: lcdb.Selection) -> int:
    return sum(data.time.size for data in selection.read(progress=False))
