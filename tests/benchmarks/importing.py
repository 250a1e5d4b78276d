"""What it costs to import the package."""

from __future__ import annotations

from collections.abc import Iterator

from measure import processes
from report import Row, duration
from sky import Sky


def package(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare importing with the libraries that everybody who reads a database imports anyway."""
    sky.report("importing")
    ours, others = "import lcdb_notebook", "import pandas, sqlalchemy"
    medians = processes({ours: ours, others: others}, 2 * repeat)
    for which, what in enumerate(("wall clock", "processor time")):
        yield Row(
            f"`{ours}`, {what}",
            f"`{others}`",
            "at most",
            medians[ours][which] / medians[others][which],
            1.1,
            duration(medians[ours][which]),
            duration(medians[others][which]),
        )
