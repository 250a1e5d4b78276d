"""Split DataSets into batches for workers, and repeat batches of lost workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lcdb_notebook.lightcurve.dataset_id import DataSetId

__all__ = ["PATIENCE", "Batch", "Batches"]

PATIENCE = 60.0
"""Seconds during which a server that does not answer is retried."""

# Long enough to make the overhead of a batch negligible (three short statements and a message), and
# short enough to repeat a batch.
_SECONDS = 2.0
# Batches get smaller towards the end, down to this size, so that all workers finish together.
_LEAST_SECONDS = 0.1
_FIRST, _MOST = 8, 5_000

# Seconds before a batch is retried after no server answered: a restart takes a second or two, and a
# recovery up to a minute. The last delay is repeated.
_WAITS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Batch:
    """DataSets for one worker.

    Parameters
    ----------
    datasets : tuple of int
        Their ids.
    losses : int, optional
        Number of workers that were lost with this batch.
    waits : int, optional
        Number of attempts without an answer of the server.
    since : float or None, optional
        Time of the first such attempt, in ``time.monotonic()``.
    """

    datasets: tuple[DataSetId, ...]
    losses: int = 0
    waits: int = 0
    since: float | None = None


class Batches:
    """The DataSets of a selection, in batches.

    Parameters
    ----------
    datasets : sequence of int
        Their ids, in order.
    allowed_losses : int
        Number of losses after which a batch is a suspected cause. It then runs alone, and is halved
        until the DataSet that causes the loss is found.
    """

    def __init__(self, datasets: Sequence[DataSetId], allowed_losses: int) -> None:
        self._datasets = datasets
        self._allowed = allowed_losses
        self._next = 0
        self._again: deque[Batch] = deque()
        self._suspects: deque[Batch] = deque()
        self._later: list[tuple[float, Batch]] = []
        self._silent_since: float | None = None
        self._each: float | None = None
        self._size = _FIRST

    def next(self, workers: int, under_way: Sequence[Batch]) -> Batch | None:
        """Return the next batch; None if there is none, or if it must wait for the others."""
        if any(batch.losses >= self._allowed for batch in under_way):
            return None
        if self._later and self._later[0][0] <= time.monotonic():
            return self._later.pop(0)[1]
        if self._silent_since is not None and self._later:
            # New batches would fail as well.
            return None
        if self._again:
            return self._again.popleft()
        if self._next < len(self._datasets):
            start = self._next
            self._next += self._number(len(self._datasets) - start, workers)
            return Batch(tuple(self._datasets[start : self._next]))
        if self._suspects and not under_way:
            return self._suspects.popleft()
        return None

    def pause(self) -> float | None:
        """Return the seconds until a batch is retried; None if no batch is waiting."""
        if not self._later:
            return None
        return max(0.0, self._later[0][0] - time.monotonic())

    def done(self, batch: Batch, seconds: float) -> None:
        """Update the time per DataSet from a finished batch."""
        self._silent_since = None
        now = seconds / len(batch.datasets)
        self._each = now if self._each is None else 0.5 * (self._each + now)

    def lost(self, batch: Batch) -> DataSetId | None:
        """Put a lost batch into the queue; return the DataSet that must be the cause, if any."""
        batch = replace(batch, losses=batch.losses + 1)
        if batch.losses < self._allowed:
            self._again.append(batch)
        elif batch.losses == self._allowed:
            self._suspects.append(batch)
        elif len(batch.datasets) > 1:
            self.halve(batch, self._suspects)
        else:
            return batch.datasets[0]
        return None

    def halve(self, batch: Batch, queue: deque[Batch] | None = None) -> None:
        """Put a batch into the queue in two halves."""
        middle = len(batch.datasets) // 2
        losses = min(batch.losses, self._allowed)
        halves = batch.datasets[:middle], batch.datasets[middle:]
        (self._again if queue is None else queue).extend(Batch(h, losses) for h in halves)

    def unanswered(self, batch: Batch) -> bool:
        """Keep a batch for a retry after no server answered; False after :data:`PATIENCE`."""
        now = time.monotonic()
        since = now if batch.since is None else batch.since
        if now - since > PATIENCE:
            return False
        if self._silent_since is None:
            self._silent_since = now
        retry_at = now + _WAITS[min(batch.waits, len(_WAITS) - 1)]
        self._later.append((retry_at, replace(batch, waits=batch.waits + 1, since=since)))
        self._later.sort(key=lambda one: one[0])
        return True

    def silent(self) -> bool:
        """Return whether the server has not answered any batch for :data:`PATIENCE`."""
        return self._silent_since is not None and time.monotonic() - self._silent_since > PATIENCE

    def _number(self, left: int, workers: int) -> int:
        if self._each is None:
            return min(_FIRST, left)
        each = max(self._each, 1e-9)
        fair = left / (3 * workers)
        best = max(min(_SECONDS / each, fair), _LEAST_SECONDS / each)
        # A single light curve may take unusually long, so the size changes gradually.
        self._size = int(max(1, min(best, 4 * self._size, _MOST)))
        return min(self._size, left)
