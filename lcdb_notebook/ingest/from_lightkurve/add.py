"""Add lightkurve objects, or a DataFrame of light curves, to the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LCDBError
from lcdb_notebook.ingest.from_lightkurve import derived
from lcdb_notebook.ingest.from_lightkurve.convert import (
    check_arguments,
    check_kind,
    product_from_lightcurve,
)
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.ingest.store.store import store, was_taken
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert import from_pandas
from lcdb_notebook.models import Mission
from lcdb_notebook.search import layout
from lcdb_notebook.server.interrupt import interruptible

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd


def add(
    bind: orm.Session | sa.Engine,
    lightcurve: lightkurve.LightCurve | pd.DataFrame,
    *,
    derived_from: Any = None,
    **description: Any,
) -> Report:
    """Add a LightCurve, or all light curves of a DataFrame, to the database.

    Parameters
    ----------
    bind : sqlalchemy.orm.Session or sqlalchemy.Engine
        With an engine, everything is committed. With a session, the light curve is added in the
        session's transaction, after its pending changes, and is committed by the caller.
    lightcurve : lightkurve.LightCurve or pandas.DataFrame
        Its ``flux`` and ``flux_err`` are added. A DataFrame must come from ``to_pandas``; its
        values may have changed, but not their unit.
    derived_from : DataSet, int, LightCurve, LightCurveData or bool, optional
        The source: a DataSet, its id, or the light curve that was read from it. True is the DataSet
        from which the light curve was read (``meta["DATASET"]``); in a DataFrame, that of each
        light curve. It becomes the source in the lineage, and supplies missing metadata of the
        light curve.
    target : int, optional
        Catalog number; by default from TARGETID, TICID, KEPLERID or LABEL in the metadata.
    catalog : str, optional
        Name of the catalog, such as "TIC"; by default from LABEL or the mission.
    mission : str, optional
        "TESS", "Kepler", "K2", or a mission in the database; by default from MISSION, TELESCOP or
        the class of the light curve.
    photometry, processing : str, optional
        Names of the photometric source and of the processing ("raw" for none); by default from
        PHOTOMETRY, PROCESSING and FLUX_ORIGIN. A flattened or normalized light curve needs a new
        name for the processing.
    observation_type : str, optional
        Polymorphic identity of the observation, such as "tess_observation".
    observation_fields : mapping, optional
        Values of the observation's columns, such as ``{"sector": 1}``, which override the metadata.
    instrument : tuple of str, optional
        Names from the root of the instrument tree, such as ``("TESS", "Camera 1", "CCD 2")``.
    clock : Clock, optional
        The clock of the mission, if the mission is neither supported nor in the database.

    Returns
    -------
    Report
        One entry per light curve; ``report.files[0].datasets`` has the id of the first.

    Raises
    ------
    IngestError
        If something is missing or contradicts the stored data, the source has another target or
        observation, the light curve is folded or stitched, or its times are impossible for the
        mission. Nothing is added then, not even other light curves of a DataFrame.
    ArgumentError
        For an unknown argument.
    LineageError
        If the light curve would be derived from itself.
    DataError
        If a DataFrame does not come from ``to_pandas``.

    Notes
    -----
    Fluxes are aligned by cadence number, with NaN for missing cadences (for example flagged ones).
    A binned light curve has no cadence numbers, so it is added to a new observation, with the
    length of the bins as ``exptime``.

    Examples
    --------
    >>> from lcdb_notebook.models import DataSet
    >>> db = getfixture("demo_database")
    >>> lc = db.lightcurve(3, sector=1, photometry="DEMO aperture 2px", processing="raw")
    >>> flat = lc.flatten()
    >>> report = add(db.session, flat, derived_from=lc, processing="flattened here")
    >>> [new] = report.files[0].datasets
    >>> db.session.get(DataSet, new).source_datasets[0].id == lc.meta["DATASET"]
    True
    >>> db.session.rollback()
    """
    check_arguments("add()", description, ())
    curves = (
        [lightcurve] if not _is_frame(lightcurve) else list(from_pandas(lightcurve, as_flux=False))
    )
    if isinstance(bind, orm.Session):
        bind.flush()
        return _add_all(bind.connection(), curves, derived_from, description)
    with bind.begin() as connection:
        return _add_all(connection, curves, derived_from, description)


def _is_frame(lightcurve: Any) -> bool:
    import pandas as pd

    return isinstance(lightcurve, pd.DataFrame)


def _add_all(
    connection: sa.Connection, curves: list[Any], derived_from: Any, description: dict[str, Any]
) -> Report:
    def add_all() -> Report:
        # All or nothing, even in a transaction of the caller.
        with connection.begin_nested():
            return Report([_add(connection, curve, derived_from, description) for curve in curves])

    try:
        report = add_all()
    except sa.exc.IntegrityError as error:
        if not was_taken(error):
            raise
        report = add_all()
    report.warn_of_unstored_fields()
    return report


def _add(
    connection: sa.Connection,
    lightcurve: lightkurve.LightCurve,
    derived_from: Any,
    description: Mapping[str, Any],
) -> Outcome:
    check_kind(lightcurve)
    known = dict(description)
    source = derived.source_id(derived_from, lightcurve)
    if source is not None:
        known = derived.described_by_source(connection, source, lightcurve, known)
    mission = known.get("mission")
    if mission is not None and missions.named(mission) is None and known.get("clock") is None:
        known["clock"] = _stored_clock(connection, mission)
    product = product_from_lightcurve(lightcurve, **known)
    (outcome,) = interruptible(
        connection.connection.driver_connection,
        lambda: store(connection, [product], derived_from=source),
    )
    if outcome.error is not None:
        raise _advised(connection, outcome.error, product, source)
    return outcome


def _advised(
    connection: sa.Connection, error: LCDBError, product: Product, source: int | None
) -> LCDBError:
    """Return a more specific error if only a name for the processing is missing."""
    (curve,) = product.curves
    name = curve.processing.name if curve.processing else "raw"
    if (
        source is None
        or not isinstance(error, IngestError)
        or not derived.same_methods(connection, source, curve.photometry.name, name)
    ):
        return error
    return IngestError(
        f"{product.label}: it differs from DataSet {source}, from which it is derived, but has the "
        f"same photometry and processing ({curve.photometry.name}, {name}); name the processing: "
        "processing='flattened'"
    )


def _stored_clock(connection: sa.Connection, mission: str) -> Clock | None:
    clocks = sa.select(
        Mission.time_format_name,
        Mission.time_unit,
        Mission.time_epoch,
        Mission.time_epoch_format,
        Mission.time_epoch_scale,
    ).where(Mission.name == mission)
    row = connection.execute(layout.of(connection).present(clocks)).first()
    return None if row is None else Clock(*row)
