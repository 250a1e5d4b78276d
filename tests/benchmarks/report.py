"""What was measured, as one Markdown table, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

PACKAGES = (
    "numpy",
    "psycopg2-binary",
    "psycopg",
    "adbc-driver-postgresql",
    "sqlalchemy",
    "pandas",
    "astropy",
    "lightkurve",
)


@dataclass(frozen=True)
class Row:
    """One comparison.

    Parameters
    ----------
    work, against
        What was done by this package, and with what it is compared.
    kind
        "at most" so many times as long (or as much) as the other, so many times "faster" than it,
        or so many "MB more"; "ms", "kB" and "MB" are what a person waits for.
    ratio, goal
        What was measured and what is to be reached, both in the sense of ``kind``; a goal of None
        is for knowledge only.
    ours, theirs
        The medians themselves, with units.
    """

    work: str
    against: str
    kind: Literal["at most", "faster", "MB more", "ms", "kB", "MB"]
    ratio: float
    goal: float | None
    ours: str
    theirs: str

    @property
    def reached(self) -> bool:
        """Whether the goal was reached, if there is one."""
        if self.goal is None:
            return True
        return self.ratio >= self.goal if self.kind == "faster" else self.ratio <= self.goal

    def cells(self) -> list[str]:
        """The row of the table."""
        decimals, before, after = {
            "at most": (".3f", "at most ", " times"),
            "faster": (".2f", "", " times faster"),
            "MB more": (".0f", "at most ", " MB more"),
            "ms": (".0f", "at most ", " ms"),
            "kB": (".1f", "at most ", " kB"),
            "MB": (".2f", "at most ", " MB"),
        }[self.kind]
        ratio = f"{self.ratio:{decimals}}{after}"
        if self.goal is None:
            return [self.work, self.against, ratio, "no goal", "", self.ours, self.theirs]
        goal = f"{before}{self.goal:g}{after}"
        if self.kind == "faster" and self.goal == 1:
            goal = "faster"
        reached = "yes" if self.reached else "**no**"
        return [self.work, self.against, ratio, goal, reached, self.ours, self.theirs]


@dataclass(frozen=True)
class NotMeasured:
    """A comparison that could not be made, and why."""

    work: str
    why: str

    def cells(self) -> list[str]:
        """The row of the table."""
        return [self.work, f"not measured: {self.why}", "", "", "", "", ""]


def table(rows: Sequence[Row | NotMeasured]) -> str:
    """Write a Markdown table."""
    lines = [
        "| work | against | ratio | to reach | reached | this package | the other |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def duration(seconds: float, of: int = 1) -> str:
    """Write a time for people; with ``of``, the time that each of so many took.

    Examples
    --------
    >>> duration(0.0123), duration(2.5), duration(3, of=20_000)
    ('12.3 ms', '2.5 s', '150 µs each')
    """
    each = " each" if of > 1 else ""
    seconds /= of
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}{each}"
    raise AssertionError


def machine(postgresql: str) -> str:
    """Describe the processor, the system and the versions of everything that takes part."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES if _has(name))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB of memory, "
        f"{platform.system()} {platform.release()} ({platform.machine()}); "
        f"Python {platform.python_version()}, PostgreSQL {postgresql}, {packages}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _has(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
