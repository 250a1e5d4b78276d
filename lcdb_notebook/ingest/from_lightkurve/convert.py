"""Build a Product from a LightCurve's columns and metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from lcdb_notebook.errors import ArgumentError, IngestError
from lcdb_notebook.ingest.from_lightkurve import metadata, times
from lcdb_notebook.ingest.from_lightkurve.cards import contents_of
from lcdb_notebook.ingest.from_lightkurve.origins import (
    author_of,
    flux_column,
    methods,
    quality_types,
)
from lcdb_notebook.ingest.product import Curve, Product
from lcdb_notebook.ingest.readers.dates import check_dates
from lcdb_notebook.ingest.readers.kepler import in_parts
from lcdb_notebook.ingest.readers.pipelines import by_author
from lcdb_notebook.lightcurve import missions
from lcdb_notebook.lightcurve.clock import Clock

if TYPE_CHECKING:
    import lightkurve


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

    A light curve from ``lightkurve.read``, even after ``flatten``, ``remove_outliers`` and similar
    methods, belongs to the observation of the file, and is aligned with it by cadence number.
    Without cadence numbers (``bin``), it gets a new observation.

    Parameters
    ----------
    lightcurve
        A LightCurve, TessLightCurve or KeplerLightCurve.
    target, catalog, mission, photometry, processing, observation_type, observation_fields
        As for :func:`add`, and so are ``instrument`` and ``clock``.

    Returns
    -------
    Product
        A product with one curve, and times in the mission's format in TDB. Masked values become
        NaN. Numbers below 1e6 in the format "jd", which lightkurve assigns to plain numbers, are
        interpreted in the mission's format, and numbers of at least 1e6 in the mission's format as
        BJD.

    Raises
    ------
    IngestError
        If the light curve is folded or stitched, its times are impossible, or something is missing;
        the message names the argument to pass.

    Examples
    --------
    >>> import lightkurve
    >>> lc = lightkurve.LightCurve(time=[1325.5, 1325.6], flux=[1.0, 0.9])
    >>> product_from_lightcurve(lc, target=261136679)
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.IngestError: LightCurve: the mission is unknown (no MISSION, ...
    """
    check_kind(lightcurve)
    name = type(lightcurve).__name__
    meta = {str(key).upper(): value for key, value in lightcurve.meta.items()}
    label = str(meta.get("LABEL") or name)
    try:
        metadata.check_not_stitched(lightcurve)
        known = missions.named(mission) if mission else metadata.known_mission(meta, name)
        mission = known.telescope if known else str(mission)
        pipeline = by_author(author_of(meta) or "")
        kind = observation_type or (pipeline.observation_type if pipeline else None)
        kind = kind or (known.observation_type if known else None)
        if kind is None:
            raise IngestError(
                f"the class of observations of mission {mission} is unknown; pass observation_type="
            )
        number, catalog = metadata.catalog_target(meta, target, catalog, known)
        cadence = metadata.cadence_numbers(lightcurve)
        time = times.mission_time(lightcurve.time, _clock(known, clock, mission))
        if known is not None:
            check_dates(time, known)
        # Without cadence numbers, rows are sorted by time; rows without a time come last.
        order = np.argsort(time if cadence is None else cadence, kind="stable")
        time = time[order]
        exposure = times.exposure_time(meta, time, known, numbered=cadence is not None)
        fields = metadata.observation_fields(meta, known, exposure, observation_fields or {}, kind)
        times.check_span(time, known, fields)
        author = str(fields.get("author") or author_of(meta) or "")
        unit = getattr(lightcurve.flux, "unit", None)
        source, method = methods(
            meta, author, "" if unit is None else unit.to_string(), photometry, processing
        )
        quality = {
            flag_type: metadata.quality_bits(lightcurve, column)
            for flag_type, column in quality_types(
                lightcurve.colnames, author, fields, kind, str(meta.get("QUALITY_TYPE") or "")
            ).items()
        }
        column = flux_column(meta, author)
        flux, flux_err = metadata.flux_and_error(
            lightcurve,
            str(meta.get("FLUX_ORIGIN") or "").lower(),
            (column.error or "").lower() if column else "",
        )
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
            part=known is not None and in_parts(known, fields.get("exptime")),
            contents=contents_of(meta),
            without_flagged=True,
        )
    except IngestError as error:
        raise IngestError(f"{label}: {error}") from error.__cause__


def _clock(known: missions.KnownMission | None, clock: Clock | None, mission: str) -> Clock:
    if clock is not None:
        return clock
    if known is None:
        raise IngestError(f"no mission {mission!r} in this database; add its row first")
    return known.clock


def check_kind(lightcurve: Any) -> None:
    """Raise IngestError unless this is a LightCurve that is not folded."""
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


def check_arguments(function: str, description: Mapping[str, Any], further: Sequence[str]) -> None:
    """Check the names of keyword arguments that describe a light curve.

    Parameters
    ----------
    function
        Name of the user's function, for the message.
    description
        The arguments.
    further
        Names that are allowed in addition to those of :func:`product_from_lightcurve`.

    Raises
    ------
    ArgumentError
        If a name is unknown.
    """
    known = [*further, *list(signature(product_from_lightcurve).parameters)[1:]]
    for name in description:
        if name not in known:
            near = get_close_matches(name, known, 1)
            cure = f"did you mean {near[0]}=" if near else f"it takes {', '.join(known)}"
            raise ArgumentError(f"{function} has no argument {name!r}; {cure}")
