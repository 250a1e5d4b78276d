"""Measure this package side by side with the alternatives, and print one table.

Run as ``python tests/benchmarks`` or ``make bench``. Everything is made in a temporary folder, on a
separate server, and removed at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import clicking
import converting
import distant
import exporting
import family
import importing
import large
import latency
import loading
import mapping
import memory
import partitioned
import reading
import rerunning
from report import NotMeasured, Row, machine, table
from sky import SCALES, NoDataError, Sky

BENCHMARKS: dict[str, Callable[[Sky, int], Iterator[Row | NotMeasured]]] = {
    "floor": reading.against_floor,
    "orm": reading.against_orm,
    "psycopg": reading.against_psycopg,
    "adbc": reading.against_adbc,
    "connections": reading.over_connections,
    "lightcurve": converting.one,
    "collection": converting.many,
    "dataframe": converting.frame,
    "parquet": exporting.parquet,
    "parquet-memory": exporting.memory,
    "map": mapping.local,
    "map-dask": mapping.on_dask,
    "map-killed": mapping.killed,
    "latency": latency.one_target,
    "distant": distant.database,
    "million": large.million,
    "scale": large.looking,
    "lineage": family.lineage,
    "ingest": loading.files,
    "loading": loading.against_raw,
    "bytes": reading.bytes_received,
    "memory": memory.streaming,
    "partitions": partitioned.partitions,
    "import": importing.package,
    "clicks": clicking.explorer,
    "reruns": rerunning.explorers,
}

# Making its databases takes a quarter of an hour and 6 GB.
ONLY_IF_NAMED = {"scale"}


def main() -> int:
    """Run the requested benchmarks; the exit status shows whether all could be run."""
    given = _arguments()
    warnings.simplefilter("ignore")
    rows: list[Row | NotMeasured] = []
    failed = False
    with Sky(SCALES[given.scale]) as sky:
        for name in given.only or [name for name in BENCHMARKS if name not in ONLY_IF_NAMED]:
            try:
                rows += BENCHMARKS[name](sky, given.repeat)
            except (NoDataError, ImportError) as why:
                rows.append(NotMeasured(name, str(why)))
            except Exception as error:
                # What took minutes to measure is not thrown away for the sake of one failure.
                traceback.print_exc()
                rows.append(NotMeasured(name, f"{type(error).__name__}: {error}"))
                failed = True
        sky.report("done")
        text = _text(given, machine(sky.server_version()), rows)
    print(text)
    if given.output is not None:
        given.output.write_text(text + "\n", encoding="utf-8")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--scale",
        choices=SCALES,
        default="full",
        help="small for a look in two minutes, whose numbers mean little (default: %(default)s)",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        metavar="N",
        help="rounds that are counted, fewer where one takes minutes; one more comes first "
        "(default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table here as well")
    given = parser.parse_args()
    if given.repeat < 1:
        parser.error("--repeat must be at least 1")
    return given


def _text(given: argparse.Namespace, about: str, rows: list[Row | NotMeasured]) -> str:
    load = f"load average {os.getloadavg()[0]:.1f} at the end"
    return (
        f"{table(rows)}\n\n"
        f"Measured with `--scale {given.scale} --repeat {given.repeat}`, medians of interleaved "
        f"repetitions, on {about}; {load}."
    )


if __name__ == "__main__":
    sys.exit(main())
