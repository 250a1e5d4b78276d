"""From a lightkurve LightCurve to a Product, and into the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.clock import Clock
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest import metadata
from lcdb_notebook.ingest.names import MISSIONS
from lcdb_notebook.ingest.origins import methods, quality_types
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.report import Report
from lcdb_notebook.ingest.store import store
from lcdb_notebook.interrupt import interruptible
from lcdb_notebook.models import Mission

if TYPE_CHECKING:
    import lightkurve


def add(
    bind: orm.Session | sa.Engine,
    lightcurve: lightkurve.LightCurve,
    *,
    derived_from: int | None = None,
    **said: Any,
) -> Report:
    """Take a LightCurve into the database.

    Parameters
    ----------
    bind
        An engine: the light curve is committed. A session: it is added in the session's own
        transaction, after what is pending there, and the session decides.
    lightcurve
        What is added: its ``flux`` and ``flux_err``.
    derived_from
        Id of the dataset that it was made from (``lightcurve.meta["DATASET"]`` of one that was read
        here), which becomes its source in the hierarchy.
    **said
        What its metadata do not say: see :func:`product_from_lightcurve`.

    Returns
    -------
    Report
        Of one entry; ``report.files[0].datasets`` holds its id.

    Raises
    ------
    IngestError
        If something is missing, or it contradicts what is stored.
    LineageError
        If it would descend from itself.
    """
    if isinstance(bind, orm.Session):
        bind.flush()
        return _add(bind.connection(), lightcurve, derived_from, said)
    with bind.begin() as connection:
        return _add(connection, lightcurve, derived_from, said)


def _add(
    connection: sa.Connection,
    lightcurve: lightkurve.LightCurve,
    derived_from: int | None,
    said: dict[str, Any],
) -> Report:
    mission = said.get("mission")
    if mission is not None and mission not in MISSIONS and said.get("clock") is None:
        said["clock"] = _stored_clock(connection, mission)
    product = product_from_lightcurve(lightcurve, **said)
    report = Report(
        interruptible(
            connection.connection.driver_connection,
            lambda: store(connection, [product], derived_from=derived_from),
        )
    )
    error = report.files[0].error
    if error is not None:
        raise error
    return report


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
    from lightkurve import FoldedLightCurve, LightCurve

    name = type(lightcurve).__name__
    if isinstance(lightcurve, FoldedLightCurve):
        raise IngestError(
            f"{name}: a folded light curve has phases instead of times; add it before folding"
        )
    if not isinstance(lightcurve, LightCurve):
        raise IngestError(f"a lightkurve LightCurve is expected, not a {name}")
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
