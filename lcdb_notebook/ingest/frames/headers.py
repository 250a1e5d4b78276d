"""Read the headers of one FITS image: its mandatory keywords, cadence and CCD."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.readers.headers import Header, integer, text, value

__all__ = ["FrameFile", "read_frame"]

#: Cards that number the cadence of a full-frame image: SPOC's (TESS Science Data Products
#: Description Document, EXP-TESS-ARC-ICD-TM-0014), TICA's (Fausnaugh et al. 2020, RNAAS 4, 251).
CADENCE_CARDS = ("FFIINDEX", "CADENCE")

_CAMERA_CARDS = ("CAMERA", "CAMNUM")
_CCD_CARDS = ("CCD", "CCDNUM")

# The headers of SPOC do not contain the sector, but the file names of MAST do:
# tess2018206192942-s0001-1-1-0120-s_ffic
_SECTOR_IN_NAME = re.compile(r"-s(\d{4})-")


@dataclass(frozen=True, eq=False)
class FrameFile:
    """One FITS image.

    Parameters
    ----------
    label
        Name in messages: the path that was passed.
    path
        The absolute path.
    columns
        ``simple``, ``bitpix``, ``naxis``, ``naxis_values``, ``extended``, ``bscale``, ``bzero``.
    cadence
        None if no header has it.
    place
        Sector, camera and CCD of a TESS image; None if any of them is unknown.
    headers
        Headers of the primary HDU and of the image.
    """

    label: str
    path: Path
    columns: dict[str, Any]
    cadence: int | None
    place: tuple[int, int, int] | None
    headers: tuple[Header, ...]

    def card(self, key: str) -> Any:
        """Return a card's value from the first header that has it, or None."""
        return next((v for h in self.headers if (v := value(h, key)) is not None), None)


def read_frame(path: Path) -> FrameFile:
    """Read the headers of one FITS image, without the pixels.

    SIMPLE and EXTEND are read from the primary HDU; BITPIX, NAXIS, NAXISn, BSCALE and BZERO from
    the image, which is the first HDU with data. For a tile-compressed image, they describe the
    uncompressed image.

    Raises
    ------
    IngestError
        If it is not a FITS file, or not an image; the message begins with the path.
    """
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    try:
        with warnings.catch_warnings():
            # Astropy warns of irregularities that do not matter here.
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(path) as hdus:
                return _read(path, hdus)
    except IngestError as error:
        raise IngestError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise IngestError(f"{path}: no such file") from None
    except Exception as error:
        # A damaged header makes astropy raise nearly any error.
        raise IngestError(
            f"{path}: not a FITS file, or a damaged one ({type(error).__name__}: {error})"
        ) from error


def _read(path: Path, hdus: Any) -> FrameFile:
    primary = hdus[0].header
    image = next((hdu for hdu in hdus if hdu.header.get("NAXIS", 0) > 0), None)
    if image is None:
        raise IngestError("no image found: no HDU has data")
    if not image.is_image:
        raise IngestError("this is a table, not an image; use db.ingest() for light curves")
    header = image.header
    naxis = integer(header, "NAXIS", 1, 999)
    headers = (primary, header)
    return FrameFile(
        str(path),
        # Symbolic links are kept, because they often exist for targets that move.
        Path(os.path.abspath(path.expanduser())),  # noqa: PTH100
        {
            "simple": value(primary, "SIMPLE", True) is True,
            "bitpix": integer(header, "BITPIX", -64, 64),
            "naxis": naxis,
            "naxis_values": [integer(header, f"NAXIS{n}", 0, 2**31 - 1) for n in _axes(naxis)],
            "extended": value(primary, "EXTEND", False) is True,
            "bscale": _number(header, "BSCALE", 1.0),
            "bzero": _number(header, "BZERO", 0.0),
        },
        _first(headers, CADENCE_CARDS, 2**63 - 1),
        _place(path, headers),
        headers,
    )


def _axes(naxis: int) -> range:
    return range(1, naxis + 1)


def _number(header: Header, key: str, default: float) -> float:
    found = value(header, key, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise IngestError(f"header card {key} must be a number, got {found!r}")
    return float(found)


def _first(headers: tuple[Header, ...], keys: tuple[str, ...], high: int, low: int = 0) -> Any:
    """Return the integer of the first card that exists, or None."""
    for header in headers:
        for key in keys:
            if value(header, key) is not None:
                return integer(header, key, low, high)
    return None


def _place(path: Path, headers: tuple[Header, ...]) -> tuple[int, int, int] | None:
    if not any(text(header, "TELESCOP").upper() == "TESS" for header in headers):
        return None
    camera = _first(headers, _CAMERA_CARDS, 4, 1)
    ccd = _first(headers, _CCD_CARDS, 4, 1)
    sector = _first(headers, ("SECTOR",), 9999, 1)
    if sector is None:
        in_name = _SECTOR_IN_NAME.search(path.name)
        sector = int(in_name[1]) if in_name else None
    return None if None in (sector, camera, ccd) else (sector, camera, ccd)
