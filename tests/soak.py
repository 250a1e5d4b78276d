"""Many notebooks on one embedded server for minutes on end, with accidents: ``make soak``.

Sixteen clients search, page and read at random. Every other one goes through a PgBouncer, which two
programs without this package share with them, and every fourth through a network that
freezes at random. One writer adds stars, another replaces light curves by longer ones through the
pooler. Meanwhile connections are cut and the server is restarted, stopped and killed at random;
clients interrupt themselves, and fork children that read or die.

What every light curve has to be is known, so each one read is compared by star, version and
checksum. A wrong or missing light curve, a hang, kept connections or memory, or an effect on the
other programs ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import psutil
from server.frozen_proxy import FrozenProxy
from soaking import client, writers
from soaking.accidents import Accidents
from soaking.connections import Connections
from soaking.expected import known
from soaking.progress import POLL, Progress, wait_until
from soaking.strangers import ROLE, SIZE, Strangers, pooler
from soaking.survive import PATIENCE

import lcdb_notebook as lcdb
from lcdb_notebook.server import embedded

CLIENTS = 16
TARGETS_A_SECOND, MOST_TARGETS = 4, 2000
"""How fast the first writer writes, and when it ends: six light curves of 1,200 cadences a star."""

MOST_GROWTH = 32 * 1024 * 1024
"""Bytes that a client may grow by after its warm-up; a leak of 1 kB a call would be more."""

_START_WITHIN = 240.0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    given = parser.parse_args()
    faulthandler.register(signal.SIGUSR1)
    with tempfile.TemporaryDirectory(prefix="lcdb-soak-") as name:
        folder = Path(name)
        # Somebody who is root has a server that runs as another user, who has to be able to enter.
        folder.chmod(0o755)
        return Soak(Progress(folder), given.seconds, given.clients).run()


class Soak:
    """One run.

    Parameters
    ----------
    progress : Progress
        The folder of the database, and of the files by which the processes communicate.
    seconds : float
        How long clients call.
    clients : int
        The number of clients.
    """

    def __init__(self, progress: Progress, seconds: float, clients: int) -> None:
        self._progress = progress
        self._seconds = seconds
        self._clients = clients
        self._targets = min(MOST_TARGETS, max(writers.BATCH, round(seconds * TARGETS_A_SECOND)))
        self._processes: list[ForkServerProcess] = []
        self._failures: list[str] = []

    def run(self) -> int:
        """Start everybody, wait for them, and report; 1 if something was wrong."""
        began = time.monotonic()
        report(f"summing up {self._targets:,} targets")
        self._progress.write("known.json", known(self._targets))
        with ExitStack() as stack:
            server = stack.enter_context(embedded.start(self._progress.server))
            with lcdb.connect(embedded=self._progress.server, write=True) as db:
                writers.begin(db, self._progress)
            proxy = stack.enter_context(FrozenProxy(server.url(reading=True)))
            accidents = Accidents(server, proxy)
            log = self._progress.folder / "pgbouncer.log"
            pooled = stack.enter_context(pooler(server.url(), log))
            if pooled is None:
                report("without a pooler: PgBouncer is not installed")
            strangers = Strangers(pooled, accidents.explain) if pooled is not None else None
            connections = Connections(server.url(), ROLE, SIZE)
            through = pooled.render_as_string(hide_password=False) if pooled is not None else None
            self._start(through, proxy.url)
            report(f"{self._clients} clients and two writers for {self._seconds:g} s")
            with strangers.running() if strangers else nullcontext():
                if self._wait_for_start():
                    self._progress.write("go", True)
                    with accidents.happening():
                        self._watch(connections, self._seconds)
                    self._watch(connections, 2 * PATIENCE)
                self._end()
        if strangers is not None:
            self._failures += sorted(set(strangers.harm))
        if accidents.failure is not None:
            self._failures.append(f"the server did not come back: {accidents.failure!r}")
        self._failures += connections.faults()
        self._report(accidents, connections, strangers)
        print(f"{time.monotonic() - began:.0f} s in all")
        if self._failures:
            over = time.monotonic()
            for at, took, name in accidents.last:
                print(f"{over - at:.1f} s ago, for {took:.1f} s: {name}", file=sys.stderr)
            if log.exists():
                print("PgBouncer:", log.read_text()[-6000:], sep="\n", file=sys.stderr)
        for failure in self._failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        return 1 if self._failures else 0

    def _start(self, pooled: str | None, frozen: str) -> None:
        # Children of a process that has imported everything, but opened nothing.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["soaking.client", "soaking.writers"])
        # It does not get the path of this process with the modules to import.
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:lightkurve.prf"
        os.environ["TQDM_DISABLE"] = "1"
        progress, seconds = self._progress, self._seconds
        for seed in range(self._clients):
            through = pooled if seed % 2 else frozen if seed % 4 == 2 else None
            given = (progress, seed, seconds, through)
            process = context.Process(target=client.run, args=given, name=f"client {seed}")
            self._processes.append(process)
        given_writer = (progress, seconds, self._targets)
        self._processes += [
            context.Process(target=writers.append, args=given_writer, name="first writer"),
            context.Process(
                target=writers.revise, args=(progress, seconds, pooled), name="second writer"
            ),
        ]
        for process in self._processes:
            process.start()

    def _wait_for_start(self) -> bool:
        return (
            wait_until(
                lambda: (
                    self._progress.count("ready-") == len(self._processes) or self._any_failed()
                ),
                _START_WITHIN,
            )
            and not self._any_failed()
        )

    def _any_failed(self) -> bool:
        return any(process.exitcode for process in self._processes)

    def _watch(self, connections: Connections, seconds: float) -> None:
        """Count connections for so long, or until everybody has finished or somebody failed."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._any_failed():
            if all(process.exitcode is not None for process in self._processes):
                return
            connections.count()
            time.sleep(POLL)

    def _end(self) -> None:
        """Note who failed or hangs, and end who still runs."""
        failed = self._any_failed()
        for process in self._processes:
            if process.exitcode:
                self._failures.append(f"the {process.name} ended with {process.exitcode}")
            elif process.exitcode is None:
                if not failed:
                    self._failures.append(f"the {process.name} hangs")
                    # It prints where it is.
                    os.kill(process.pid or 0, signal.SIGUSR1)
                    time.sleep(1)
                process.kill()
                process.join()
        for seed in range(self._clients):
            if (message := self._progress.read(f"failed-{seed}")) is not None:
                self._failures.append(f"client {seed}: {message}")

    def _report(
        self, accidents: Accidents, connections: Connections, strangers: Strangers | None
    ) -> None:
        """Print one line a figure."""
        names = [f"result-{seed}" for seed in range(self._clients)]
        results = [result for name in names if (result := self._progress.read(name)) is not None]
        if not results:
            self._failures.append("no client finished")
            return
        latencies = np.concatenate([result["latencies"] for result in results])
        growth = max(result["growth"] for result in results)
        if growth > MOST_GROWTH:
            self._failures.append(f"a client grew by {growth / 1e6:.0f} MB after its warm-up")

        def total(name: str) -> int:
            return sum(result[name] for result in results)

        median, slow = np.percentile(latencies, [50, 99]) * 1000
        prompt = max(result["slowest_prompt"] for result in results)
        happened = ", ".join(f"{name} {n}" for name, n in sorted(accidents.happened.items()))
        lines = [
            f"{self._clients} clients made {latencies.size:,} calls and checked "
            f"{total('checked'):,} light curves, while {self._progress.committed():,} stars were "
            "written and others replaced",
            f"accidents: {happened}; connections lost {total('losses'):,} times, "
            f"{total('forks'):,} forks, {total('interrupts'):,} interrupts",
            f"latency of a call, retries included: median {median:.0f} ms, 99th percentile "
            f"{slow:.0f} ms, longest {latencies.max() * 1000:.0f} ms; from an interrupt to the "
            f"prompt at most {prompt:.1f} s",
            f"connections at most: {connections.most}, of which the pooler's "
            f"{connections.most_pooled}",
            f"memory of the client that grew most, after its warm-up: {growth / 1e6:+.1f} MB",
            f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, "
            f"Python {platform.python_version()}",
        ]
        if strangers is not None:
            lines.insert(3, f"other programs inserted {sum(strangers.inserted):,} rows")
        print("\n".join(lines))


def report(what: str) -> None:
    """Print a line at once."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
