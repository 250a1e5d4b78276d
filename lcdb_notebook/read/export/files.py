"""One light curve into a file of its own and back, by the ending of the file's name."""

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
    """A kind of file: how it is written and read.

    Parameters
    ----------
    write, read
        A table of :mod:`lcdb_notebook.read.export.table` into a path, and back.
    packed
        The same as ``write``, compressed by gzip; None where that has no sense.
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
"""The kinds of file by the ending of their names."""


def write_lightcurve(
    lightcurve: lightkurve.LightCurve, path: str | Path, *, overwrite: bool = False
) -> Path:
    """Write a LightCurve into a file, as a whole or not at all.

    Parameters
    ----------
    lightcurve
        A LightCurve, TessLightCurve or KeplerLightCurve; any columns, any metadata.
    path
        Ends in ``.fits``, ``.ecsv`` or ``.csv``, or one of these and ``.gz``, or in ``.parquet``.
    overwrite
        Whether a file of that name may be replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ExportError
        If there is a file of that name, the name does not end in one of these, it is no LightCurve
        or a folded one, a column holds something else than numbers or text, or the file system
        refuses.

    Notes
    -----
    :func:`read_lightcurve` gives an equal LightCurve. ``lightkurve.read`` does so from FITS. It
    calls the author "TESS-SPOC" if that is in the path in lower case, and all whose files it has
    no reader for "SPOC"; the header's AUTHOR is right.

    Examples
    --------
    >>> import tempfile
    >>> lc = db.search(3, sector=1)[0].lightcurve()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_lightcurve(lc, f"{folder}/star.ecsv")
    ...     same = read_lightcurve(path)
    >>> bool((same.time == lc.time).all()), same.meta["LABEL"]
    (True, 'DEMO 3')
    """
    path = Path(path).expanduser()
    kind, packed = _kind(path)
    if path.exists() and not overwrite:
        raise ExportError(f"{path} is there already; overwrite=True replaces it")
    table = to_table(lightcurve, numbers=numbers_of(lightcurve, kind))
    save(table, path, KINDS[kind], packed=packed)
    return path


def read_lightcurve(path: str | Path) -> lightkurve.LightCurve:
    """Read a file that :func:`write_lightcurve` or ``Selection.export`` wrote.

    Parameters
    ----------
    path
        Its name ends as :func:`write_lightcurve` has it.

    Returns
    -------
    lightkurve.TessLightCurve, KeplerLightCurve or LightCurve
        What was written, without cadences whose time is NaN.

    Raises
    ------
    ExportError
        If there is no such file, it is damaged, or it is another's.
    """
    path = Path(path).expanduser()
    kind, _ = _kind(path)
    if not path.is_file():
        raise ExportError(f"{path}: there is no such file")
    try:
        return from_table(KINDS[kind].read(path))
    except ExportError as error:
        told = str(error)
        raise ExportError(told if told.startswith(str(path)) else f"{path}: {told}") from None
    except Exception as error:
        # Half a file makes the readers of astropy, pandas and pyarrow raise nearly anything.
        raise ExportError(
            f"{path} cannot be read, perhaps it is damaged ({type(error).__name__}: {error})"
        ) from error


def save(table: Table, path: Path, kind: Kind, *, packed: bool = False) -> int:
    """Write a table as a whole or not at all, and give the size of the file in bytes."""
    write = kind.packed if packed else kind.write
    assert write is not None
    with atomic_write(path) as part:
        write(table, part)
        return part.stat().st_size


def numbers_of(lightcurve: Any, kind: str) -> str | None:
    """Name the time format in which a kind of file counts; None is the light curve's own."""
    if kind != "fits" or not hasattr(lightcurve, "meta"):
        return None
    expected = fits.lightkurve_format(lightcurve.meta)
    if expected is not None:
        return expected
    from lcdb_notebook.read.export.table import numeric_format

    return numeric_format(lightcurve, lightcurve.time.format)


def _kind(path: Path) -> tuple[str, bool]:
    """Name the kind of a file by its ending, and say whether it is compressed."""
    name = path.name.lower()
    packed = name.endswith(".gz")
    kind = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    if kind not in KINDS or (packed and KINDS[kind].packed is None):
        endings = [f".{kind}" for kind in KINDS]
        endings += [f".{name}.gz" for name, known in KINDS.items() if known.packed is not None]
        raise ExportError(f"{path}: the name of the file has to end in {', '.join(endings)}")
    return kind, packed
