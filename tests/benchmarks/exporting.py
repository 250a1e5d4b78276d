"""Many light curves into Parquet, against writing each LightCurve with pyarrow."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measure import Job, peak_memory, side_by_side
from report import Row, duration
from sky import SHORT, Sky, libpq_url

import lcdb_notebook as lcdb

PROGRAM = """
import lcdb_notebook as lcdb
selection = lcdb.connect({url!r}).search(sector={sector})[:{number}]
done = selection.export({folder!r}, format="parquet", progress=False)
assert (done["status"] == "written").all()
"""
AT_ONCE = 500
"""LightCurves that are read at a time where they are written one by one."""


def parquet(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare exporting with writing LightCurve by LightCurve."""
    number = sky.scale.short
    db = sky.light_curves
    sky.report(f"exporting {number:,} light curves to Parquet")
    selection = db.search(range(1, number + 1), sector=SHORT)
    folder = sky.folder / "parquet"
    begin = partial(_empty, folder)
    medians = side_by_side(
        {
            "ours": Job(partial(_export, selection, folder), begin),
            "one by one": Job(partial(_one_by_one, selection, folder), begin),
        },
        (repeat + 1) // 2,
    )
    _empty(folder)
    yield Row(
        f"export {number:,} light curves of 1,200 cadences to Parquet",
        "`LightCurve` by `LightCurve` with pyarrow",
        "faster",
        medians["one by one"] / medians["ours"],
        5,
        duration(medians["ours"], number),
        duration(medians["one by one"], number),
    )


def memory(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare the peak memory of exporting many light curves with that of exporting a few."""
    url = libpq_url(sky.light_curves)
    many, few = sky.scale.short, sky.scale.short // 10
    sky.report("exporting to Parquet with an eye on memory")
    folder = sky.folder / "parquet"
    peaks: dict[int, list[float]] = {many: [], few: []}
    for _ in range((repeat + 1) // 2):
        for number, measured in peaks.items():
            _empty(folder)
            program = PROGRAM.format(url=url, sector=SHORT, number=number, folder=str(folder))
            measured.append(peak_memory(program))
    _empty(folder)
    of_many, of_few = (statistics.median(peaks[number]) for number in (many, few))
    yield Row(
        f"peak memory of exporting {many:,} light curves to Parquet",
        f"of {few:,}",
        "MB more",
        of_many - of_few,
        64,
        f"{of_many:.0f} MB",
        f"{of_few:.0f} MB",
    )


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _export(selection: lcdb.Selection, folder: Path) -> int:
    return len(selection.export(folder, format="parquet", progress=False))


def _one_by_one(selection: lcdb.Selection, folder: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    for start in range(0, len(selection), AT_ONCE):
        some = selection[start : start + AT_ONCE]
        for lc in some.lightcurves(flagged="keep", progress=False):
            table = pa.table(
                {
                    "time": lc.time.value,
                    "flux": lc.flux.value,
                    "flux_err": lc.flux_err.value,
                    "cadenceno": lc.cadenceno.value,
                    "quality": lc.quality.value,
                }
            )
            pq.write_table(table, folder / f"{lc.meta['DATASET']}.parquet")
            number += 1
    return number
