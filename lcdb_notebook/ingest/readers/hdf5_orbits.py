"""QLP's HDF5 files: one star during one orbit on one CCD, and TGLC's files in the same layout.

What is said of them below was found in real files (orbits 121, 122 and 147), since no document is
public:

- ``BJD`` is in days since ``BJDoffset`` (2457000: BTJD), in TDB as in QLP's FITS files.
- QLP's magnitudes come from difference images: the reference flux of a star is that of its TESS
  magnitude, 160 electrons an exposure of 200 s at 20.44 mag.
- QLP's ``RawMagnitudeError`` is no magnitude: its square is flux plus background in the aperture
  plus a constant, so it is photon noise in electrons: see :func:`_photon_noise`.
- QLP's ``QSPMagnitudeError`` is a magnitude: one number a light curve, the scatter of it.
- TGLC's ``RawMagnitude`` is ``-2.5 log10`` of ``RawFlux`` plus a constant, NaN where the flux is
  not positive (a third of a faint star's cadences), so the flux is the raw photometry there.
- TGLC's ``QualityFlag`` holds SPOC's bits: 2 (safe mode) after the safe mode in orbit 121.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, FloatVector, Named, Product
from lcdb_notebook.ingest.readers.hdf5 import Group, open_hdf5
from lcdb_notebook.ingest.readers.headers import SECONDS_PER_DAY, TESS_EXPOSURES, nominal_exposure
from lcdb_notebook.ingest.readers.orbit_files import shared_files
from lcdb_notebook.ingest.readers.pipelines import check_times
from lcdb_notebook.ingest.readers.table import file_content

_REFERENCE = 2_457_000

# Vanderspek et al., TESS Instrument Handbook (2018): 1 electron a second is 20.44 mag, and cosmic
# ray mitigation keeps 8 of 10 exposures.
_ZERO_POINT = 20.44
_KEPT = 0.8
_POGSON = 2.5 / math.log(10)

_DETRENDED = (
    ("QSPIntermediateMagnitude", "QSPIntermediate", "Instrumental systematics removed (QLP)"),
    ("QSPMagnitude", "QSP", "Systematics (by quaternions) and slow trends removed (QLP)"),
    ("KSPMagnitude", "KSP", "Slow trends removed by a spline (QLP)"),
)
"""Each was made from the one before it that is in the file; KSP from the raw photometry."""


@dataclass(frozen=True)
class _Place:
    """Which star the file is about, and where and when it was seen."""

    target: int
    orbit: int
    sector: int
    camera: int
    ccd: int


def read_orbit(path: Path) -> Product:
    """Read a QLP HDF5 file, ``orbit-147/ffi/cam1/ccd1/LC/176220787.h5`` or one in ``LC-qsp``.

    Attributes say which star, orbit, camera and CCD it is; where a file has none, its path does.

    Parameters
    ----------
    path
        An HDF5 file, gzip-compressed or not.

    Returns
    -------
    Product
        A curve for each aperture and each detrending. The raw photometry in an ``LC-qsp`` file is
        the very one of ``LC``, so that both files, in either order, give one DataSet of it. With
        the orbit's quality flags and quaternions, where these files lie beside.

    Raises
    ------
    IngestError
        If it is damaged, of another layout, or contradicts its own format.
    """
    # Damaged numbers overflow; what matters of them is checked here.
    with np.errstate(all="ignore"), open_hdf5(file_content(path)) as file:
        place = _place(file, path)
        table = file.group("LightCurve")
        cadence = table.integers("Cadence")
        size = cadence.size
        order = np.argsort(cadence, kind="stable")
        cadence = cadence[order]
        if cadence[0] < 0:
            raise IngestError(f"cadence number {cadence[0]} is negative")
        twice = cadence[1:][cadence[1:] == cadence[:-1]]
        if twice.size:
            raise IngestError(f"Cadence {twice[0]} stands in more than one row")
        time = table.floats("BJD", size)[order]
        check_times(cadence, time, _reference(file))
        exposure = _exposure(cadence, time)
        author, read = _pipeline(table.group("AperturePhotometry"))
        curves = tuple(_sorted(curve, order) for curve in read(table, size, exposure))
        quality = {}
        if "QualityFlag" in table:
            flags = table.integers("QualityFlag", size)[order]
            bits = flags.astype(np.int32)
            if not np.array_equal(bits, flags):
                raise IngestError("QualityFlag has flags that do not fit into 32 bits")
            version = 1 if place.sector <= 55 else 2
            name = "tess" if author == "TGLC" else "qlp"
            quality[f"{name}_quality_flag" + ("" if author == "TGLC" else f"_v{version}")] = bits
    return Product(
        label=str(path),
        mission="TESS",
        catalog="TIC",
        target=place.target,
        observation_type="tess_observation",
        observation_fields={
            "sector": place.sector,
            "orbit_number": place.orbit,
            "cosmic_ray_mitigation": None,
            "author": author,
            "exptime": exposure,
        },
        instrument=("TESS", f"Camera {place.camera}", f"CCD {place.ccd}"),
        cadence=cadence,
        time=time,
        quality=quality,
        curves=curves,
        shared=shared_files(path, place.camera, place.ccd),
    )


def sector_of(orbit: int) -> int:
    """Tell the sector of an orbit: two orbits each, from orbit 9, the first of sector 1.

    Raises
    ------
    IngestError
        For an orbit before the first, or after sector 96, from which on this is not certain.

    Examples
    --------
    >>> sector_of(121), sector_of(122), sector_of(147)
    (57, 57, 70)
    """
    if not 9 <= orbit <= 200:
        raise IngestError(f"the sector of orbit {orbit} is not known; the file should say it")
    return (orbit - 7) // 2


def _place(file: Group, path: Path) -> _Place:
    """Read who, when and where from the attributes, else from the path."""
    where = path.absolute().as_posix()
    said = re.search(r"orbit-(\d+)/ffi/cam(\d)/ccd(\d)/[^/]*/(\d+)\.h5(?:\.gz)?$", where)
    orbit, camera, ccd, target = map(int, said.groups()) if said else (None,) * 4
    number = _integer(file, "Orbit", orbit, 9999)
    sector = None if file.attribute("Sector") is not None else sector_of(number)
    return _Place(
        target=_integer(file, "TIC ID", target, 2**63 - 1),
        orbit=number,
        sector=_integer(file, "Sector", sector, 9999),
        camera=_integer(file, "Camera", camera, 4),
        ccd=_integer(file, "CCD", ccd, 4),
    )


def _integer(file: Group, name: str, otherwise: int | None, high: int) -> int:
    found = file.attribute(name)
    if found is None:
        found = otherwise
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,19}", found):
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= high:
        if found is None:
            raise IngestError(
                f"attribute {name} is missing, and the path is not that of a QLP file "
                "(orbit-147/ffi/cam1/ccd1/LC/176220787.h5)"
            )
        raise IngestError(f"attribute {name} is {found!r}; an integer from 1 is needed")
    return found


def _reference(file: Group) -> int:
    """Check the zero of the times, which QLP writes as text and TGLC as a number."""
    if file.attribute("BJDoffset") is not None and file.number("BJDoffset") != _REFERENCE:
        raise IngestError(
            f"times count from BJD {file.attribute('BJDoffset')!r}, where this mission's format "
            f"has {_REFERENCE}"
        )
    return _REFERENCE


def _exposure(cadence: Any, time: FloatVector) -> int:
    known = np.isfinite(time)
    steps = np.diff(time[known]) / np.diff(cadence[known])
    if steps.size == 0:
        raise IngestError("too few finite times to tell the exposure time from their steps")
    seconds = float(np.median(steps)) * SECONDS_PER_DAY
    return nominal_exposure(seconds, TESS_EXPOSURES, "the median step of BJD")


def _pipeline(apertures: Group) -> tuple[str, Any]:
    """Tell the two pipelines by what they call their apertures."""
    names = apertures.names()
    if names and all(re.fullmatch(r"Aperture_\d+", name) for name in names):
        return "QLP", _qlp_curves
    if names and all(re.fullmatch(r"(Small|Primary|Large)Aperture", name) for name in names):
        return "TGLC", _tglc_curves
    raise IngestError(
        f"from no pipeline known here (apertures {', '.join(names) or 'none'}); known are QLP "
        "(Aperture_000) and TGLC (PrimaryAperture)"
    )


def _qlp_curves(table: Group, size: int, exposure: int) -> Iterator[Curve]:
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
    seconds, its square minus F minus background in the aperture is constant to within 1e-5 of
    itself. The file has to show that again (to 1e-3), and then the error of m is
    :math:`2.5 / \ln 10` times it divided by F. Otherwise nobody knows what it is, and None is given
    rather than errors of 2,000 mag.
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


def _tglc_curves(table: Group, size: int, _exposure: int) -> Iterator[Curve]:
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
    """Give None for errors that are NaN throughout, as TGLC's of magnitudes are."""
    return error if np.isfinite(error).any() else None


def _sorted(curve: Curve, order: Any) -> Curve:
    error = None if curve.flux_err is None else curve.flux_err[order]
    return Curve(curve.photometry, curve.processing, curve.source, curve.flux[order], error)
