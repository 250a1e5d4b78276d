"""Count the connections of everybody while the soak runs."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from contextlib import suppress

import sqlalchemy as sa

ALLOWED = 1
"""Connections that each program may keep: a client, the child that it has forked, a writer."""

POOLER = "the pooler"
"""The name under which the pooler's connections are counted."""

# The server notices an abandoned connection, or one whose process has died, within seconds on an
# idle machine; a connection that lasts longer is kept.
_LASTS = 20.0

_NAMES = sa.text(
    "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend' "
    "AND usename <> :pooled AND application_name LIKE 'soak %'"
)
_POOLED = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
    "AND usename = :pooled"
)


class Connections:
    """Counts connections by the program that opened them.

    Parameters
    ----------
    server : sqlalchemy.engine.URL
        The server, as a superuser.
    pooled : str
        The role of all connections of the pooler.
    size : int
        Connections that the pooler may keep.
    """

    def __init__(self, server: sa.URL, pooled: str, size: int) -> None:
        self._engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._pooled = pooled
        self._size = size
        self._seen: dict[str, deque[tuple[float, int]]] = defaultdict(deque)
        #: The highest number of connections at once, the pooler's included.
        self.most = 0
        #: The highest number that each program kept.
        self.kept: Counter[str] = Counter()
        #: The highest number of connections of the pooler.
        self.most_pooled = 0

    def count(self) -> None:
        """Count once; nothing is counted while the server is away."""
        given = {"pooled": self._pooled}
        with suppress(sa.exc.DBAPIError), self._engine.connect() as connection:
            names = Counter(connection.scalars(_NAMES, given))
            pooled = connection.scalar(_POOLED, given) or 0
            self.most = max(self.most, names.total() + pooled)
            self.most_pooled = max(self.most_pooled, pooled)
            now = time.monotonic()
            # One that PgBouncer has just replaced may still be ending.
            self._note(POOLER, now, pooled)
            for name in names.keys() | self._seen.keys() - {POOLER}:
                self._note(name, now, names[name])

    def _note(self, name: str, now: float, number: int) -> None:
        seen = self._seen[name]
        seen.append((now, number))
        while seen[-1][0] - seen[0][0] > _LASTS:
            # All of the last seconds had at least so many.
            self.kept[name] = max(self.kept[name], min(number for _, number in seen))
            seen.popleft()

    def faults(self) -> list[str]:
        """Return a line for each program that kept more connections than it may."""
        return [
            f"{name} kept {number} connections for {_LASTS:g} s"
            for name, number in self.kept.items()
            if number > (self._size if name == POOLER else ALLOWED)
        ]
