"""A client of the soak: one notebook that calls what comes to its mind and checks what it gets."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import cloudpickle  # noqa: F401 - imported once for all clients, as is lightkurve
import lightkurve  # noqa: F401
import numpy as np
import psutil
import sqlalchemy as sa

import lcdb_notebook as lcdb
from lcdb_notebook.models import DataSet, Target, TESSObservation

from .expected import (
    CATALOG,
    REVISED_SECTOR,
    REVISED_STARS,
    SECTOR,
    Key,
    Sums,
    checksum,
    processing,
    revised,
    version_of,
)
from .progress import Progress, wait_until
from .survive import Survivor, until_it_succeeds

Call = Callable[[lcdb.Database], None]


def run(progress: Progress, seed: int, seconds: float, through: str | None) -> None:
    """Call for so many seconds, and write the figures, or what was wrong.

    Parameters
    ----------
    progress : Progress
        The folder of the soak.
    seed : int
        The client's number.
    seconds : float
        How long to call.
    through : str or None
        URL of the database; None for the embedded server.
    """
    # The parent asks for the tracebacks of a client that hangs.
    faulthandler.register(signal.SIGUSR1)
    warnings.filterwarnings("ignore", message=".* is opened for reading, but the role")
    try:
        _Client(progress, seed).run(seconds, through)
    except BaseException:
        progress.write(f"failed-{seed}", traceback.format_exc())
        raise


class _Client:
    def __init__(self, progress: Progress, seed: int) -> None:
        self._progress = progress
        self._seed = seed
        self._chance = random.Random(seed)
        self._known = {Key(*key): Sums(*sums) for key, sums in progress.read("known.json")}
        self._of_target: dict[int, list[Key]] = {}
        for key in self._known:
            self._of_target.setdefault(key.target, []).append(key)
        self._checked = 0

    def run(self, seconds: float, through: str | None) -> None:
        name = f"soak client {self._seed}"
        os.environ["PGAPPNAME"] = name
        calls: list[Call] = [
            self._one_light_curve,
            self._all_of_a_target,
            self._several_targets,
            self._a_table,
            self._a_page_of_the_search,
            self._a_page_of_targets,
            self._a_query_of_the_session,
            self._a_map,
            self._revised_records,
            self._revised_light_curve,
        ]
        survivor = Survivor(self._chance, name)
        process, latencies = psutil.Process(), []
        with (
            lcdb.connect(through, statement_timeout=600)
            if through
            else lcdb.connect(embedded=self._progress.server)
        ) as db:
            for call in calls:
                # Imports, caches and buffers get the size that they keep; not counted as latency.
                until_it_succeeds(partial(call, db))
            self._progress.write(f"ready-{self._seed}", True)
            assert wait_until(lambda: self._progress.read("go", False), 300), "it did not begin"
            ends, warm = time.monotonic() + seconds, process.memory_info().rss
            while time.monotonic() < ends:
                call = self._chance.choice(calls)
                called = time.perf_counter()
                survivor.make(partial(call, db))
                latencies.append(time.perf_counter() - called)
        figures = {
            "latencies": latencies,
            "growth": process.memory_info().rss - warm,
            "checked": self._checked,
            "forks": survivor.forks,
            "interrupts": survivor.interrupts,
            "losses": survivor.losses,
            "slowest_prompt": survivor.slowest_prompt,
        }
        self._progress.write(f"result-{self._seed}", figures)

    # What the first writer added

    def _one_light_curve(self, db: lcdb.Database) -> None:
        target = self._a_target()
        key = self._chance.choice(self._of_target[target])
        lightcurve = db.lightcurve(
            key.target,
            catalog=CATALOG,
            sector=SECTOR,
            exptime=key.exposure,
            photometry=key.photometry,
            processing=key.processing,
            quality_bitmask="none",
        )
        assert lightcurve.meta["TARGETID"] == target, f"{lightcurve.meta['TARGETID']} for {target}"
        found = checksum(lightcurve.time.value, lightcurve.flux.value)
        self._compare(key, self._known[key].lightcurve, found)

    def _all_of_a_target(self, db: lcdb.Database) -> None:
        self._records(db, [self._a_target()])

    def _several_targets(self, db: lcdb.Database) -> None:
        there = self._progress.committed()
        self._records(db, self._chance.sample(range(1, there + 1), min(there, 12)))

    def _a_table(self, db: lcdb.Database) -> None:
        target = self._a_target()
        frame = db.dataframe(target, catalog=CATALOG, sector=SECTOR, quality_bitmask="none")
        assert set(frame["target"]) == {target}, f"{set(frame['target'])} for {target}"
        sums = {
            checksum(curve["time"].to_numpy(), curve["flux"].to_numpy())
            for _, curve in frame.groupby("dataset", sort=False, observed=True)
        }
        right = {self._known[key].lightcurve for key in self._of_target[target]}
        assert sums == right, f"the table of target {target} is not what was written"
        self._checked += len(sums)

    def _a_page_of_the_search(self, db: lcdb.Database) -> None:
        there = 6 * self._progress.committed()
        size = min(40, there)
        first = self._chance.randint(0, there - size)
        table = db.search(sector=SECTOR)[first : first + size].table
        assert len(table) == size, f"{len(table)} rows from {first} on, of {there} at least"

    def _a_page_of_targets(self, db: lcdb.Database) -> None:
        there = self._progress.committed()
        first = self._chance.randrange(there)
        found = db.targets(limit=20, offset=first)["target"].tolist()
        assert found[: there - first] == [*range(first + 1, min(first + 20, there) + 1)], found

    def _a_query_of_the_session(self, db: lcdb.Database) -> None:
        target = self._a_target()
        query = (
            sa.select(DataSet)
            .join(Target, Target.id == DataSet.target_id)
            .join(TESSObservation, TESSObservation.id == DataSet.observation_id)
            .where(Target.name == target, TESSObservation.sector == SECTOR)
            .execution_options(yield_per=4)
        )
        try:
            found = [len(dataset.values) for dataset in db.session.scalars(query)]
        finally:
            db.session.rollback()
            db.session.expunge_all()
        assert len(found) == len(self._of_target[target]), f"target {target}: {found}"

    def _a_map(self, db: lcdb.Database) -> None:
        target = self._a_target()
        found = db.search(target, catalog=CATALOG, sector=SECTOR)
        table = found.map(_sum, workers=1, datasets="record", progress=False)
        for row in table.to_dict("records"):
            # A row may have failed because the server was away.
            if row["error"] is None:
                key = Key(target, int(row["exposure"]), row["photometry"], row["processing"])
                assert row["target"] == target, f"{row['target']} for {target}"
                self._compare(key, self._known[key].record, int(row["sum"]))

    def _records(self, db: lcdb.Database, targets: list[int]) -> None:
        missing = {key for target in targets for key in self._of_target[target]}
        for data in db.search(targets, catalog=CATALOG, sector=SECTOR).read(progress=False):
            exposure = int(data.observation.fields["exptime"])
            key = Key(data.target, exposure, str(data.photometry), data.processing or "raw")
            self._compare(key, self._known[key].record, _sum(data)["sum"])
            missing.remove(key)
        assert not missing, f"lost: {missing}"

    def _compare(self, key: Key, right: int, found: int) -> None:
        assert found == right, f"{key} is not what was written"
        self._checked += 1

    def _a_target(self) -> int:
        return self._chance.randint(1, self._progress.committed())

    # What the second writer replaces

    def _revised_records(self, db: lcdb.Database) -> None:
        targets = self._chance.sample(range(1, REVISED_STARS + 1), 4)
        before = {target: self._progress.versions(target).committed for target in targets}
        found = db.search(targets, catalog=CATALOG, sector=REVISED_SECTOR)
        seen = 0
        for data in found.read(progress=False):
            timed = np.isfinite(data.time)
            arrays = (data.cadence[timed], data.time[timed], data.flux[timed])
            name = (str(data.photometry), data.processing or "raw")
            self._compare_revised(data.target, name, arrays, before[data.target])
            assert np.isnan(data.flux[~timed]).all(), f"target {data.target}: flux without times"
            seen += 1
        assert seen == 6 * len(targets), f"{seen} revised light curves of {targets}"

    def _revised_light_curve(self, db: lcdb.Database) -> None:
        target = self._chance.randint(1, REVISED_STARS)
        before = self._progress.versions(target).committed
        curve = self._chance.choice(revised(target, 0).curves)
        name = (curve.photometry.name, processing(curve))
        lightcurve = db.lightcurve(
            target,
            catalog=CATALOG,
            sector=REVISED_SECTOR,
            photometry=name[0],
            processing=name[1],
            quality_bitmask="none",
        )
        arrays = (
            lightcurve["cadenceno"].value,
            lightcurve.time.value,
            np.asarray(lightcurve.flux.value),
        )
        self._compare_revised(target, name, arrays, before)

    def _compare_revised(
        self, target: int, name: tuple[str, str], arrays: tuple[Any, Any, Any], before: int
    ) -> None:
        version = version_of(len(arrays[0]))
        begun = self._progress.versions(target).begun
        assert before <= version <= begun, f"version {version}, not {before} to {begun}"
        right = revised(target, version)
        [curve] = [c for c in right.curves if (c.photometry.name, processing(c)) == name]
        for found, expected in zip(arrays, (right.cadence, right.time, curve.flux), strict=True):
            assert np.array_equal(found, expected), f"{target}, {name} is not version {version}"
        self._checked += 1


def _sum(data: Any) -> dict[str, int]:
    """Compute the checksum of a record; also a function for ``map``."""
    return {
        "sum": checksum(data.cadence, data.time, data.flux, data.flux_err),
        "exposure": int(data.observation.fields["exptime"]),
    }
