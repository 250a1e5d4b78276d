"""The methods of a Database that add files, light curves and frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lcdb_notebook.database.protocol import Open
from lcdb_notebook.models import DataSet, FITSFrame, Observation
from lcdb_notebook.read.records import OnError
from lcdb_notebook.server.driver_errors import translated

if TYPE_CHECKING:
    import lightkurve
    import pandas as pd

    from lcdb_notebook.ingest import Report
    from lcdb_notebook.lightcurve.clock import Clock
    from lcdb_notebook.lightcurve.record import LightCurveData

__all__ = ["add", "add_frames", "ingest"]


def ingest(
    self: Open,
    paths: str | Path | Iterable[str | Path] | lightkurve.SearchResult,
    *,
    on_error: OnError = "skip",
    replace: bool | Literal["newer"] = False,
    progress: bool | None = None,
    author: str | None = None,
    photometry: str | None = None,
    quality_type: str | None = None,
    **description: Any,
) -> Report:
    """Ingest light-curve files into the database.

    Files are stored in batches, each in a separate transaction, so that later errors do not affect
    committed batches. A file is ingested completely or not at all. Files that are already in the
    database change nothing, so an interrupted ingest can be repeated.

    Parameters
    ----------
    paths : str, pathlib.Path, SearchResult, LightCurveCollection, or iterable of these
        Files, folders (searched recursively) and glob patterns; addresses that begin with
        ``https://`` or ``mast:``; and the result of a search of lightkurve. Files that are
        downloaded are kept in lightkurve's cache. The light curves of a LightCurveCollection are
        added like those of ``db.add``.
    on_error : {"skip", "raise"}, optional
        "skip" reports bad files with the reason. "raise" raises the first error; earlier batches
        remain, and no file of the same batch is ingested.
    replace : bool or "newer", optional
        What to do with files that differ from the stored data, for example after reprocessing.
        False rejects them; the reason in the report names the newer one and the argument to pass.
        "newer" replaces older releases (by DATA_REL, then DATE) and ignores older files, but
        rejects a file if other light curves were derived from the stored ones. True always
        replaces, and keeps derived light curves. The light curves keep their DataSets and lineage;
        times, flags, header cards and further columns of the target in that observation are
        replaced, too. Cadences that only the old file had become gaps. Nothing else changes.
    progress : bool, optional
        Show a progress bar; None shows it once the work has taken a second.
    author, photometry : str, optional
        Names of the pipeline and of the photometric source, for files of pipelines that are not
        supported. Such files need times with a reference (TIME, and BJDREFI, JDREFI or MJDREFI)
        and a flux column (FLUX, SAP_FLUX or PDCSAP_FLUX). They are ignored for files of supported
        pipelines. Files written by lightkurve's ``to_fits`` have neither name, so their photometry
        is "lightkurve to_fits" by default.
    quality_type : str, optional
        Type of the flags in such files, for example "tess_quality_flag"; without it their flags are
        not stored.
    **description : Any
        Values that are missing from the headers of such files, as arguments of ``db.add``:
        ``target``, ``catalog``, ``mission``, ``processing``, ``observation_fields``,
        ``instrument``, ...

    Returns
    -------
    Report
        The outcome for each file.

    Raises
    ------
    ReadOnlyError
        If the database was not opened with ``write=True``.
    IngestError
        For the first bad file, with ``on_error="raise"``; or if ``paths`` is neither a path nor an
        iterable of paths.
    ArgumentError
        If ``on_error`` or ``replace`` is invalid, or for an unknown argument.

    Examples
    --------
    >>> db.ingest("no/such/file.fits")
    1 file: 0 added (0 light curves), 0 unchanged, 1 skipped:
      no/such/file.fits: ...no such file or folder
    """
    from lcdb_notebook import ingest

    self._require_write("ingest()")
    self._require_columns("ingest()")
    given = {"author": author, "photometry": photometry, "quality_type": quality_type}
    description |= {name: value for name, value in given.items() if value is not None}
    with translated(self._description):
        return ingest.ingest(
            self._engine,
            paths,
            on_error=on_error,
            replace=replace,
            progress=progress,
            **description,
        )


def add(
    self: Open,
    lightcurve: lightkurve.LightCurve | pd.DataFrame,
    *,
    derived_from: DataSet | int | lightkurve.LightCurve | LightCurveData | bool | None = None,
    target: int | None = None,
    catalog: str | None = None,
    mission: str | None = None,
    photometry: str | None = None,
    processing: str | None = None,
    observation_type: str | None = None,
    observation_fields: Mapping[str, Any] | None = None,
    instrument: tuple[str, ...] | None = None,
    clock: Clock | None = None,
    **unknown: Any,
) -> Report:
    """Add a LightCurve, or all light curves of a DataFrame, to the database.

    Parameters
    ----------
    lightcurve : lightkurve.LightCurve or pandas.DataFrame
        Its ``flux`` and ``flux_err`` are added. A DataFrame must come from ``to_pandas``; its
        values may have changed, but not their unit.
    derived_from : DataSet, int, LightCurve, LightCurveData or bool, optional
        The source: a DataSet, its id, or the light curve that was read from it. True is the DataSet
        from which the light curve was read (``meta["DATASET"]``); in a DataFrame, that of each
        light curve. It becomes the source in the lineage, and supplies missing metadata of the
        light curve.
    target : int, optional
        Catalog number; by default from TARGETID, TICID, KEPLERID or LABEL in the metadata.
    catalog : str, optional
        Name of the catalog, such as "TIC"; by default from LABEL or the mission.
    mission : str, optional
        "TESS", "Kepler", "K2", or a mission in the database; by default from MISSION, TELESCOP or
        the class of the light curve.
    photometry : str, optional
        Name of the photometric source; by default from PHOTOMETRY and FLUX_ORIGIN.
    processing : str, optional
        Name of the processing ("raw" for none); by default from PROCESSING and FLUX_ORIGIN. A
        flattened or normalized light curve needs a new name.
    observation_type : str, optional
        Polymorphic identity of the observation, such as "tess_observation".
    observation_fields : mapping, optional
        Values of the observation's columns, such as ``{"sector": 1}``, which override the metadata.
    instrument : tuple of str, optional
        Names from the root of the instrument tree, such as ``("TESS", "Camera 1", "CCD 2")``.
    clock : Clock, optional
        The clock of the mission, if the mission is neither supported nor in the database.
    **unknown : Any
        Raises ArgumentError that suggests a similar argument.

    Returns
    -------
    Report
        One entry per light curve; ``report.files[0].datasets`` has the id of the first.

    Raises
    ------
    ReadOnlyError
        If the database was not opened with ``write=True``.
    IngestError
        If something is missing or contradicts the stored data, the source has another target or
        observation, the light curve is folded or stitched, or its times are impossible for the
        mission. Nothing is added then, not even other light curves of a DataFrame.
    ArgumentError
        For an unknown argument.
    LineageError
        If the light curve would be derived from itself.
    DataError
        If a DataFrame does not come from ``to_pandas``.

    Notes
    -----
    Fluxes are aligned by cadence number, with NaN for missing cadences (for example flagged ones).
    A binned light curve has no cadence numbers, so it is added to a new observation, with the
    length of the bins as ``exptime``.

    Examples
    --------
    >>> lc = db.lightcurve(3, sector=1, photometry="DEMO aperture 2px", processing="raw")
    >>> db.add(lc.flatten(), derived_from=lc)
    Traceback (most recent call last):
    lcdb_notebook.errors.IngestError: ...
    """
    from lcdb_notebook import ingest

    self._require_write("add()")
    self._require_columns("add()")
    given = {
        "target": target,
        "catalog": catalog,
        "mission": mission,
        "photometry": photometry,
        "processing": processing,
        "observation_type": observation_type,
        "observation_fields": observation_fields,
        "instrument": instrument,
        "clock": clock,
    }
    description = unknown | {name: value for name, value in given.items() if value is not None}
    with translated(self._description):
        return ingest.add(self._engine, lightcurve, derived_from=derived_from, **description)


def add_frames(
    self: Open,
    paths: str | Path | Iterable[str | Path],
    *,
    observation: int | Observation | None = None,
    cadence: int | Sequence[int] | None = None,
    frame_class: type[FITSFrame] = FITSFrame,
    on_error: OnError = "raise",
) -> pd.DataFrame:
    """Add the headers of FITS images to the table of frames.

    Files that are already in the table change nothing.

    Parameters
    ----------
    paths : str, pathlib.Path, or iterable of these
        Files, folders (searched recursively) and glob patterns.
    observation : int or Observation, optional
        The observation of the frames, or its id. By default it is found by the sector, camera and
        CCD in the headers (or the sector in MAST's file names). If there are several, the one with
        the frame's cadence is used.
    cadence : int or sequence of int, optional
        Cadence number, or one for each file, if the headers have none (FFIINDEX, CADENCE).
    frame_class : type, optional
        Class of the frames. The cadences of a class are unique, so each CCD of a mission needs a
        separate class. Additional fields of the class are read from the header cards with the same
        names.
    on_error : {"raise", "skip"}, optional
        "raise" raises the first error and adds nothing; "skip" adds the other files and puts the
        reason into the table.

    Returns
    -------
    pandas.DataFrame
        One row per file: ``path``, ``status`` ("added", "unchanged" or "skipped"), ``frame`` (its
        id), ``type``, ``cadence``, ``observation``, ``reason``.

    Raises
    ------
    ReadOnlyError
        If the database was not opened with ``write=True``.
    IngestError
        If a file is not a FITS image, its cadence or observation is unknown, or another frame of
        that type has its cadence.

    Examples
    --------
    >>> table = db.add_frames("no/such/image.fits", on_error="skip")
    >>> table["status"].tolist()
    ['skipped']
    """
    from lcdb_notebook import ingest

    self._require_write("add_frames()")
    self._require_columns("add_frames()")
    with translated(self._description), self._engine.begin() as connection:
        return ingest.add_frames(
            connection,
            paths,
            observation=observation,
            cadence=cadence,
            frame_class=frame_class,
            on_error=on_error,
        )
