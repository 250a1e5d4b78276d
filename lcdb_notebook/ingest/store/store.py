"""Store a batch of products in the tables, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from psycopg2 import errorcodes

from lcdb_notebook.errors import IngestError, LCDBError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.report import Outcome
from lcdb_notebook.ingest.store import contents, realign, releases, stored
from lcdb_notebook.ingest.store import names as naming
from lcdb_notebook.ingest.store.copying import column_types
from lcdb_notebook.ingest.store.field_tables import FieldTables
from lcdb_notebook.ingest.store.names import Names
from lcdb_notebook.ingest.store.plan import Accepted
from lcdb_notebook.ingest.store.replacing import Replace
from lcdb_notebook.ingest.store.validation import check_product
from lcdb_notebook.ingest.store.writing import pairs_of, unique, write

_TABLES = (
    "dataset",
    "datasethierarchy",
    "observation",
    "quality_flag_array",
    "target_specific_time",
)


def store(
    connection: sa.Connection,
    products: Sequence[Product],
    *,
    derived_from: int | None = None,
    replace: Replace | None = None,
) -> list[Outcome]:
    """Store a batch of products in the tables.

    Arrays are aligned by cadence number with their observation's ``cadence_reference``. If the
    batch has new cadences, the reference becomes the sorted union of both, and all stored arrays of
    that observation are realigned, once per batch. The result depends neither on the order of the
    products nor on how they are split into batches.

    A product is stored completely or not at all: a rejected product leaves no rows, and the others
    are stored. Existing data are compared, and replaced only on request.

    Parameters
    ----------
    connection
        Connection, with or without a transaction; nothing is committed. To see a session's
        uncommitted rows, pass ``session.connection()`` after ``session.flush()``; objects that the
        session has loaded are not refreshed. Other writers wait until the transaction ends.
    products
        The products. The number of statements does not depend on the number of products.
    derived_from
        Id of the dataset from which light curves without a source were derived.
    replace
        Whether products replace the light curves, times and flags of their target in their
        observation if these differ: True, "newer" for newer releases, or False, in which case the
        error suggests the argument. None is False without the suggestion.

    Returns
    -------
    list of Outcome
        One per product, in their order; rejected ones have the error.

    Raises
    ------
    IngestError
        If there is no dataset ``derived_from``.
    WireError
        If stored arrays cannot be compared: two-dimensional ones, or integers with NULL.
    sqlalchemy.exc.DBAPIError
        If the database fails; the transaction must be rolled back.
    """
    # Otherwise two writers could create the same target or observation twice.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('lcdb_notebook.store'))"))
    tables = FieldTables(connection)
    outcomes: dict[int, Outcome] = {}
    valid: dict[int, Product] = {}
    for position, product in enumerate(products):
        try:
            check_product(product)
            valid[position] = tables.fit(product)
        except LCDBError as error:
            outcomes[position] = _refused(product, error)
    names = naming.look_up(connection, list(valid.values()))
    accepted = _plan(connection, tables, names, valid, derived_from, replace, outcomes)
    changed = [item for item in accepted.values() if item.changed]
    if changed:
        types = column_types(connection, _TABLES)
        misfits = realign.misfits(connection, unique(item.observation for item in changed))
        for position, item in list(accepted.items()):
            misfit = misfits.get(item.observation)
            if misfit is not None:
                outcomes[position] = _refused(item.product, IngestError(misfit))
                del accepted[position]
        changed = [item for item in accepted.values() if item.changed]
        write(connection, tables, names, changed, types)
    _write_releases(connection, names, list(accepted.values()))
    contents.write(connection, names, list(accepted.values()))
    for position, item in accepted.items():
        outcomes[position] = Outcome(
            item.product.label,
            "replaced" if item.replaced else "added" if item.changed else "unchanged",
            len(item.new),
            tuple(light_curve.dataset for light_curve in item.light_curves),
            unstored=tables.unstored(item.product),
        )
    return [outcomes[position] for position in range(len(products))]


def was_taken(error: sa.exc.IntegrityError) -> bool:
    """Return whether another program has stored one of the rows since they were looked up.

    It does not wait for the lock of :func:`store`. After a rollback the same products can be
    stored once more, and are then compared with its rows.
    """
    return getattr(error.orig, "pgcode", None) == errorcodes.UNIQUE_VIOLATION


def _plan(
    connection: sa.Connection,
    tables: FieldTables,
    names: Names,
    products: dict[int, Product],
    derived_from: int | None,
    replace: Replace | None,
    outcomes: dict[int, Outcome],
) -> dict[int, Accepted]:
    plan = stored.look_up(
        connection,
        tables,
        names,
        list(products.values()),
        derived_from,
        release=replace is not None,
        dependents=bool(replace),
    )
    accepted: dict[int, Accepted] = {}
    for position, product in products.items():
        try:
            names.check(product)
            accepted[position] = plan.take(product, derived_from, replace)
            names.adopt(product)
        except LCDBError as error:
            outcomes[position] = _refused(product, error)
    return accepted


def _refused(product: Product, error: LCDBError) -> Outcome:
    named = type(error)(f"{product.label}: {error}")
    return Outcome(product.label, "skipped", error=named)


def _write_releases(connection: sa.Connection, names: Names, accepted: Sequence[Accepted]) -> None:
    """Write the new releases, including those of files that change nothing else."""
    found = {
        (names.targets[target], observation.id): pair.release
        for pair, (target, observation) in pairs_of(accepted).items()
        if pair.release is not None and observation.id and pair.release != pair.stored_release
    }
    releases.write(connection, found)
