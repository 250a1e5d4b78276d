"""The two programs that write during the soak: one adds stars, the other replaces light curves."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ConnectionFailedError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.store import store

from .expected import REVISED_STARS, revised, stars
from .progress import Progress, wait_until
from .survive import PATIENCE

BATCH = 8
_REVISIONS = 600
_EVERY = 1.0


def begin(db: lcdb.Database, progress: Progress) -> None:
    """Write the first stars, those with two light curves of each kind, so that none is empty."""
    put(db, list(stars(BATCH)))
    put(db, [revised(target, 0) for target in range(1, REVISED_STARS + 1)])
    progress.write("committed", BATCH)


def put(db: lcdb.Database, products: Sequence[Product]) -> None:
    """Store products in one transaction, again if it was lost, whether or not it was committed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with db.session_scope() as session:
                for outcome in store(session.connection(), products, replace=True):
                    if outcome.error is not None:
                        raise outcome.error
        except ConnectionFailedError:
            assert time.monotonic() < deadline, "a writer cannot reach the server any more"
            time.sleep(0.1)
        else:
            return


def append(progress: Progress, seconds: float, total: int) -> None:
    """Write star after star, as a pipeline produces them."""
    os.environ["PGAPPNAME"] = "soak writer"
    with lcdb.connect(embedded=progress.server, write=True) as db:
        _wait_for_start(progress, "ready-writer")
        ends = time.monotonic() + seconds
        batch: list[Product] = []
        for product in stars(total):
            if product.target <= BATCH:
                continue
            batch.append(product)
            if len(batch) == BATCH or product.target == total:
                put(db, batch)
                progress.write("committed", product.target)
                batch = []
                # A pace, not a condition: the readers are to meet a database that always changes.
                due = ends - seconds * (1 - product.target / total)
                time.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() > ends:
                break


def revise(progress: Progress, seconds: float, through: str | None) -> None:
    """Replace the light curves of one star after another, by longer ones.

    Each time, the stored data of all stars of that observation are realigned.
    """
    os.environ["PGAPPNAME"] = "soak writer through the pooler"
    chance = random.Random(0)
    embedded = None if through else progress.server
    with lcdb.connect(through, embedded=embedded, write=True) as db:
        _wait_for_start(progress, "ready-reviser")
        ends = time.monotonic() + seconds
        pace = max(_EVERY, seconds / _REVISIONS)
        while time.monotonic() < ends:
            target = chance.randint(1, REVISED_STARS)
            version = progress.versions(target).committed + 1
            progress.write(f"versions-{target}", (version - 1, version))
            put(db, [revised(target, version)])
            progress.write(f"versions-{target}", (version, version))
            time.sleep(chance.uniform(0, 2 * pace))


def _wait_for_start(progress: Progress, name: str) -> None:
    progress.write(name, True)
    assert wait_until(lambda: progress.read("go", False), 300), "the soak did not begin"
