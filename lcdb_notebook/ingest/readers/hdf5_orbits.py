"""Read HDF5 files of QLP, and of TGLC in the same layout: one star in one orbit on one CCD.

There is no public documentation of the format. The following is based on real files (orbits 121,
122 and 147):

- ``BJD`` is in days since ``BJDoffset`` (2457000: BTJD), in TDB as in QLP's FITS files.
- QLP's magnitudes come from difference images. The reference flux of a star is computed from its
  TESS magnitude: 160 electrons per exposure of 200 s at 20.44 mag.
- QLP's ``RawMagnitudeError`` is not a magnitude. Its square is flux plus background in the aperture
  plus a constant, so it is photon noise in electrons (``_photon_noise`` in ``hdf5_curves.py``).
- QLP's ``QSPMagnitudeError`` is a magnitude: the scatter, one number per light curve.
- TGLC's ``RawMagnitude`` is ``-2.5 log10`` of ``RawFlux`` plus a constant. It is NaN where the flux
  is not positive (a third of the cadences of a faint star), so the flux is used as raw photometry.
- TGLC's ``QualityFlag`` has SPOC's bits: it is 2 (safe mode) after the safe mode in orbit 121.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, FloatVector, Product, as_flags
from lcdb_notebook.ingest.readers.hdf5 import Group, open_hdf5
from lcdb_notebook.ingest.readers.hdf5_curves import qlp_curves, tglc_curves
from lcdb_notebook.ingest.readers.headers import qlp_flag_type
from lcdb_notebook.ingest.readers.orbit_files import shared_files
from lcdb_notebook.ingest.readers.table import file_content
from lcdb_notebook.ingest.readers.times import SECONDS_PER_DAY, check_times, nominal_exposure
from lcdb_notebook.lightcurve.missions import TESS


@dataclass(frozen=True)
class _Place:
    """The star, orbit, camera and CCD of a file."""

    target: int
    orbit: int
    sector: int
    camera: int
    ccd: int


def read_orbit(path: Path) -> Product:
    """Read a QLP HDF5 file, ``orbit-147/ffi/cam1/ccd1/LC/176220787.h5`` or one in ``LC-qsp``.

    Star, orbit, camera and CCD are read from the file's attributes, or from its path if an
    attribute is missing.

    Parameters
    ----------
    path
        An HDF5 file, gzip-compressed or not.

    Returns
    -------
    Product
        One curve per aperture and detrending step. The raw photometry of an ``LC-qsp`` file is
        identical to that of ``LC``, so the two files, in either order, result in one DataSet. The
        quality flags and quaternions of the orbit are included if their files are found.

    Raises
    ------
    IngestError
        If the file is damaged, or has another layout.
    """
    # Damaged numbers may overflow; relevant ones are checked below.
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
            raise IngestError(f"Cadence {twice[0]} is in more than one row")
        time = table.floats("BJD", size)[order]
        _check_epoch(file)
        check_times(cadence, time, TESS)
        exposure = _exposure(cadence, time)
        author, read = _pipeline(table.group("AperturePhotometry"))
        curves = tuple(_sorted(curve, order) for curve in read(table, size, exposure))
        quality = {}
        if "QualityFlag" in table:
            bits = as_flags(table.integers("QualityFlag", size)[order], "QualityFlag")
            flag_type = TESS.flag_type if author == "TGLC" else qlp_flag_type(place.sector)
            quality[flag_type] = bits
    return Product(
        label=str(path),
        mission=TESS.telescope,
        catalog=TESS.catalog,
        target=place.target,
        observation_type=TESS.observation_type,
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
    """Compute the sector of an orbit. Each sector has two orbits, and sector 1 begins with orbit 9.

    Raises
    ------
    IngestError
        For orbits before sector 1 and after sector 96, for which this rule may be wrong.

    Examples
    --------
    >>> sector_of(121), sector_of(122), sector_of(147)
    (57, 57, 70)
    """
    if not 9 <= orbit <= 200:
        raise IngestError(
            f"the sector of orbit {orbit} is unknown; the file needs an attribute Sector"
        )
    return (orbit - 7) // 2


def _place(file: Group, path: Path) -> _Place:
    """Read star, orbit, camera and CCD from the attributes, or else from the path."""
    pattern = r"orbit-(\d+)/ffi/cam(\d)/ccd(\d)/[^/]*/(\d+)\.h5(?:\.gz)?$"
    match = re.search(pattern, path.absolute().as_posix())
    orbit, camera, ccd, target = map(int, match.groups()) if match else (None,) * 4
    number = _integer(file, "Orbit", orbit, 9999)
    sector = None if file.attribute("Sector") is not None else sector_of(number)
    return _Place(
        target=_integer(file, "TIC ID", target, 2**63 - 1),
        orbit=number,
        sector=_integer(file, "Sector", sector, 9999),
        camera=_integer(file, "Camera", camera, 4),
        ccd=_integer(file, "CCD", ccd, 4),
    )


def _integer(file: Group, name: str, default: int | None, high: int) -> int:
    found = file.attribute(name)
    if found is None:
        found = default
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,19}", found):
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= high:
        if found is None:
            raise IngestError(
                f"attribute {name} is missing, and the path is not that of a QLP file "
                "(orbit-147/ffi/cam1/ccd1/LC/176220787.h5)"
            )
        raise IngestError(f"attribute {name} must be an integer from 1 to {high}, got {found!r}")
    return found


def _check_epoch(file: Group) -> None:
    """Check the epoch of the times, which is text in QLP's files and a number in TGLC's."""
    written = file.attribute("BJDoffset")
    if written is not None and file.number("BJDoffset") != TESS.clock.epoch:
        raise IngestError(f"attribute BJDoffset must be {TESS.clock.epoch} (BTJD), got {written!r}")


def _exposure(cadence: Any, time: FloatVector) -> int:
    known = np.isfinite(time)
    steps = np.diff(time[known]) / np.diff(cadence[known])
    if steps.size == 0:
        raise IngestError("too few finite times to compute the exposure time")
    seconds = float(np.median(steps)) * SECONDS_PER_DAY
    return nominal_exposure(seconds, TESS, "the median step of BJD")


def _pipeline(apertures: Group) -> tuple[str, Any]:
    """Recognize the pipeline by the names of its apertures."""
    names = apertures.names()
    if names and all(re.fullmatch(r"Aperture_\d+", name) for name in names):
        return "QLP", qlp_curves
    if names and all(re.fullmatch(r"(Small|Primary|Large)Aperture", name) for name in names):
        return "TGLC", tglc_curves
    raise IngestError(
        f"unknown pipeline (apertures {', '.join(names) or 'none'}); supported are QLP "
        "(Aperture_000) and TGLC (PrimaryAperture)"
    )


def _sorted(curve: Curve, order: Any) -> Curve:
    error = None if curve.flux_err is None else curve.flux_err[order]
    return Curve(curve.photometry, curve.processing, curve.source, curve.flux[order], error)
