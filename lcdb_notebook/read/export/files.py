"""Write one light curve to a file and read it; the suffix of the file determines the format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcdb_notebook.errors import ExportError
from lcdb_notebook.read.export import fits, tables
from lcdb_notebook.read.export.atomic_write import atomic_write
from lcdb_notebook.read.export.table import from_table, to_table

if TYPE_CHECKING:
    import lightkurve
    from astropy.table import Table

__all__ = ["KINDS", "Kind", "numbers_of", "read_lightcurve", "save", "write_lightcurve"]


class Kind(NamedTuple):
    """A format: the functions that write and read a file.

    Parameters
    ----------
    write, read : callable
        Functions that write a table of :mod:`lcdb_notebook.read.export.table` to a path, and read
        it.
    packed : callable, optional
        Like ``write``, with gzip compression; None if the format is already compressed.
    """

    write: Callable[[Table, Path], None]
    read: Callable[[Path], Table]
    packed: Callable[[Table, Path], None] | None = None


KINDS = {
    "fits": Kind(fits.write, fits.read, partial(fits.write, compressed=True)),
    "ecsv": Kind(tables.write_ecsv, tables.read_ecsv, partial(tables.write_ecsv, compressed=True)),
    "csv": Kind(tables.write_csv, tables.read_csv, partial(tables.write_csv, compressed=True)),
    # Its columns are compressed already.
    "parquet": Kind(tables.write_parquet, tables.read_parquet),
}
"""The formats by suffix."""


def write_lightcurve(
    lightcurve: lightkurve.LightCurve, path: str | Path, *, overwrite: bool = False
) -> Path:
    """Write a LightCurve to a file, completely or not at all.

    Parameters
    ----------
    lightcurve : lightkurve.LightCurve
        A LightCurve, TessLightCurve or KeplerLightCurve, with any columns and metadata.
    path : str or pathlib.Path
        File whose name ends in ``.fits``, ``.ecsv`` or ``.csv``, optionally with ``.gz``, or in
        ``.parquet``.
    overwrite : bool, optional
        Replace an existing file.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ExportError
        If the file exists, its name has another suffix, the light curve is folded or not a
        LightCurve, a column contains anything except numbers or text, or the file system reports an
        error.

    Notes
    -----
    :func:`read_lightcurve` returns an equal LightCurve, with the same units. ``lightkurve.read``
    does the same for FITS files, but sets the author to "TESS-SPOC" if the path contains that in
    lower case, and to "SPOC" for pipelines without a reader in lightkurve. AUTHOR in the header is
    correct.

    Examples
    --------
    >>> import tempfile
    >>> import lcdb_notebook as lcdb
    >>> lc = db.search(3, sector=1)[0].lightcurve()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = lcdb.write_lightcurve(lc, f"{folder}/star.ecsv")
    ...     same = lcdb.read_lightcurve(path)
    >>> bool((same.time == lc.time).all()), same.meta["LABEL"]
    (True, 'DEMO 3')
    """
    path = Path(path).expanduser()
    kind, packed = _kind(path)
    if path.exists() and not overwrite:
        raise ExportError(f"{path} already exists; pass overwrite=True")
    table = to_table(lightcurve, numbers=numbers_of(lightcurve, kind))
    save(table, path, KINDS[kind], packed=packed)
    return path


def read_lightcurve(path: str | Path) -> lightkurve.LightCurve:
    """Read a file of :func:`write_lightcurve` or ``Selection.export``.

    Parameters
    ----------
    path : str or pathlib.Path
        File whose name ends in ``.fits``, ``.ecsv`` or ``.csv``, optionally with ``.gz``, or in
        ``.parquet``.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        The stored light curve, with its units and metadata, without cadences whose time is NaN.

    Raises
    ------
    ExportError
        If the file does not exist, is damaged, or was written by another program.

    Examples
    --------
    >>> import tempfile
    >>> import lcdb_notebook as lcdb
    >>> found = db.search(3, sector=1, processing="raw")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = found.export(folder)["file"]
    ...     lc = lcdb.read_lightcurve(files[0])
    >>> lc.meta["LABEL"], str(lc.flux.unit)
    ('DEMO 3', 'electron / s')
    """
    path = Path(path).expanduser()
    kind, _ = _kind(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist")
    try:
        return from_table(KINDS[kind].read(path))
    except ExportError as error:
        text = str(error)
        raise ExportError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    except Exception as error:
        # For incomplete files, the readers of astropy, pandas and pyarrow may raise almost any
        # error.
        raise ExportError(
            f"{path} cannot be read; it may be damaged ({type(error).__name__}: {error})"
        ) from error


def save(table: Table, path: Path, kind: Kind, *, packed: bool = False) -> int:
    """Write a table completely or not at all, and return the size of the file in bytes."""
    write = kind.packed if packed else kind.write
    assert write is not None
    with atomic_write(path) as part:
        write(table, part)
        return part.stat().st_size


def numbers_of(lightcurve: Any, kind: str) -> str | None:
    """Return the time format that a file format requires; None keeps that of the light curve."""
    if kind != "fits" or not hasattr(lightcurve, "meta"):
        return None
    expected = fits.lightkurve_format(lightcurve.meta)
    if expected is not None:
        return expected
    from lcdb_notebook.read.export.table import numeric_format

    return numeric_format(lightcurve, lightcurve.time.format)


def _kind(path: Path) -> tuple[str, bool]:
    """Return the format of a file by its suffix, and whether it is compressed."""
    name = path.name.lower()
    packed = name.endswith(".gz")
    kind = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    if kind not in KINDS or (packed and KINDS[kind].packed is None):
        endings = [f".{kind}" for kind in KINDS]
        endings += [f".{name}.gz" for name, known in KINDS.items() if known.packed is not None]
        raise ExportError(f"{path}: the file name must end in {', '.join(endings)}")
    return kind, packed
