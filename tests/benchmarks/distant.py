"""How often calls wait for a server that is 50 ms away, as in another city."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import delay
import sqlalchemy as sa
from large import made
from measure import Job, side_by_side
from report import Row, duration
from sky import Sky, url_of

import lcdb_notebook as lcdb

DELAY = 0.05

# More light curves than a small table has room for, and fewer than an estimate is trusted for.
LARGE = 30_000

# One round trip more than the calls wait for, which is the time for everything else.
GOALS: dict[str, tuple[Callable[[lcdb.Database], Any], float]] = {
    "`db.lightcurve(...)`": (
        lambda db: db.lightcurve(
            1, sector=1, photometry="DEMO aperture 3px", processing="DEMO DET"
        ),
        4,
    ),
    "`db.search(1)`, shown": (lambda db: repr(db.search(1)), 3),
    "`db.search(sector=1)`, shown": (lambda db: repr(db.search(sector=1)), 3),
}
GOALS_OF_LARGE: dict[str, tuple[Callable[[lcdb.Database], Any], float]] = {
    f"`{call}` of {LARGE:,} light curves, shown": (show, 3)
    for call, show in {
        "db.search()": lambda db: repr(db.search()),
        "db.search(sector=1)": lambda db: repr(db.search(sector=1)),
        "db.search()[20:]": lambda db: repr(db.search()[20:]),
    }.items()
}


def database(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare calls with one round trip to a server that is 50 ms away."""
    near, large = sa.make_url(url_of(sky.few)), sa.make_url(url_of(made(sky, LARGE)))
    sky.report("reading from a server far away")
    socket = f"{near.query['host']}/.s.PGSQL.{near.query['port']}"
    with delay.delayed(socket, DELAY) as port:
        far = near.set(host="127.0.0.1", port=port, query={})
        opened = side_by_side({"opened": Job(lambda: lcdb.connect(far).close())}, repeat)
        yield _row("`lcdb.connect(...)`", opened["opened"], 5)
        for goals, url in ((GOALS, far), (GOALS_OF_LARGE, far.set(database=large.database))):
            with lcdb.connect(url) as db:
                for name, (call, goal) in goals.items():
                    seconds = side_by_side({name: Job(partial(_call, call, db))}, repeat)
                    yield _row(name, seconds[name], goal)


def _call(call: Callable[[lcdb.Database], Any], db: lcdb.Database) -> None:
    """Call it and return None, because results are not compared."""
    call(db)


def _row(name: str, seconds: float, goal: float) -> Row:
    trip = 2 * DELAY
    return Row(
        f"{name}, {DELAY * 1000:.0f} ms each way from the server",
        "one round trip",
        "at most",
        seconds / trip,
        goal,
        duration(seconds),
        duration(trip),
    )
