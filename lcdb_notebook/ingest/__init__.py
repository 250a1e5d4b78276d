"""Store files and LightCurves in the database. Modules for reading never import this package."""

from __future__ import annotations

from lcdb_notebook.ingest.batches import ingest
from lcdb_notebook.ingest.frames.add import add_frames
from lcdb_notebook.ingest.from_lightkurve.add import add
from lcdb_notebook.ingest.report import Outcome, Report

__all__ = ["Outcome", "Report", "add", "add_frames", "ingest"]
