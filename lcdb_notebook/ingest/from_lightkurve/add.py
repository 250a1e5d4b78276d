"""Add lightkurve's LightCurves, or a DataFrame of them, to the database."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import ArgumentError, IngestError, LCDBError
from lcdb_notebook.ingest.from_lightkurve import derived, metadata
from lcdb_notebook.ingest.from_lightkurve.origins import methods, quality_types
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.report import Outcome, Report
from lcdb_notebook.ingest.store.store import store
from lcdb_notebook.lightcurve import missions
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
    **description: Any,
) -> Report:
    """Add a LightCurve to the database, or all those of a DataFrame.

    Parameters
    ----------
    bind : sqlalchemy.orm.Session or sqlalchemy.Engine
        With an engine, everything is committed. With a session, the light curve is added in the
        session's transaction, after its pending changes, and is committed by the caller.
    lightcurve : lightkurve.LightCurve or pandas.DataFrame
        Its ``flux`` and ``flux_err`` are added. A DataFrame must come from ``to_pandas``; its
        values may have changed, but not their unit.
    derived_from : DataSet, int, LightCurve, LightCurveData or bool, optional
        The DataSet that it was made from, its id, or the light curve that was read from it. True
        means the DataSet that the light curve was read from (``meta["DATASET"]``); in a DataFrame,
        that of each light curve. It becomes the source in the lineage, and supplies what the
        metadata of the light curve do not have.
    target : int, optional
        Catalog number; by default TARGETID, TICID, KEPLERID or LABEL of the metadata.
    catalog : str, optional
        Name of the catalog, such as "TIC"; by default from LABEL or the mission.
    mission : str, optional
        "TESS", "Kepler", "K2", or a mission in the database; by default MISSION, TELESCOP or the
        class of the light curve.
    photometry, processing : str, optional
        Names of the photometric source and of the processing ("raw" for none); by default
        PHOTOMETRY, PROCESSING and FLUX_ORIGIN. A light curve that was flattened or normalized needs
        a new name of the processing.
    observation_type : str, optional
        Polymorphic identity of the observation, such as "tess_observation".
    observation_fields : mapping, optional
        Values of the observation's columns, such as ``{"sector": 1}``, which replace those of the
        metadata.
    instrument : tuple of str, optional
        Names from the root of the instrument tree: ``("TESS", "Camera 1", "CCD 2")``.
    clock : Clock, optional
        The clock of a mission that is neither known nor in the database.

    Returns
    -------
    Report
        One entry per light curve; ``report.files[0].datasets`` has the id of the first.

    Raises
    ------
    IngestError
        If something is missing, contradicts what is stored, or the source is of another target or
        observation; if the light curve is folded or stitched, or its times are impossible for the
        mission. Nothing is added then, not even other light curves of a DataFrame.
    ArgumentError
        For an unknown argument.
    LineageError
        If it would be derived from itself.
    DataError
        If a DataFrame does not come from ``to_pandas``.

    Notes
    -----
    Fluxes are placed by cadence number, with NaN for cadences that the light curve does not have
    (``flatten`` drops flagged ones, for example). A binned light curve has no cadence numbers, so
    it is added to a new observation, with the length of the bins as ``exptime``.

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
    _check_arguments(description)
    curves = (
        [lightcurve] if not _is_frame(lightcurve) else list(from_pandas(lightcurve, as_flux=False))
    )
    if isinstance(bind, orm.Session):
        bind.flush()
        return _add_all(bind.connection(), curves, derived_from, description)
    with bind.begin() as connection:
        return _add_all(connection, curves, derived_from, description)


def _check_arguments(description: Mapping[str, Any]) -> None:
    known = [name for name in signature(product_from_lightcurve).parameters if name != "lightcurve"]
    for name in description:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, "derived_from"], 1)
            cure = f"did you mean {near[0]}=" if near else f"it takes {', '.join(known)}"
            raise ArgumentError(f"add() has no argument {name!r}; {cure}")


def _is_frame(lightcurve: Any) -> bool:
    import pandas as pd

    return isinstance(lightcurve, pd.DataFrame)


def _add_all(
    connection: sa.Connection, curves: list[Any], derived_from: Any, description: dict[str, Any]
) -> Report:
    # All or none, even in a transaction of the caller.
    with connection.begin_nested():
        outcomes = [_add(connection, curve, derived_from, description) for curve in curves]
    return Report(outcomes)


def _add(
    connection: sa.Connection,
    lightcurve: lightkurve.LightCurve,
    derived_from: Any,
    description: Mapping[str, Any],
) -> Outcome:
    _check_kind(lightcurve)
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
    """Return the error to raise: another one if only the name of the processing is missing."""
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
    """Build a Product from a LightCurve's columns and metadata.

    What ``lightkurve.read`` makes of a file, and what ``flatten``, ``remove_outliers`` and the like
    make of that, belongs to the same observation as the file, and is aligned with it by cadence
    number. Without cadence numbers (``bin``) it gets a new observation.

    Parameters
    ----------
    lightcurve
        A LightCurve, TessLightCurve or KeplerLightCurve.
    target, catalog, mission, photometry, processing, observation_type, observation_fields
        As for :func:`add`, and so are ``instrument`` and ``clock``.

    Returns
    -------
    Product
        With one curve and its time in the mission's format in TDB. Masked values become NaN.
        Numbers below 1e6 in the format "jd", which lightkurve gives to plain numbers, are read as
        the mission's format, and numbers from 1e6 in the mission's format as BJD.

    Raises
    ------
    IngestError
        If it is folded or stitched, its times are impossible, or something is missing; the message
        names the argument to pass.

    Examples
    --------
    >>> import lightkurve
    >>> lc = lightkurve.LightCurve(time=[1325.5, 1325.6], flux=[1.0, 0.9])
    >>> product_from_lightcurve(lc, target=261136679)
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.IngestError: LightCurve: the mission is unknown (no MISSION, ...
    """
    _check_kind(lightcurve)
    name = type(lightcurve).__name__
    meta = {str(key).upper(): value for key, value in lightcurve.meta.items()}
    label = str(meta.get("LABEL") or name)
    try:
        metadata.check_not_stitched(lightcurve)
        known = missions.named(mission) if mission else metadata.known_mission(meta, name)
        mission = known.telescope if known else str(mission)
        kind = observation_type or (known.observation_type if known else None)
        if kind is None:
            raise IngestError(
                f"the class of observations of mission {mission} is unknown; pass observation_type="
            )
        number, catalog = metadata.catalog_target(meta, target, catalog, known)
        cadence = metadata.cadence_numbers(lightcurve)
        time = metadata.mission_time(lightcurve.time, _clock(known, clock, mission))
        if known is not None:
            metadata.check_dates(time, known)
        # Without cadence numbers, rows are sorted by time, and those without time come last.
        order = np.argsort(time if cadence is None else cadence, kind="stable")
        time = time[order]
        exposure = metadata.exposure_time(meta, time, known, numbered=cadence is not None)
        fields = metadata.observation_fields(meta, known, exposure, observation_fields or {})
        metadata.check_span(time, known, fields)
        author = str(fields.get("author") or meta.get("AUTHOR") or "")
        unit = getattr(lightcurve.flux, "unit", None)
        source, method = methods(
            meta, author, "" if unit is None else unit.to_string(), photometry, processing
        )
        quality = {
            flag_type: metadata.flag_bits(lightcurve[column])
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
            instrument=instrument or metadata.instrument_path(meta, known, mission),
            cadence=np.arange(time.size) if cadence is None else cadence[order],
            time=time,
            quality={name: bits[order] for name, bits in quality.items() if bits is not None},
            curves=(curve,),
            # Files without cadence numbers are stored with negative ones, one per row.
            numbered=cadence is not None and bool((cadence >= 0).all()),
        )
    except IngestError as error:
        raise IngestError(f"{label}: {error}") from error.__cause__


def _clock(known: missions.KnownMission | None, clock: Clock | None, mission: str) -> Clock:
    if clock is not None:
        return clock
    if known is None:
        raise IngestError(f"no mission {mission!r} in this database; add its row first")
    return known.clock


def _check_kind(lightcurve: Any) -> None:
    from lightkurve import FoldedLightCurve, LightCurve

    name = type(lightcurve).__name__
    if isinstance(lightcurve, FoldedLightCurve):
        raise IngestError(
            f"{name}: a folded light curve has phases instead of times; add it before folding"
        )
    if isinstance(lightcurve, LightCurve):
        return
    cure = ""
    if isinstance(lightcurve, str | os.PathLike):
        cure = "; use db.ingest() for files"
    elif name.endswith("LightCurveCollection"):
        cure = "; add its members separately"
    raise IngestError(f"lightcurve must be a LightCurve or DataFrame, got {name}{cure}")
