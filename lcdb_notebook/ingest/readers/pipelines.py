"""What each pipeline's light-curve files mean: who made them, of what, and which column is which.

To add a pipeline, write a ``recognises`` and a ``read`` and add one entry to :data:`PIPELINES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, FloatVector, IntVector, Named, Product
from lcdb_notebook.ingest.readers.headers import (
    KEPLER_EXPOSURES,
    SECONDS_PER_DAY,
    TESS_EXPOSURES,
    Header,
    catalog_number,
    check_clock,
    integer,
    nominal_exposure,
    tess_observation,
    text,
    time_step,
    value,
)
from lcdb_notebook.ingest.readers.table import LightCurveTable

ELECTRONS = "electron / s"
RELATIVE = ""

# Times before and after this are full Julian dates, whatever the header says of their zero.
_LARGEST_TIME = 1e6

_PDCSAP = Named(
    "PDCSAP",
    f"[{ELECTRONS}] Presearch data conditioning of simple aperture photometry: systematics that a "
    "CCD's stars share are removed, and dilution by neighbours is corrected",
)


@dataclass(frozen=True)
class Pipeline:
    """One kind of file: how to tell it by its primary and its table's header, and how to read it.

    Parameters
    ----------
    name
        What astronomers call it, for messages.
    recognises
        True if a file with this primary header and this header of the table is of this kind.
    read
        Makes the :class:`Product`; raises IngestError where the file is not as it should be.
    """

    name: str
    recognises: Callable[[Header, Header], bool]
    read: Callable[[LightCurveTable], Product]


def _is_spoc(primary: Header, header: Header) -> bool:
    # lightkurve.io.detect does the same, but also takes any creator with "lightcurve" in it,
    # its own to_fits() included.
    return (
        text(primary, "TELESCOP").upper() == "TESS"
        and text(primary, "ORIGIN") == "NASA/Ames"
        and "LightCurveExporter" in text(primary, "CREATOR")
        and text(header, "EXTNAME") == "LIGHTCURVE"
    )


def _read_spoc(table: LightCurveTable) -> Product:
    """SPOC's own light curves and TESS-SPOC's, which the headers tell apart by cadence alone."""
    exposure = nominal_exposure(time_step(table.header), TESS_EXPOSURES, "TIMEDEL")
    # Target pixels come every 20 s or 120 s (SPOC), full-frame images more slowly (TESS-SPOC).
    author = "SPOC" if exposure < 150 else "TESS-SPOC"
    table = table.sorted_by("CADENCENO")
    return _product(
        table,
        **tess_observation(table.primary, author, exposure),
        catalog="TIC",
        target=catalog_number(value(table.primary, "TICID"), "TICID"),
        quality={"tess_quality_flag": table.quality("QUALITY")},
        curves=_aperture_curves(table, author),
    )


def _is_kepler(primary: Header, header: Header) -> bool:
    creator = text(primary, "CREATOR")
    return (
        text(primary, "TELESCOP").upper() == "KEPLER"
        and text(primary, "ORIGIN") == "NASA/Ames"
        and ("FluxExporter" in creator or "LightCurveExporter" in creator)
        and text(header, "EXTNAME") == "LIGHTCURVE"
    )


def _read_kepler(table: LightCurveTable) -> Product:
    """Kepler's light curves (KIC, by quarter) and K2's (EPIC, by campaign)."""
    mission = text(table.primary, "MISSION")
    if mission not in ("Kepler", "K2"):
        raise IngestError(f"header card MISSION is {mission!r}, not Kepler or K2")
    fields: dict[str, Any] = (
        {"quarter": integer(table.primary, "QUARTER", 0, 17)}
        if mission == "Kepler"
        # Campaigns 9 to 11 were split; their parts are numbered 91 to 112.
        else {"campaign": integer(table.primary, "CAMPAIGN", 0, 112)}
    )
    fields["author"] = mission
    fields["exptime"] = nominal_exposure(time_step(table.header), KEPLER_EXPOSURES, "TIMEDEL")
    table = table.sorted_by("CADENCENO")
    return _product(
        table,
        mission="Kepler",
        reference=2_454_833,
        observation_type=f"{mission.lower()}_observation",
        observation_fields=fields,
        instrument=("Kepler", f"Channel {integer(table.primary, 'CHANNEL', 1, 84)}"),
        catalog="KIC" if mission == "Kepler" else "EPIC",
        target=catalog_number(value(table.primary, "KEPLERID"), "KEPLERID"),
        quality={"kepler_quality_flag": table.quality("SAP_QUALITY")},
        curves=_aperture_curves(table, mission),
    )


def _is_qlp(primary: Header, header: Header) -> bool:
    return "mit/qlp" in text(primary, "ORIGIN").lower() and text(header, "EXTNAME") == "LIGHTCURVE"


def _read_qlp(table: LightCurveTable) -> Product:
    """QLP's light curves: KSPSAP columns up to sector 55, SYS_RM and DET columns from sector 56.

    Source: https://archive.stsci.edu/hlsp/qlp and, for what the sector decides, lightkurve.io.qlp.
    """
    exposure = nominal_exposure(time_step(table.header), TESS_EXPOSURES, "TIMEDEL")
    fields = tess_observation(table.primary, "QLP", exposure)
    table = table.sorted_by("CADENCENO")
    aperture = Named("QLP SAP", "[] Aperture photometry of difference images, relative flux")
    curves = [Curve(aperture, None, None, table.floats("SAP_FLUX", RELATIVE))]

    def derive(name: str, column: str, description: str, source: int, error: str = "") -> None:
        flux = table.floats(column, RELATIVE)
        flux_err = table.floats(error, RELATIVE) if error else None
        curves.append(Curve(aperture, Named(name, f"[] {description}"), source, flux, flux_err))

    if ("KSPSAP_FLUX" in table) == ("DET_FLUX" in table):
        raise IngestError("of the columns KSPSAP_FLUX and DET_FLUX a QLP file has exactly one")
    if "DET_FLUX" in table:
        derive("SYS_RM", "SYS_RM_FLUX", "Instrumental systematics removed (QLP)", 0)
        method, what, source = "DET", "Systematics and slow trends removed (QLP)", 1
    else:
        method, what, source = "KSPSAP", "Slow trends removed by a spline (QLP)", 0
    derive(method, f"{method}_FLUX", what, source, f"{method}_FLUX_ERR")
    for ending, size in (("SML", "smaller"), ("LAG", "larger")):
        derive(f"{method}_{ending}", f"{method}_FLUX_{ending}", f"{what}, {size} aperture", source)
    version = "v1" if fields["observation_fields"]["sector"] <= 55 else "v2"
    return _product(
        table,
        **fields,
        catalog="TIC",
        target=catalog_number(value(table.primary, "TICID"), "TICID"),
        quality={f"qlp_quality_flag_{version}": table.quality("QUALITY")},
        curves=tuple(curves),
    )


def _is_tglc(primary: Header, header: Header) -> bool:
    return text(primary, "ORIGIN") == "UCSB/TGLC" and text(header, "EXTNAME") == "LIGHTCURVE"


def _read_tglc(table: LightCurveTable) -> Product:
    """TGLC's light curves, whose second version carries no cadence numbers: all are zero.

    Source: https://archive.stsci.edu/hlsp/tglc; units as lightkurve.io.tglc has them.
    """
    numbered = bool(np.any(table.integers("cadence_num")))
    if numbered:
        table = table.sorted_by("cadence_num")
    # TIMEDEL is not the cadence in these files: 0.02236 d where the rows are 0.02083 d apart.
    time = table.floats("time")
    steps = np.diff(time[np.isfinite(time)])
    if steps.size == 0:
        raise IngestError("too few finite times to tell the exposure time from their steps")
    step = float(np.median(steps)) * SECONDS_PER_DAY
    exposure = nominal_exposure(step, TESS_EXPOSURES, "the median step of time")
    ticid = text(table.primary, "TICID")
    if re.fullmatch(r"[+-]?[0-9]+", ticid):
        catalog, target = "TIC", catalog_number(int(ticid), "TICID")
    else:
        catalog = "Gaia DR3"
        target = catalog_number(value(table.primary, "GAIADR3"), "GAIADR3")
    calibrated = Named("TGLC CAL", "[] Slow trends removed, median scaled to one (TGLC)")
    curves: list[Curve] = []
    for name, raw, derived, how in (
        ("TGLC PSF", "psf_flux", "cal_psf_flux", "PSF photometry"),
        ("TGLC aperture", "aperture_flux", "cal_aper_flux", "Aperture photometry"),
    ):
        photometry = Named(name, f"[{ELECTRONS}] {how} with neighbouring Gaia stars removed (TGLC)")
        curves.append(Curve(photometry, None, None, table.floats(raw, ELECTRONS)))
        curves.append(
            Curve(photometry, calibrated, len(curves) - 1, table.floats(derived, RELATIVE))
        )
    return _product(
        table,
        **tess_observation(table.primary, "TGLC", exposure),
        catalog=catalog,
        target=target,
        quality={
            "tess_quality_flag": table.quality("TESS_flags"),
            "tglc_quality_flag": table.quality("TGLC_flags"),
        },
        curves=tuple(curves),
        cadence_column="cadence_num" if numbered else None,
    )


PIPELINES: tuple[Pipeline, ...] = (
    Pipeline("SPOC or TESS-SPOC", _is_spoc, _read_spoc),
    Pipeline("QLP", _is_qlp, _read_qlp),
    Pipeline("TGLC", _is_tglc, _read_tglc),
    Pipeline("Kepler or K2", _is_kepler, _read_kepler),
)
"""All the kinds of FITS file that can be read, in the order in which they are tried."""


def _product(
    table: LightCurveTable,
    *,
    reference: int,
    cadence_column: str | None = "CADENCENO",
    **fields: Any,
) -> Product:
    """Add the checked time and cadence of a sorted table to what a pipeline's reader found."""
    if cadence_column is None:
        cadence = np.arange(len(table), dtype=np.int64)
    else:
        cadence = table.integers(cadence_column)
        if cadence[0] < 0:
            raise IngestError(f"cadence number {cadence[0]} is negative")
    check_clock(table.header, reference)
    time = table.floats("TIME")
    check_times(cadence, time, reference)
    return Product(
        label=table.label,
        cadence=cadence,
        time=time,
        numbered=cadence_column is not None,
        **fields,
    )


def check_times(cadence: IntVector, time: FloatVector, reference: int) -> None:
    """Refuse times that do not ascend with the cadence numbers, or are BJD; some may be NaN."""
    finite = np.isfinite(time)
    if np.isnan(time).all():
        raise IngestError(f"none of its {time.size} cadences has a time")
    wrong = np.abs(time) >= _LARGEST_TIME  # infinite ones too
    if wrong.any():
        at = int(wrong.argmax())
        raise IngestError(f"the time of cadence {cadence[at]} is {time[at]} d after {reference}")
    backwards = np.diff(time[finite]) < 0
    if backwards.any():
        at = int(cadence[finite][1:][backwards][0])
        raise IngestError(f"time runs backwards at cadence {at}")


def _aperture_curves(table: LightCurveTable, author: str) -> tuple[Curve, ...]:
    """SAP and PDCSAP, as Kepler's pipeline and its descendants write them."""

    def column(name: str) -> FloatVector:
        return table.floats(name, ELECTRONS)

    aperture = Named(f"{author} SAP", f"[{ELECTRONS}] Simple aperture photometry")
    return (
        Curve(aperture, None, None, column("SAP_FLUX"), column("SAP_FLUX_ERR")),
        Curve(aperture, _PDCSAP, 0, column("PDCSAP_FLUX"), column("PDCSAP_FLUX_ERR")),
    )
