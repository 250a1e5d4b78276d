"""Store the synthetic sky in a database, like files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.demo.observing import DETRENDED, SHORT_TARGETS, STEPS, SYSTEMATICS, products
from lcdb_notebook.demo.stars import SEED
from lcdb_notebook.errors import LCDBError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.models import DataSet, MissionCatalog, ProcessingMethod, Target, TESSObservation
from lcdb_notebook.server.driver_errors import translated
from lcdb_notebook.server.interrupt import interruptible

CATALOG, AUTHOR = "DEMO", "DEMO"

APERTURES = 2

BATCH = 64
"""Products per transaction."""


def load(
    bind: orm.Session | sa.Engine,
    targets: int = 24,
    *,
    sectors: Iterable[int] = (1, 2),
    seed: int = SEED,
    progress: bool | None = None,
) -> int:
    """Store the demonstration data in a database that is open for writing.

    Each batch is committed, so an interrupted call can be repeated. If all light curves already
    exist, they are only counted.

    Parameters
    ----------
    bind : sqlalchemy.orm.Session or sqlalchemy.Engine
        The database's engine, or a session on it (``db.session``), whose transaction is not
        changed. For a session that is bound to a connection, that connection is used.
    targets : int, default 24
        Number of stars, which are numbered from 1.
    sectors : iterable of int, default (1, 2)
        Sectors to observe, from 1.
    seed : int, default SEED
        Seed of the random numbers, a non-negative integer.
    progress : bool, optional
        Whether to show a progress bar. By default it appears after one second.

    Returns
    -------
    int
        Number of new light curves.

    Raises
    ------
    ReadOnlyError
        If the database was opened for reading.
    LCDBError
        If a light curve differs from the stored one, for example because of another ``seed``.
    ArgumentError
        If a number is out of range.

    Examples
    --------
    >>> from lcdb_notebook import demo
    >>> db = getfixture("demo_database")
    >>> demo.load(db.session)
    0
    """
    from tqdm.auto import tqdm

    sectors = tuple(sectors)
    coming = products(targets, sectors=sectors, seed=seed, apertures=APERTURES)
    each = len(sectors) * (targets + min(targets, SHORT_TARGETS))
    added = 0
    with translated("this database"), _connection(bind) as connection:
        with _transaction(connection):
            stored = connection.scalar(_count(targets, sectors)) or 0
        if stored >= each * APERTURES * (1 + STEPS):
            return 0
        with tqdm(
            total=each,
            desc="demonstration data",
            delay=1 if progress is None else 0,
            disable=progress is False,
        ) as bar:
            for batch in _batches(coming):
                added += _store(connection, batch)
                bar.update(len(batch))
    return added


def _store(connection: sa.Connection, batch: list[Product]) -> int:
    driver: Any = connection.connection.driver_connection
    with _transaction(connection):
        outcomes = interruptible(driver, lambda: store(connection, batch))
        for outcome in outcomes:
            if outcome.error is not None:
                raise LCDBError(
                    f"{outcome.error}. This database has other demonstration data, perhaps with "
                    "another seed; use an empty database"
                ) from outcome.error
    return sum(outcome.light_curves for outcome in outcomes)


def _connection(bind: orm.Session | sa.Engine) -> AbstractContextManager[sa.Connection]:
    connectable = bind.get_bind() if isinstance(bind, orm.Session) else bind
    return (
        nullcontext(connectable)
        if isinstance(connectable, sa.Connection)
        else connectable.connect()
    )


def _transaction(connection: sa.Connection) -> sa.Transaction:
    return connection.begin_nested() if connection.in_transaction() else connection.begin()


def _batches(coming: Iterator[Product]) -> Iterator[list[Product]]:
    while batch := list(islice(coming, BATCH)):
        yield batch


def _count(targets: int, sectors: tuple[int, ...]) -> sa.Select[Any]:
    """Count the light curves that :func:`load` stores, without those that were added later."""
    made = (SYSTEMATICS.name, DETRENDED.name)
    return (
        sa.select(sa.func.count())
        .select_from(DataSet)
        .join(Target, Target.id == DataSet.target_id)
        .join(MissionCatalog, MissionCatalog.id == Target.catalog_id)
        .join(TESSObservation, TESSObservation.id == DataSet.observation_id)
        .outerjoin(ProcessingMethod, ProcessingMethod.id == DataSet.processing_method_id)
        .where(
            MissionCatalog.name == CATALOG,
            Target.name.between(1, targets),
            TESSObservation.author == AUTHOR,
            TESSObservation.sector.in_(sectors),
            sa.or_(ProcessingMethod.id.is_(None), ProcessingMethod.name.in_(made)),
        )
    )
