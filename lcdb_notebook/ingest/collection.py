"""Ingest the members of a LightCurveCollection one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.report import Outcome, Report

__all__ = ["add_collection", "is_collection"]


def is_collection(value: Any) -> bool:
    """Return whether this is a LightCurveCollection, without importing lightkurve."""
    return any(cls.__name__ == "LightCurveCollection" for cls in type(value).__mro__)


def add_collection(
    bind: orm.Session | sa.Engine,
    lightcurves: Any,
    on_error: str,
    description: Mapping[str, Any],
) -> Report:
    """Add each light curve of a collection, and report those that are rejected.

    Raises
    ------
    IngestError
        For the first light curve that is rejected, with ``on_error="raise"``.
    """
    outcomes: list[Outcome] = []
    for number, lightcurve in enumerate(lightcurves):
        try:
            outcomes += add(bind, lightcurve, **description).files
        except IngestError as error:
            if on_error == "raise":
                raise
            label = str(lightcurve.meta.get("LABEL") or f"light curve {number}")
            outcomes.append(Outcome(label, "skipped", error=error))
    return Report(tuple(outcomes))
