"""Light curves of CDIPS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import FloatVector, Named, Product
from lcdb_notebook.ingest.readers.dates import check_dates
from lcdb_notebook.ingest.readers.fits_product import build_product
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import (
    Header,
    catalog_number,
    tess_observation,
    text,
    value,
)
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import exposure_of_steps
from lcdb_notebook.lightcurve.clock import SMALLEST_BJD
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "FLAGS", "letter_flags", "read", "recognizes"]

_APERTURES = (1, 2, 3)


def _columns(aperture: int) -> tuple[FluxColumn, ...]:
    photometry = Named(
        f"CDIPS aperture {aperture}", "[adu] Aperture photometry of difference images (CDIPS)"
    )
    flux = FluxColumn(f"IFL{aperture}", photometry, error=f"IFE{aperture}")
    magnitude = derived(
        f"IRM{aperture}", flux, "CDIPS IRM", "[mag] Instrumental magnitude", f"IRE{aperture}"
    )
    filtered = "[mag] Trends removed by the trend-filtering algorithm (CDIPS)"
    components = "[mag] Principal components of the CCD removed (CDIPS)"
    return (
        flux,
        magnitude,
        replace(derived(f"TFA{aperture}", magnitude, "CDIPS TFA", filtered), optional=True),
        replace(derived(f"PCA{aperture}", magnitude, "CDIPS PCA", components), optional=True),
    )


COLUMNS = {"CDIPS": tuple(column for aperture in _APERTURES for column in _columns(aperture))}
FLAGS = {"cdips_quality_flag": tuple(f"irq{aperture}" for aperture in _APERTURES)}


def recognizes(primary: Header, _header: Header) -> bool:
    """Return whether a file with these headers is a light curve of CDIPS."""
    return "cdips" in text(primary, "ORIGIN").lower()


def letter_flags(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int32]:
    """Return flags with one bit for each column of letters, set where it is not "G" or "0".

    Examples
    --------
    >>> letter_flags([np.array(["G", "X", "0"]), np.array(["X", "X", "G"])]).tolist()
    [2, 3, 0]
    """
    flags = np.zeros(len(columns[0]), np.int32)
    for bit, letters in enumerate(columns):
        flags |= np.where(np.isin(letters.astype(str), ("G", "0")), 0, 1 << bit).astype(np.int32)
    return flags


def read(table: LightCurveTable) -> Product:
    """Read the light curves of CDIPS, which have full BJD and no cadence numbers.

    Cadences without good photometry in any of the three apertures are not stored, because
    lightkurve.io.cdips drops them under every preset.

    Source: github.com/lgbouma/cdips (``reformat_lcs_for_mast``).
    """
    table = table.with_finite("TMID_BJD")
    ((flag_type, columns),) = FLAGS.items()
    flags = letter_flags([table.texts(column) for column in columns])
    good = flags != (1 << len(columns)) - 1
    if not good.any():
        raise IngestError("no cadence has good photometry (IRQ1 to IRQ3 are not 'G' or '0')")
    table = table.selected(good)
    time = _times(table)
    target = text(table.primary, "TICID")
    catalog, key = (TESS.catalog, "TICID") if target.isdecimal() else ("Gaia DR2", "GAIA-ID")
    return build_product(
        table,
        **tess_observation(
            table.primary, "CDIPS", exposure_of_steps(time, TESS), Path(table.label).name
        ),
        time=time,
        catalog=catalog,
        target=catalog_number(value(table.primary, key), key),
        quality={flag_type: flags[good]},
        curves=read_curves(table, COLUMNS["CDIPS"]),
        cadence_column=None,
    )


def _times(table: LightCurveTable) -> FloatVector:
    time = table.floats("TMID_BJD")
    if time.max() >= SMALLEST_BJD:
        time = TESS.clock.from_bjd(time)
    check_dates(time, TESS)
    return time
