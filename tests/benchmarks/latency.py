"""The time to read one light curve from a small table and from one a hundred times larger."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from measure import Job, side_by_side
from report import Row, duration
from sky import PER_STAR, Sky

import lcdb_notebook as lcdb

LOOKUPS = 20
"""Light curves read in one timed run, each of another target."""


def one_target(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare one target's latency in a large table with that in a small one."""
    few, many = sky.few, sky.many
    sky.report("finding and reading single light curves")
    medians = side_by_side(
        {
            "many": Job(partial(_read_some, many, random.Random(1), sky.scale.many)),
            "few": Job(partial(_read_some, few, random.Random(1), sky.scale.few)),
        },
        # Single light curves take so little time that more rounds cost nothing.
        5 * repeat,
    )
    yield Row(
        f"one target's latency in a table of {sky.scale.many:,} DataSets",
        f"in a table of {sky.scale.few:,}",
        "at most",
        medians["many"] / medians["few"],
        1.2,
        duration(medians["many"], LOOKUPS),
        duration(medians["few"], LOOKUPS),
    )


def _read_some(db: lcdb.Database, choice: random.Random, datasets: int) -> int:
    stars = datasets // PER_STAR
    number = 0
    for _ in range(LOOKUPS):
        (data,) = db.search(
            choice.randint(1, stars),
            sector=1,
            photometry="DEMO aperture 3px",
            processing="DEMO DET",
        ).read()
        number += data.time.size
    return number
