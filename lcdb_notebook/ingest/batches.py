"""From paths to the database: the loop over files, in batches, with a progress bar and a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ConfigurationError, IngestError, LCDBError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.readers.find_files import AnyPath, find_files
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.server.interrupt import interruptible

BATCH_FILES = 256
"""Files stored in one transaction; more gain nothing that can be measured."""

BATCH_BYTES = 64 * 1024 * 1024
"""Bytes of arrays stored in one transaction, reached sooner by long light curves."""

ANALYZE_FROM = 1000
"""New light curves after which the tables' statistics are brought up to date."""

_TABLES = "dataset, datasethierarchy, observation, quality_flag_array, target, target_specific_time"


def ingest(
    bind: orm.Session | sa.Engine,
    paths: AnyPath | Iterable[AnyPath],
    *,
    on_error: Literal["skip", "raise"] = "skip",
    progress: bool | None = None,
) -> Report:
    """Take light-curve files into the database.

    Files go in by batches, each in a transaction of its own that is committed: what a batch brought
    stays, whatever happens to a later one. A file goes in as a whole or not at all. Files that are
    in the database already change nothing, so an ingest that was cut short is simply repeated.

    Parameters
    ----------
    bind
        Batches are committed on a connection of this engine, or of the session's engine: a
        session's own uncommitted work is neither committed nor seen, and must not hold the writers'
        lock, which ``store`` takes. A session bound to a connection lends that one, and then
        nothing is committed.
    paths
        Files, folders (searched recursively) and glob patterns: see
        :func:`~lcdb_notebook.ingest.readers.find_files.find_files`.
    on_error
        "skip" bad files, and report each with the reason; or "raise" at the first one. Batches
        before its own stay, the other files of its own batch do not go in.
    progress
        Whether to show a progress bar; None shows one if it takes longer than a second.

    Returns
    -------
    Report
        What became of each file.

    Raises
    ------
    IngestError
        At the first bad file, with ``on_error="raise"``; or if ``paths`` holds no path.
    sqlalchemy.exc.DBAPIError
        If the database fails for a reason that is no file's fault: the connection is lost, the disk
        is full, permission is denied.
    """
    if on_error not in ("skip", "raise"):
        raise ConfigurationError(f"on_error is 'skip' or 'raise', not {on_error!r}")
    found = find_files(paths)
    outcomes: dict[str, Outcome] = {}
    for path, reason in found.problems:
        _note(outcomes, _skipped(path, IngestError(f"{path}: {reason}")), on_error)
    with _connection(bind) as connection, Progress(len(found.files), "file", progress) as bar:
        done = 0
        for batch in _batches(found.files, outcomes, on_error):
            for outcome in _store(connection, batch.products, on_error):
                outcomes[outcome.label] = outcome
            done += batch.files
            bar.show(done)
        report = Report(tuple(outcomes.values()))
        if report.light_curves >= ANALYZE_FROM:
            # A table that grew this much would be searched by plans made for its old size.
            with _transaction(connection):
                connection.exec_driver_sql(f"ANALYZE {_TABLES}")
    return report


@dataclass
class _Batch:
    """What goes into one transaction; ``files`` counts those that could not be read, too."""

    products: list[Product] = field(default_factory=list)
    files: int = 0
    size: int = 0


def _batches(
    files: Sequence[Path], outcomes: dict[str, Outcome], on_error: str
) -> Iterator[_Batch]:
    """Read files, and give as many at a time as belong into one transaction."""
    batch = _Batch()
    for path in files:
        batch.files += 1
        try:
            product = read_product(path)
        except IngestError as error:
            _note(outcomes, _skipped(str(path), error), on_error)
        else:
            # Keeps the place in the report, which is in the order of the files.
            outcomes[product.label] = Outcome(product.label, "unchanged")
            batch.products.append(product)
            batch.size += _bytes(product)
        if batch.files >= BATCH_FILES or batch.size >= BATCH_BYTES:
            yield batch
            batch = _Batch()
    if batch.files:
        yield batch


def _store(connection: sa.Connection, products: Sequence[Product], on_error: str) -> list[Outcome]:
    """Store one batch; if the database refuses it, file by file, so that the good ones go in."""
    if not products:
        return []
    try:
        return _store_together(connection, products, on_error)
    except (LCDBError, sa.exc.DBAPIError) as error:
        if on_error == "raise" or not _concerns_one_file(error):
            raise
        if len(products) == 1:
            label = products[0].label
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            return [_skipped(label, IngestError(f"{label}: {str(reason).strip()}"))]
    return [outcome for product in products for outcome in _store(connection, [product], on_error)]


def _store_together(
    connection: sa.Connection, products: Sequence[Product], on_error: str
) -> list[Outcome]:
    with _transaction(connection):
        outcomes = interruptible(
            connection.connection.driver_connection, lambda: store(connection, products)
        )
        if on_error == "raise":
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
        return outcomes


def _concerns_one_file(error: LCDBError | sa.exc.DBAPIError) -> bool:
    """Whether an error can be due to what is in a file, and not to the database's condition."""
    if isinstance(error, LCDBError | sa.exc.IntegrityError | sa.exc.DataError):
        return True
    # A trigger's RAISE is one, too; class 25 is a transaction that may only read.
    code = getattr(error.orig, "pgcode", None) or ""
    return isinstance(error, sa.exc.InternalError) and not code.startswith("25")


@contextmanager
def _connection(bind: orm.Session | sa.Engine) -> Iterator[sa.Connection]:
    lent = bind.get_bind() if isinstance(bind, orm.Session) else bind
    if isinstance(lent, sa.Connection):
        assert isinstance(bind, orm.Session)
        bind.flush()
        yield bind.connection()
        bind.expire_all()
    else:
        with lent.connect() as connection:
            yield connection


def _transaction(connection: sa.Connection) -> sa.Transaction:
    return connection.begin_nested() if connection.in_transaction() else connection.begin()


def _note(outcomes: dict[str, Outcome], outcome: Outcome, on_error: str) -> None:
    if on_error == "raise" and outcome.error is not None:
        raise outcome.error
    outcomes[outcome.label] = outcome


def _skipped(label: str, error: LCDBError) -> Outcome:
    return Outcome(label, "skipped", error=error)


def _bytes(product: Product) -> int:
    columns = 1 + sum(1 if curve.flux_err is None else 2 for curve in product.curves)
    flags = sum(array.nbytes for array in product.quality.values())
    return product.cadence.nbytes + columns * product.time.nbytes + flags
