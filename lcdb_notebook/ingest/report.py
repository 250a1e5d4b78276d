"""The result of an ingest: Outcome for one file, Report for all."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lcdb_notebook.errors import LCDBError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.errors.user_warnings import warn

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20
"""Number of reasons in the ``repr``; ``to_pandas`` has all."""


@dataclass(frozen=True)
class Outcome:
    """The result for one file, or for one light curve of ``db.add``.

    Parameters
    ----------
    label : str
        The file's path.
    status : {"added", "replaced", "unchanged", "skipped"}
        "added" if something was stored, "replaced" if stored data were replaced, "unchanged" if the
        same or newer data were already in the database, "skipped" if nothing was stored because of
        ``error``.
    light_curves : int
        Number of new DataSets.
    datasets : tuple of int
        Ids of the file's light curves, new or not, in the file's order.
    error : LCDBError, optional
        The reason why the file was skipped.
    unstored : tuple of str
        Fields of the observation for which the tables of another program have no columns.

    Examples
    --------
    >>> Outcome("a.fits", "added", light_curves=2, datasets=(1, 2)).reason
    ''
    """

    label: str
    status: Literal["added", "replaced", "unchanged", "skipped"]
    light_curves: int = 0
    datasets: tuple[int, ...] = ()
    error: LCDBError | None = None
    unstored: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The reason why the file was skipped, without its label; "" if it was not skipped."""
        return "" if self.error is None else str(self.error).removeprefix(f"{self.label}: ")


@dataclass(frozen=True)
class Report:
    """The result of an ingest: one outcome per file, in the order of the files.

    Parameters
    ----------
    files : sequence of Outcome
        One per file, and one per path that matches no file.

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

    def warn_of_unstored_fields(self) -> None:
        """Warn of fields of new observations for which the database has no columns."""
        names = sorted({name for outcome in self.files for name in outcome.unstored})
        if names:
            warn(
                f"this database has no columns for {', '.join(names)} of observations, so they "
                "were not stored"
            )

    @property
    def added(self) -> int:
        """Number of files with new data."""
        return self._count("added")

    @property
    def replaced(self) -> int:
        """Number of files that replaced stored data."""
        return self._count("replaced")

    @property
    def unchanged(self) -> int:
        """Number of files that were already in the database."""
        return self._count("unchanged")

    @property
    def skipped(self) -> int:
        """Number of files that were not ingested."""
        return self._count("skipped")

    @property
    def light_curves(self) -> int:
        """Number of new DataSets."""
        return sum(outcome.light_curves for outcome in self.files)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per file.

        Returns
        -------
        pandas.DataFrame
            Columns ``path``, ``status``, ``light_curves``, ``datasets`` and ``reason``.

        Examples
        --------
        >>> Report([Outcome("a.fits", "added", 2, (1, 2))]).to_pandas()
             path status  light_curves datasets reason
        0  a.fits  added             2   (1, 2)
        """
        import pandas as pd

        columns = ("path", "status", "light_curves", "datasets", "reason")
        rows = [(o.label, o.status, o.light_curves, o.datasets, o.reason) for o in self.files]
        return pd.DataFrame(rows, columns=list(columns))

    def _count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.files)

    def _headline(self) -> str:
        replaced = f"{self.replaced} replaced, " if self.replaced else ""
        return (
            f"{_number(len(self.files), 'file')}: {self.added} added "
            f"({_number(self.light_curves, 'light curve')}), {replaced}{self.unchanged} unchanged, "
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
            everything = advice(python=".to_pandas() has all", terminal="--json lists all")
            lines.append(f"  and {len(reasons) - _SHOWN} more; {everything}")
        return "\n".join([f"{self._headline()}:", *lines])

    def _repr_html_(self) -> str:
        reasons = self._reasons()
        rows = "".join(
            f"<tr><td>{html.escape(label)}</td><td>{html.escape(reason)}</td></tr>"
            for label, reason in reasons[:_SHOWN]
        )
        table = f"<table><tr><th>skipped</th><th>reason</th></tr>{rows}</table>" if rows else ""
        more = len(reasons) - _SHOWN
        rest = f"<p>and {more} more; <code>.to_pandas()</code> has all</p>" if more > 0 else ""
        return f"<p>{html.escape(self._headline())}</p>{table}{rest}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
