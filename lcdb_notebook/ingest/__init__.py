"""The write side: files and LightCurves into the database. The read side never imports it."""

from __future__ import annotations

from lcdb_notebook.ingest.files_to_database import ingest
from lcdb_notebook.ingest.frames import add_frames
from lcdb_notebook.ingest.lightcurve import add
from lcdb_notebook.ingest.report import Outcome, Report

__all__ = ["Outcome", "Report", "add", "add_frames", "ingest"]
