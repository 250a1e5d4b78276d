"""Complete the description of a light curve from its source DataSet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LightCurveNotFoundError
from lcdb_notebook.ingest.from_lightkurve import metadata
from lcdb_notebook.lightcurve.missions import MISSIONS
from lcdb_notebook.lightcurve.record import ObservationData
from lcdb_notebook.search import results
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids
from lcdb_notebook.search.rows import Row

__all__ = ["described_by_source", "same_methods", "source_id"]

_BY_OBSERVATION = {mission.observation_type: mission for mission in MISSIONS.values()}


def source_id(derived_from: Any, lightcurve: Any) -> int | None:
    """Find the id of the DataSet from which a light curve was derived.

    Parameters
    ----------
    derived_from
        The argument of :func:`lcdb_notebook.ingest.add`.
    lightcurve
        The light curve, whose metadata have the id if ``derived_from`` is True.

    Raises
    ------
    IngestError
        If there is no such DataSet, or more than one.
    """
    if derived_from is None or derived_from is False:
        return None
    try:
        ids = resolve_ids(lightcurve if derived_from is True else derived_from)
    except (TypeError, LightCurveNotFoundError) as error:
        raise IngestError(f"derived_from is not a DataSet of this database: {error}") from error
    if len(ids) > 1:
        raise IngestError(
            f"derived_from must be one DataSet, got {len(ids)} "
            f"({', '.join(map(str, ids[:5]))}{', ...' if len(ids) > 5 else ''}); pass one of them "
            "and append the others to DataSet.source_datasets"
        )
    (source,) = ids
    if not isinstance(source, int):
        raise IngestError(f"derived_from is not a DataSet of this database: no DataSet {source}")
    return source


def described_by_source(
    connection: sa.Connection, source: int, lightcurve: Any, description: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete a user's description of a light curve from that of its source.

    Parameters
    ----------
    connection
        Connection to the database of the source.
    source
        Id of the DataSet.
    lightcurve
        The light curve.
    description
        Arguments of :func:`lcdb_notebook.ingest.from_lightkurve.convert.product_from_lightcurve`,
        which take precedence.

    Raises
    ------
    IngestError
        If there is no such DataSet, or the metadata have another target or observation.
    """
    with orm.Session(connection, join_transaction_mode="rollback_only") as session:
        found = results.find_again(session, [source])
        missions = results.missions(session)
    if not found.rows:
        raise IngestError(f"derived_from={source}: no such DataSet")
    row = found.rows[0]
    about, _ = found.observations[row.observation]
    meta = {str(key).upper(): value for key, value in lightcurve.meta.items()}
    _check(meta, description, row, about)
    mission, clock = missions[row.host_mission_id]
    shipped = _BY_OBSERVATION.get(about.type)
    fields = dict(about.fields)
    if metadata.cadence_numbers(lightcurve) is None:
        # It may have been binned, so the exposure time is computed from its times.
        fields.pop("exptime", None)
    known: dict[str, Any] = {
        "target": row.target,
        "catalog": row.catalog,
        "mission": shipped.name if shipped else mission,
        "observation_type": about.type,
        "instrument": about.instrument,
        **({"photometry": row.photometry} if row.photometry else {}),
        **({} if shipped else {"clock": clock}),
    }
    given = {key: value for key, value in description.items() if value is not None}
    fields |= description.get("observation_fields") or {}
    return known | given | {"observation_fields": fields}


def same_methods(connection: sa.Connection, source: int, photometry: str, processing: str) -> bool:
    """Return whether a DataSet has these names of photometry and processing ("raw" for none)."""
    with orm.Session(connection, join_transaction_mode="rollback_only") as session:
        row = results.find_again(session, [source]).rows[0]
    return (row.photometry, row.processing or "raw") == (photometry, processing)


def _check(
    meta: Mapping[str, Any], description: Mapping[str, Any], row: Row, about: ObservationData
) -> None:
    """Reject a source of another target or observation than the light curve."""
    source = f"its source (derived_from, DataSet {row.dataset})"
    numbers = [description.get("target"), *(meta.get(key) for key in metadata.TARGET_KEYS)]
    number = next((n for n in numbers if isinstance(n, int)), None)
    if number is not None and number != row.target:
        raise IngestError(
            f"the target of the light curve is {number}, but that of {source} is {row.catalog} "
            f"{row.target}"
        )
    for name in about.chronology:
        its, sources = meta.get(name.upper()), about.fields.get(name)
        if isinstance(its, int) and isinstance(sources, int) and its != sources:
            raise IngestError(
                f"the light curve is from {name} {its}, but {source} is from {name} {sources}"
            )
