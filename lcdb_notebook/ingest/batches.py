"""Ingest files: read and store them in batches, with a progress bar and a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, IngestError, LCDBError
from lcdb_notebook.errors.arguments import check_choice
from lcdb_notebook.ingest.collection import add_collection, is_collection
from lcdb_notebook.ingest.downloads import downloads, fetch
from lcdb_notebook.ingest.from_lightkurve.convert import check_arguments
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.dispatch import read_product
from lcdb_notebook.ingest.readers.find_files import AnyPath, find_files
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.ingest.store.replacing import Replace
from lcdb_notebook.ingest.store.store import store, was_taken
from lcdb_notebook.read.progress import Progress
from lcdb_notebook.server.interrupt import interruptible

if TYPE_CHECKING:
    import lightkurve

BATCH_FILES = 256
"""Files per transaction; more are not measurably faster."""

BATCH_BYTES = 64 * 1024 * 1024
"""Bytes of arrays per transaction, which long light curves reach first."""

ANALYZE_FROM = 1000
"""Number of new light curves after which the statistics of the tables are updated."""

_TABLES = "dataset, datasethierarchy, observation, quality_flag_array, target, target_specific_time"


def ingest(
    bind: orm.Session | sa.Engine,
    paths: AnyPath | Iterable[AnyPath] | lightkurve.SearchResult,
    *,
    on_error: Literal["skip", "raise"] = "skip",
    replace: Replace = False,
    progress: bool | None = None,
    **description: Any,
) -> Report:
    """Ingest light-curve files into the database.

    Files are stored in batches, each in a separate transaction, so that later errors do not affect
    committed batches. A file is ingested completely or not at all. Files that are already in the
    database change nothing, so an interrupted ingest can be repeated.

    Parameters
    ----------
    bind : sqlalchemy.orm.Session or sqlalchemy.Engine
        Batches are committed on a connection of this engine, or of the session's engine.
        Uncommitted changes of the session are neither committed nor visible, and the session must
        not hold the writers' lock that ``store`` takes. If the session is bound to a connection,
        that connection is used and nothing is committed.
    paths : path-like, SearchResult, LightCurveCollection, or iterable of these
        Files, folders (searched recursively) and glob patterns; addresses that begin with
        ``https://`` or ``mast:``; and the result of a search of lightkurve. Files that are
        downloaded are kept in lightkurve's cache. The light curves of a LightCurveCollection are
        added like those of ``db.add``.
    on_error : {"skip", "raise"}, default "skip"
        "skip" reports bad files with the reason. "raise" raises the first error; earlier batches
        remain, and no file of the same batch is ingested.
    replace : bool or "newer", default False
        What to do with files that differ from the stored data, for example after reprocessing.
        False rejects them; the reason in the report names the newer one and the argument to pass.
        "newer" replaces older releases (by DATA_REL, then DATE) and ignores older files, but
        rejects a file if other light curves were derived from the stored ones. True always
        replaces, and keeps derived light curves. The light curves keep their DataSets and lineage;
        times, flags, header cards and further columns of the target in that observation are
        replaced, too. Cadences that only the old file had become gaps. Nothing else changes.
    progress : bool, optional
        Whether to show a progress bar. By default it appears after one second.
    author, photometry : str, optional
        Names of the pipeline and of the photometric source, for files of pipelines that are not
        supported. Such files need times with a reference (TIME, and BJDREFI, JDREFI or MJDREFI)
        and a flux column (FLUX, SAP_FLUX or PDCSAP_FLUX). They are ignored for files of supported
        pipelines. Files written by lightkurve's ``to_fits`` have neither name, so their photometry
        is "lightkurve to_fits" by default.
    quality_type : str, optional
        Type of the flags in such files, for example "tess_quality_flag"; without it their flags are
        not stored.
    **description : Any
        Values that are missing from the headers of such files, as arguments of ``db.add``:
        ``target``, ``catalog``, ``mission``, ``processing``, ``observation_fields``,
        ``instrument``, ...

    Returns
    -------
    Report
        The outcome for each file.

    Raises
    ------
    IngestError
        For the first bad file, with ``on_error="raise"``; or if ``paths`` is neither a path nor an
        iterable of paths.
    ArgumentError
        If ``on_error`` or ``replace`` is invalid, or for an unknown argument.
    sqlalchemy.exc.DBAPIError
        If the database fails for a reason unrelated to the files: the connection is lost, the disk
        is full, or permission is denied.

    Examples
    --------
    >>> db = getfixture("demo_database")
    >>> report = ingest(db.session, "no/such/file.fits")
    >>> report
    1 file: 0 added (0 light curves), 0 unchanged, 1 skipped:
      no/such/file.fits: no such file or folder
    """
    check_choice("on_error", on_error, ("skip", "raise"))
    if is_collection(paths):
        return add_collection(bind, paths, on_error, description)
    if replace not in (True, False, "newer"):
        raise ArgumentError(f"replace must be True, False or 'newer', got {replace!r}")
    check_arguments("ingest()", description, ("author", "quality_type"))
    outcomes: dict[str, Outcome] = {}
    found = find_files(_local(paths, outcomes, on_error, progress))
    for path, reason in found.problems:
        _note(outcomes, _skipped(path, IngestError(f"{path}: {reason}")), on_error)
    with _connection(bind) as connection, Progress(len(found.files), "file", progress) as bar:
        done = 0
        for batch in _batches(found.files, outcomes, on_error, description):
            for outcome in _store(connection, batch.products, on_error, replace):
                outcomes[outcome.label] = outcome
            done += batch.files
            bar.show(done)
        report = Report(tuple(outcomes.values()))
        report.warn_of_unstored_fields()
        if report.light_curves >= ANALYZE_FROM:
            # Otherwise PostgreSQL would plan queries for the old sizes of the tables.
            with _transaction(connection):
                connection.exec_driver_sql(f"ANALYZE {_TABLES}")
    return report


def _local(
    paths: Any, outcomes: dict[str, Outcome], on_error: str, progress: bool | None
) -> AnyPath | Iterable[AnyPath]:
    """Download what is not local, and return the paths of all files."""
    remote, local = downloads(paths)
    if not remote:
        return paths  # type: ignore[no-any-return]
    with Progress(len(remote), "download", progress) as bar:
        for done, one in enumerate(remote, 1):
            try:
                local.append(fetch(one))
            except IngestError as error:
                reason = IngestError(f"{one.label}: {error}")
                reason.__cause__ = error.__cause__
                _note(outcomes, _skipped(one.label, reason), on_error)
            bar.show(done)
    return local


@dataclass
class _Batch:
    """The products of one transaction; ``files`` also counts those that could not be read."""

    products: list[Product] = field(default_factory=list)
    files: int = 0
    size: int = 0


def _batches(
    files: Sequence[Path],
    outcomes: dict[str, Outcome],
    on_error: str,
    description: Mapping[str, Any],
) -> Iterator[_Batch]:
    """Read files and yield them in batches, one per transaction."""
    batch = _Batch()
    for path in files:
        batch.files += 1
        try:
            product = read_product(path, description)
        except IngestError as error:
            _note(outcomes, _skipped(str(path), error), on_error)
        else:
            # Reserves its position in the report, which is in the order of the files.
            outcomes[product.label] = Outcome(product.label, "unchanged")
            batch.products.append(product)
            batch.size += _bytes(product)
        if batch.files >= BATCH_FILES or batch.size >= BATCH_BYTES:
            yield batch
            batch = _Batch()
    if batch.files:
        yield batch


def _store(
    connection: sa.Connection, products: Sequence[Product], on_error: str, replace: Replace
) -> list[Outcome]:
    """Store one batch, or file by file if the database rejects it, so that good files are kept."""
    if not products:
        return []
    try:
        try:
            return _store_together(connection, products, on_error, replace)
        except sa.exc.IntegrityError as error:
            if not was_taken(error):
                raise
            return _store_together(connection, products, on_error, replace)
    except (LCDBError, sa.exc.DBAPIError) as error:
        if on_error == "raise" or not _concerns_one_file(error):
            raise
        if len(products) == 1:
            label = products[0].label
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            return [_skipped(label, IngestError(f"{label}: {str(reason).strip()}"))]
    return [
        outcome
        for product in products
        for outcome in _store(connection, [product], on_error, replace)
    ]


def _store_together(
    connection: sa.Connection, products: Sequence[Product], on_error: str, replace: Replace
) -> list[Outcome]:
    with _transaction(connection):
        outcomes = interruptible(
            connection.connection.driver_connection,
            lambda: store(connection, products, replace=replace),
        )
        if on_error == "raise":
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
        return outcomes


def _concerns_one_file(error: LCDBError | sa.exc.DBAPIError) -> bool:
    """Return whether a file, rather than the state of the database, can cause an error."""
    if isinstance(error, LCDBError | sa.exc.IntegrityError | sa.exc.DataError):
        return True
    # RAISE in a trigger is an InternalError, too; class 25 is a read-only transaction.
    code = getattr(error.orig, "pgcode", None) or ""
    return isinstance(error, sa.exc.InternalError) and not code.startswith("25")


@contextmanager
def _connection(bind: orm.Session | sa.Engine) -> Iterator[sa.Connection]:
    connectable = bind.get_bind() if isinstance(bind, orm.Session) else bind
    if isinstance(connectable, sa.Connection):
        assert isinstance(bind, orm.Session)
        bind.flush()
        yield bind.connection()
        bind.expire_all()
    else:
        with connectable.connect() as connection:
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
