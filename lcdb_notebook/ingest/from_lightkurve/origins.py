"""Find names for the photometry, processing and flags of a LightCurve, like the file readers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lcdb_notebook import flags
from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Named
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, with_unit
from lcdb_notebook.ingest.readers.headers import qlp_flag_type
from lcdb_notebook.ingest.readers.pipelines import PIPELINES, by_author
from lcdb_notebook.lightcurve.missions import MISSIONS, TESS

_FLAG_TYPES = {mission.observation_type: mission.flag_type for mission in MISSIONS.values()}


def author_of(meta: Mapping[str, Any]) -> str | None:
    """Return the pipeline of a LightCurve; None if it is unknown.

    lightkurve reads KBONUS-BKG as Kepler, so HLSPID is preferred there.
    """
    author = meta.get("AUTHOR")
    if by_author(str(meta.get("HLSPID"))) is not None:
        author = meta["HLSPID"]
    return None if author is None else str(author)


def flux_column(meta: Mapping[str, Any], author: str) -> FluxColumn | None:
    """Find the column of the pipeline's files from which lightkurve took the flux.

    Parameters
    ----------
    meta
        Metadata by upper-case key.
    author
        The pipeline.
    """
    pipeline = by_author(author)
    if pipeline is None:
        return None
    columns = pipeline.columns[author]
    origin = str(meta.get("FLUX_ORIGIN") or "").upper()
    if origin.endswith("TO_FITS()"):
        # lightkurve does not name the column of files that it wrote.
        origin = "FLUX"
    found = next((c for c in columns if c.column.upper() == origin), None)
    word = pipeline.variant(meta, os.path.basename(str(meta.get("FILENAME") or "")))  # noqa: PTH119
    return None if found is None else found.of_variant(word)


def methods(
    meta: Mapping[str, Any],
    author: str,
    unit: str,
    photometry: str | None,
    processing: str | None,
) -> tuple[Named, Named | None]:
    """Find the photometric source and the processing of a LightCurve's flux.

    Parameters
    ----------
    meta
        Metadata by upper-case key.
    author
        The pipeline.
    unit
        Unit of the flux.
    photometry, processing
        Names from the user, which take precedence; the processing "raw" means none.

    Raises
    ------
    IngestError
        If the photometry is unknown.
    """
    origin = str(meta.get("FLUX_ORIGIN") or "")
    known = flux_column(meta, author)
    photometry = photometry or meta.get("PHOTOMETRY") or (known.photometry.name if known else None)
    if processing is None:
        processing = meta.get("PROCESSING")
    if processing is None and known and known.processing:
        processing = known.processing.name
    if not photometry:
        raise IngestError(
            f"the photometry is unknown (no PHOTOMETRY, AUTHOR {author!r}, FLUX_ORIGIN "
            f"{origin!r}); pass photometry="
        )
    how = f"of a lightkurve LightCurve ({author} {origin})".replace("( ", "(").replace(" )", ")")
    how = how.removesuffix(" ()")
    source = _source(str(photometry), unit)
    if processing is None or processing.lower() == "raw":
        if source is None or not source.description.startswith(f"[{unit}]"):
            source = Named(photometry, f"[{unit}] Flux {how}")
        return source, None
    return (
        # The unit of the source may differ from that of the derived light curve, so it is omitted.
        source or Named(photometry, f"Source {how}"),
        Named(processing, f"[{unit}] {processing} {how}"),
    )


def _source(photometry: str, unit: str) -> Named | None:
    """Find a photometric source of the file readers, for light curves added before any file."""
    for pipeline in PIPELINES:
        for columns in pipeline.columns.values():
            for column in columns:
                if column.photometry.name == photometry:
                    return with_unit(column, unit).photometry
    return None


def quality_types(
    columns: Sequence[str],
    author: str,
    fields: Mapping[str, Any],
    observation_type: str,
    flag_type: str = "",
) -> dict[str, str | tuple[str, ...]]:
    """Find the column of each flag type; several columns if the flags are letters.

    ``quality`` has flags of type ``flag_type``, if it is given, as for light curves that were read
    from a database. Otherwise the columns are those of the pipeline (TGLC has two, and lightkurve
    puts their sum into ``quality``), or ``quality`` has the flags of the mission. Other columns are
    recognized by the names of flag types.
    """
    found: dict[str, str | tuple[str, ...]] = {
        name: name for name in flags.types() if name in columns
    }
    pipeline = by_author(author)
    if pipeline is not None and not flag_type:
        own = {
            name: source
            for name, source in pipeline.flags.items()
            if all(c in columns for c in ([source] if isinstance(source, str) else source))
        }
        if own:
            return found | own
    if "quality" in columns:
        primary = flag_type or _FLAG_TYPES.get(observation_type, "base_quality_flag")
        if author == "QLP" and not flag_type:
            primary = qlp_flag_type(fields.get(TESS.field, 1))
        found.setdefault(primary, "quality")
    return found
