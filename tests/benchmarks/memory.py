"""How much memory a long stream of light curves takes, beyond a short one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from measure import peak_memory
from report import Row
from sky import SHORT, Sky, libpq_url

PROGRAM = """
import lcdb_notebook as lcdb
selection = lcdb.connect({url!r}).search(sector={sector})[:{number}]
assert sum(1 for data in selection.read(progress=False)) == {number}
"""


def streaming(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare the peak memory of reading many light curves with that of reading a few."""
    url = libpq_url(sky.light_curves)
    many, few = sky.scale.short, sky.scale.short // 20
    sky.report("reading with an eye on memory")
    peaks: dict[int, list[float]] = {many: [], few: []}
    for _ in range(repeat):
        for number, measured in peaks.items():
            program = PROGRAM.format(url=url, sector=SHORT, number=number)
            measured.append(peak_memory(program))
    of_many, of_few = (statistics.median(peaks[number]) for number in (many, few))
    yield Row(
        f"peak memory over {many:,} light curves streamed",
        f"over {few:,}",
        "MB more",
        of_many - of_few,
        64,
        f"{of_many:.0f} MB",
        f"{of_few:.0f} MB",
    )
