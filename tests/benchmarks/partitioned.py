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

CROWD = 400
"""Other stars in each observation; real ones have thousands."""

# What the search by number has to find, in the words of SQL, and by a single statement.
_BARE = """
SELECT observation_id, photometric_method_id, processing_method_id FROM dataset
WHERE target_id = ANY (ARRAY(SELECT id FROM target WHERE catalog_id = 1 AND name = %s))
"""


class _Fresh:
    """A database that is opened again for each measurement, with nothing known to the server."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self.db = lcdb.connect(url)
        self._bare = outside_transactions(url)

    def close(self) -> None:
        self.db.close()

    def bare_again(self) -> None:
        self._bare.close()
        self._bare = outside_transactions(self._url)

    def bare(self) -> int:
        """Search by plain SQL, which locks all partitions."""
        return len(self._bare.exec_driver_sql(_BARE, (STAR,)).all())

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
    sky.report("connecting, searching and reading")
    fresh = _Fresh(parted)
    connecting = side_by_side({"connect": Job(fresh.connect, fresh.close)}, repeat)
    searching = side_by_side(
        {
            "first": Job(lambda: _search(fresh.db), fresh.again),
            "bare": Job(fresh.bare, fresh.bare_again),
        },
        repeat,
    )
    again = side_by_side(
        {
            "again": Job(lambda: _search(fresh.db)),
            "bare": Job(fresh.bare),
            "sector": Job(lambda: len(fresh.db.search(STAR, sector=1).table) * 0 + 300),
        },
        repeat,
    )
    what = f"of a LightcurveDB 3 with {number:,} partitions of each table"
    plain = "the keys alone by a plain SQL statement, which locks all partitions"
    yield _row(f"connect() {what}", connecting["connect"], 1000)
    for when, found, bare in (
        ("first on a connection", searching["first"], searching["bare"]),
        ("again", again["again"], again["bare"]),
    ):
        yield _row(f"search by number {what}, {when}", found, 500, plain, duration(bare))
    yield _row(f"search by number and sector {what}", again["sector"], 50)
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


def _row(work: str, seconds: float, goal: float, against: str = "", other: str = "") -> Row:
    return Row(work, against, "ms", 1e3 * seconds, goal, duration(seconds), other)


def _filled(sky: Sky, name: str, number: int, *, partitioned: bool) -> sa.URL:
    # In the folder beside, with the SQL.
    from partitions import fill

    sky.report(f"filling a database of {number:,} observations{' with partitions' * partitioned}")
    url = sky.blank_database(name)
    with outside_transactions(url) as connection:
        fill(connection, number, partitioned=partitioned, crowd=CROWD)
    return url


def _search(db: lcdb.Database) -> int:
    return len(db.search(STAR).table)


def _search_kept(selection: lcdb.Selection) -> None:
    assert len(selection.datasets) == 300


def _read(selection: lcdb.Selection) -> int:
    return sum(data.time.size for data in selection.read(progress=False))
