"""A function over many light curves: what handing it out costs, and what a second core gains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psutil
from measure import Job, side_by_side
from report import Row, duration
from sky import SHORT, Sky

import lcdb_notebook as lcdb

PERIODS = np.geomspace(0.5, 12, 300)
"""Days; few, for a real search takes so long that no overhead would be seen beside it."""


def local(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare processes of this machine with a plain loop."""
    yield from _against_loop(
        sky,
        repeat,
        {
            "in one process": (1, partial(_map, workers=1)),
            "in two processes": (2, partial(_map, workers=2)),
        },
    )


def on_dask(sky: Sky, repeat: int) -> Iterator[Row]:
    """Compare the workers of a local Dask cluster with a plain loop."""
    with _dask_workers(1) as (_, one), _dask_workers(2) as (_, two):
        yield from _against_loop(
            sky,
            repeat,
            {
                "by one Dask worker": (1, partial(_map, client=one)),
                "by two Dask workers": (2, partial(_map, client=two)),
            },
        )


def killed(sky: Sky, repeat: int) -> Iterator[Row]:
    """Kill one of two Dask workers in the middle, and compare what comes out all the same."""
    del repeat
    selection = sky.light_curves.search(sector=SHORT)
    sky.report(f"mapping over {len(selection):,} light curves, and killing a worker meanwhile")
    began = time.perf_counter()
    plain = selection.map(middle, workers=2, progress=False)
    without = time.perf_counter() - began
    with _dask_workers(2) as (cluster, client):
        victim = psutil.Process(next(iter(cluster.workers.values())).pid)
        # When half of the time that it takes without Dask is over.
        timer = threading.Timer(without / 2, victim.kill)
        timer.start()
        began = time.perf_counter()
        survived = selection.map(middle, client=client, progress=False)
        taken = time.perf_counter() - began
        if timer.is_alive() or victim.is_running():
            raise AssertionError("the worker was not killed in time")
    pd.testing.assert_frame_equal(survived, plain)
    yield Row(
        f"`map` over {len(selection):,} light curves by two Dask workers, one killed meanwhile",
        "the same DataFrame from two processes of this machine",
        "at most",
        taken / without,
        None,
        duration(taken, len(selection)),
        duration(without, len(selection)),
    )


@contextmanager
def _dask_workers(count: int) -> Iterator[tuple[Any, Any]]:
    """Start a Dask cluster of so many single-threaded processes; give it and a client of it."""
    import distributed

    # distributed is typed only in part, and what of it is differs between its versions.
    untyped: Any = distributed
    with (
        untyped.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        untyped.Client(cluster, set_as_default=False) as client,
    ):
        yield cluster, client


def middle(lc: Any) -> dict[str, float]:
    """Return the median and the scatter of a light curve."""
    return {"median": float(np.nanmedian(lc.flux.value)), "scatter": float(lc.flux.value.std())}


def _against_loop(
    sky: Sky, repeat: int, ways: dict[str, tuple[int, Callable[[lcdb.Selection], int]]]
) -> Iterator[Row]:
    number = sky.scale.short // 5
    selection = sky.light_curves.search(range(1, number + 1), sector=SHORT)
    sky.report(f"searching {number:,} light curves for transits, {' and '.join(ways)}")
    jobs = {how: Job(partial(run, selection)) for how, (_, run) in ways.items()}
    medians = side_by_side({"loop": Job(partial(_loop, selection)), **jobs}, (repeat + 1) // 2)
    for how, (workers, _) in ways.items():
        longer = medians[how] / medians["loop"]
        yield Row(
            f"`map` a transit search over {number:,} light curves {how}",
            "a loop over `lightcurves()`",
            "at most" if workers == 1 else "faster",
            longer if workers == 1 else 1 / longer,
            1.15 if workers == 1 else 1.6,
            duration(medians[how], number),
            duration(medians["loop"], number),
        )


def transit(lc: Any) -> dict[str, float]:
    """Search for a transit; some 10 ms."""
    from astropy.timeseries import BoxLeastSquares

    found = BoxLeastSquares(lc.time.value, lc.flux.value).power(PERIODS, 0.1, oversample=3)
    best = int(np.argmax(found.power))
    return {"period": float(found.period[best]), "power": float(found.power[best])}


def _loop(selection: lcdb.Selection) -> int:
    return len([transit(lc) for lc in selection.lightcurves(progress=False)])


def _map(selection: lcdb.Selection, **how: Any) -> int:
    done = selection.map(transit, progress=False, **how)
    if done["error"].notna().any():
        raise AssertionError(done["error"].dropna().iloc[0])
    return len(done)
