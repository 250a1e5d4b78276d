"""Recognize the files of each pipeline, and read their columns.

To add a pipeline, write a ``recognizes`` and a ``read`` and add an entry to :data:`PIPELINES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, FloatVector, Named, Product
from lcdb_notebook.ingest.readers.headers import (
    Header,
    catalog_number,
    instrument_path,
    integer,
    qlp_flag_type,
    release,
    tess_observation,
    text,
    value,
)
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import (
    SECONDS_PER_DAY,
    check_clock,
    check_times,
    nominal_exposure,
    time_step,
)
from lcdb_notebook.lightcurve.missions import K2, KEPLER, TESS, KnownMission

ELECTRONS = "electron / s"
RELATIVE = ""

_PDCSAP = Named(
    "PDCSAP",
    f"[{ELECTRONS}] Presearch data conditioning of simple aperture photometry: systematics that a "
    "CCD's stars share are removed, and dilution by neighbours is corrected",
)


@dataclass(frozen=True)
class Pipeline:
    """One kind of file: how to recognize it by its headers, and how to read it.

    Parameters
    ----------
    name
        Its usual name, for messages.
    recognizes
        Whether a file with this primary header and this header of the table is of this kind.
    read
        Read the :class:`Product`; raises IngestError if the file is not as expected.
    """

    name: str
    recognizes: Callable[[Header, Header], bool]
    read: Callable[[LightCurveTable], Product]


def _is_spoc(primary: Header, header: Header) -> bool:
    # lightkurve.io.detect is similar, but accepts every creator with "lightcurve" in its name, and
    # so the files that its to_fits() writes.
    return (
        text(primary, "TELESCOP").upper() == "TESS"
        and text(primary, "ORIGIN") == "NASA/Ames"
        and "LightCurveExporter" in text(primary, "CREATOR")
        and text(header, "EXTNAME") == "LIGHTCURVE"
    )


def _read_spoc(table: LightCurveTable) -> Product:
    """Read the light curves of SPOC and TESS-SPOC, whose headers differ in the cadence only."""
    exposure = nominal_exposure(time_step(table.header), TESS, "TIMEDEL")
    # Target pixels are read every 20 s or 120 s (SPOC), full-frame images less often (TESS-SPOC).
    author = "SPOC" if exposure < 150 else "TESS-SPOC"
    table = table.sorted_by("CADENCENO")
    return _product(
        table,
        **tess_observation(table.primary, author, exposure),
        catalog=TESS.catalog,
        target=_target(table, TESS),
        quality={TESS.flag_type: table.quality(TESS.quality_column)},
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
    """Read the light curves of Kepler (KIC, by quarter) and K2 (EPIC, by campaign)."""
    mission = _kepler_or_k2(table.primary)
    fields: dict[str, Any] = {
        mission.field: integer(table.primary, mission.field_key, *mission.field_range),
        "author": mission.name,
        "exptime": nominal_exposure(time_step(table.header), mission, "TIMEDEL"),
    }
    table = table.sorted_by("CADENCENO")
    return _product(
        table,
        mission=mission,
        observation_fields=fields,
        instrument=instrument_path(table.primary, mission, 84),
        catalog=mission.catalog,
        target=_target(table, mission),
        quality={mission.flag_type: table.quality(mission.quality_column)},
        curves=_aperture_curves(table, mission.name),
        part=in_parts(mission, fields["exptime"]),
    )


def in_parts(mission: KnownMission, exposure: int | None) -> bool:
    """Return whether observations have several files: Kepler's short cadence, one per month.

    Kepler Archive Manual (KDMC-10008-006), section 2.1.
    """
    return mission is KEPLER and exposure == 60


def _kepler_or_k2(primary: Header) -> KnownMission:
    name = text(primary, "MISSION")
    found = {"Kepler": KEPLER, "K2": K2}.get(name)
    if not name and value(primary, KEPLER.field_key) is not None:
        # Files from before K2 have no MISSION.
        found = KEPLER
    if found is None:
        raise IngestError(f"header card MISSION must be Kepler or K2, got {name!r}")
    return found


def _target(table: LightCurveTable, mission: KnownMission) -> int:
    return catalog_number(value(table.primary, mission.catalog_key), mission.catalog_key)


def _is_qlp(primary: Header, header: Header) -> bool:
    return "mit/qlp" in text(primary, "ORIGIN").lower() and text(header, "EXTNAME") == "LIGHTCURVE"


def _read_qlp(table: LightCurveTable) -> Product:
    """Read the light curves of QLP: KSPSAP up to sector 55, SYS_RM and DET from sector 56.

    Source: https://archive.stsci.edu/hlsp/qlp, and lightkurve.io.qlp for the sector.
    """
    exposure = nominal_exposure(time_step(table.header), TESS, "TIMEDEL")
    fields = tess_observation(table.primary, "QLP", exposure)
    table = table.sorted_by("CADENCENO")
    aperture = Named("QLP SAP", "[] Aperture photometry of difference images, relative flux")
    curves = [Curve(aperture, None, None, table.floats("SAP_FLUX", RELATIVE))]

    def derive(name: str, column: str, description: str, source: int, error: str = "") -> None:
        flux = table.floats(column, RELATIVE)
        flux_err = table.floats(error, RELATIVE) if error else None
        curves.append(Curve(aperture, Named(name, f"[] {description}"), source, flux, flux_err))

    if ("KSPSAP_FLUX" in table) == ("DET_FLUX" in table):
        raise IngestError(
            "a QLP file must have exactly one of the columns KSPSAP_FLUX and DET_FLUX"
        )
    if "DET_FLUX" in table:
        derive("SYS_RM", "SYS_RM_FLUX", "Instrumental systematics removed (QLP)", 0)
        method, what, source = "DET", "Systematics and slow trends removed (QLP)", 1
    else:
        method, what, source = "KSPSAP", "Slow trends removed by a spline (QLP)", 0
    derive(method, f"{method}_FLUX", what, source, f"{method}_FLUX_ERR")
    for ending, size in (("SML", "smaller"), ("LAG", "larger")):
        derive(f"{method}_{ending}", f"{method}_FLUX_{ending}", f"{what}, {size} aperture", source)
    flag_type = qlp_flag_type(fields["observation_fields"][TESS.field])
    return _product(
        table,
        **fields,
        catalog=TESS.catalog,
        target=_target(table, TESS),
        quality={flag_type: table.quality(TESS.quality_column)},
        curves=tuple(curves),
    )


def _is_tglc(primary: Header, header: Header) -> bool:
    return text(primary, "ORIGIN") == "UCSB/TGLC" and text(header, "EXTNAME") == "LIGHTCURVE"


def _read_tglc(table: LightCurveTable) -> Product:
    """Read the light curves of TGLC; in its second version all cadence numbers are zero.

    Source: https://archive.stsci.edu/hlsp/tglc; units as lightkurve.io.tglc has them.
    """
    numbered = bool(np.any(table.integers("cadence_num")))
    if numbered:
        table = table.sorted_by("cadence_num")
    # TIMEDEL is wrong in these files: 0.02236 d, where the rows are 0.02083 d apart.
    time = table.floats("time")
    steps = np.diff(time[np.isfinite(time)])
    if steps.size == 0:
        raise IngestError("too few finite times to compute the exposure time")
    step = float(np.median(steps)) * SECONDS_PER_DAY
    exposure = nominal_exposure(step, TESS, "the median step of time")
    ticid = text(table.primary, "TICID")
    if re.fullmatch(r"[+-]?[0-9]+", ticid):
        catalog, target = TESS.catalog, catalog_number(int(ticid), "TICID")
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
            TESS.flag_type: table.quality("TESS_flags"),
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
"""All kinds of FITS file that can be read, in the order in which they are tried."""


def _product(
    table: LightCurveTable,
    *,
    mission: KnownMission,
    cadence_column: str | None = "CADENCENO",
    **fields: Any,
) -> Product:
    """Build the Product of a sorted table, with its checked times and cadences."""
    if cadence_column is None:
        cadence = np.arange(len(table), dtype=np.int64)
    else:
        cadence = table.integers(cadence_column)
        if cadence[0] < 0:
            raise IngestError(f"cadence number {cadence[0]} is negative")
    check_clock(table.header, mission)
    time = table.floats("TIME")
    check_times(cadence, time, mission)
    return Product(
        label=table.label,
        mission=mission.telescope,
        observation_type=mission.observation_type,
        cadence=cadence,
        time=time,
        numbered=cadence_column is not None,
        release=release(table.primary),
        **fields,
    )


def _aperture_curves(table: LightCurveTable, author: str) -> tuple[Curve, ...]:
    """Read SAP and PDCSAP fluxes, as Kepler's and TESS's pipelines write them."""

    def column(name: str) -> FloatVector:
        return table.floats(name, ELECTRONS)

    aperture = Named(f"{author} SAP", f"[{ELECTRONS}] Simple aperture photometry")
    return (
        Curve(aperture, None, None, column("SAP_FLUX"), column("SAP_FLUX_ERR")),
        Curve(aperture, _PDCSAP, 0, column("PDCSAP_FLUX"), column("PDCSAP_FLUX_ERR")),
    )
