"""Measuring side by side: every job in turn, again and again, and the medians of it."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """Something to time.

    ``run`` returns what shows that the jobs of one comparison do the same work, such as the number
    of cadences read, or None if it reads none; ``before`` is done before each run and not timed.
    """

    run: Callable[[], Hashable | None]
    before: Callable[[], object] | None = None


def side_by_side(jobs: Mapping[str, Job], repeat: int) -> dict[str, float]:
    """Time jobs A and B as A B, A B, A B ..., and give the median of each in seconds.

    A first round is not counted: it fills caches, imports modules and makes connections.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(repeat + 1):
        done: dict[str, Hashable | None] = {}
        for name, job in jobs.items():
            if job.before is not None:
                job.before()
            gc.collect()
            start = time.perf_counter()
            done[name] = job.run()
            elapsed = time.perf_counter() - start
            if round_:
                seconds[name].append(elapsed)
        if len(set(done.values()) - {None}) > 1:
            raise AssertionError(f"these jobs did not do the same work: {done}")
    return {name: statistics.median(times) for name, times in seconds.items()}


def processes(codes: Mapping[str, str], repeat: int) -> dict[str, tuple[float, float]]:
    """Time Python programs as wholes, in turn: medians of (wall clock, processor) seconds."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for round_ in range(repeat + 1):
        for name, code in codes.items():
            start, used = time.perf_counter(), _children()
            _run(code)
            if round_:
                measured[name].append((time.perf_counter() - start, _children() - used))
    return {
        name: (statistics.median(wall for wall, _ in both), statistics.median(c for _, c in both))
        for name, both in measured.items()
    }


def peak_memory(code: str) -> float:
    """Run a Python program, and give the most memory that it held, in MB (2**20 bytes)."""
    return float(_run(code + _PEAK))


# On Linux ru_maxrss also counts what the parent held when it forked, so the kernel's own high-water
# mark of the new program is requested first.
_PEAK = """
import pathlib, re, resource, sys
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 2**10)
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / 2 ** (20 if sys.platform == "darwin" else 10))
"""


def _run(code: str) -> str:
    # Without this, what the other program is given to warn of would end up in its answer.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
