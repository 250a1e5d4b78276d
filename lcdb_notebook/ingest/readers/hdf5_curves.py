"""Read the light curves of QLP's and TGLC's HDF5 files, one per aperture and processing step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lcdb_notebook.ingest.product import Curve, FloatVector, Named
from lcdb_notebook.ingest.readers.hdf5 import Group

# Vanderspek et al., TESS Instrument Handbook (2018): 1 electron per second is 20.44 mag, and
# cosmic-ray mitigation keeps 8 of 10 exposures.
_ZERO_POINT = 20.44
_KEPT = 0.8
_POGSON = 2.5 / math.log(10)

_DETRENDED = (
    ("QSPIntermediateMagnitude", "QSPIntermediate", "Instrumental systematics removed (QLP)"),
    ("QSPMagnitude", "QSP", "Systematics (by quaternions) and slow trends removed (QLP)"),
    ("KSPMagnitude", "KSP", "Slow trends removed by a spline (QLP)"),
)
"""Column, name and description of each step. Each step was computed from the previous one in the
file, except KSP, which was computed from the raw photometry."""


def qlp_curves(table: Group, size: int, exposure: int) -> Iterator[Curve]:
    """Read the light curves of a QLP file: raw and detrended photometry of each aperture.

    Parameters
    ----------
    table
        The group ``LightCurve``.
    size
        Number of cadences.
    exposure
        Exposure time in seconds.
    """
    photometry = table.group("AperturePhotometry")
    count = 0
    for name in photometry.names():
        aperture = photometry.group(name)
        raw = count
        radius, annulus = aperture.attribute("radius"), aperture.attribute("annulus")
        source = Named(
            f"QLP {name}",
            f"[mag] Aperture photometry of difference images, radius {radius} px, background "
            f"annulus {annulus} px (inner radius:width)",
        )
        magnitude = aperture.floats("RawMagnitude", size)
        yield Curve(source, None, None, magnitude, _photon_noise(table, aperture, size, exposure))
        count += 1
        before = raw
        for column, short, description in _DETRENDED:
            if column not in aperture:
                continue
            error = None
            if f"{column}Error" in aperture:
                error = _measured(aperture.floats(f"{column}Error", size))
            yield Curve(
                source,
                Named(short, f"[mag] {description}"),
                raw if short == "KSP" else before,
                aperture.floats(column, size),
                error,
            )
            before = count
            count += 1


def _photon_noise(table: Group, aperture: Group, size: int, exposure: int) -> FloatVector | None:
    r"""Convert QLP's ``RawMagnitudeError``, photon noise in electrons, to magnitudes.

    In real files, with :math:`F = 0.8\,t\,10^{-0.4 (m - 20.44)}` electrons in an exposure of t
    seconds, its square minus F minus background in the aperture is constant to a relative accuracy
    of 1e-5. If this holds in the file (to 1e-3), the error of m is :math:`2.5 / \ln 10` times the
    noise divided by F. Otherwise the meaning of the column is unknown, and the result is None
    instead of errors of 2,000 mag.
    """
    if "RawMagnitudeError" not in aperture or "Background" not in table:
        return None
    background = table.group("Background")
    radius = aperture.number("radius")
    if "Value" not in background or not math.isfinite(radius):
        return None
    noise = aperture.floats("RawMagnitudeError", size)
    flux = _KEPT * exposure * 10 ** (-0.4 * (aperture.floats("RawMagnitude", size) - _ZERO_POINT))
    constant = noise**2 - flux - np.pi * radius**2 * background.floats("Value", size)
    known = np.isfinite(constant)
    if np.count_nonzero(known) < 10:
        return None
    low, high = np.percentile(constant[known], [5, 95])
    if not high - low <= 1e-3 * np.median(noise[known] ** 2):
        return None
    error: FloatVector = _POGSON * noise / flux
    return np.where(np.isfinite(error), error, np.nan)


def tglc_curves(table: Group, size: int, _exposure: int) -> Iterator[Curve]:
    """Read the light curves of a TGLC file: each aperture as flux and as magnitude."""
    photometry = table.group("AperturePhotometry")
    count = 0
    for name in photometry.names():
        aperture = photometry.group(name)
        source = Named(
            f"TGLC {name}",
            f"[electron] Aperture photometry, {aperture.attribute('description')} pixels, "
            "neighbouring Gaia stars removed (TGLC)",
        )
        raw = None
        if "RawFlux" in aperture:
            error = None
            if "RawFluxError" in aperture:
                error = _measured(aperture.floats("RawFluxError", size))
            yield Curve(source, None, None, aperture.floats("RawFlux", size), error)
            raw = count
            count += 1
        error = None
        if "RawMagnitudeError" in aperture:
            error = _measured(aperture.floats("RawMagnitudeError", size))
        magnitude = Named("Magnitude", "[mag] Magnitude of the flux where it is positive (TGLC)")
        yield Curve(source, magnitude, raw, aperture.floats("RawMagnitude", size), error)
        count += 1


def _measured(error: FloatVector) -> FloatVector | None:
    """Return None for errors that are all NaN, like those of TGLC's magnitudes."""
    return error if np.isfinite(error).any() else None
