"""From a path to a :class:`Product`: the one way into the file readers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Product
from lcdb_notebook.ingest.readers.find_files import AnyPath
from lcdb_notebook.ingest.readers.hdf5_orbits import read_orbit
from lcdb_notebook.ingest.readers.headers import text, value
from lcdb_notebook.ingest.readers.pipelines import PIPELINES
from lcdb_notebook.ingest.readers.table import LightCurveTable, open_table
from lcdb_notebook.read.export.fits import CREATOR


def read_product(path: AnyPath) -> Product:
    """Read one light-curve file of SPOC, TESS-SPOC, QLP, TGLC, Kepler or K2.

    The headers alone tell the pipeline, so renamed FITS files are read as well.

    Parameters
    ----------
    path
        A FITS file, or an HDF5 file whose name ends in ``.h5``, gzip-compressed or not.

    Returns
    -------
    Product
        Its arrays in native byte order, sorted by cadence number, every row of the file kept.

    Raises
    ------
    IngestError
        If the file is anything else, is damaged, or contradicts its own format; the message
        begins with the path. No other exception leaves this function.

    Examples
    --------
    >>> read_product("no/such/file.fits")
    Traceback (most recent call last):
    ...
    lcdb_notebook.errors.IngestError: no/such/file.fits: there is no such file
    """
    file = Path(path)
    try:
        reader = READERS.get(_suffix(file), _read_fits)
        return reader(file)
    except IngestError as error:
        raise IngestError(f"{path}: {error}") from error.__cause__
    except FileNotFoundError:
        raise IngestError(f"{path}: there is no such file") from None
    except Exception as error:
        # A damaged header can make astropy raise nearly anything (AttributeError, VerifyError,
        # UnicodeDecodeError, ...), and one bad file must not stop the ingest of the others.
        raise IngestError(
            f"{path}: cannot be read, perhaps it is damaged ({type(error).__name__}: {error})"
        ) from error


def _suffix(path: Path) -> str:
    """Return the file name's ending in lower case, that of the compression left out."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _read_fits(path: Path) -> Product:
    from astropy.utils.exceptions import AstropyWarning

    # Astropy warns of files that are truncated or slightly irregular, some of it only when a card
    # is looked up; numpy warns of signalling NaN. What matters of it is checked here.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", AstropyWarning)
        table = open_table(path)
        if text(table.primary, "CREATOR") == CREATOR:
            raise IngestError(
                "exported from a LightcurveDB, so it has one light curve of a file that had "
                "several: open it with lcdb_notebook.read_lightcurve and db.add() that"
            )
        for pipeline in PIPELINES:
            if pipeline.recognises(table.primary, table.header):
                return pipeline.read(table)
        raise IngestError(_why_unknown(table))


def _why_unknown(table: LightCurveTable) -> str:
    """Say what a file is that no pipeline's reader recognises."""
    creator = text(table.primary, "CREATOR")
    if "to_fits()" in creator:
        return "written by lightkurve's to_fits(), so open it with lightkurve.read and add that"
    if text(table.header, "EXTNAME") in ("PIXELS", "TARGETTABLES") or "TargetPixel" in creator:
        return "a target pixel file, not a light curve"
    keys = ("TELESCOP", "ORIGIN", "CREATOR")
    found = [f"{key} {text(table.primary, key) or 'missing'}" for key in keys]
    found.append(f"table {text(table.header, 'EXTNAME') or 'unnamed'}")
    if value(table.header, "BJDREFI") is None:
        found.append("no time reference (BJDREFI) in the table's header")
    known = ", ".join(pipeline.name for pipeline in PIPELINES)
    return f"from no pipeline known here ({'; '.join(found)}); known are {known}"


READERS: dict[str, Callable[[Path], Product]] = {".fits": _read_fits, ".h5": read_orbit}
"""The reader of each ending; any other ending is tried as FITS."""
