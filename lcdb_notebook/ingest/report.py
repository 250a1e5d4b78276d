"""What became of each file: Outcome for one, Report for all of an ingest."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lcdb_notebook.errors import LCDBError

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20
"""Reasons that ``repr`` prints; ``to_pandas`` has them all."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file, or of one light curve that was added by hand.

    Parameters
    ----------
    label
        The file's path.
    status
        "added": something of it is new in the database; "unchanged": all of it was there already;
        "skipped": nothing of it went in, and ``error`` says why.
    light_curves
        How many DataSets it brought.
    datasets
        Ids of its light curves, those that were there already too, in the file's order.
    error
        Why it was skipped.
    """

    label: str
    status: Literal["added", "unchanged", "skipped"]
    light_curves: int = 0
    datasets: tuple[int, ...] = ()
    error: LCDBError | None = None

    @property
    def reason(self) -> str:
        """Why it was skipped, without its own label in front; empty if it was not."""
        return "" if self.error is None else str(self.error).removeprefix(f"{self.label}: ")


@dataclass(frozen=True)
class Report:
    """What became of every file of an ingest, in the order in which they were found.

    Parameters
    ----------
    files
        One outcome a file; also one a path that led to no file.

    Examples
    --------
    >>> from lcdb_notebook.errors import IngestError
    >>> Report((
    ...     Outcome("a.fits", "added", 2, (1, 2)),
    ...     Outcome("b.fits", "skipped", error=IngestError("b.fits: not a FITS file")),
    ... ))
    2 files: 1 added (2 light curves), 0 unchanged, 1 skipped:
      b.fits: not a FITS file
    """

    files: Sequence[Outcome]

    @property
    def added(self) -> int:
        """How many files brought something new."""
        return self._count("added")

    @property
    def unchanged(self) -> int:
        """How many files were in the database already."""
        return self._count("unchanged")

    @property
    def skipped(self) -> int:
        """How many files did not go in."""
        return self._count("skipped")

    @property
    def light_curves(self) -> int:
        """How many DataSets are new."""
        return sum(outcome.light_curves for outcome in self.files)

    def to_pandas(self) -> pd.DataFrame:
        """Give one row a file: path, status, light_curves, datasets and reason."""
        import pandas as pd

        columns = ("path", "status", "light_curves", "datasets", "reason")
        rows = [(o.label, o.status, o.light_curves, o.datasets, o.reason) for o in self.files]
        return pd.DataFrame(rows, columns=list(columns))

    def _count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.files)

    def _headline(self) -> str:
        return (
            f"{_number(len(self.files), 'file')}: {self.added} added "
            f"({_number(self.light_curves, 'light curve')}), {self.unchanged} unchanged, "
            f"{self.skipped} skipped"
        )

    def _reasons(self) -> list[tuple[str, str]]:
        return [(o.label, o.reason) for o in self.files if o.status == "skipped"]

    def __repr__(self) -> str:
        reasons = self._reasons()
        if not reasons:
            return self._headline()
        lines = [f"  {label}: {reason}" for label, reason in reasons[:_SHOWN]]
        if len(reasons) > _SHOWN:
            lines.append(f"  and {len(reasons) - _SHOWN} more: see to_pandas()")
        return "\n".join([f"{self._headline()}:", *lines])

    def _repr_html_(self) -> str:
        reasons = self._reasons()
        rows = "".join(
            f"<tr><td>{html.escape(label)}</td><td>{html.escape(reason)}</td></tr>"
            for label, reason in reasons[:_SHOWN]
        )
        table = f"<table><tr><th>skipped</th><th>reason</th></tr>{rows}</table>" if rows else ""
        more = len(reasons) - _SHOWN
        rest = f"<p>and {more} more: see <code>to_pandas()</code></p>" if more > 0 else ""
        return f"<p>{html.escape(self._headline())}</p>{table}{rest}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
