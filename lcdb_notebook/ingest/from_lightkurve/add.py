"""From a lightkurve LightCurve to a Product, and into the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LCDBError
from lcdb_notebook.ingest.from_lightkurve import derived, metadata
from lcdb_notebook.ingest.from_lightkurve.origins import methods, quality_types
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.ingest.store.names import MISSIONS
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.convert import from_pandas
from lcdb_notebook.models import Mission
from lcdb_notebook.server.interrupt import interruptible

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd


def add(
    bind: orm.Session | sa.Engine,
    lightcurve: lightkurve.LightCurve | pd.DataFrame,
    *,
    derived_from: Any = None,
    **said: Any,
) -> Report:
    """Take a LightCurve into the database, or all those of a DataFrame.

    Parameters
    ----------
    bind
        An engine: all is committed. A session: it is added in the session's own transaction, after
        what is pending there, and the session decides.
    lightcurve
        What is added: its ``flux`` and ``flux_err``. Or what ``to_pandas`` gave, changed, which is
        first made LightCurves of (:func:`lcdb_notebook.lightcurve.convert.from_pandas`), with
        magnitudes left as they are; the unit of changed values has to be that of ``attrs`` still.
    derived_from
        The DataSet that it was made from, which becomes its source in the hierarchy: its id, a
        DataSet, or the LightCurve or LightCurveData that was read of it. True is the one that the
        light curve itself was read from, as its metadata tell (``meta["DATASET"]``), and for a
        DataFrame each light curve's own. What its metadata do not say is taken from there.
    **said
        What its metadata do not say: see :func:`product_from_lightcurve`. What was processed needs
        a ``processing=`` of its own.

    Returns
    -------
    Report
        One entry a light curve; ``report.files[0].datasets`` holds the id of the first.

    Raises
    ------
    IngestError
        If something is missing, or it contradicts what is stored, or its source is of another
        target or observation. Nothing is added then, of a DataFrame either.
    LineageError
        If it would descend from itself.
    DataError
        If a DataFrame does not come from ``to_pandas``.

    Notes
    -----
    Cadences are placed by their numbers, and NaN stands where a light curve has none (flattening
    drops flagged ones, for example). A binned light curve has no numbers any more: it gets an
    observation of its own, with the bins' length as ``exptime``, and keeps its source.

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
    curves = (
        [lightcurve] if not _is_frame(lightcurve) else list(from_pandas(lightcurve, as_flux=False))
    )
    if isinstance(bind, orm.Session):
        bind.flush()
        return _add_all(bind.connection(), curves, derived_from, said)
    with bind.begin() as connection:
        return _add_all(connection, curves, derived_from, said)


def _is_frame(lightcurve: Any) -> bool:
    import pandas as pd

    return isinstance(lightcurve, pd.DataFrame)


def _add_all(
    connection: sa.Connection, curves: list[Any], derived_from: Any, said: dict[str, Any]
) -> Report:
    # All or none, also where the transaction is the caller's.
    with connection.begin_nested():
        outcomes = [_add(connection, curve, derived_from, dict(said)) for curve in curves]
    return Report(outcomes)


def _add(
    connection: sa.Connection,
    lightcurve: lightkurve.LightCurve,
    derived_from: Any,
    said: dict[str, Any],
) -> Outcome:
    _check_kind(lightcurve)
    source = derived.source_id(derived_from, lightcurve)
    if source is not None:
        said = derived.said_by_source(connection, source, lightcurve, said)
    mission = said.get("mission")
    if mission is not None and mission not in MISSIONS and said.get("clock") is None:
        said["clock"] = _stored_clock(connection, mission)
    product = product_from_lightcurve(lightcurve, **said)
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
    """Say what to do where a changed light curve has kept the name of what it was made from."""
    (curve,) = product.curves
    name = curve.processing.name if curve.processing else "raw"
    if (
        source is None
        or not isinstance(error, IngestError)
        or not derived.same_methods(connection, source, curve.photometry.name, name)
    ):
        return error
    return IngestError(f"{error}; what was made of it needs a name: processing='flattened'")


def _stored_clock(connection: sa.Connection, mission: str) -> Clock | None:
    row = connection.execute(
        sa.select(
            Mission.time_format_name,
            Mission.time_unit,
            Mission.time_epoch,
            Mission.time_epoch_format,
            Mission.time_epoch_scale,
        ).where(Mission.name == mission)
    ).first()
    return None if row is None else Clock(*row)


def product_from_lightcurve(
    lightcurve: lightkurve.LightCurve,
    *,
    target: int | None = None,
    catalog: str | None = None,
    mission: str | None = None,
    photometry: str | None = None,
    processing: str | None = None,
    observation_type: str | None = None,
    observation_fields: Mapping[str, Any] | None = None,
    instrument: tuple[str, ...] | None = None,
    clock: Clock | None = None,
) -> Product:
    """Find out from a LightCurve's columns and metadata what it is.

    What ``lightkurve.read`` makes of a file, and what is left of it after ``flatten``,
    ``remove_outliers`` and the like, belongs to the observation that the file itself belongs to,
    and is aligned with it by cadence number. Without cadence numbers (``bin``) it gets an
    observation of its own.

    Parameters
    ----------
    lightcurve
        A LightCurve, TessLightCurve or KeplerLightCurve.
    target, catalog
        Catalog number, and name of the catalog ("TIC"); from TARGETID, TICID, KEPLERID, LABEL.
    mission
        "TESS", "Kepler", "K2", or one that has a row in the database; from MISSION, TELESCOP or the
        LightCurve's class.
    photometry, processing
        Names of how the light was extracted, and of what was done to it since ("raw" is nothing);
        from PHOTOMETRY, PROCESSING and FLUX_ORIGIN. Anything made by ``flatten`` or ``normalize``
        wants a ``processing`` of its own.
    observation_type, observation_fields, instrument
        Polymorphic identity, values of the class's columns (``{"sector": 1}``), names from the root
        of the instrument tree. Fields given are added to those that the metadata supply.
    clock
        That of a mission which this package does not know.

    Returns
    -------
    Product
        With one curve, its time in the mission's format in TDB. Masked values are NaN. Numbers
        below 1e6 in the format "jd", which is what lightkurve makes of plain numbers, are taken to
        be in the mission's format already, and numbers above it in the mission's format to be BJD.

    Raises
    ------
    IngestError
        If it is folded or stitched, or something is missing; the message says which argument
        supplies it.

    Examples
    --------
    >>> import lightkurve
    >>> lc = lightkurve.LightCurve(time=[1325.5, 1325.6], flux=[1.0, 0.9])
    >>> product_from_lightcurve(lc, target=261136679)
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.IngestError: LightCurve: its metadata (MISSION, TELESCOP) do not say ...
    """
    _check_kind(lightcurve)
    name = type(lightcurve).__name__
    meta = {str(key).upper(): value for key, value in lightcurve.meta.items()}
    label = str(meta.get("LABEL") or name)
    try:
        craft = mission or metadata.spacecraft(meta, name)
        mission = "Kepler" if craft == "K2" else craft
        kind = observation_type or metadata.observation_type(craft)
        number, catalog = metadata.catalog_target(meta, target, catalog, craft)
        cadence = metadata.cadence_numbers(lightcurve)
        time = metadata.mission_time(lightcurve.time, metadata.mission_clock(mission, clock))
        # Without numbers the times tell the order, and rows without time come last.
        order = np.argsort(time if cadence is None else cadence, kind="stable")
        time = time[order]
        exposure = metadata.exposure_time(meta, time, craft, numbered=cadence is not None)
        fields = metadata.observation_fields(meta, craft, exposure, observation_fields or {})
        metadata.check_span(time, kind, fields)
        author = str(fields.get("author") or meta.get("AUTHOR") or "")
        unit = getattr(lightcurve.flux, "unit", None)
        source, method = methods(
            meta, author, "" if unit is None else unit.to_string(), photometry, processing
        )
        quality = {
            flag_type: metadata.integers(lightcurve[column])
            for flag_type, column in quality_types(
                lightcurve.colnames, author, fields, kind, str(meta.get("QUALITY_TYPE") or "")
            ).items()
        }
        flux, flux_err = metadata.flux_and_error(lightcurve, str(meta.get("FLUX_ORIGIN") or ""))
        curve = Curve(
            source, method, None, flux[order], None if flux_err is None else flux_err[order]
        )
        return Product(
            label=label,
            mission=mission,
            catalog=catalog,
            target=number,
            observation_type=kind,
            observation_fields=fields,
            instrument=instrument or metadata.instrument_path(meta, craft),
            cadence=np.arange(time.size) if cadence is None else cadence[order],
            time=time,
            quality={name: bits[order] for name, bits in quality.items() if bits is not None},
            curves=(curve,),
            # Files without numbers are stored under negative ones, which tell the row.
            numbered=cadence is not None and bool((cadence >= 0).all()),
        )
    except IngestError as error:
        raise IngestError(f"{label}: {error}") from error.__cause__


def _check_kind(lightcurve: Any) -> None:
    from lightkurve import FoldedLightCurve, LightCurve

    name = type(lightcurve).__name__
    if isinstance(lightcurve, FoldedLightCurve):
        raise IngestError(
            f"{name}: a folded light curve has phases instead of times; add it before folding"
        )
    if not isinstance(lightcurve, LightCurve):
        raise IngestError(f"a lightkurve LightCurve is expected, not a {name}")
