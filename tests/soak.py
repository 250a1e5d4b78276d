"""Many notebooks on one embedded server for minutes on end, while a writer fills it: ``make soak``.

Sixteen processes search, page and read at random, each through a read-only connection of its own;
every other one through a PgBouncer, through which two other programs write as well, and every
fourth through a network that freezes at random. Connections of the others are cut, and all clients
fork and interrupt themselves at random.
What every light curve has to be is known before it is written, as checksums of its arrays; what a
client finds missing or different ends the run with exit code 1. At the end memory, connections and
latencies are told.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sqlalchemy as sa
from accidents import CLIENT, accidents, survive
from server.pgbouncer import PGBOUNCER, pgbouncer

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.server import embedded

CLIENTS = 16
TARGETS_A_SECOND = 4
"""How fast the writer writes: six light curves of 1,200 cadences each, twice as many for two."""

BATCH = 8
POLL = 0.1
"""Seconds between two looks at a file or a process that is waited for."""

MOST_GROWTH = 32 * 1024 * 1024
"""Bytes that a client may grow by after its warm-up; a leak of 1 kB a call would be more."""

Key = tuple[int, int, str, str]

POOLED = 6
"""Connections of the pooler to the server: three for each of two roles."""

HARM: list[str] = []
"""What other programs suffered behind the pooler."""


def main() -> int:
    """Run the command, or one of the processes that it starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--role", choices=["writer", "client"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "writer":
        return write(given.folder, given.seconds)
    if given.role == "client":
        return Client(given.folder, given.seed).run(given.seconds)
    return soak(given.seconds, given.clients)


def soak(seconds: float, clients: int) -> int:
    """Start everybody, look at the server meanwhile, and tell what came of it."""
    with tempfile.TemporaryDirectory(prefix="lcdb-soak-") as name:
        folder = Path(name)
        # Somebody who is root has a server that runs as another user, who has to be able to enter.
        folder.chmod(0o755)
        targets = max(BATCH, round(seconds * TARGETS_A_SECOND))
        say(f"summing up {targets:,} targets")
        (folder / "known.json").write_text(json.dumps(known(targets)))
        tell_committed(folder, 0)
        with ExitStack() as stack:
            db = stack.enter_context(lcdb.connect(embedded=folder / "server", write=True))
            say(f"{clients} clients and a writer for {seconds:g} s on {db!r}")
            begin(db, folder)
            pooler = stack.enter_context(shared_connections(folder))
            server = stack.enter_context(embedded.start(folder / "server"))
            (folder / "frozen").write_text(stack.enter_context(accidents(server.url())))
            processes = [start("client", folder, seconds, seed) for seed in range(clients)]
            wait_until(
                lambda: (
                    len([*folder.glob("ready-*")]) == clients
                    or any(process.poll() for process in processes)
                )
            )
            processes.append(start("writer", folder, seconds, 0))
            most = watch(db, processes)
            told = [process.communicate() for process in processes]
            harmed = pooler is not None and strangers_are_harmed(pooler)
        return int(harmed) or report(processes, told, most, folder)


@contextmanager
def shared_connections(folder: Path) -> Iterator[sa.URL | None]:
    """Run a PgBouncer for every other client, and two programs that write through it as well."""
    if PGBOUNCER is None:
        say("without a pooler: PgBouncer is not installed")
        yield None
        return
    server = embedded.start(folder / "server")
    # In transaction mode, and with options ignored: what is set on a connection reaches others.
    with (
        server,
        pgbouncer(server.url(), "transaction", lenient=True, users=("lcdb_reader",)) as url,
    ):
        with stranger(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE of_strangers (x int)")
        (folder / "pooler").write_text(
            url.set(username="lcdb_reader").render_as_string(hide_password=False)
        )
        running = threading.Event()
        running.set()
        threads = [
            threading.Thread(target=keep_inserting, args=(url, running), daemon=True)
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        try:
            yield url
        finally:
            running.clear()
            for thread in threads:
                thread.join()


@contextmanager
def stranger(url: sa.URL) -> Iterator[Any]:
    """Connect as another program would, which knows nothing of this package."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    connection = engine.raw_connection()
    try:
        yield connection
    finally:
        connection.close()


def keep_inserting(url: sa.URL, running: threading.Event) -> None:
    """Write through the pooler, and note an error if that ever fails."""
    try:
        with stranger(url) as connection:
            while running.is_set():
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO of_strangers VALUES (1)")
                running.wait(0)
                threading.Event().wait(POLL)
    except Exception as error:
        HARM.append(f"another program could not write through the pooler: {error}")


def strangers_are_harmed(url: sa.URL) -> bool:
    """Tell whether other programs failed, or find their settings changed."""
    with stranger(url) as connection, connection.cursor() as cursor:
        for name, value in {
            "default_transaction_read_only": "off",
            "statement_timeout": "0",
            "client_connection_check_interval": "0",
        }.items():
            cursor.execute(f"SHOW {name}")
            if (found := cursor.fetchone()[0]) != value:
                HARM.append(f"{name} is {found} for another program")
    for harm in HARM:
        say(harm)
    return bool(HARM)


def start(role: str, folder: Path, seconds: float, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--role", role, "--folder", str(folder)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(POLL)


def watch(db: lcdb.Database, processes: list[subprocess.Popen[str]]) -> int:
    """Count the connections until everybody has finished; give the highest number."""
    connected = sa.text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    most = 0
    while any(process.poll() is None for process in processes):
        most = max(most, db.session.scalar(connected) or 0)
        db.session.rollback()
        threading.Event().wait(POLL)
    return most


def report(
    processes: list[subprocess.Popen[str]], told: list[tuple[str, str]], most: int, folder: Path
) -> int:
    """Print one line a figure; 1 if something was lost, wrong, or grew."""
    failures = []
    for number, (process, (_, errors)) in enumerate(zip(processes, told, strict=True)):
        if process.returncode:
            failures.append(f"process {number} ended with {process.returncode}: {errors[-2000:]}")
    results = [json.loads(path.read_text()) for path in folder.glob("result-*.json")]
    clients = len(processes) - 1
    latencies = np.concatenate([result["latencies"] for result in results] or [np.zeros(0)])
    growth = max((result["growth"] for result in results), default=0)
    if growth > MOST_GROWTH:
        failures.append(f"a client grew by {growth / 1e6:.0f} MB after its warm-up")
    # Every other client shares the connections of the pooler.
    through_pooler = clients // 2 if (folder / "pooler").exists() else 0
    # Each of the others may have a forked child that reads, or have given a connection up just now.
    allowed = 2 * (clients - through_pooler) + 1 + (POOLED if through_pooler else 0)
    if most > allowed:
        failures.append(f"{most} connections for {clients} clients and a writer")
    if not latencies.size:
        failures.append("no client did anything")
    else:
        checked = sum(result["checked"] for result in results)
        median, slow = np.percentile(latencies, [50, 99]) * 1000
        print(
            f"{clients} clients made {latencies.size:,} calls and checked {checked:,} light curves "
            f"while {committed(folder):,} targets were written\n"
            f"latency of a call: median {median:.0f} ms, 99th percentile {slow:.0f} ms, "
            f"longest {latencies.max() * 1000:.0f} ms\n"
            f"connections at most: {most}\n"
            f"memory of the client that grew most, after its warm-up: {growth / 1e6:+.1f} MB\n"
            f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, "
            f"Python {platform.python_version()}"
        )
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


# What is written, and what has to be found


def stars(targets: int) -> Iterator[Product]:
    return demo.products(targets, sectors=[1])


def known(targets: int) -> list[tuple[Key, int, int]]:
    """Give of each light curve the checksums of its record, and of what becomes a LightCurve."""
    sums = []
    for product in stars(targets):
        exposure = int(product.observation_fields["exptime"])
        seen = np.isfinite(product.time)
        for curve in product.curves:
            name = curve.processing.name if curve.processing else "raw"
            arrays = (product.cadence.astype("i8"), product.time, curve.flux, curve.flux_err)
            whole = checksum(*arrays)
            cut = checksum(product.time[seen], curve.flux[seen])
            key = (product.target, exposure, curve.photometry.name, name)
            sums.append((key, whole, cut))
    return sums


def checksum(*arrays: Any) -> int:
    total = 0
    for array in arrays:
        if array is not None:
            total = zlib.crc32(np.ascontiguousarray(array).tobytes(), total)
    return total


def committed(folder: Path) -> int:
    return int((folder / "committed").read_text())


def tell_committed(folder: Path, targets: int) -> None:
    new = folder / "committed.new"
    new.write_text(str(targets))
    new.replace(folder / "committed")


def put(db: lcdb.Database, products: list[Product]) -> None:
    connection = db.session.connection()
    for outcome in store(connection, products):
        if outcome.error is not None:
            raise outcome.error
    db.session.commit()


def begin(db: lcdb.Database, folder: Path) -> None:
    """Write the first targets, those with two light curves of each kind, so that none is empty."""
    put(db, list(stars(BATCH)))
    tell_committed(folder, BATCH)


def write(folder: Path, seconds: float) -> int:
    """Write target after target, as a pipeline hands them out."""
    total = max(BATCH, round(seconds * TARGETS_A_SECOND))
    with lcdb.connect(embedded=folder / "server", write=True) as db:
        (folder / "go").touch()
        ends = time.monotonic() + seconds
        batch = []
        for product in stars(total):
            if product.target <= BATCH:
                continue
            batch.append(product)
            if len(batch) == BATCH or product.target == total:
                put(db, batch)
                tell_committed(folder, product.target)
                batch = []
                # A pace, not a condition: the readers are to meet a database that always changes.
                due = ends - seconds * (1 - product.target / total)
                threading.Event().wait(max(0.0, due - time.monotonic()))
            if time.monotonic() > ends:
                break
    return 0


class Calm(random.Random):
    """A chance at which nothing happens."""

    def random(self) -> float:
        return 1.0


class Client:
    """One notebook: it calls what comes to its mind and compares what it gets."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.chance = random.Random(seed)
        sums = json.loads((folder / "known.json").read_text())
        self.known = {tuple(key): (whole, cut) for key, whole, cut in sums}
        self.of_target: dict[int, list[Key]] = {}
        for key in self.known:
            self.of_target.setdefault(key[0], []).append(key)
        self.checked = 0

    def run(self, seconds: float) -> int:
        """Call for so long, then print the figures as JSON."""
        process, latencies = psutil.Process(), []
        calls: list[Callable[[lcdb.Database, int], None]] = [
            self.one_light_curve,
            self.all_of_a_target,
            self.several_targets,
            self.a_table,
            self.a_page_of_the_search,
            self.a_page_of_targets,
        ]
        pooler = self.folder / "pooler"
        through = pooler.read_text() if self.seed % 2 and pooler.exists() else None
        if self.seed % 4 == 2:
            through = (self.folder / "frozen").read_text()
        with (
            lcdb.connect(through, statement_timeout=600)
            if through
            else lcdb.connect(embedded=self.folder / "server", application_name=CLIENT)
        ) as db:
            for call in calls:
                # Imports, caches and buffers get the size that they keep; nobody's latency.
                survive(partial(call, db, committed(self.folder)), Calm())
            (self.folder / f"ready-{self.seed}").touch()
            wait_until((self.folder / "go").exists)
            ends, warm = time.monotonic() + seconds, process.memory_info().rss
            while time.monotonic() < ends:
                there = committed(self.folder)
                call = self.chance.choice(calls)
                called = time.perf_counter()
                survive(partial(call, db, there), self.chance)
                latencies.append(time.perf_counter() - called)
        growth = process.memory_info().rss - warm
        figures = {"latencies": latencies, "growth": growth, "checked": self.checked}
        # Into a file: a pipe that nobody reads yet would be full.
        (self.folder / f"result-{self.seed}.json").write_text(json.dumps(figures))
        return 0

    def one_light_curve(self, db: lcdb.Database, there: int) -> None:
        key = self.chance.choice(self.of_target[self.chance.randint(1, there)])
        target, exposure, photometry, processing = key
        lightcurve = db.lightcurve(
            target,
            catalog="DEMO",
            exptime=exposure,
            photometry=photometry,
            processing=processing,
            quality_bitmask="none",
        )
        self._compare(key, 1, checksum(lightcurve.time.value, lightcurve.flux.value))

    def all_of_a_target(self, db: lcdb.Database, there: int) -> None:
        self._records(db, [self.chance.randint(1, there)])

    def several_targets(self, db: lcdb.Database, there: int) -> None:
        self._records(db, self.chance.sample(range(1, there + 1), min(there, 12)))

    def a_table(self, db: lcdb.Database, there: int) -> None:
        target = self.chance.randint(1, there)
        frame = db.dataframe(target, catalog="DEMO", quality_bitmask="none")
        curves = frame.groupby(["dataset"], sort=False, observed=True)
        assert len(curves) == len(self.of_target[target]), f"target {target}: {len(curves)} curves"

    def a_page_of_the_search(self, db: lcdb.Database, there: int) -> None:
        first = self.chance.randrange(6 * there - 50) if there > BATCH else 0
        size = min(40, 6 * there)
        table = db.search(sector=1)[first : first + size].table
        assert len(table) == size, f"{len(table)} rows from {first} on, of {6 * there} at least"

    def a_page_of_targets(self, db: lcdb.Database, there: int) -> None:
        first = self.chance.randrange(there)
        found = db.targets(limit=20, offset=first)["target"].tolist()
        assert found[: there - first] == [*range(first + 1, min(first + 20, there) + 1)], found

    def _records(self, db: lcdb.Database, targets: list[int]) -> None:
        wanted = {key for target in targets for key in self.of_target[target]}
        for data in db.search(targets, catalog="DEMO").read(progress=False):
            assert data.photometry is not None
            exposure = int(data.observation.fields["exptime"])
            key = (data.target, exposure, data.photometry, data.processing or "raw")
            self._compare(key, 0, checksum(data.cadence, data.time, data.flux, data.flux_err))
            wanted.remove(key)
        assert not wanted, f"lost: {wanted}"

    def _compare(self, key: Key, which: int, found: int) -> None:
        assert found == self.known[key][which], f"{key} is not what was written"
        self.checked += 1


if __name__ == "__main__":
    sys.exit(main())
