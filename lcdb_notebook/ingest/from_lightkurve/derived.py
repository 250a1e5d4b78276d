"""What a DataSet says of a light curve that was made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError, LightCurveNotFoundError
from lcdb_notebook.ingest.from_lightkurve import metadata
from lcdb_notebook.lightcurve.record import ObservationData
from lcdb_notebook.search import results
from lcdb_notebook.search.lineage.resolve_ids import resolve_ids
from lcdb_notebook.search.rows import Row

__all__ = ["said_by_source", "same_methods", "source_id"]

_CRAFTS = {
    "tess_observation": "TESS",
    "kepler_observation": "Kepler",
    "k2_observation": "K2",
}


def source_id(derived_from: Any, lightcurve: Any) -> int | None:
    """Give the id of the DataSet that a light curve was made from.

    Parameters
    ----------
    derived_from
        The argument of :func:`lcdb_notebook.ingest.add`.
    lightcurve
        The light curve, whose own metadata say it where that is True.

    Raises
    ------
    IngestError
        If it names none, or more than one.
    """
    if derived_from is None or derived_from is False:
        return None
    asked = lightcurve if derived_from is True else derived_from
    try:
        ids = resolve_ids(asked)
    except (TypeError, LightCurveNotFoundError) as error:
        raise IngestError(f"derived_from= names no DataSet: {error}") from error
    if len(ids) > 1:
        raise IngestError(
            f"derived_from= names {len(ids)} DataSets ({', '.join(map(str, ids[:5]))}, ...), and a "
            "light curve belongs to the target and the observation of one; link it to the others "
            "through DataSet.source_datasets"
        )
    return ids[0]


def said_by_source(
    connection: sa.Connection, source: int, lightcurve: Any, said: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete what a user says of a light curve by what its source is known to be.

    Parameters
    ----------
    connection
        Where the source is looked up.
    source
        Id of the DataSet.
    lightcurve
        The light curve.
    said
        Arguments of :func:`lcdb_notebook.ingest.from_lightkurve.add.product_from_lightcurve`,
        which come first.

    Raises
    ------
    IngestError
        If there is no such DataSet, or the metadata name another target or observation.
    """
    with orm.Session(connection, join_transaction_mode="rollback_only") as session:
        found = results.find_again(session, [source])
        missions = results.missions(session)
    if not found.rows:
        raise IngestError(f"there is no DataSet {source} for it to be derived from")
    row = found.rows[0]
    about, _ = found.observations[row.observation]
    meta = {str(key).upper(): value for key, value in lightcurve.meta.items()}
    _check(meta, said, row, about)
    mission, clock = missions[row.host_mission_id]
    craft = _CRAFTS.get(about.type)
    fields = dict(about.fields)
    if metadata.cadence_numbers(lightcurve) is None:
        # It was binned, perhaps: its own times tell how long it was exposed.
        fields.pop("exptime", None)
    known: dict[str, Any] = {
        "target": row.target,
        "catalog": row.catalog,
        "mission": craft or mission,
        "observation_type": about.type,
        "instrument": about.instrument,
        **({"photometry": row.photometry} if row.photometry else {}),
        **({} if craft else {"clock": clock}),
    }
    given = {key: value for key, value in said.items() if value is not None}
    return known | given | {"observation_fields": fields | (said.get("observation_fields") or {})}


def same_methods(connection: sa.Connection, source: int, photometry: str, processing: str) -> bool:
    """Whether a DataSet was itself extracted and processed in a way so named ("raw" is none)."""
    with orm.Session(connection, join_transaction_mode="rollback_only") as session:
        row = results.find_again(session, [source]).rows[0]
    return (row.photometry, row.processing or "raw") == (photometry, processing)


def _check(
    meta: Mapping[str, Any], said: Mapping[str, Any], row: Row, about: ObservationData
) -> None:
    """Refuse a source that is of another star or another observation than the light curve."""
    source = f"DataSet {row.dataset}, from which it is said to be derived,"
    numbers = [said.get("target"), *(meta.get(key) for key in ("TARGETID", "TICID", "KEPLERID"))]
    number = next((n for n in numbers if isinstance(n, int)), None)
    if number is not None and number != row.target:
        raise IngestError(f"it is of target {number}, and {source} of {row.catalog} {row.target}")
    for name in about.chronology:
        its, sources = meta.get(name.upper()), about.fields.get(name)
        if isinstance(its, int) and isinstance(sources, int) and its != sources:
            raise IngestError(f"it is of {name} {its}, and {source} of {name} {sources}")
