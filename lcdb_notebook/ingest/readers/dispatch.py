"""Read a light-curve file of any supported pipeline into a :class:`Product`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.errors.advice import advice
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.find_files import AnyPath
from lcdb_notebook.ingest.readers.hdf5_orbits import read_orbit
from lcdb_notebook.ingest.readers.hdus import an_image, is_image
from lcdb_notebook.ingest.readers.headers import text, value
from lcdb_notebook.ingest.readers.other_files import (
    has_light_curve,
    read_described,
    read_exported,
    written_by_lightkurve,
)
from lcdb_notebook.ingest.readers.pipelines import PIPELINES
from lcdb_notebook.ingest.readers.table import LightCurveTable, open_table
from lcdb_notebook.read.export.files import KINDS
from lcdb_notebook.read.export.fits import CREATOR


def read_product(path: AnyPath, description: Mapping[str, Any] | None = None) -> Product:
    """Read one light-curve file of a supported pipeline, or of lightkurve.

    The pipeline is recognized by the headers, so FITS files may be renamed.

    Parameters
    ----------
    path
        A FITS file, an HDF5 file whose name ends in ``.h5``, gzip-compressed or not, or a file of
        ``write_lightcurve`` in any format.
    description
        Arguments of :func:`lcdb_notebook.ingest.readers.other_files.read_described`, for files of
        other pipelines.

    Returns
    -------
    Product
        All rows of the file, sorted by cadence number, as arrays in native byte order.

    Raises
    ------
    IngestError
        If the file is of another kind, damaged or invalid; the message begins with the path. No
        other exceptions are raised.

    Examples
    --------
    >>> read_product("no/such/file.fits")
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.IngestError: no/such/file.fits: no such file
    """
    file = Path(path)
    try:
        suffix = _suffix(file)
        if suffix in READERS:
            return READERS[suffix](file)
        return _read_fits(file, description or {})
    except IngestError as error:
        raise IngestError(f"{path}: {error}") from error.__cause__
    except FileNotFoundError:
        raise IngestError(f"{path}: no such file") from None
    except Exception as error:
        # A damaged header makes astropy raise nearly any error (AttributeError, VerifyError,
        # UnicodeDecodeError, ...), and one bad file must not stop the ingest of the others.
        raise IngestError(
            f"{path}: cannot be read, it may be damaged ({type(error).__name__}: {error})"
        ) from error


def _suffix(path: Path) -> str:
    """Return the suffix of a file name in lower case, without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _read_fits(path: Path, description: Mapping[str, Any]) -> Product:
    from astropy.utils.exceptions import AstropyWarning

    # Astropy warns about truncated and slightly irregular files, sometimes only when a card is
    # read, and numpy about signalling NaN. open_table and the readers check everything that
    # matters.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", AstropyWarning)
        table = open_table(path)
        creator = text(table.primary, "CREATOR")
        if creator == CREATOR:
            # Exported files also have the cards of the pipeline's file.
            table.check_sums()
            return read_exported(path)
        # The pipeline is found before the checksums are verified, because some pipelines copied
        # their cards from other files.
        pipeline = next((p for p in PIPELINES if p.recognizes(table.primary, table.header)), None)
        if pipeline is not None:
            if not pipeline.copied_cards:
                table.check_sums()
            return pipeline.read(table)
        if _is_pixels(table) or "FoldedLightCurve" in creator:
            raise IngestError(_why_unknown(table))
        if "to_fits()" in creator:
            table.check_sums()
            return read_described(table, written_by_lightkurve(table) | dict(description))
        if description:
            table.check_sums()
            return read_described(table, description)
        raise IngestError(_why_unknown(table))


def _is_pixels(table: LightCurveTable) -> bool:
    return text(table.header, "EXTNAME") in ("PIXELS", "TARGETTABLES") or (
        "TargetPixel" in text(table.primary, "CREATOR")
    )


def _why_unknown(table: LightCurveTable) -> str:
    """Describe a file that no pipeline's reader recognizes."""
    if _is_pixels(table):
        return "this is a target pixel file, not a light curve"
    if "FoldedLightCurve" in text(table.primary, "CREATOR"):
        return "a folded light curve has phases instead of times; ingest it before folding"
    if is_image(table.primary) and not has_light_curve(table):
        return f"this is {an_image()}"
    if "TCE" in text(table.header, "EXTNAME"):
        return (
            "this is a data validation time series, in which SPOC detrended and folded the light "
            "curve for each planet candidate; ingest the light curve itself (_lc.fits), "
            "from which it was made"
        )
    keys = ("TELESCOP", "ORIGIN", "CREATOR")
    found = [f"{key} {text(table.primary, key) or 'missing'}" for key in keys]
    found.append(f"table {text(table.header, 'EXTNAME') or 'unnamed'}")
    if value(table.header, "BJDREFI") is None:
        found.append("no time reference (BJDREFI) in the table's header")
    known = ", ".join(pipeline.name for pipeline in PIPELINES)
    options = advice(
        python='author="..." and photometry="..."',
        terminal="--author NAME and --photometry NAME",
    )
    cure = f"; pass {options} to ingest it anyway"
    return (
        f"unknown pipeline ({'; '.join(found)}); supported are {known}"
        f"{cure if has_light_curve(table) else ''}"
    )


READERS: dict[str, Callable[[Path], Product]] = {
    ".h5": read_orbit,
    **{f".{kind}": read_exported for kind in KINDS if kind != "fits"},
}
"""The reader of each suffix; files of any other suffix are read as FITS."""
