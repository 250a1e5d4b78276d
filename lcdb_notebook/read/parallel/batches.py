"""Which DataSets are given out next, how many at a time, and again after a worker was lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Share", "Shares"]

# Long enough that what a share itself costs (three short statements, a message) is lost in it, and
# short enough to be done again.
_SECONDS = 2.0
# Towards the end shares get smaller, so that all workers finish together; not below this.
_LEAST_SECONDS = 0.1
_FIRST, _MOST = 8, 5_000

_WAITS = (1.0, 5.0, 20.0, 60.0, 120.0)
"""Seconds before a share is tried again for which no server answered."""


@dataclass(frozen=True)
class Share:
    """DataSets for one worker, and how often it was lost, or found no server, before."""

    datasets: tuple[int, ...]
    losses: int = 0
    waits: int = 0


class Shares:
    """All DataSets of a selection, in shares.

    Parameters
    ----------
    datasets
        Their ids, in order.
    allowed_losses
        How often a share may be lost before it is suspected of being the cause. It is then given
        out alone, and halved until the one DataSet is found that is.
    """

    def __init__(self, datasets: Sequence[int], allowed_losses: int) -> None:
        self._datasets = datasets
        self._allowed = allowed_losses
        self._next = 0
        self._again: deque[Share] = deque()
        self._suspects: deque[Share] = deque()
        self._later: deque[tuple[float, Share]] = deque()
        self._each: float | None = None
        self._size = _FIRST

    def next(self, workers: int, under_way: Sequence[Share]) -> Share | None:
        """Give the next share; None if there is none, or none that may go beside the others."""
        if any(share.losses >= self._allowed for share in under_way):
            return None
        if self._later and self._later[0][0] <= time.monotonic():
            return self._later.popleft()[1]
        if self._again:
            return self._again.popleft()
        if self._next < len(self._datasets):
            start = self._next
            self._next += self._number(len(self._datasets) - start, workers)
            return Share(tuple(self._datasets[start : self._next]))
        if self._suspects and not under_way:
            return self._suspects.popleft()
        return None

    def pause(self) -> float | None:
        """Say for how many seconds there is nothing to give out; None if there is nothing later."""
        if not self._later:
            return None
        return max(0.0, self._later[0][0] - time.monotonic())

    def done(self, share: Share, seconds: float) -> None:
        """Learn from a share how long one DataSet takes."""
        now = seconds / len(share.datasets)
        self._each = now if self._each is None else 0.5 * (self._each + now)

    def lost(self, share: Share) -> int | None:
        """Take back what a worker was lost on; give the DataSet that must be the cause, if any."""
        share = Share(share.datasets, share.losses + 1, share.waits)
        if share.losses < self._allowed:
            self._again.append(share)
        elif share.losses == self._allowed:
            self._suspects.append(share)
        elif len(share.datasets) > 1:
            self.halve(share, self._suspects)
        else:
            return share.datasets[0]
        return None

    def halve(self, share: Share, queue: deque[Share] | None = None) -> None:
        """Take a share back in two halves."""
        middle = len(share.datasets) // 2
        losses = min(share.losses, self._allowed)
        halves = share.datasets[:middle], share.datasets[middle:]
        (self._again if queue is None else queue).extend(Share(h, losses) for h in halves)

    def unanswered(self, share: Share) -> bool:
        """Take back a share for which no server answered, for later; False if often enough."""
        if share.waits == len(_WAITS):
            return False
        due = time.monotonic() + _WAITS[share.waits]
        self._later.append((due, Share(share.datasets, share.losses, share.waits + 1)))
        self._later = deque(sorted(self._later, key=lambda one: one[0]))
        return True

    def _number(self, left: int, workers: int) -> int:
        if self._each is None:
            return min(_FIRST, left)
        each = max(self._each, 1e-9)
        fair = left / (3 * workers)
        wanted = max(min(_SECONDS / each, fair), _LEAST_SECONDS / each)
        # One light curve may have taken long by chance, so it grows step by step.
        self._size = int(max(1, min(wanted, 4 * self._size, _MOST)))
        return min(self._size, left)
